"""Question 3: principal component analysis, the optimum that a linear autoencoder can reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .training import device_of, evaluating


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
        n, d = x.shape
        k = self.n_components
        if not 1 <= k <= min(n, d):
            raise ValueError(f"n_components must be in 1...{min(n, d)} for data of shape {(n, d)}, got {k}")
        wide = x.detach().double()
        mean = wide.mean(0)
        centred = wide - mean
        covariance = torch.einsum("ni,nj->ij", centred, centred) / max(n - 1, 1)
        variances, vectors = torch.linalg.eigh(covariance)
        leading = variances[-k:].flip(0).clamp_min(0)
        total = covariance.trace()
        self.mean_ = mean.to(x.dtype)
        self.components_ = vectors[:, -k:].flip(1).mT.contiguous().to(x.dtype)
        self.explained_variance_ = leading.to(x.dtype)
        self.explained_variance_ratio_ = (leading / torch.where(total > 0, total, 1)).to(x.dtype)
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
        self._require_fit()
        return torch.einsum("nd,kd->nk", x - self.mean_, self.components_)

    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        self._require_fit()
        return torch.addmm(self.mean_, z, self.components_)

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

    def _require_fit(self) -> None:
        if not hasattr(self, "components_"):
            raise RuntimeError("PCA has no components yet: call fit first")


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
    q_a, q_b = (torch.linalg.qr(rows.double().mT).Q for rows in (a, b))
    overlap = q_a.mT @ q_b
    cosines = torch.linalg.svdvals(overlap)
    sines = torch.linalg.svdvals(q_b - q_a @ overlap)
    # Cosines descend while sines, turned round, ascend: each pair belongs to one angle.
    return torch.atan2(sines.flip(0), cosines).to(a.dtype)


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
    squared = {"pca_mse": 0.0, "ae_mse": 0.0}
    with evaluating(model):
        for x in test.split(256):
            reconstructions = {
                "pca_mse": pca.reconstruct(x.flatten(1)).view(x.shape),
                "ae_mse": model(x.to(device_of(model, x.device)))[0].to(x.device),
            }
            for name, x_recon in reconstructions.items():
                squared[name] += (x_recon - x).double().square().sum().item()
    return {name: value / test.numel() for name, value in squared.items()}
