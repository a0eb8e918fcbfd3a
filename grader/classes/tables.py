"""Tables that lie beside a download, read for what they say of its owners: Moodle's worksheet, Canvas's gradebook.

Only numbers join a table to a download, never names. What a table says of a name is compared, and it is told
where that differs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .archives import MAX_TABLE, TABLES, ending_of
from .names import folded, printable
from .people import Owner, System
from .trees import Budget, Entry, IngestError

LONGEST = 250
IDENTIFIER = re.compile(r"[^\d,;]*\s(\d+)")  # "Participant 1234567", in any language
NUMBER = re.compile(r"\d+")
# Moodle's heads, as its languages have them
HEADS: Mapping[str, tuple[str, ...]] = {
    "name": ("full name", "vollständiger name", "nom complet", "nombre completo", "nome completo", "volledige naam",
             "полное имя", "全名", "氏名"),
    "sid": ("id number", "id-nummer", "matrikelnummer", "numéro d’identification", "numéro d'identification",
            "número de id", "numero di matricola", "sis user id"),
    "email": ("email address", "e-mail-adresse", "adresse de courriel", "dirección de correo", "indirizzo email",
              "e-mailadres", "email"),
    "login": ("username", "sis login id", "login id"),
    "group": ("group", "gruppe", "groupe", "grupo", "gruppo", "groep"),
    "status": ("status", "statut", "estado", "stato"),
    "submitted": ("last modified (submission)", "zuletzt geändert (abgabe)", "dernière modification (travail remis)",
                  "última modificación (entrega)"),
    "part": ("section",),
}  # fmt: skip
# in a status, in the same languages
LATE = re.compile(r"\blate\b|spät|retard|retraso|ritardo|atras|te laat|опозда|просроч|逾期|迟交|遅", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """What a table says of one number."""

    name: str = ""
    also: Mapping[str, str] = field(default_factory=dict)
    late: bool | None = None


@dataclass(frozen=True)
class Known:
    """A table that was understood: lines by the system's number."""

    file: str
    system: System
    lines: Mapping[str, Line]


def may_be_table(name: str) -> bool:
    """Whether a file of this name is looked into."""
    return name.casefold().endswith(TABLES) and not ending_of(name)


def table_of(file: str, entry: Entry) -> Known | None:
    """What a file says; None if it is no table of a system's, or cannot be read."""
    try:
        data = entry.read(MAX_TABLE, Budget())
        rows = rows_of(data) if len(data) <= MAX_TABLE else []
    except (IngestError, csv.Error):
        return None
    if len(rows) < 2:
        return None
    head, body = [cell.strip().casefold() for cell in rows[0]], rows[1:]
    if {"student", "id"} <= set(head):
        return known(file, "canvas", head, body, head.index("id"), NUMBER, head.index("student"))
    first = [row[0].strip() for row in body if row and row[0].strip()]
    if first and all(IDENTIFIER.fullmatch(cell) for cell in first):
        return known(file, "moodle", head, body, 0, IDENTIFIER, place(head, "name"))
    return None


def rows_of(data: bytes) -> list[list[str]]:
    """The cells. Raises csv.Error."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    head = text.partition("\n")[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def place(head: Sequence[str], what: str) -> int | None:
    """The column of something, if there is one."""
    return next((at for at, cell in enumerate(head) if cell in HEADS[what]), None)


def known(
    file: str, system: System, head: Sequence[str], body: Sequence[Sequence[str]], at: int, number: re.Pattern[str],
    name: int | None,
) -> Known:  # fmt: skip
    """The lines of a table whose numbers stand in column `at`. A number that stands there twice says nothing."""
    columns = {what: column for what in HEADS if (column := place(head, what)) is not None}
    lines: dict[str, Line] = {}
    twice: set[str] = set()
    for row in body:
        cells = [printable(cell.strip(), LONGEST) for cell in row] + [""] * (len(head) - len(row))
        match = number.fullmatch(cells[at])
        if match is None:
            continue
        key = match[match.re.groups]
        found = {what: cells[column] for what, column in columns.items() if what not in ("name", "status")}
        also = {"section" if what == "part" else what: text for what, text in found.items() if text not in ("", "-")}
        late = True if "status" in columns and LATE.search(cells[columns["status"]]) else None
        twice |= {key} & lines.keys()
        lines[key] = Line(cells[name] if name is not None else "", also, late)
    return Known(file, system, {key: line for key, line in lines.items() if key not in twice})


def plain(name: str) -> str:
    """A name as Canvas writes it into file names."""
    return re.sub(r"[\W_]", "", name.lower())


def before(name: str, member: str) -> str:
    """The team that stands with a hyphen before a member's name; empty if none does."""
    hyphens = [at for at, character in enumerate(name) if character == "-"]
    return next((name[:at] for at in hyphens if folded(name[at + 1 :]) == folded(member)), "")


def completed(owner: Owner, table: Known) -> tuple[Owner, str]:
    """An owner with what a table says, and what is wrong with that; its own word counts where there is one already."""
    line = table.lines.get(owner.id)
    if line is None or owner.system != table.system:
        return owner, ""
    also = {**line.also, **owner.also}
    if not line.name or owner.kind == "anonymous" or folded(line.name) == folded(owner.name):
        return Owner(owner.name, owner.id, owner.system, owner.kind, also, owner.members), ""
    if table.system == "canvas" and plain(line.name) == plain(owner.name):
        return Owner(line.name, owner.id, owner.system, owner.kind, also, owner.members), ""
    if table.system == "moodle" and (team := before(owner.name, line.name)):
        return Owner(line.name, owner.id, owner.system, "person", {"group": team, **also}), ""
    return owner, f"{table.file} has the number {owner.id} for {line.name}: nothing was taken from it"
