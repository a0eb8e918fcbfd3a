"""The measured cuts of the trained checks, and the reference's results that they come from.

They live in ``thresholds.json``, written by ``python -m grader.calibrate``; nothing else in the grader holds a cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("thresholds.json")


@dataclass(frozen=True)
class Thresholds:
    """Cuts for one dataset: `checks[check id][dataset][metric]["cut"]`."""

    dataset: str
    checks: Mapping[str, Any]

    def cut(self, check: str, metric: str) -> float | None:
        """Cut of one metric; None where it has not been calibrated, which only calibration itself may meet."""
        found = self.checks.get(check, {}).get(self.dataset, {}).get(metric)
        return None if found is None else float(found["cut"])


def load_thresholds(dataset: str) -> Thresholds:
    """The committed file, for one dataset."""
    return Thresholds(dataset, json.loads(FILE.read_text())["checks"])


UNCALIBRATED = Thresholds("", {})
