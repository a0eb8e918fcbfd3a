"""Reports from made-up outcomes, as strange as they come: what renders a report is tested without running anything."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import torch

from grader.check.declaration import Check
from grader.check.outcome import Outcome, Override, Status
from grader.check.shown import show, show_both
from grader.classes.people import Owner
from grader.report.model import Report, complete
from grader.rubric import CHECKS, QUESTIONS

from .made_run import UNDER

STATUSES: tuple[Status, ...] = ("passed", "partial", "failed", "timeout", "memory", "crashed", "limit", "violation",
                                "unimplemented", "skipped", "not_run", "error")  # fmt: skip
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}&#60;b&#62; javascript:alert(3) \u202egnp \x1b[31m"


def report_of(found: Mapping[str, Outcome], name: str = "ann", owner: Owner | None = None) -> Report:
    """Full marks but for what was found."""
    outcomes = {
        check.id: found.get(check.id) or Outcome(check, "passed", check.points, duration_s=0.1) for check in CHECKS
    }
    return Report(name, (), complete(outcomes, QUESTIONS), UNDER, 1.5, owner)


def wrong(check: Check, rng: random.Random | None = None) -> Outcome:
    """A check that fails with small tensors."""
    draw = torch.Generator().manual_seed((rng or random.Random(1)).randrange(2**31))
    x, weights = torch.randn(2, 3, generator=draw, dtype=torch.float64), torch.rand(4, generator=draw)
    expected, actual = show_both(x, x * torch.tensor([[1, 1, 2.0], [1, 1, 1]]))
    return Outcome(
        check, "failed", 0.0, "what came back is wrong", "Which axis did you sum over?", expected, actual,
        {"x": show(x), "weights": show(weights), "k": "3"}, "step 1\nstep 2", looks="exactly twice the expected",
        call="f(x=tensor([[1.0, 2.0]], dtype=float64), weights=weights, k=3)", duration_s=0.2,
    )  # fmt: skip


def all_wrong(name: str = "ann") -> Report:
    """Nothing passes, everything has its reason."""
    return report_of({check.id: wrong(check) for check in CHECKS}, name)


def strange(text: str = EVIL, name: str = EVIL) -> Report:
    """Every status, and a hostile text wherever a submission or a system has a say."""
    given = Override(0.25, text, text, datetime(2026, 11, 30, tzinfo=UTC))
    found = {
        check.id: Outcome(
            check, status, 0.0, text, text, text, text, {text: text, "x": text}, text, looks=text, call=text
        )
        for check, status in zip(CHECKS, STATUSES * len(CHECKS), strict=False)
        if status != "passed"
    }
    first = next(o for o in found.values() if o.status == "failed")
    found[first.check.id] = first.overridden(given)
    report = report_of(found, name, Owner(name, text, "moodle", also={"section": text}))
    return replace(report, problems=(text,), origin=text)


def a_class(size: int, seed: int = 1) -> list[Report]:
    """Students of whom the good ones fail few checks and the weak ones many, and one who cannot be read."""
    rng = random.Random(seed)
    reports = []
    for number in range(size - 1):
        skill = rng.random()
        found = {check.id: wrong(check, rng) for check in CHECKS if rng.random() > 0.55 + 0.45 * skill}
        for check in rng.sample(CHECKS, rng.choice((0, 0, 0, 1, 2))):
            status: Status = rng.choice(
                ("timeout", "crashed", "memory", "error", "unimplemented", "skipped", "not_run")
            )
            found[check.id] = Outcome(check, status, 0.0, f"{status} of attempt {number}", "Does it end?")
        reports.append(
            report_of(
                found, f"Student {number:03} of Course", Owner(f"Student {number:03} of Course", f"{7000 + number}")
            )
        )
    nothing = {check.id: Outcome(check, "failed", 0.0) for check in CHECKS}
    return [*reports, replace(report_of(nothing, "Zoe Broken"), problems=("a7.zip is damaged",), unread=True)]
