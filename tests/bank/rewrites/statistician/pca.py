"""Question 3: principal component analysis, the optimum that a linear autoencoder can reach."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

BATCH = 1024
"""Images that are reconstructed at once."""


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
        if not 1 <= self.n_components <= min(x.shape):
            raise ValueError(f"n_components must lie in 1...{min(x.shape)}, got {self.n_components}")
        with torch.no_grad():
            mean = x.mean(0)
            _, singular_values, directions = torch.linalg.svd(x - mean, full_matrices=False)
            variances = singular_values.square() / max(len(x) - 1, 1)
            total = variances.sum()
            self.mean_ = mean
            self.components_ = directions[: self.n_components].clone()
            self.explained_variance_ = variances[: self.n_components].clone()
            self.explained_variance_ratio_ = self.explained_variance_ / torch.where(total > 0, total, 1.0)
        return self

    def _fitted(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and components, with the dtype and device of `like`; RuntimeError before `fit`."""
        if not hasattr(self, "components_"):
            raise RuntimeError("PCA: call fit(x) first")
        return self.mean_.to(like), self.components_.to(like)

    def encode(self, x: Tensor) -> Tensor:
        """Coordinates of the rows of `x` in the basis of the components, relative to the mean.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, k)`.

        Raises:
            RuntimeError: before `fit`.
        """
        mean, components = self._fitted(x)
        return torch.einsum("nd,kd->nk", x - mean, components)

    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        mean, components = self._fitted(z)
        return mean + torch.einsum("nk,kd->nd", z, components)

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
    # Bases in double precision: a small angle is the rounding error of whatever precision this has.
    q_a = torch.linalg.qr(a.detach().double().mT).Q
    q_b = torch.linalg.qr(b.detach().double().mT).Q
    overlap = q_a.mT @ q_b
    cosines = torch.linalg.svdvals(overlap)
    sines = torch.linalg.svdvals(q_b - q_a @ overlap).flip(0)
    # Near 0 the sine counts, near pi/2 the cosine.
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
    twin = copy.deepcopy(model).eval()

    @torch.no_grad()
    def mse(reconstruct: Callable[[Tensor], Tensor]) -> float:
        total = sum(float((reconstruct(x) - x).double().square().sum()) for x in test.split(BATCH))
        return total / test.numel()

    def by_pca(x: Tensor) -> Tensor:
        return pca.reconstruct(x.flatten(1)).reshape(x.shape)

    def by_model(x: Tensor) -> Tensor:
        parameter = next(twin.parameters(), x)
        return twin(x.to(parameter.device))[0].to(x.device).reshape(x.shape)

    return {"pca_mse": mse(by_pca), "ae_mse": mse(by_model)}
