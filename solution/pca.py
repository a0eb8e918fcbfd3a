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
        # begin solution Q3
        self.n_components = n_components
        # end solution

    # begin private
    def _check_fitted(self) -> None:
        if not hasattr(self, "components_"):
            raise RuntimeError("this PCA has no components yet: call fit first")

    # end private

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
        # begin solution Q3
        num_rows, num_features = x.shape
        if not 1 <= self.n_components <= min(num_rows, num_features):
            raise ValueError(
                f"n_components must be in 1...{min(num_rows, num_features)} for x of shape {tuple(x.shape)}, "
                f"got {self.n_components}"
            )
        mean = x.mean(0)
        # Xc = Q R with orthonormal Q: R has the singular values and right vectors of Xc, and at most D rows.
        _, triangle = torch.linalg.qr(x - mean, mode="r")
        _, singular_values, right_vectors = torch.linalg.svd(triangle, full_matrices=False)
        variance = singular_values.square() / (num_rows - 1)
        self.mean_ = mean
        self.components_ = right_vectors[: self.n_components]
        self.explained_variance_ = variance[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / variance.sum()
        return self
        # end solution

    def encode(self, x: Tensor) -> Tensor:
        """Coordinates of the rows of `x` in the basis of the components, relative to the mean.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, k)`.

        Raises:
            RuntimeError: before `fit`.
        """
        # begin solution Q3
        self._check_fitted()
        return (x - self.mean_) @ self.components_.mT
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """The points that have the coordinates `z`.

        Args:
            z: `(N, k)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        # begin solution Q3
        self._check_fitted()
        return z @ self.components_ + self.mean_
        # end solution

    def reconstruct(self, x: Tensor) -> Tensor:
        """The orthogonal projection of the rows of `x` onto the affine subspace.

        Args:
            x: `(N, D)`.

        Returns:
            `(N, D)`.

        Raises:
            RuntimeError: before `fit`.
        """
        # begin solution Q3
        return self.decode(self.encode(x))
        # end solution


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
    # begin solution Q3
    basis_a, _ = torch.linalg.qr(a.mT)
    basis_b, _ = torch.linalg.qr(b.mT)
    overlap = basis_a.mT @ basis_b
    cosines = torch.linalg.svdvals(overlap)
    sines = torch.linalg.svdvals(basis_b - basis_a @ overlap).flip(0)  # descending, as angles do -> ascending
    return torch.atan2(sines, cosines)
    # end solution


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
    # begin solution Q3
    pca = PCA(n_components).fit(train.flatten(1))
    pca_recon = pca.reconstruct(test.flatten(1)).reshape(test.shape)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            ae_recon = torch.cat([model(batch)[0] for batch in torch.split(test, 256)])  # batches bound the memory only
    finally:
        model.train(was_training)
    return {
        "pca_mse": (pca_recon - test).square().mean().item(),
        "ae_mse": (ae_recon - test).square().mean().item(),
    }
    # end solution
