"""``python -m grader similar``: which submissions of a class are suspiciously alike, on a page for instructors only.

Needs no PyTorch and runs nothing that was handed in.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..classes.records import Reading, Submission
from ..classes.similarity import HINT, LEAST, WHOLE, Pair, Share, Similarity, Work, compare
from ..classes.tokens import Tokens
from ..report import alike
from ..report.folder import PAGE, RECORD, REPORT_NAMES, TABLE
from ..report.pages.environment import percent
from ..report.printable import name_of
from .arguments import MODULE_NAMES, UsageError
from .consoles import say
from .private import put_private
from .reading import read_all, refuse_absent, say_unread

ENDINGS = (".html", ".htm")
FEW = 20  # texts that are not worth other processes
OURS = frozenset({RECORD, TABLE, PAGE, "run.sqlite", *REPORT_NAMES})
MOST_ROWS = 20  # pairs in a terminal; the page has all of them


def run_similar(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0 whatever was found, 3 if the page could not be written. Raises UsageError."""
    refuse_absent(options.paths)
    refuse_place(options.file, options.paths)
    reading = read_all(options.paths, None)
    say_unread(reading, err)
    submissions = reading.submissions
    starter = handed_out_texts()
    if not starter:
        say(err, "note", "no starter lies beside the grader: what was handed out counts as everybody's own", "yellow")
    works = [Work(key_of(one), one.name, one.sources) for one in submissions]
    with err.status("comparing"):
        found = compare(works, starter, spread(options.jobs or cores()))
    try:
        put_private(options.file, alike.render(page_of(reading, found)))
    except OSError as error:
        say(err, "error", f"--file {options.file}: {error.strerror or error}; what was found follows", "red")
        print_found(out, submissions, found, None)
        return 3
    print_found(out, submissions, found, options.file)
    return 0


def refuse_place(file: Path, inputs: Sequence[Path]) -> None:
    """Looks whether the page may lie there: neither with reports, which go to students, nor among submissions, where
    the next run would take it for one. Raises UsageError."""
    asked = f"--file {name_of(str(file))}"
    if file.suffix.casefold() not in ENDINGS or file.is_dir():
        raise UsageError(f"{asked}: give the name of a page, similar.html say")
    place = file.resolve()
    if place.exists() and not place.is_file():
        raise UsageError(f"{asked} is no ordinary file: give another name")
    for folder in place.parents:
        if any(os.path.lexists(folder / name) for name in OURS):
            raise UsageError(f"{asked} lies in {name_of(str(folder))}, which holds reports for students, and this page "
                             "is not for them: give a place outside it")  # fmt: skip
    given = [path.resolve() for path in inputs]
    if any(path in place.parents and path.is_dir() for path in given):
        raise UsageError(f"{asked} lies among the submissions: give a place outside them")


def key_of(submission: Submission) -> str:
    """What tells its owner from the others."""
    return submission.owner.key if submission.owner is not None and submission.owner.id else f"row:{submission.name}"


def handed_out_texts() -> dict[str, str]:
    """The modules of the starter that lies beside the grader, if one does."""
    folder = Path(__file__).resolve().parents[2] / "starter"
    paths = {module: folder / f"{module}.py" for module in MODULE_NAMES}
    return {module: path.read_text(encoding="utf-8") for module, path in paths.items() if path.is_file()}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(jobs: int) -> Callable[[Callable[[str], Tokens], Sequence[str]], Iterator[Tokens]]:
    """A `map` that uses several processes where that is worth it."""

    def over(function: Callable[[str], Tokens], texts: Sequence[str]) -> Iterator[Tokens]:
        if jobs == 1 or len(texts) < FEW:
            yield from map(function, texts)
            return
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(function, texts, chunksize=FEW // 2)

    return over


def page_of(reading: Reading, found: Similarity) -> alike.Page:
    """What the page says."""
    submissions = reading.submissions
    names = [one.name for one in submissions]
    return alike.Page(
        compared=found.compared, submissions=len(submissions), threshold=WHOLE, least=LEAST, looked_from=HINT,
        shares=found.shares,
        copies=[[names[index] for index in group] for group in found.copies],
        pairs=[part_of(pair, submissions) for pair in found.pairs], left_off=found.left_off,
        unread=[one.name for one in submissions if not one.sources],
    )  # fmt: skip


def part_of(pair: Pair, submissions: Sequence[Submission]) -> alike.PairPart:
    """One pair, with the passages that both have, the longest first."""
    one, two = submissions[pair.first], submissions[pair.second]
    left, right = ({share.module: share for share in side} for side in pair.shares)
    modules = [
        alike.ModuleRow(module, told(left.get(module)), told(right.get(module)), module in pair.alike)
        for module in sorted({*left, *right})
    ]
    passages = [
        alike.Passage(
            region.tokens,
            alike.excerpt(region.first[0], one.sources[region.first[0]], *region.first[1:]),
            alike.excerpt(region.second[0], two.sources[region.second[0]], *region.second[1:]),
        )
        for region in sorted(pair.regions, key=lambda region: (-region.tokens, region.first))[: alike.MOST_PASSAGES]
    ]
    return alike.PairPart(one.name, two.name, pair.whole, pair.alike, modules, passages, len(pair.regions))


def told(share: Share | None) -> str:
    """A share in words."""
    if share is None or not share.own:
        return "nothing of its own"
    return f"{percent(share.ratio)} of {share.own} tokens"


def print_found(console: Console, submissions: Sequence[Submission], found: Similarity, file: Path | None) -> None:
    """The pairs, for a terminal."""
    for group in found.copies:
        console.print(Text.assemble(("the same code: ", "red"), ", ".join(name_of(submissions[i].name) for i in group)))
    if found.pairs:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=False)
        for head in ("share", "one", "other", "modules that alone are a reason to look"):
            table.add_column(head, justify="right" if head == "share" else "left", overflow="fold")
        for pair in found.pairs[:MOST_ROWS]:
            table.add_row(percent(pair.whole), Text(name_of(submissions[pair.first].name)),
                          Text(name_of(submissions[pair.second].name)), Text(", ".join(pair.alike)))  # fmt: skip
        console.print(table)
        if len(found.pairs) > MOST_ROWS:
            console.print(Text(f"and {len(found.pairs) - MOST_ROWS} more"))
    some = f"{len(found.pairs)} pair{'s'[: len(found.pairs) != 1]} to read side by side"
    console.print(Text(f"{found.compared} of {len(submissions)} submissions compared: {some}", "bold"))
    if file is not None:
        console.print(Text(f"for instructors only: {name_of(str(file))}"), soft_wrap=True)
