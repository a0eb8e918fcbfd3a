"""gradebook.csv: one row per submission."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ..check.declaration import Question
from ..classes.people import Owner
from ..rubric import QUESTIONS
from .cells import cell
from .model import Report, number, question_label
from .printable import LONGEST_TEXT, problems_of
from .words import overrides

WHOSE = ("student", "id", "system", "section", "submitted", "late", "origin")
LONGEST_ORIGIN = 400
ENCODING = "utf-8-sig"  # Excel takes a CSV without the mark for the machine's own code page


def columns() -> list[str]:
    """The head of the table; README says what the columns mean."""
    questions = [f"q{question_label(q.number)}" if q.number else "q_bonus" for q in QUESTIONS]
    return ["submission", *WHOSE, "score", "max_score", "judged_points", "bonus", "max_bonus", "judged_bonus_points",
            *questions, *(f"{name}_judged" for name in questions), "not_run_points", "unjudged_points", "dataset",
            "device", "seed", "rubric_hash", "overrides", "problems"]  # fmt: skip


def earned(report: Report, question: Question) -> float | None:
    """Points of a question; nothing at all, which is not zero, if none of it was judged."""
    total = report.of(question)
    return number(total.earned) if total.judged else None


def whose(report: Report) -> list[str]:
    """Whose it is and when it came, as far as the system that collected it says."""
    owner = report.owner or Owner(report.submission)
    at, late = report.arrival.at, report.arrival.late
    submitted = at.isoformat(" ", "seconds") if at is not None else owner.also.get("submitted", "")
    known = "" if late is None else "yes" if late else "no"
    texts = (owner.name, owner.id, owner.system, owner.also.get("section", ""), submitted, known, report.origin)
    return [cell(text, LONGEST_ORIGIN) for text in texts]


def row(report: Report) -> list[object]:
    """One submission."""
    circumstances = report.circumstances
    return [
        cell(report.submission), *whose(report),
        number(report.score), number(report.max_score), number(report.regular.judged),
        number(report.bonus), number(report.max_bonus), number(report.extra.judged),
        *(earned(report, q) for q in QUESTIONS), *(number(report.of(q).judged) for q in QUESTIONS),
        number(report.points("not_run")), number(report.points("error")), cell(circumstances.dataset),
        circumstances.device, circumstances.seed, circumstances.versions["rubric_hash"],
        "; ".join(cell(given, LONGEST_TEXT) for given in overrides(report)),
        "; ".join(cell(problem, len(problem) + 1) for problem in problems_of(report.problems)),
    ]  # fmt: skip


def render(reports: Sequence[Report]) -> str:
    """The table as CSV text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns())
    writer.writerows(row(report) for report in reports)
    return out.getvalue()
