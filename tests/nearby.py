"""Judging variants of the banks in this process: a quarter of the time of a process for each check (see `inside`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from unittest import mock

from grader.boundary.hosts import Host
from grader.check import context
from grader.check.declaration import Check
from grader.check.outcome import Outcome
from grader.classes.ingest import Submission
from grader.grading.judge import Bench, Setting, judge_all

from .inside import Here, Inside


class Nearby(Bench):
    """A submission in this process."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        super().__init__(Submission("variant", dict(sources)))
        self.here = Here(sources)

    @property
    def worker(self) -> Host:
        """What stands for one."""
        return self.here  # type: ignore[return-value]


def judged(sources: Mapping[str, str], checks: Sequence[Check], seed: int) -> dict[str, Outcome]:
    """Outcomes of those of `checks` that do not train."""
    return {outcome.check.id: outcome for outcome in judging(sources, checks, seed, lambda check: True)}


def judging(
    sources: Mapping[str, str], checks: Sequence[Check], seed: int, wanted: Callable[[Check], bool]
) -> Iterator[Outcome]:
    """`judged`, one after the other. Warnings of a submission are its own affair, as in grading."""
    with mock.patch.object(context, "Session", Inside), warnings.catch_warnings(action="ignore"):
        yield from judge_all(checks, Nearby(sources), Setting(seed, together=False),
                             lambda check: check.kind != "trained" and wanted(check))  # fmt: skip
