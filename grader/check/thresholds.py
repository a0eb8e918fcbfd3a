"""The measured cuts of the trained checks, and the results that they come from.

They live in ``thresholds.json``, written by ``make calibrate``; nothing else in the grader holds a cut.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("thresholds.json")


@dataclass(frozen=True)
class Cut:
    """Where credit begins and where it is full: `full` for the reference, `zero` for a model that has learned nothing.

    Which of the two is the smaller number says which direction is better.
    """

    full: float
    zero: float

    def credit(self, value: float) -> float:
        """Share of the points in [0, 1], linear between the cuts. NaN and infinity earn nothing."""
        if not math.isfinite(value):
            return 0.0
        return min(max((value - self.zero) / (self.full - self.zero), 0.0), 1.0)


@dataclass(frozen=True)
class Thresholds:
    """Cuts for one dataset: `checks[check id][dataset][metric]`."""

    dataset: str
    checks: Mapping[str, Any]

    def cut(self, check: str, metric: str) -> Cut | None:
        """Cuts of one metric; None where it has not been calibrated, which only calibration itself may meet."""
        return self.cuts(check).get(metric)

    def cuts(self, check: str) -> dict[str, Cut]:
        """Those of all metrics."""
        found = self.checks.get(check, {}).get(self.dataset, {})
        return {metric: Cut(float(one["full"]), float(one["zero"])) for metric, one in found.items()}


def load_thresholds(dataset: str) -> Thresholds:
    """The committed file, for one dataset."""
    return Thresholds(dataset, json.loads(FILE.read_text())["checks"])


UNCALIBRATED = Thresholds("", {})
