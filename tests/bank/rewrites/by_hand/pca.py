"""Question 3: principal component analysis, the optimum that a linear autoencoder can reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoders import _evaluating, _like_model


class PCA:
    """The k-dimensional affine subspace with the least squared reconstruction error."""

    mean_: Tensor
    components_: Tensor
    explained_variance_: Tensor
    explained_variance_ratio_: Tensor

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, x: Tensor) -> PCA:
        """Mean and leading right singular vectors."""
        rows, columns = x.shape
        k = self.n_components
        if not 1 <= k <= min(rows, columns):
            raise ValueError(f"n_components must be in 1...{min(rows, columns)}, got {k}")
        wide = x.detach().to(torch.float64)
        mean = wide.sum(dim=0) / rows
        centred = wide - mean
        if rows > columns:  # the triangular factor has the same right singular vectors and is smaller
            centred = torch.linalg.qr(centred, mode="r").R
        _, stretch, directions = torch.linalg.svd(centred, full_matrices=False)
        variance = stretch * stretch / max(rows - 1, 1)
        total = variance.sum()
        share = variance / total if float(total) > 0 else torch.zeros_like(variance)
        # Of the two signs, the one whose largest entry is positive.
        chosen = directions[:k]
        peak = torch.gather(chosen, 1, chosen.abs().argmax(dim=1, keepdim=True))
        chosen = torch.where(peak < 0, -chosen, chosen)
        self.mean_ = mean.to(x.dtype)
        self.components_ = chosen.to(x.dtype)
        self.explained_variance_ = variance[:k].to(x.dtype)
        self.explained_variance_ratio_ = share[:k].to(x.dtype)
        return self

    def _fitted(self) -> tuple[Tensor, Tensor]:
        if "components_" not in vars(self):
            raise RuntimeError("PCA has to be fitted first: call fit")
        return self.mean_.double(), self.components_.double()

    def encode(self, x: Tensor) -> Tensor:
        """`(N, k)`."""
        mean, basis = self._fitted()
        return ((x.double() - mean) @ basis.T).to(x.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """`(N, D)`."""
        mean, basis = self._fitted()
        return (z.double() @ basis + mean).to(z.dtype)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Projection of the rows."""
        mean, basis = self._fitted()
        return ((x.double() - mean) @ basis.T @ basis + mean).to(x.dtype)


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """From sines and cosines together, ascending."""
    dtype = torch.promote_types(a.dtype, b.dtype)
    qa, qb = (torch.linalg.qr(m.double().T).Q for m in (a, b))
    overlap = qa.T @ qb
    cosines = torch.linalg.svdvals(overlap)  # descending, so that the angles ascend
    sines = torch.linalg.svdvals(qb - qa @ overlap).flip(0)
    return torch.atan2(sines, cosines).to(dtype)


def compare_with_pca(model: nn.Module, train: Tensor, test: Tensor, n_components: int) -> dict[str, float]:
    """Mean squared errors per pixel on `test`."""
    pca = PCA(n_components).fit(train.flatten(1))

    def error(x_recon: Tensor) -> float:
        gap = x_recon.detach().to(test.device).double().flatten(1) - test.detach().double().flatten(1)
        return float((gap * gap).sum() / gap.numel())

    with _evaluating(model):
        x_recon = model(test.to(_like_model(model, test.device).device))[0]
    return {"pca_mse": error(pca.reconstruct(test.flatten(1))), "ae_mse": error(x_recon)}
