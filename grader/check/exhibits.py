"""Exhibits: named arrays that a trained check hands over, to be drawn beside its verdict.

They decide nothing. Whatever a model has returned, handing it over neither fails nor changes what the check asks: what
cannot be shown is an exhibit that says why. Everything is made small at once (`FEW` images in eight bits, numbers in
single precision), and travels as text with its outcome. Nothing that is drawn is trusted: `report.pictures` draws.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

Kind = Literal["images", "lines", "bars", "histogram", "points", "map"]
FEW = 10  # images in a row
MOST_ROWS, MOST_NUMBERS, MOST_POINTS = 12, 1_024, 600
MOST_EXHIBITS = 4  # of one check


class Array(NamedTuple):
    """A small array as text: zlib in base64 of its bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: str

    def unpacked(self) -> np.ndarray[Any, Any]:
        """The array again."""
        return np.frombuffer(zlib.decompress(base64.b64decode(self.data)), self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Exhibit:
    """What is to be drawn: `names` and `arrays` go together; `says` tells in words what is to be seen, with numbers.

    ``images``: rows of images (N, H, W), uint8. ``lines``: a curve each. ``bars``: values of each bar, whose mean and
    spread are shown. ``histogram``: counts. ``points``: places (N, 2), then classes (N,). ``map``: one (H, W).
    """

    kind: Kind
    title: str
    says: str
    names: tuple[str, ...] = ()
    arrays: tuple[Array, ...] = ()
    missing: str = ""  # why there is nothing to draw

    def content(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, "title": self.title, "says": self.says, "names": list(self.names),
                "arrays": [[a.dtype, list(a.shape), a.data] for a in self.arrays], "missing": self.missing}  # fmt: skip


def exhibit_of(content: Mapping[str, Any]) -> Exhibit:
    """The exhibit that `content` was made of."""
    arrays = tuple(Array(dtype, tuple(shape), data) for dtype, shape, data in content["arrays"])
    return Exhibit(content["kind"], content["title"], content["says"], tuple(content["names"]), arrays,
                   content["missing"])  # fmt: skip


class Unshowable(Exception):
    """A value of which no picture can be made, and why."""


def packed(values: np.ndarray[Any, Any]) -> Array:
    """An array as text."""
    plain = np.ascontiguousarray(values)
    data = base64.b64encode(zlib.compress(plain.tobytes(), 6)).decode("ascii")
    return Array(plain.dtype.str, plain.shape, data)


def eight_bits(images: Tensor) -> Array:
    """The first images of a batch `(N, 1, H, W)`, from 0 (black) to 255. Raises Unshowable."""
    if images.ndim != 4 or images.shape[1] != 1 or not len(images):
        raise Unshowable(f"these are no images: {tuple(images.shape)}")
    few = images[:FEW, 0].detach().cpu().double()
    if not bool(few.isfinite().all()):
        raise Unshowable("some pixels are NaN or infinite")
    return packed((255 * few.clamp(0, 1)).round().numpy().astype(np.uint8))


def numbers(values: Sequence[float] | Tensor, most: int = MOST_NUMBERS) -> Array:
    """Finite numbers in single precision. Raises Unshowable."""
    flat = torch.as_tensor(values, dtype=torch.float64).detach().cpu()
    if not 0 < flat.numel() <= 2 * most:
        raise Unshowable(f"{flat.numel()} numbers are too many or none")
    if not bool(flat.isfinite().all()) or float(flat.abs().max()) > 1e30:
        raise Unshowable("some numbers are NaN or infinite")
    return packed(flat.numpy().astype(np.float32))


class Exhibits:
    """Those of one check, in the order in which they were handed over."""

    def __init__(self) -> None:
        self.found: list[Exhibit] = []
        self.curves: dict[str, list[float]] = {}  # mean loss of every epoch, as the training process has told it

    def images(self, title: str, says: str, **rows: Tensor) -> None:
        """Rows of images, by name; `_` in a name is a space."""
        self._add("images", title, says, {name: partial(eight_bits, row) for name, row in rows.items()})

    def miss(self, title: str, why: str) -> None:
        """There would be something to see here, and why there is not."""
        self.found.append(Exhibit("images", title, "", missing=why[:200]))

    def bars(self, title: str, says: str, values: Mapping[str, Sequence[float]]) -> None:
        """A bar for each name, of the mean of its values, with their spread."""
        self._add("bars", title, says, {name: partial(numbers, one) for name, one in values.items()})

    def histogram(self, title: str, says: str, counts: Tensor) -> None:
        """How often each of many things occurs, the commonest first."""
        self._add("histogram", title, says, {"counts": lambda: numbers(counts.double().sort(descending=True).values)})

    def points(self, title: str, says: str, codes: Tensor, classes: Tensor) -> None:
        """Codes `(N, L)` by class: their first two coordinates, or principal components where there are more."""
        self._add("points", title, says, {"places": lambda: numbers(flattened(codes[:MOST_POINTS])),
                                          "classes": lambda: numbers(classes[:MOST_POINTS])})  # fmt: skip

    def map(self, title: str, says: str, values: Tensor) -> None:
        """A matrix as a map."""
        self._add("map", title, says, {"values": lambda: numbers(values)})

    def all(self) -> tuple[Exhibit, ...]:
        """Everything, the losses last."""
        if self.curves:
            told = {name: losses for name, losses in self.curves.items() if losses}
            said = "; ".join(f"{name}: from {losses[0]:.4g} to {losses[-1]:.4g}" for name, losses in told.items())
            curves = {name: partial(numbers, losses) for name, losses in told.items()}
            self._add("lines", "Mean training loss by epoch", said, curves)
            self.curves = {}
        return tuple(self.found[: MOST_EXHIBITS + 1])

    def _add(self, kind: Kind, title: str, says: str, parts: Mapping[str, Callable[[], Array]]) -> None:
        try:
            if not parts:
                raise Unshowable("nothing was told")
            names = tuple(name.replace("_", " ") for name in parts)[:MOST_ROWS]
            arrays = tuple(make() for make in list(parts.values())[:MOST_ROWS])
            self.found.append(Exhibit(kind, title, says, names, arrays))
        except (Unshowable, RuntimeError, ValueError, TypeError, IndexError, OverflowError) as why:
            self.found.append(Exhibit(kind, title, says, missing=str(why)[:200] or type(why).__name__))


def flattened(codes: Tensor) -> Tensor:
    """Codes in the plane in which they vary most. Raises Unshowable."""
    rows = codes.detach().cpu().double()
    if rows.ndim != 2 or len(rows) < 3 or not bool(rows.isfinite().all()):
        raise Unshowable("these are no finite codes with a row for each image")
    if rows.shape[1] == 1:
        return torch.cat([rows, torch.zeros_like(rows)], 1)
    if rows.shape[1] == 2:
        return rows
    centred = rows - rows.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    plane: Tensor = centred @ directions[:2].mT
    # the sign of a principal component is anybody's choice: the same picture whatever the machine
    signs = torch.where(plane.gather(0, plane.abs().argmax(0, keepdim=True)) < 0, -1.0, 1.0)
    return plane * signs


def losses_told(losses: Sequence[float]) -> list[float]:
    """Losses as they were told, those of which a curve can be drawn."""
    return [loss for loss in losses[:MOST_NUMBERS] if math.isfinite(loss)]
