"""What a folder's store means for the command that goes on with it. Nothing in here needs PyTorch."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..classes.ingest import IngestError, Submission
from ..classes.paths import existing
from ..grading.store import Row, Store, StoreError
from ..grading.submissions import keys_of, submission_of
from ..report.folder import STORE
from ..report.names import unique_names
from .arguments import UsageError

# options that say what is judged and under what: a run with others is another run
DECIDING = ("question", "seed", "dataset", "data", "device", "no_trained", "box")


class Class(NamedTuple):
    """The submissions of a run, each with the key that tells it from all others; `kept` were not among those given."""

    submissions: Sequence[Submission]
    keys: Sequence[str]
    kept: Sequence[str]  # their names
    moved: Sequence[str]  # sentences about who was read from elsewhere than before
    mistyped: Sequence[str] = ()  # keys of rows that stood for a path behind which there was nothing


def opened(out: Path, *, make: bool = False) -> Store:
    """The store of a folder. Raises UsageError where it cannot be used."""
    try:
        return Store(out, make=make)
    except StoreError as error:
        raise UsageError(str(error)) from error


def read_before(options: argparse.Namespace) -> frozenset[str]:
    """Paths that the folder's store has read: these may be gone by now."""
    if options.out is None or options.fresh or not (options.out / STORE).is_file():
        return frozenset()
    with opened(options.out) as store:
        return frozenset(path for run in store.runs() for path in run["paths"])


def refuse_losing_points(options: argparse.Namespace) -> None:
    """What people have decided is not begun anew. Raises UsageError."""
    if not options.fresh or options.out is None or not (options.out / STORE).is_file():
        return
    with contextlib.suppress(StoreError), Store(options.out) as store:  # a damaged one is what --fresh is for
        given = sum(one.removed is None for one in store.all_overrides())
        if given:
            raise UsageError(
                f"{options.out} holds points given by hand ({given} in all; override {options.out} lists them), and "
                "--fresh would remove them: leave it out, or take them back first, or give another folder"
            )


def command(options: argparse.Namespace) -> str:
    """What to type to go on: what was typed, without what would begin anew."""
    words = [word for word in options.typed if not (len(word) > 3 and "--fresh".startswith(word))]
    return shlex.join(["python", "-m", "grader", *words])


def described(options: argparse.Namespace, seed: int, again: str) -> dict[str, Any]:
    """What the store keeps of a run."""
    asked = {name: str(getattr(options, name)) for name in DECIDING if name != "seed"}
    read = [*filter(os.path.lexists, options.paths), *options.gone]
    return {"paths": [str(path) for path in read], "mistyped": said_of_mistyped(options.paths),
            "typed": options.typed, "again": again, "asked": {**asked, "seed": seed}}  # fmt: skip


def said_of_mistyped(paths: Sequence[Path]) -> list[str]:
    """What is said of those paths behind which there is nothing: each is a row, but nobody's."""
    said = []
    for path in paths:
        try:
            existing(path)
        except IngestError as error:
            said += [str(error)] if not os.path.lexists(path) else []
    return said


def since(runs: Sequence[Mapping[str, Any]], described: Mapping[str, Any], now: str) -> str:
    """With ``--all``, the time from which on verdicts count: now, or when the same command began that did not end."""
    last = runs[-1] if runs else None
    unfinished = last is not None and last["ended"] is None and last["again"] and last["asked"] == described["asked"]
    return str(last["again"]) if unfinished and last is not None else now


def whole_class(given: Sequence[Submission], store: Store | None) -> Class:
    """What was read, and after it whatever else the store holds: nobody's marks go because a folder has gone.

    What cannot be read this time, by no fault of the student, is taken as it was read before.
    """
    keys = keys_of(given)
    if store is None:
        return Class(given, keys, (), ())
    before = {row.key: row for row in store.submissions()}
    submissions: list[Submission] = []
    moved: list[str] = []
    for key, submission in zip(keys, given, strict=True):
        row = before.pop(key, None)
        if row is not None and row.text is not None and submission.fault:
            submission = stored(store, row)
        elif row is not None and key.startswith("name:"):
            origin = row.content["origin"]
            if origin and submission.origin and origin != submission.origin:
                moved.append(f"{submission.name} is {submission.origin} now and was {origin} before")
        submissions.append(submission)
    mistyped = {said for run in store.runs() for said in run["mistyped"]}
    lost = [key for key, row in before.items() if row.text is None and mistyped & {*row.content["problems"]}]
    rows = [row for key, row in before.items() if key not in lost]
    kept = [stored(store, row) for row in rows]
    names = unique_names([submission.name for submission in (*submissions, *kept)])
    unique = [replace(one, name=name) for one, name in zip((*submissions, *kept), names, strict=True)]
    names_kept = [one.name for one in unique[len(given) :]]
    return Class(unique, [*keys, *(row.key for row in rows)], names_kept, moved, lost)


def stored(store: Store, row: Row) -> Submission:
    """A submission as it was read before."""
    return submission_of(row.content, None if row.text is None else store.sources(row.text))
