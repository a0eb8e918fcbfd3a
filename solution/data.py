"""Given: the images that `train.py` trains on. It needs nothing but this folder and the libraries of the handout.

`mnist` lies where `--data` or the variable A7_DATA says, else in ./data, and is downloaded there if it is missing;
`digits` comes with scikit-learn. Both are the grader's own, split for split.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

CONNECT_SECONDS = 10.0
NAMES = ("auto", "digits", "mnist")


class DataError(Exception):
    """A dataset cannot be had: says which, from where and what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what = what


@dataclass(frozen=True)
class Dataset:
    """Images uint8 (N, 1, 28, 28), labels int64 (N,), and why this dataset was taken."""

    name: str
    reason: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def to_float(images: Tensor) -> Tensor:
    """float32 images in [0, 1] from uint8 ones."""
    return images.to(torch.float32) / 255


def load_dataset(name: str = "auto", root: Path | None = None) -> Dataset:
    """`digits`, `mnist`, or `auto`: MNIST if it is there or can be downloaded, else digits. Raises DataError."""
    if name not in NAMES:
        raise DataError(f"unknown dataset {name!r}: use {', '.join(NAMES)}")
    if name == "digits":
        return load_digits("asked for")
    named = root or (Path(os.environ["A7_DATA"]) if os.environ.get("A7_DATA") else None)
    if named is not None and not named.is_dir():
        source = "--data" if root else "A7_DATA"
        raise DataError(f"{source} names {named}, which is no folder", "name the one that holds MNIST/raw")
    try:
        return load_mnist(named or Path("data"), "asked for" if name == "mnist" else "auto: MNIST is at hand")
    except DataError as error:
        if name == "mnist":
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
    """MNIST from `root`/MNIST/raw, downloaded there if it is missing."""
    from torchvision.datasets import MNIST

    raw = root / "MNIST" / "raw"
    made = [folder for folder in (raw, raw.parent, root) if not folder.exists()]
    before = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(CONNECT_SECONDS)
        train, test = MNIST(str(root), train=True, download=True), MNIST(str(root), train=False)
    except (OSError, RuntimeError, ValueError) as error:
        for folder in made:  # a failed download leaves nothing behind
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise DataError(
            f"MNIST can neither be read from {raw} nor downloaded there ({type(error).__name__})",
            "put its four files there, name another folder with --data or A7_DATA, or use --dataset digits",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return Dataset("mnist", reason, train.data.unsqueeze(1), train.targets, test.data.unsqueeze(1), test.targets)
