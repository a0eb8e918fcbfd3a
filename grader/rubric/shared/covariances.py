"""Matrices that are no covariance of a density: what Questions 1 and 2 must refuse."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

READ = "Which entries of the matrix does the routine that you rely on read, and what does it make of the others?"
SCALE = "How far from symmetric is this matrix, compared with its own entries?"
DEFINITE = (
    "What must a covariance say of every direction, not only along the axes, and which of your tests asks for it?"
)
SINGULAR = "What is the variance along the axis that has only zeros, and has such a Gaussian a density?"

MATRICES = (
    ("is not symmetric (upper triangle)", [[2.0, 0.8, 0.0], [0.1, 1.0, 0.2], [0.0, 0.2, 1.5]], READ),
    ("is not symmetric (lower triangle)", [[2.0, 0.1, 0.0], [0.8, 1.0, 0.2], [0.0, 0.2, 1.5]], READ),
    ("has one negative eigenvalue", [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], DEFINITE),
    # the determinant is positive all the same
    ("has two negative eigenvalues", [[-1.0, 0.2, 0.0], [0.2, -2.0, 0.0], [0.0, 0.0, 1.0]], DEFINITE),
    ("has two negative eigenvalues, a positive determinant and a positive diagonal",
     [[1.0, 2.0, 2.0], [2.0, 1.0, 2.0], [2.0, 2.0, 1.0]], DEFINITE),
    ("has an eigenvalue 0", [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]], SINGULAR),
    ("has small entries and is not symmetric", [[0.02, 0.008, 0.0], [0.001, 0.01, 0.002], [0.0, 0.002, 0.015]], SCALE),
)  # fmt: skip


def not_positive_definite() -> Iterator[tuple[str, Tensor, str]]:
    """What is wrong with a matrix, the matrix, and what to ask somebody who takes it."""
    for what, rows, question in MATRICES:
        yield what, torch.tensor(rows, dtype=torch.float64), question
