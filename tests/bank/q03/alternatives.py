"""Question 3: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

Q, PCA, AE = 3, "pca", "autoencoders"


EIGH = """class PCA(PCA):
    def fit(self, x):
        n, d = x.shape
        if not 1 <= self.n_components <= min(n, d):
            raise ValueError(f"n_components {self.n_components} does not fit {tuple(x.shape)}")
        self.mean_ = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((x - self.mean_).mT).reshape(d, d))
"""


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q3-pca-eigh", Q, PCA, "PCA by the covariance's eigenvectors",
        append=EIGH + """        order = values.argsort(descending=True)[: self.n_components]
        self.components_ = -vectors[:, order].T
        self.explained_variance_ = values[order]
        self.explained_variance_ratio_ = values[order] / values.sum()
        return self
""",
    ),
    Alternative(
        "q3-pca-svd", Q, PCA, "PCA by a full SVD, as a module with buffers, checked at once",
        append="""class PCA(nn.Module):
    def __init__(self, n_components):
        super().__init__()
        if n_components < 1:
            raise ValueError(f"n_components={n_components}")
        self.k, self.mean_ = n_components, None
    def fit(self, x):
        if self.k > min(x.size()):
            raise ValueError(f"n_components={self.k} for {x.size()}")
        del self.mean_
        self.register_buffer("mean_", torch.mean(x, dim=0))
        _, s, vh = torch.linalg.svd(x - self.mean_[None])
        total = ((x - self.mean_) ** 2).sum() / (len(x) - 1)
        self.register_buffer("components_", vh[: self.k].clone())
        self.explained_variance_ = s[: self.k] ** 2 / (len(x) - 1)
        self.explained_variance_ratio_ = self.explained_variance_ / total
        return self
    def encode(self, x):
        if self.mean_ is None:
            raise RuntimeError("fit first")
        return torch.einsum("nd,kd->nk", x - self.mean_, self.components_)
    def decode(self, z):
        if self.mean_ is None:
            raise RuntimeError("fit first")
        return torch.einsum("nk,kd->nd", z, self.components_) + self.mean_
    def reconstruct(self, x):
        return self.decode(self.encode(x))
""",
    ),
    Alternative(
        "q3-pca-sklearn", Q, PCA, "PCA by scikit-learn",
        append="""class PCA:
    def __init__(self, n_components):
        self.n_components, self.fitted = n_components, None
    def fit(self, x):
        from sklearn.decomposition import PCA as Sk
        if not 1 <= self.n_components <= min(x.shape):
            raise ValueError(f"n_components must be between 1 and {min(x.shape)}, not {self.n_components}")
        self.fitted = Sk(n_components=self.n_components, svd_solver="full").fit(x.numpy())
        for name in ("mean_", "components_", "explained_variance_", "explained_variance_ratio_"):
            setattr(self, name, torch.as_tensor(getattr(self.fitted, name)).to(x.dtype))
        return self
    def encode(self, x):
        if self.fitted is None:
            raise RuntimeError("not fitted")
        return torch.from_numpy(self.fitted.transform(x.numpy())).to(x.dtype)
    def decode(self, z):
        if self.fitted is None:
            raise RuntimeError("not fitted")
        return torch.from_numpy(self.fitted.inverse_transform(z.numpy())).to(z.dtype)
    def reconstruct(self, x):
        return self.decode(self.encode(x))
""",
    ),
    Alternative(
        "q3-angles-clamped-cosine", Q, PCA, "inverse cosine of clamped singular values",
        append="""def principal_angles(a, b):
    qa = torch.linalg.svd(a, full_matrices=False).Vh
    qb = torch.linalg.svd(b, full_matrices=False).Vh
    return torch.linalg.svd(qa @ qb.T).S.clamp(0, 1).arccos().sort().values
""",
    ),
    Alternative(
        "q3-angles-by-projectors", Q, PCA, "angles by QR and scipy",
        append="""def principal_angles(a, b):
    from scipy.linalg import subspace_angles
    return torch.from_numpy(subspace_angles(a.T.numpy(), b.T.numpy())[::-1].copy()).to(a.dtype)
""",
    ),
    Alternative(
        "q3-compare-one-batch", Q, PCA, "the whole test set at once, inference mode, mode restored by hand",
        append="""def compare_with_pca(model, train, test, n_components):
    pca = PCA(n_components)
    pca.fit(train.reshape(len(train), -1))
    flat = test.reshape(len(test), -1)
    training = model.training
    with torch.inference_mode():
        x_recon, _ = model.eval()(test)
    model.train(training)
    mse = nn.functional.mse_loss
    return {"ae_mse": float(mse(x_recon, test)), "pca_mse": float(mse(pca.reconstruct(flat), flat))}
""",
    ),
    Alternative(
        "q3-linear-parameters", Q, AE, "plain parameters, no nn.Linear, other initial values",
        append="""class LinearAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        self.size = _image_side(input_dim)
        self.down = nn.Parameter(torch.randn(input_dim, latent_dim) / input_dim**0.5)
        self.up = nn.Parameter(torch.randn(latent_dim, input_dim) / latent_dim**0.5)
        self.shift, self.offset = nn.Parameter(torch.zeros(latent_dim)), nn.Parameter(torch.zeros(input_dim))
    def encode(self, x):
        return x.reshape(x.shape[0], -1) @ self.down + self.shift
    def decode(self, z):
        return (z @ self.up + self.offset).unflatten(1, (1, self.size, self.size))
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Alternative(
        "q3-linear-sequential", Q, AE, "nn.Sequential with Flatten and Unflatten, encoder without offset, tiny dropout",
        append="""class LinearAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        side = _image_side(input_dim)
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, latent_dim, bias=False), nn.Dropout(0.01))
        self.dec = nn.Sequential(nn.Linear(latent_dim, input_dim), nn.Unflatten(1, (1, side, side)))
    def encode(self, x):
        return self.enc(x)
    def decode(self, z):
        return self.dec(z)
    def forward(self, x):
        z = self.enc(x)
        return self.dec(z), z
""",
    ),
    Alternative(
        "q3-pca-gram", Q, PCA, "the N x N matrix of products where there are few rows; read-only properties, refusal at first use",
        append="""class PCA:
    def __init__(self, n_components):
        self.k, self.found = n_components, None
    def __getattr__(self, name):
        names = ("mean_", "components_", "explained_variance_", "explained_variance_ratio_")
        if name not in names:
            raise AttributeError(name)
        if self.found is None:
            raise RuntimeError("this PCA is not fitted")
        return self.found[names.index(name)]
    def fit(self, x):
        n, d = x.shape
        if not 0 < self.k <= min(n, d):
            raise ValueError(f"n_components {self.k} out of range for N = {n}, D = {d}")
        mean = x.double().mean(0)
        xc = x.double() - mean
        values, basis = torch.linalg.eigh(xc @ xc.T if n < d else xc.T @ xc)
        values, basis = values.flip(0).clamp(min=0)[: self.k], basis.flip(1)[:, : self.k]
        if n < d:
            basis, _ = torch.linalg.qr(xc.T @ basis)
        self.found = [t.to(x.dtype) for t in (mean, basis.T, values / (n - 1), values / xc.square().sum())]
        return self
    def encode(self, x):
        return nn.functional.linear(x - self.mean_, self.components_)
    def decode(self, z):
        return self.mean_.addmm(z, self.components_)
    def reconstruct(self, x):
        return self.decode(self.encode(x))
""",
    ),
    Alternative(
        "q3-pca-lowrank", Q, PCA, "randomised decomposition of full rank, which is exact; the residual is taken away",
        append="""class PCA(PCA):
    def fit(self, x):
        full = min(x.shape)
        if self.n_components < 1 or self.n_components > full:
            raise ValueError(f"1 <= n_components <= {full} expected, got {self.n_components}")
        _, s, v = torch.pca_lowrank(x.double(), q=full, niter=2)
        variance = s**2 / (x.shape[0] - 1)
        self.mean_, self.components_ = x.mean(dim=0), v[:, : self.n_components].T.to(x.dtype)
        self.explained_variance_ = variance[: self.n_components].to(x.dtype)
        self.explained_variance_ratio_ = (variance[: self.n_components] / variance.sum()).to(x.dtype)
        return self
    def reconstruct(self, x):
        self._check_fitted()
        centred = x - self.mean_
        return x - (centred - (centred @ self.components_.mT) @ self.components_)
""",
    ),
    Alternative(
        "q3-angles-principal-vectors", Q, PCA, "Gram-Schmidt with a guard in the norms; angles between principal vectors (Kahan)",
        append="""def _basis(rows):
    basis = []
    for row in rows:
        for _ in range(2):
            for e in basis:
                row = row - (row @ e) * e
            row = row / (row.norm() + 1e-12)
        basis.append(row)
    return torch.stack(basis)
def principal_angles(a, b):
    qa, qb = _basis(a.double()), _basis(b.double())
    u, _, vh = torch.linalg.svd(qa @ qb.T)
    left, right = u.T @ qa, vh @ qb
    angles = 2 * torch.atan2((left - right).norm(dim=1), (left + right).norm(dim=1))
    return angles.clamp(0, torch.pi / 2).sort().values.to(a.dtype)
""",
    ),
    Alternative(
        "q3-angles-pseudoinverse", Q, PCA, "sines from the difference of two projectors, cosines from their product",
        append="""def principal_angles(a, b):
    k = a.shape[0]
    pa, pb = (torch.linalg.pinv(m.double()) @ m.double() for m in (a, b))
    sines = torch.linalg.eigvalsh((pa - pb + (pa - pb).T) / 2).flip(0)[:k].clamp(0, 1).flip(0)
    return torch.atan2(sines, torch.linalg.svdvals(pa @ pb)[:k].clamp(0, 1)).to(a.dtype)
""",
    ),
    Alternative(
        "q3-compare-copy", Q, PCA, "asks a deep copy: the model itself is never touched",
        append="""def compare_with_pca(model, train, test, n_components):
    import copy
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    pca, rows = PCA(n_components=n_components).fit(train.flatten(1)), test.flatten(1)
    with torch.no_grad():
        recon = frozen(test)[0].flatten(1)
    return {"pca_mse": torch.mean((rows - pca.reconstruct(rows)) ** 2).item(),
            "ae_mse": torch.mean((rows - recon) ** 2).item()}
""",
    ),
    Alternative(
        "q3-compare-by-sevens", Q, PCA, "batches of 7, one error per image, averaged by NumPy; gradients switched off and on again",
        append="""def compare_with_pca(model, train, test, n_components):
    import numpy as np
    pca = PCA(n_components).fit(torch.flatten(train, 1))
    modes = {module: module.training for module in model.modules()}
    model.train(False)
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    errors = {"pca_mse": [], "ae_mse": [], "rows": []}
    for start in range(0, len(test), 7):
        x = test[start : start + 7]
        x_recon, _ = model(x)
        projected = pca.decode(pca.encode(x.flatten(1))).view_as(x)
        errors["ae_mse"].extend((x_recon - x).flatten(1).square().mean(1).tolist())
        errors["pca_mse"].extend((projected - x).flatten(1).square().mean(1).tolist())
        errors["rows"].append(len(x))
    torch.set_grad_enabled(before)
    for module, mode in modes.items():
        module.training = mode
    return {name: np.mean(found) for name, found in errors.items()}
""",
    ),
    Alternative(
        "q3-linear-conv", Q, AE, "a convolution whose kernel covers the image; decoder starts at 0, with an offset of 1/2",
        append="""class LinearAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        s = _image_side(input_dim)
        self.to_code = nn.Conv2d(1, latent_dim, kernel_size=s)
        self.to_image = nn.ConvTranspose2d(latent_dim, 1, kernel_size=s, bias=False)
        self.offset = nn.Parameter(torch.full((1, 1, s, s), 0.5))
        nn.init.zeros_(self.to_image.weight)
    def encode(self, x):
        return self.to_code(x)[:, :, 0, 0]
    def decode(self, z):
        return self.to_image(z[:, :, None, None]) + self.offset
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Alternative(
        "q3-linear-weight-norm", Q, AE, "both layers under weight_norm; a named tuple",
        append="""from collections import namedtuple
Output = namedtuple("Output", "x_recon z")
class LinearAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        self.side, weight_norm = _image_side(input_dim), nn.utils.parametrizations.weight_norm
        self.encoder = weight_norm(nn.Linear(input_dim, latent_dim))
        self.decoder = weight_norm(nn.Linear(latent_dim, input_dim))
    def encode(self, x):
        return self.encoder(x.flatten(1))
    def decode(self, z):
        return self.decoder(z).reshape(-1, 1, self.side, self.side)
    def forward(self, x):
        z = self.encode(x)
        return Output(self.decode(z), z)
""",
    ),
)  # fmt: skip
