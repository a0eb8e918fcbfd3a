"""What a check sends to the submission's process and gets from it: the rubric needs no other room for it."""

from __future__ import annotations

from ..boundary.ends import StudentRaised, Violation
from ..boundary.session import Session
from ..boundary.values import DType, Gen, Handle, Image8, Params, Probe, Ref, Slot, TorchRef

__all__ = [
    "DType", "Gen", "Handle", "Image8", "Params", "Probe", "Ref", "Session", "Slot", "StudentRaised", "TorchRef",
    "Violation",
]  # fmt: skip
