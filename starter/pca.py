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
        raise NotImplementedError("Question 3: PCA.__init__")

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
        raise NotImplementedError("Question 3: PCA.fit")

    def encode(self, x: Tensor) -> Tensor:
        """Coordinates of the rows of `x` in the basis of the components, relative to the mean.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, k)`.

        Raises:
            RuntimeError: before `fit`.
        """
        raise NotImplementedError("Question 3: PCA.encode")

    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        raise NotImplementedError("Question 3: PCA.decode")

    def reconstruct(self, x: Tensor) -> Tensor:
        """The orthogonal projection of the rows of `x` onto the affine subspace.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        raise NotImplementedError("Question 3: PCA.reconstruct")


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
    raise NotImplementedError("Question 3: principal_angles")


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
    raise NotImplementedError("Question 3: compare_with_pca")
