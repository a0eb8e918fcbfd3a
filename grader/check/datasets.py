"""The two datasets: `mnist` in torchvision's layout, and `digits`, which comes with scikit-learn and needs no download.

Images are kept as uint8 and turned into floats in [0, 1] where they are used: a quarter of the memory and of the bytes
that travel to a worker.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

# in a checkout the project's own folder; in an installed package the copy of its JSON files
PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent / "data"
DATA_FOLDER = CHECKOUT if (CHECKOUT / "checksums.json").exists() else PACKAGE / "data"
Name = Literal["digits", "mnist"]
CONNECT_SECONDS = 10.0


class DataError(Exception):
    """A dataset cannot be had: says which, from where and what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what = what


@dataclass(frozen=True)
class Dataset:
    """Images uint8 `(N, 1, 28, 28)`, labels int64 `(N,)`, and why this dataset was taken."""

    name: str
    reason: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    def label_subset(self, draw: int) -> Tensor:
        """Indices into the training set of the fixed `draw`-th choice of 100 labels, ten of each digit."""
        return torch.tensor(committed("label_subsets.json")[self.name][draw])


def to_float(images: Tensor) -> Tensor:
    """float32 images in [0, 1] from uint8 ones."""
    return images.to(torch.float32) / 255


def committed(name: str) -> Any:
    """Content of a JSON file of the data folder."""
    return json.loads((DATA_FOLDER / name).read_text())


def data_root(root: Path | None = None) -> Path:
    """Where datasets lie: `root`, else the folder that A7_DATA names, else the project's data folder (or ./data)."""
    return root or Path(os.environ.get("A7_DATA") or (CHECKOUT if DATA_FOLDER == CHECKOUT else "data"))


def load_dataset(name: str = "auto", root: Path | None = None) -> Dataset:
    """`digits`, `mnist`, or `auto`: MNIST if it is there or can be downloaded, else digits. Raises DataError.

    A folder that somebody names must exist: nothing is made in its place. A7_DATA moreover promises that MNIST is there
    or can be put there: where it cannot, nothing else is taken instead.
    """
    if name == "digits":
        return load_digits("asked for")
    if name not in ("auto", "mnist"):
        raise DataError(f"unknown dataset {name!r}: use auto, digits or mnist")
    place, promised = data_root(root), root is None and bool(os.environ.get("A7_DATA"))
    if (root is not None or promised) and not place.is_dir():
        raise DataError(
            f"{'A7_DATA' if promised else '--data'} names {place}, which is no folder",
            f"name the one that holds MNIST/raw{', or unset A7_DATA' if promised else ''}, or use --dataset digits",
        )
    if name == "mnist":
        return load_mnist(place, "asked for")
    try:
        return load_mnist(place, "auto: MNIST is at hand")
    except DataError as error:
        if promised:
            raise
        return load_digits(f"auto: {error.what}; the embedded digits need no download")


def load_digits(reason: str) -> Dataset:
    """scikit-learn's 1 797 digits, resized from 8x8 to 28x28; the first 1 437 of a fixed shuffle are for training."""
    from sklearn.datasets import load_digits as load

    bunch = load()
    small = torch.from_numpy(bunch.images).to(torch.float32).unsqueeze(1) / 16
    images = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    pixels = (images * 255).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(328))
    train, test = order[:1437], order[1437:]
    return Dataset("digits", reason, pixels[train], labels[train], pixels[test], labels[test])


def load_mnist(root: Path, reason: str) -> Dataset:
    """MNIST from `root`/MNIST/raw, downloaded there if it is missing, each file compared with its checksum."""
    raw = root / "MNIST" / "raw"
    wanted: dict[str, str] = committed("checksums.json")["mnist"]
    damaged = [name for name, digest in wanted.items() if sha256(raw / name) != digest]
    if damaged:
        download_mnist(root, raw, damaged)
        damaged = [name for name, digest in wanted.items() if sha256(raw / name) != digest]
        if damaged:
            raise DataError(f"MNIST in {raw} is damaged ({', '.join(damaged)}): delete the folder and try again")
    from torchvision.datasets import MNIST

    train, test = MNIST(str(root), train=True), MNIST(str(root), train=False)
    return Dataset("mnist", reason, train.data.unsqueeze(1), train.targets, test.data.unsqueeze(1), test.targets)


def download_mnist(root: Path, raw: Path, damaged: list[str]) -> None:
    """Through torchvision (progress bar, checksum of every archive). What an interrupted download left is removed."""
    from torchvision.datasets import MNIST

    made = [folder for folder in (raw, raw.parent, root) if not folder.exists()]
    before = socket.getdefaulttimeout()
    try:
        for name in damaged:
            for leftover in (raw / name, raw / f"{name}.gz"):
                leftover.unlink(missing_ok=True)
        socket.setdefaulttimeout(CONNECT_SECONDS)
        MNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        for folder in made:  # a failed download leaves no folder behind
            if not any(raw.glob("*ubyte")):
                shutil.rmtree(folder, ignore_errors=True)
        raise DataError(
            f"MNIST is not in {raw} and cannot be downloaded ({type(error).__name__})",
            "put its four files there, or name the folder that holds MNIST/raw with --data or A7_DATA, or use "
            "--dataset digits",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def sha256(path: Path) -> str:
    """Digest of a file; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def draw_label_subsets(labels: Tensor, draws: int, seed: int, pool: int) -> list[list[int]]:
    """`draws` choices of ten indices per digit among the first `pool` training examples. Made data/label_subsets.json:

    ``draw_label_subsets(load_dataset("digits").train_y, 5, 7, 1437)`` and
    ``draw_label_subsets(load_dataset("mnist").train_y, 5, 7, 10000)``.
    """
    generator = torch.Generator().manual_seed(seed)
    subsets = []
    for _ in range(draws):
        chosen: list[int] = []
        for digit in range(10):
            members = (labels[:pool] == digit).nonzero().flatten()
            chosen += members[torch.randperm(len(members), generator=generator)[:10]].tolist()
        subsets.append(chosen)
    return subsets
