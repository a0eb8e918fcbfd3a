"""Given: pictures of samples, reconstructions, latent spaces, losses and codebooks.

Every function draws one picture, saves it and returns its path. Nothing is shown on a screen: the figures are made
without `pyplot`, so they need no display and leave no state behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

INCHES_PER_IMAGE = 0.6


def save(figure: Figure, path: str | Path) -> Path:
    """Save the figure, making the folder if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def array(values: Tensor) -> Any:
    """NumPy array of a tensor, wherever it lies."""
    return values.detach().float().cpu().numpy()


def save_rows(rows: Sequence[Tensor], path: str | Path, labels: Sequence[str] = (), title: str = "") -> Path:
    """Rows of images, each (N, 1, H, W) with values in [0, 1], one below the other; `labels` stand at their left."""
    height = rows[0].shape[2]
    # N images (N, 1, H, W) -> one row (H, N·W)
    tiles = torch.cat([row.squeeze(1).transpose(0, 1).flatten(1) for row in rows])
    figure = Figure(figsize=(INCHES_PER_IMAGE * len(rows[0]), INCHES_PER_IMAGE * len(rows)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(array(tiles), cmap="gray", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([height * (row + 0.5) for row in range(len(labels))], labels)
    axes.tick_params(length=0)
    if title:
        axes.set_title(title)
    return save(figure, path)


def sample_grid(images: Tensor, path: str | Path, columns: int = 10, title: str = "") -> Path:
    """Images (N, 1, H, W) from left to right and from top to bottom; a last row that is not full ends in white."""
    missing = -len(images) % columns
    full = torch.cat([images, images.new_ones(missing, *images.shape[1:])])
    return save_rows(torch.split(full, columns), path, title=title)


def reconstruction_strip(
    images: Tensor, reconstructions: Tensor, path: str | Path, corrupted: Tensor | None = None
) -> Path:
    """Images above their reconstructions, all (N, 1, H, W); what the model saw, if it was corrupted, in between."""
    rows = {"image": images, "corrupted": corrupted, "reconstruction": reconstructions}
    shown = {label: row for label, row in rows.items() if row is not None}
    return save_rows(list(shown.values()), path, labels=list(shown))


def interpolation_strip(frames: Tensor, path: str | Path) -> Path:
    """Frames (steps, 1, H, W) from left to right."""
    return save_rows([frames], path)


def latent_map(
    codes: Tensor, labels: Tensor, path: str | Path, method: str = "pca", max_points: int = 2000, seed: int = 0
) -> Path:
    """Codes (N, L) in the plane, coloured by `labels` (N,).

    Two-dimensional codes are drawn as they are. Others go through `method`: "pca" is a linear view, in which
    distances mean something; "tsne" shows neighbourhoods and clusters, but neither their distances nor their sizes
    mean anything, and it takes a minute. It says nothing about how well codes match a prior.

    Raises:
        ValueError: another `method`.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    projections = {"pca": PCA, "tsne": TSNE}
    if method not in projections:
        raise ValueError(f"method must be one of {', '.join(projections)}, got {method!r}")
    points, colours = array(codes[:max_points]), array(labels[:max_points])
    if points.shape[1] > 2:
        points = projections[method](n_components=2, random_state=seed).fit_transform(points)
    figure = Figure(figsize=(7, 6))
    axes = figure.subplots()
    scatter = axes.scatter(points[:, 0], points[:, -1], c=colours, cmap="tab10", vmin=-0.5, vmax=9.5, s=6, alpha=0.7)
    figure.colorbar(scatter, ticks=range(10), label="label")
    axes.set_title("codes" if codes.shape[1] <= 2 else f"{codes.shape[1]}-dimensional codes, {method}")
    return save(figure, path)


def loss_curves(history: Mapping[str, Sequence[float]], path: str | Path) -> Path:
    """One curve over the epochs for each series; "train", "validation" and "test" share the first panel."""
    losses = [name for name in history if name in ("train", "validation", "test")]
    panels = [losses, *([name] for name in history if name not in losses)]
    figure = Figure(figsize=(5 * len(panels), 4))
    for axes, names in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name in names:
            axes.plot(range(1, len(history[name]) + 1), history[name], marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.legend()
    return save(figure, path)


def codebook_usage(counts: Tensor, path: str | Path) -> Path:
    """Share of each code, most frequent first, from `counts` (K,) as `code_usage` returns them."""
    share = counts.double() / counts.sum()
    perplexity = torch.special.entr(share).sum().exp()
    figure = Figure(figsize=(7, 3))
    axes = figure.subplots()
    axes.bar(range(len(share)), array(share.sort(descending=True).values), width=1.0)
    axes.axhline(1 / len(share), color="gray", linestyle="--", linewidth=1)
    axes.set_xlabel("code, by frequency")
    axes.set_ylabel("share")
    axes.set_title(f"{int((counts > 0).sum())} of {len(counts)} codes used, perplexity {perplexity:.1f}")
    return save(figure, path)
