"""Question 3: principal component analysis, the optimum that a linear autoencoder can reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PCA:
    """Principal component analysis: the k-dimensional affine subspace with the least squared reconstruction error.

    Attributes, set by `fit` (N rows of D features):
        mean_: `(D,)`, the mean of the rows.
        components_: `(k, D)`, orthonormal rows, the directions of largest variance first.
        explained_variance_: `(k,)`, the variance of the data along each component, divided by N - 1.
        explained_variance_ratio_: `(k,)`, the same as a share of the total variance of all D features.

    A component is determined up to its sign.
    """

    mean_: Tensor
    components_: Tensor
    explained_variance_: Tensor
    explained_variance_ratio_: Tensor

    def __init__(self, n_components: int) -> None:
        """Remember `n_components`, the number k of components; it is checked in `fit`, where N and D are known."""
        self.n_components = n_components

    def fit(self, x: Tensor) -> PCA:
        """Find the mean and the k leading principal components of the rows of `x`.

        With the centred data Xc, the components are the leading eigenvectors of the covariance Xc^T Xc / (N - 1), which
        are also the leading right singular vectors of Xc; variance i is (singular value i)^2 / (N - 1).

        Args:
            x: `(N, D)`, one example per row; it is not modified.

        Returns:
            The object itself.

        Raises:
            ValueError: not 1 <= n_components <= min(N, D).
        """
        if x.ndim != 2:
            raise ValueError(f"x must be (N, D), got shape {tuple(x.shape)}")
        n, d = x.shape
        k = self.n_components
        if not 1 <= k <= min(n, d):
            raise ValueError(f"n_components must be in 1...min(N, D) = {min(n, d)}, got {k}")
        with torch.no_grad():
            rows = x.detach().double()
            mean = rows.mean(dim=0)
            centred = rows - mean
            cov = centred.T @ centred / max(n - 1, 1)
            variances, vectors = torch.linalg.eigh(cov)  # ascending
            variances = variances.flip(0).clamp(min=0)
            total = cov.diagonal().sum()
            self.mean_ = mean.to(x.dtype)
            self.components_ = vectors.flip(1)[:, :k].T.contiguous().to(x.dtype)
            self.explained_variance_ = variances[:k].to(x.dtype)
            ratio = variances[:k] / total if float(total) > 0 else torch.zeros_like(variances[:k])
            self.explained_variance_ratio_ = ratio.to(x.dtype)
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Coordinates of the rows of `x` in the basis of the components, relative to the mean.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, k)`.

        Raises:
            RuntimeError: before `fit`.
        """
        mean, basis = self._fitted(x)
        return (x - mean) @ basis.T

    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        mean, basis = self._fitted(z)
        return z @ basis + mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """The orthogonal projection of the rows of `x` onto the affine subspace.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        return self.decode(self.encode(x))

    def _fitted(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and components with the dtype and device of `like`."""
        if not hasattr(self, "components_"):
            raise RuntimeError("PCA: call fit first")
        return self.mean_.to(like), self.components_.to(like)


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Principal angles between the row spaces of `a` and `b`, in radians.

    With orthonormal bases Q_a and Q_b (as columns) of the two spaces, the cosines of the angles are the singular values
    of Q_a^T Q_b, and their sines are the singular values of Q_b - Q_a Q_a^T Q_b. A cosine says little about a small
    angle: an angle must come out near 0, up to rounding, for equal spaces.

    Source: Bjorck and Golub, Numerical methods for computing angles between linear subspaces, 1973.

    Args:
        a: `(k, D)` of rank k; its rows need not be orthonormal.
        b: `(k, D)` of rank k; its rows need not be orthonormal.

    Returns:
        `(k,)`, ascending, in 0...pi/2.
    """
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] > a.shape[1]:
        raise ValueError(f"a and b must be (k, D) with k <= D, got {tuple(a.shape)} and {tuple(b.shape)}")
    bases = []
    for name, rows in (("a", a), ("b", b)):
        q, r = torch.linalg.qr(rows.double().T)
        if int(torch.linalg.matrix_rank(r.detach())) < rows.shape[0]:
            raise ValueError(f"{name} must have rank {rows.shape[0]}, got {rows.tolist()}")
        bases.append(q)
    qa, qb = bases
    overlap = qa.T @ qb
    cosines = torch.linalg.svdvals(overlap)  # descending: angles ascending
    sines = torch.linalg.svdvals(qb - qa @ overlap).flip(0)
    return torch.atan2(sines, cosines).to(a.dtype)


def compare_with_pca(model: nn.Module, train: Tensor, test: Tensor, n_components: int) -> dict[str, float]:
    """Reconstruction errors of PCA and of an autoencoder, both on data that PCA was not fitted on.

    Args:
        model: an autoencoder, `model(x)` -> `(x_recon, z)`; it runs in evaluation mode without gradients and gets its
            former mode back. It is not trained here.
        train: `(N, 1, s, s)`, the images that PCA is fitted on, flattened to rows.
        test: `(M, 1, s, s)`, the images that both are judged on.
        n_components: the number of components of PCA.

    Returns:
        `{"pca_mse": ..., "ae_mse": ...}`, mean squared errors per pixel on `test`.

    Raises:
        ValueError: `n_components` does not fit `train`, see `PCA.fit`.
    """
    pca = PCA(n_components).fit(train.flatten(1))
    flat = test.flatten(1)
    pca_mse = (pca.reconstruct(flat) - flat).double().square().mean().item()
    weight = next(model.parameters(), None)
    modes = [(m, m.training) for m in model.modules()]
    total = 0.0
    try:
        model.eval()
        with torch.no_grad():
            for batch in test.split(500):
                batch = batch if weight is None else batch.to(weight.device)
                total += (model(batch)[0] - batch).double().square().sum().item()
    finally:
        for module, training in modes:
            module.training = training
    return {"pca_mse": pca_mse, "ae_mse": total / test.numel()}
