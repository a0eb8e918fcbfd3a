"""Question 3: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, PCA, AE = 3, "pca", "autoencoders"


# what builds on a PCA whose components are wrong (by `needs`, or because it compares with the same reference)
ON_COMPONENTS = (
    "q3.pca.variance", "q3.pca.codes", "q3.pca.degenerate", "q3.pca.errors", "q3.compare.value", "q3.compare.mode",
    "q3.trained.pca",
)  # fmt: skip


ON_CODES = ("q3.pca.degenerate", "q3.compare.value", "q3.trained.pca")


ON_SHAPES = ("q3.linear.affine", "q3.linear.gradient", "q3.trained.linear")


EIGH = """class PCA(PCA):
    def fit(self, x):
        n, d = x.shape
        if not 1 <= self.n_components <= min(n, d):
            raise ValueError(f"n_components {self.n_components} does not fit {tuple(x.shape)}")
        self.mean_ = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((x - self.mean_).mT).reshape(d, d))
"""


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q3-pca-ascending",
        Q,
        PCA,
        "eigh orders the smallest variance first: keeps the worst directions",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.mT[: self.n_components]
        self.explained_variance_ = values[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-kept-in-reverse",
        Q,
        PCA,
        "the right directions, the smallest of them first",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.mT[-self.n_components :]
        self.explained_variance_ = values[-self.n_components :]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-transposed",
        Q,
        PCA,
        "columns of the eigenvector matrix taken as rows",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.flip(1)[: self.n_components]
        self.explained_variance_ = values.flip(0)[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-not-centred",
        Q,
        PCA,
        "singular vectors of the data as they are",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr(x, "),),
    ),
    Mistake(
        "q3-pca-mean-of-rows",
        Q,
        PCA,
        "centres every row, not every feature",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("        mean = x.mean(0)\n", "        mean = x.mean(1, keepdim=True)\n"),),
    ),
    Mistake(
        "q3-pca-standardised",
        Q,
        PCA,
        "divides every feature by its spread",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr((x - mean) / x.std(0), "),),
    ),
    Mistake(
        "q3-pca-scaled-components",
        Q,
        PCA,
        "components multiplied by their singular values",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(
            (
                "        self.components_ = right_vectors[: self.n_components]\n",
                "        self.components_ = (singular_values[:, None] * right_vectors)[: self.n_components]\n",
            ),
        ),
    ),
    Mistake(
        "q3-pca-fit-returns-nothing",
        Q,
        PCA,
        "fit ends without a return",
        fails=("q3.pca.errors",),
        edits=(
            ("        return self\n", "        return None\n"),
            ("PCA(n_components).fit(train.flatten(1))\n", "PCA(n_components)\n    pca.fit(train.flatten(1))\n"),
        ),
    ),
    Mistake(
        "q3-pca-power-iteration",
        Q,
        PCA,
        "power iteration that stops after 8 steps: enough for toys, not for images",
        fails=("q3.trained.pca",),
        may_fail=("q3.pca.degenerate",),
        append="""class PCA(PCA):
    def fit(self, x):
        super().fit(x)
        if x.shape[1] > 100:
            left = torch.cov(x.mT)
            rows = []
            for i in range(self.n_components):
                v = torch.ones(len(left), dtype=x.dtype) + torch.arange(len(left)) % (i + 2)
                for _ in range(8):
                    v = left @ v
                    v = v / v.norm()
                left = left - (v @ left @ v) * torch.outer(v, v)
                rows.append(v)
            self.components_ = torch.linalg.qr(torch.stack(rows).mT)[0].mT
        return self
""",
    ),
    Mistake(
        "q3-variance-by-n",
        Q,
        PCA,
        "divides by N",
        fails=("q3.pca.variance",),
        edits=(("singular_values.square() / (num_rows - 1)", "singular_values.square() / num_rows"),),
    ),
    Mistake(
        "q3-variance-singular-values",
        Q,
        PCA,
        "standard deviations for variances",
        fails=("q3.pca.variance",),
        edits=(("singular_values.square() / (num_rows - 1)", "singular_values / (num_rows - 1) ** 0.5"),),
    ),
    Mistake(
        "q3-variance-ratio-of-kept",
        Q,
        PCA,
        "shares of the variance that was kept",
        fails=("q3.pca.variance",),
        edits=(
            ("self.explained_variance_ / variance.sum()", "self.explained_variance_ / self.explained_variance_.sum()"),
        ),
    ),
    Mistake(
        "q3-encode-without-mean",
        Q,
        PCA,
        "encode forgets the mean",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("(x - self.mean_) @ self.components_.mT", "x @ self.components_.mT"),),
    ),
    Mistake(
        "q3-encode-own-mean",
        Q,
        PCA,
        "encode subtracts the mean of what it is given",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("(x - self.mean_) @ self.components_.mT", "(x - x.mean(0)) @ self.components_.mT"),),
    ),
    Mistake(
        "q3-decode-without-mean",
        Q,
        PCA,
        "decode forgets the mean",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("        return z @ self.components_ + self.mean_", "        return z @ self.components_"),),
    ),
    Mistake(
        "q3-encode-whitened",
        Q,
        PCA,
        "codes divided by their spread: decode does not take them back",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(
            (
                "(x - self.mean_) @ self.components_.mT",
                "(x - self.mean_) @ self.components_.mT / self.explained_variance_.sqrt()",
            ),
        ),
    ),
    Mistake(
        "q3-pca-centres-in-place",
        Q,
        PCA,
        "x -= mean changes the caller's data",
        fails=("q3.pca.degenerate",),
        may_fail=("q3.pca.codes", "q3.compare.value", "q3.pca.components", "q3.trained.pca", "q3.pca.variance"),
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr(x.sub_(mean), "),),
    ),
    Mistake(
        "q3-pca-cancelling-covariance",
        Q,
        PCA,
        "E[x x^T] - E[x] E[x]^T loses all digits far from 0 in float32",
        fails=("q3.pca.degenerate",),
        may_fail=("q3.trained.pca",),
        append=EIGH.replace(
            "torch.cov((x - self.mean_).mT).reshape(d, d)",
            "(x.mT @ x - n * torch.outer(self.mean_, self.mean_)) / (n - 1)",
        )
        + """        self.components_ = vectors.flip(1).mT[: self.n_components]
        self.explained_variance_ = values.flip(0)[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-by-inverse-values",
        Q,
        PCA,
        "right vectors as U^T X / s: NaN where a variance is 0",
        fails=("q3.pca.degenerate",),
        append="""class PCA(PCA):
    def fit(self, x):
        super().fit(x)
        u, s, _ = torch.linalg.svd(x - self.mean_, full_matrices=False)
        s = torch.where(s < 1e-5 * s[0], 0, s)
        self.components_ = ((u.mT @ (x - self.mean_)) / s[:, None])[: self.n_components]
        return self
""",
    ),
    Mistake(
        "q3-pca-too-many",
        Q,
        PCA,
        "more components than data or features are accepted",
        fails=("q3.pca.errors",),
        edits=(("if not 1 <= self.n_components <= min(num_rows, num_features):", "if not 1 <= self.n_components:"),),
    ),
    Mistake(
        "q3-pca-limit-features-only",
        Q,
        PCA,
        "compares k with D, not with N",
        fails=("q3.pca.errors",),
        edits=(
            (
                "if not 1 <= self.n_components <= min(num_rows, num_features):",
                "if not 1 <= self.n_components <= num_features:",
            ),
        ),
    ),
    Mistake(
        "q3-pca-zero-components",
        Q,
        PCA,
        "k = 0 and negative k are accepted",
        fails=("q3.pca.errors",),
        edits=(
            (
                "if not 1 <= self.n_components <= min(num_rows, num_features):",
                "if self.n_components > min(num_rows, num_features):",
            ),
        ),
    ),
    Mistake(
        "q3-pca-unfitted",
        Q,
        PCA,
        "AttributeError before fit",
        fails=("q3.pca.errors",),
        edits=(('        if not hasattr(self, "components_"):', "        if False:"),),
    ),
    Mistake(
        "q3-angles-not-orthonormalised",
        Q,
        PCA,
        "singular values of the product of the bases given",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="def principal_angles(a, b):\n    return torch.linalg.svdvals(a @ b.mT).clamp(-1, 1).acos()\n",
    ),
    Mistake(
        "q3-angles-rows-normalised",
        Q,
        PCA,
        "unit rows are not orthogonal rows",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="""def principal_angles(a, b):
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    return torch.linalg.svdvals(a @ b.mT).clamp(-1, 1).acos()
""",
    ),
    Mistake(
        "q3-angles-column-space",
        Q,
        PCA,
        "bases of the column spaces",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="""def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return torch.linalg.svdvals(qa.mT @ qb).clamp(-1, 1).acos()
""",
    ),
    Mistake(
        "q3-angles-descending",
        Q,
        PCA,
        "largest angle first",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return torch.atan2(sines, cosines).flip(0)"),),
    ),
    Mistake(
        "q3-angles-degrees",
        Q,
        PCA,
        "degrees",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return torch.rad2deg(torch.atan2(sines, cosines))"),),
    ),
    Mistake(
        "q3-angles-cosines",
        Q,
        PCA,
        "cosines, not angles",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return cosines"),),
    ),
    Mistake(
        "q3-angles-diagonal",
        Q,
        PCA,
        "angles between basis vectors one by one",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(
            (
                "    return torch.atan2(sines, cosines)",
                "    return overlap.diagonal().abs().clamp(max=1).acos().sort().values",
            ),
        ),
    ),
    Mistake(
        "q3-angles-nan",
        Q,
        PCA,
        "acos of a cosine just above 1",
        fails=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return cosines.acos()"),),
    ),
    Mistake(
        "q3-compare-fitted-on-test",
        Q,
        PCA,
        "PCA is fitted on the test split: its error is too low",
        fails=("q3.compare.value",),
        edits=(("PCA(n_components).fit(train.flatten(1))", "PCA(n_components).fit(test.flatten(1))"),),
    ),
    Mistake(
        "q3-compare-judged-on-train",
        Q,
        PCA,
        "both errors on the training images",
        fails=("q3.compare.value",),
        append="""_compare = compare_with_pca
def compare_with_pca(model, train, test, n_components):
    return _compare(model, train, train, n_components)
""",
    ),
    Mistake(
        "q3-compare-per-image",
        Q,
        PCA,
        "sums over the pixels",
        fails=("q3.compare.value",),
        edits=(
            (
                "(pca_recon - test).square().mean().item()",
                "(pca_recon - test).square().flatten(1).sum(1).mean().item()",
            ),
        ),
    ),
    Mistake(
        "q3-compare-keys-swapped",
        Q,
        PCA,
        "each error under the other's name",
        fails=("q3.compare.value",),
        append="""_compare = compare_with_pca
def compare_with_pca(model, train, test, n_components):
    found = _compare(model, train, test, n_components)
    return {"pca_mse": found["ae_mse"], "ae_mse": found["pca_mse"]}
""",
    ),
    Mistake(
        "q3-compare-silent-broadcast",
        Q,
        PCA,
        "(M, 784) against (M, 1, 28, 28): broadcasts or fails",
        fails=("q3.compare.value",),
        may_fail=("q3.compare.mode",),
        edits=(
            ("pca.reconstruct(test.flatten(1)).reshape(test.shape)", "pca.reconstruct(test.flatten(1))[:, None, None]"),
            ("(pca_recon - test).square()", "(pca_recon - test.flatten(1)).square()"),
        ),
    ),
    Mistake(
        "q3-compare-training-mode",
        Q,
        PCA,
        "the model runs in whatever mode it was",
        fails=("q3.compare.mode",),
        edits=(("    model.eval()\n", ""),),
    ),
    Mistake(
        "q3-compare-mode-lost",
        Q,
        PCA,
        "the model stays in evaluation mode",
        fails=("q3.compare.mode",),
        edits=(("        model.train(was_training)\n", "        pass\n"),),
    ),
    Mistake(
        "q3-compare-mode-always-training",
        Q,
        PCA,
        "back to training mode, whatever the mode was",
        fails=("q3.compare.mode",),
        edits=(("        model.train(was_training)\n", "        model.train()\n"),),
    ),
    Mistake(
        "q3-compare-gradients",
        Q,
        PCA,
        "without no_grad",
        fails=("q3.compare.mode",),
        edits=(("        with torch.no_grad():\n", "        with torch.enable_grad():\n"),),
    ),
    Mistake(
        "q3-linear-unflattened",
        Q,
        AE,
        "images of shape (B, 1, 28, 28) go into Linear(784)",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return self.encoder(x)
""",
    ),
    Mistake(
        "q3-linear-flat-output",
        Q,
        AE,
        "returns (B, 784), not an image",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return self.decoder(z)
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Mistake(
        "q3-linear-only-reconstruction",
        Q,
        AE,
        "forward returns x_recon alone",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        return self.decode(self.encode(x))
""",
    ),
    Mistake(
        "q3-linear-swapped-return",
        Q,
        AE,
        "(z, x_recon)",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        return z, self.decode(z)
""",
    ),
    Mistake(
        "q3-linear-fixed-size",
        Q,
        AE,
        "28 is written into decode",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return self.decoder(z).view(-1, 1, 28, 28)
""",
    ),
    Mistake(
        "q3-linear-relu",
        Q,
        AE,
        "ReLU on the bottleneck: codes are never negative",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return torch.relu(super().encode(x))
""",
    ),
    Mistake(
        "q3-linear-sigmoid",
        Q,
        AE,
        "sigmoid on the reconstruction",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return torch.sigmoid(super().decode(z))
""",
    ),
    Mistake(
        "q3-linear-clamped",
        Q,
        AE,
        "clamps the reconstruction to [0, 1]",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear", "q3.linear.gradient"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return super().decode(z).clamp(0, 1)
""",
    ),
    Mistake(
        "q3-linear-no-bias",
        Q,
        AE,
        "no offsets: only centred data could be fitted",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        edits=(
            (
                "        self.encoder = nn.Linear(input_dim, latent_dim)\n        self.decoder = nn.Linear(latent_dim, input_dim)\n",
                "        self.encoder = nn.Linear(input_dim, latent_dim, bias=False)\n"
                "        self.decoder = nn.Linear(latent_dim, input_dim, bias=False)\n",
            ),
        ),
    ),
    Mistake(
        "q3-linear-narrow",
        Q,
        AE,
        "a narrower layer before the code: rank latent_dim - 1",
        fails=("q3.linear.affine", "q3.trained.linear"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        narrow = max(1, latent_dim - 1)
        self.encoder = nn.Sequential(nn.Linear(input_dim, narrow), nn.Linear(narrow, latent_dim))
""",
    ),
    Mistake(
        "q3-linear-detached-code",
        Q,
        AE,
        "the code is detached: the encoder never trains",
        fails=("q3.linear.gradient", "q3.trained.linear"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z.detach()), z
""",
    ),
    Mistake(
        "q3-linear-unused-layer",
        Q,
        AE,
        "a layer that forward never uses",
        fails=("q3.linear.gradient",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        self.bottleneck = nn.Linear(latent_dim, latent_dim)
""",
    ),
    Mistake(
        "q3-pca-fitted-on-class",
        Q,
        PCA,
        "the class remembers that one object is fitted: all others count as fitted",
        fails=("q3.pca.errors",),
        edits=(
            ('        if not hasattr(self, "components_"):', "        if not PCA.is_fitted:"),
            (
                "    explained_variance_ratio_: Tensor\n\n",
                "    explained_variance_ratio_: Tensor\n    is_fitted = False\n\n",
            ),
            ("        self.mean_ = mean\n", "        self.mean_ = mean\n        PCA.is_fitted = True\n"),
        ),
    ),
    Mistake(
        "q3-pca-refit-keeps-mean",
        Q,
        PCA,
        "a second fit keeps the mean of the first",
        fails=("q3.pca.errors",),
        edits=(("        mean = x.mean(0)\n", '        mean = self.mean_ if hasattr(self, "mean_") else x.mean(0)\n'),),
    ),
    Mistake(
        "q3-angles-short-rows-dropped",
        Q,
        PCA,
        "takes singular values below 1e-4 for 0, whatever the scale of the rows",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(
            (
                "    basis_a, _ = torch.linalg.qr(a.mT)\n    basis_b, _ = torch.linalg.qr(b.mT)\n",
                "    svd_a, svd_b = (torch.linalg.svd(m, full_matrices=False) for m in (a, b))\n"
                "    basis_a, basis_b = svd_a.Vh[svd_a.S > 1e-4].mT, svd_b.Vh[svd_b.S > 1e-4].mT\n",
            ),
        ),
    ),
    Mistake(
        "q3-compare-gradients-left-off",
        Q,
        PCA,
        "switches gradients off for good",
        fails=("q3.compare.mode",),
        edits=(
            (
                "        with torch.no_grad():\n            ae",
                "        torch.set_grad_enabled(False)\n        if True:\n            ae",
            ),
        ),
    ),
    Mistake(
        "q3-compare-mean-of-means",
        Q,
        PCA,
        "averages over batches of 128: the last, smaller one counts as much as the others",
        fails=("q3.compare.value",),
        edits=(
            (
                "            ae_recon = torch.cat([model(batch)[0] for batch in torch.split(test, 256)])",
                "            ae = torch.stack([(model(x)[0] - x).square().mean() for x in test.split(128)]).mean()",
            ),
            ("(ae_recon - test).square().mean().item()", "ae.item()"),
        ),
    ),
    Mistake(
        "q3-compare-clamps-pca",
        Q,
        PCA,
        "clamps PCA's reconstruction to [0, 1]",
        fails=("q3.compare.value",),
        edits=((".reshape(test.shape)\n", ".reshape(test.shape).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q3-compare-clamps-model",
        Q,
        PCA,
        "clamps the model's reconstruction to [0, 1]: no change where it ends in a sigmoid",
        fails=("q3.compare.value",),
        edits=(("(ae_recon - test)", "(ae_recon.clamp(0, 1) - test)"),),
    ),
    Mistake(
        "q3-compare-flat-for-model",
        Q,
        PCA,
        "gives rows to the model: no convolution could read them",
        fails=("q3.compare.mode",),
        edits=(("model(batch)[0] for", "model(batch.flatten(1))[0].reshape(batch.shape) for"),),
    ),
    Mistake(
        "q3-pca-stale-basis",
        Q,
        PCA,
        "the components as columns are kept from the first encode on: a second fit changes nothing there",
        fails=("q3.pca.errors",),
        append="""from functools import cached_property
class PCA(PCA):
    @cached_property
    def basis(self):
        self._check_fitted()
        return self.components_.mT.contiguous()
    def encode(self, x):
        basis = self.basis
        return (x - self.mean_) @ basis
    def decode(self, z):
        basis = self.basis
        return z @ basis.mT + self.mean_
""",
    ),
    Mistake(
        "q3-compare-gradients-switched-on",
        Q,
        PCA,
        "switches gradients off and on: a caller who had them off has them on",
        fails=("q3.compare.mode",),
        edits=(
            (
                "        with torch.no_grad():\n            ae",
                "        torch.set_grad_enabled(False)\n        if True:\n            ae",
            ),
            (
                "        model.train(was_training)\n",
                "        torch.set_grad_enabled(True)\n        model.train(was_training)\n",
            ),
        ),
    ),
    Mistake(
        "q3-linear-any-input-dim",
        Q,
        AE,
        "never asks whether input_dim is square, and rounds the side down",
        fails=("q3.linear.errors",),
        edits=(
            (
                "        self.side = _image_side(input_dim)\n        self.encoder = nn.Linear(input",
                "        self.side = math.isqrt(input_dim)\n        self.encoder = nn.Linear(input",
            ),
        ),
    ),
    Mistake(
        "q3-linear-square-by-division",
        Q,
        AE,
        "takes for square what its integer root divides: 12 pixels, 783 pixels",
        fails=("q3.linear.errors",),
        edits=(
            (
                "        self.side = _image_side(input_dim)\n        self.encoder = nn.Linear(input",
                "        self.side = math.isqrt(input_dim)\n        if input_dim % self.side:\n"
                '            raise ValueError(f"input_dim must be a square number, got {input_dim}")\n'
                "        self.encoder = nn.Linear(input",
            ),
        ),
    ),
    Mistake(
        "q3-linear-centres-each-batch",
        Q,
        AE,
        "subtracts the mean image of the batch, as PCA does with that of its data",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return super().encode(x - x.mean(0))
""",
    ),
)
