"""gradebook.csv: one row per submission."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ..rubric import QUESTIONS, rubric_hash
from .model import Report, number, question_label


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def render(reports: Sequence[Report]) -> str:
    """The table as CSV text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    columns = [f"q{question_label(q.number)}" if q.number else "q_bonus" for q in QUESTIONS]
    writer.writerow(["submission", "score", "max_score", "bonus", "max_bonus", *columns, "not_run_points",
                     "unjudged_points", "dataset", "device", "seed", "rubric_hash", "problems"])  # fmt: skip
    for report in reports:
        writer.writerow([
            cell(report.submission), number(report.score), number(report.max_score), number(report.bonus),
            number(report.max_bonus), *(number(report.earned(q)) for q in QUESTIONS), number(report.points("not_run")),
            number(report.points("error")), report.circumstances.dataset, report.circumstances.device,
            report.circumstances.seed, rubric_hash(), cell("; ".join(report.problems)),
        ])  # fmt: skip
    return out.getvalue()
