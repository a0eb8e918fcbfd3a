"""Question 3: principal component analysis, the optimum that a linear autoencoder can reach."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from .training import batches, device_of, evaluating

CHUNK = 512
"""Test images that are judged at a time."""


def _after_fit(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator of methods that need a fitted object."""

    @wraps(method)
    def checked(self: PCA, *arguments: Any, **named: Any) -> Tensor:
        if not hasattr(self, "components_"):
            raise RuntimeError(f"call fit before {method.__name__}: this PCA has no components yet")
        return method(self, *arguments, **named)

    return checked


def _positive_peaks(directions: Tensor) -> Tensor:
    """Choose the sign of each row so that its entry of largest size is positive: same data, same components."""
    peaks = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    return torch.where(peaks < 0, -directions, directions)


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
        rows, features = x.shape
        largest = min(rows, features)
        k = self.n_components
        if not 1 <= k <= largest:
            raise ValueError(f"n_components must be in 1...{largest} for data of shape {tuple(x.shape)}, got {k}")
        exact = x.detach().double()
        mean = exact.mean(dim=0)
        _, singular_values, directions = torch.linalg.svd(exact - mean, full_matrices=False)
        variances = singular_values.square() / max(rows - 1, 1)
        total = variances.sum()
        shares = variances / total if total > 0 else torch.zeros_like(variances)
        self.mean_ = mean.to(x.dtype)
        self.components_ = _positive_peaks(directions[:k]).to(x.dtype)
        self.explained_variance_ = variances[:k].to(x.dtype)
        self.explained_variance_ratio_ = shares[:k].to(x.dtype)
        return self

    @_after_fit
    def encode(self, x: Tensor) -> Tensor:
        """Coordinates of the rows of `x` in the basis of the components, relative to the mean.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, k)`.

        Raises:
            RuntimeError: before `fit`.
        """
        return (x - self.mean_) @ self.components_.mT

    @_after_fit
    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        return z @ self.components_ + self.mean_

    @_after_fit
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
    basis_a = torch.linalg.qr(a.detach().double().mT).Q
    basis_b = torch.linalg.qr(b.detach().double().mT).Q
    overlap = basis_a.mT @ basis_b
    cosines = torch.linalg.svdvals(overlap)  # descending: angles ascending
    sines = torch.linalg.svdvals(basis_b - basis_a @ overlap).flip(0)
    # The two-argument arctangent uses the sine near 0 and the cosine near pi/2.
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
    totals = {"pca_mse": 0.0, "ae_mse": 0.0}
    with evaluating(model):
        for (x,) in batches(test, batch_size=CHUNK):
            rows = x.flatten(1)
            totals["pca_mse"] += float((pca.reconstruct(rows) - rows).double().square().sum())
            on_device = x.to(device_of(model, x))
            x_recon = model(on_device)[0]
            totals["ae_mse"] += float((x_recon - on_device).double().square().sum())
    return {name: total / test.numel() for name, total in totals.items()}
