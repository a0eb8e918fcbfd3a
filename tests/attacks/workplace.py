"""The one place that knows how a box is put around a worker, and what kinds of processes a check has."""

from __future__ import annotations

from grader.boundary.box import choose
from grader.boundary.launch import Worker
from grader.boundary.session import Limits, Session
from grader.classes.ingest import Submission
from grader.grading.judge import Bench
from grader.grading.pool import Pool


def bench_of(box: str, submission: Submission) -> Bench:
    """A bench whose workers are in this box."""
    return Bench(submission, Pool(choose(box)))


def session_of(worker: Worker, kind: str, limits: Limits) -> Session:
    """A process as a check has it: one that trains, one that encodes or decodes, or that of a quick check."""
    return Session(worker, 1, limits, fresh=kind != "check", sealed=kind in ("encoding", "decoding"))
