"""Who handed in what, for a terminal: what ``grade --dry-run`` prints. Names are made printable and never markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..classes.people import Owner
from ..classes.records import Reading, Submission
from ..report.printable import LONGEST_PROBLEM, name_of, one_line, problems_of

SYSTEMS = {"": "", "moodle": "Moodle", "canvas": "Canvas", "gradescope": "Gradescope"}
ID_WIDTH, FILES_WIDTH, TIME_WIDTH = 16, 9, 16
MOST_ROWS = 3000


def print_mapping(console: Console, reading: Reading, modules: int) -> None:
    """A block for every row, then what does not count, what is alike and what was passed over, and how many of each."""
    console.print(head())
    for submission in reading.submissions:
        console.print(block(submission, modules))
    for title, lines in sections(reading):
        console.print(Group(Text(), Text(title, "bold"), *(Padding(Text(line), (0, 0, 0, 2)) for line in lines)))
    console.print(Text(f"\n{counts(reading)}", "bold"))
    console.print(Text("nothing was graded or written: this was a dry run"))


def grid() -> Table:
    """Four columns; what is too long goes on below, so that no name is cut."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(width=ID_WIDTH, overflow="fold")
    table.add_column(width=FILES_WIDTH, overflow="fold")
    table.add_column(width=TIME_WIDTH, overflow="fold")
    return table


def head() -> RenderableType:
    """What the columns are."""
    table = grid()
    table.add_row(*(Text(word, "bold") for word in ("student", "id", "files", "handed in")))
    return table


def block(submission: Submission, modules: int) -> RenderableType:
    """A row: whose it is, what was found of how many modules, when it came, where it lay, and what is the matter."""
    owner = submission.owner or Owner(submission.name)
    found = f"{len(submission.sources)} of {modules}"
    table = grid()
    style = "" if submission.sources else "red"
    table.add_row(
        Text(name_of(owner.name), style), Text(one_line(owner.id)), Text(found, style), Text(when(submission))
    )
    plain = submission.name in (owner.name, f"{owner.name}_{owner.id}")
    lines = [] if plain else [("row", name_of(submission.name))]
    lines += [("from", one_line(submission.origin, LONGEST_PROBLEM))] if submission.origin else []
    lines += [("files", ", ".join(submission.sources))] if 0 < len(submission.sources) < modules else []
    kind = " ".join(word for word in (SYSTEMS[owner.system], owner.kind if owner.kind != "person" else "") if word)
    known = [*([kind] if kind else []), *details(owner)]
    lines += [("owner", ", ".join(known))] if known else []
    label = "not readable here" if submission.fault else "note"
    lines += [(label, problem) for problem in problems_of(tuple(submission.problems))]
    return Group(table, *(Padding(Text.assemble((f"{label}: ", "dim"), text), (0, 0, 0, 4)) for label, text in lines))


def details(owner: Owner) -> list[str]:
    """What else is known of an owner."""
    known = [f"{key} {one_line(value)}" for key, value in owner.also.items() if value and key != "apart"]
    members = [name_of(member.name) + (f" ({one_line(member.id)})" if member.id else "") for member in owner.members]
    return [*known, *(["members " + ", ".join(members)] if members else [])]


def when(submission: Submission) -> str:
    """When it came, to the minute, and whether that was late."""
    at = submission.arrival.at
    known = at.strftime("%Y-%m-%d %H:%M") if at is not None else ""
    return known + (" late" if submission.arrival.late else "") if known else "late" if submission.arrival.late else "-"


def sections(reading: Reading) -> list[tuple[str, Sequence[str]]]:
    """What is said after the rows, without the parts that are empty."""
    superseded = [one_line(f"{one.origin} ({one.why}): {one.by} counts", LONGEST_PROBLEM) for one in reading.superseded]
    alike = [", ".join(name_of(name) for name in names) for names in reading.duplicates]
    found: list[tuple[str, Sequence[str]]] = [
        ("Does not count", superseded), ("The same text", alike),
        ("Read for what they say", [one_line(name) for name in reading.consulted]),
        ("Passed over", [one_line(name) for name in reading.passed_over]),
        ("Notes", [one_line(note, LONGEST_PROBLEM) for note in reading.notes]),
    ]  # fmt: skip
    return [(title, lines) for title, lines in found if lines]


def counts(reading: Reading) -> str:
    """How many of each."""
    rows = reading.submissions
    faults = sum(bool(row.fault) for row in rows)
    readable = sum(bool(row.sources) for row in rows)
    unknown = sum(row.owner is not None and row.owner.system != "" and not row.owner.id for row in rows)
    words = [
        (len(rows), "submission" + "s"[: len(rows) != 1]), (readable, "to grade"),
        (unknown, "whose owner is not known"),
        (len(rows) - readable - faults, "with nothing to grade"), (faults, "not readable here"),
        (len(reading.superseded), "superseded"), (sum(map(len, reading.duplicates)), "with a text that others have"),
        (len(reading.passed_over), "passed over"),
    ]  # fmt: skip
    return " · ".join(f"{count} {what}" for count, what in words if count or what == "to grade")
