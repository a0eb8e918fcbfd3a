"""Canvas' gradebook, filled in where it stands: the column of one assignment changes, ids and all other columns stay.

A column is never made: Canvas would make an assignment of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..printable import one_line
from .columns import folded, is_grade, number_of
from .filling import Choices, grade_of, maxima_of, refuse_other_scale, same_grade
from .marks import Export, Left, Mark, TemplateError, notes_of, rounded, written
from .matching import Seat, folded_id, place
from .sheet import Row, Sheet, read_sheet

STUDENT = {"student": "name", "id": "system", "sis user id": "sid", "sis login id": "login", "email": "email"}
OTHERS = ("integration id", "root account", "section", "notes")
EXCUSED = "EX"
TITLED = re.compile(r"(.*\S)?\s*\((\d+)\)", re.DOTALL)
READ_ONLY = re.compile(r"\([^()\d]+\)")  # "(read only)" in whatever language
POSSIBLE = ("points possible", "possible points")


def is_known(text: str) -> bool:
    """Whether a text is the name of a column that is no assignment's."""
    return folded(text) in STUDENT or folded(text) in OTHERS


def fill(marks: Sequence[Mark], template: bytes, choices: Choices | None = None) -> Export:
    """The gradebook with the grades of one assignment. Raises TemplateError."""
    choices = choices or Choices()
    sheet = read_sheet(template, is_known)
    columns = {
        STUDENT[folded(cell.text)]: at for at, cell in enumerate(sheet.head.cells) if folded(cell.text) in STUDENT
    }
    if "name" not in columns or "system" not in columns:
        raise TemplateError(
            f"line {sheet.head.line}: no columns are Student and ID: export the gradebook in Canvas and give that file"
        )
    preamble = preamble_of(sheet, columns)
    column = assignment_column(sheet, columns, preamble, choices.assignment)
    students = [
        (index, row) for index, row in enumerate(sheet.rows) if index not in preamble and row.text(columns["system"])
    ]
    found = place(marks, [seat_of(index, row, columns) for index, row in students], "canvas")
    left, good = found.left, list({id(mark): mark for mark in found.marks.values()}.values())
    notes = notes_of(good)
    maximum = maximum_of(sheet, preamble, column)
    if maximum is not None and not choices.scale:
        refuse_other_scale(maximum, maxima_of(good))
    comma = comma_wanted(sheet, columns, column)
    changes: dict[tuple[int, int], str] = {}
    filled = 0
    for index, mark in sorted(found.marks.items()):
        row = sheet.rows[index]
        grade, note = grade_of(mark, maximum, choices.scale, capped=False)  # Canvas knows marks above the maximum
        there = row.text(column)
        if why := kept(there, grade, choices.replace):
            left.append(Left(mark.name, f"line {row.line}: {why}"))
            continue
        notes += [f"{mark.name}: {note}"] if note else []
        filled += 1
        if not same_grade(there, grade):
            changes[index, column] = written(grade, comma)
    return Export(sheet.replaced(changes), filled, tuple(left), tuple(notes), len(students) - filled)


def kept(there: str, grade: float, replace: bool) -> str:
    """Why a cell stays as it is; nothing if the grade may go there."""
    if there.upper() == EXCUSED:
        return "the student is excused (EX)"
    if rounded(grade) < 0:
        return "the mark is below zero"
    if there and not same_grade(there, grade) and not replace:
        return f"the grade {one_line(there, 20)} is there already (--replace writes over it)"
    return ""


def preamble_of(sheet: Sheet, columns: dict[str, int]) -> set[int]:
    """Rows before the students that are about the columns: points that are possible, and how grades are posted."""
    found = set()
    for index, row in enumerate(sheet.rows):
        if row.text(columns["system"]) and folded(row.text(columns["name"])) not in POSSIBLE:
            break
        found.add(index)
    return found


def assignment_column(sheet: Sheet, columns: dict[str, int], preamble: set[int], wanted: str) -> int:
    """The column that was asked for, or the only one that can be filled in. Raises TemplateError."""
    can_be: dict[int, str] = {}
    for at, cell in enumerate(sheet.head.cells):
        title = cell.text.strip()
        if at in columns.values() or is_known(title) or not TITLED.fullmatch(title):
            continue
        if not any(READ_ONLY.fullmatch(sheet.rows[index].text(at)) for index in preamble):
            can_be[at] = title
    there = ", ".join(repr(one_line(title, 80)) for title in can_be.values()) or "none"
    if not wanted:
        if len(can_be) == 1:
            return next(iter(can_be))
        raise TemplateError(
            f"which of its columns is the assignment's is not known: say --assignment and the number in brackets or "
            f"the title; there are {there}"
        )
    number = wanted.strip().strip("()")
    places = [at for at, title in can_be.items() if number_in(title) == number] or [
        at for at, title in can_be.items() if folded(wanted) in (folded(title), folded(title_in(title)))
    ]
    if len(places) != 1:
        raise TemplateError(f"{len(places)} columns are the assignment {one_line(wanted, 80)!r}; there are {there}")
    return places[0]


def number_in(title: str) -> str:
    """The number of an assignment, which Canvas writes behind its title."""
    match = TITLED.fullmatch(title)
    return match[2] if match else ""


def title_in(title: str) -> str:
    """The title without the number."""
    match = TITLED.fullmatch(title)
    return (match[1] or "") if match else title


def seat_of(index: int, row: Row, columns: dict[str, int]) -> Seat:
    """A student's row. A login that is an address is an e-mail address."""
    ids = {kind: folded_id(row.text(at)) for kind, at in columns.items() if kind != "name" and row.text(at)}
    if "@" in ids.get("login", "") and "email" not in ids:
        ids["email"] = ids["login"]
    return Seat(index, row.line, row.text(columns["name"]), ids)


def maximum_of(sheet: Sheet, preamble: set[int], column: int) -> float | None:
    """The points that are possible; None where the table does not say."""
    found = [number_of(sheet.rows[index].text(column)) for index in sorted(preamble)]
    return next((value for value in found if value), None)


def comma_wanted(sheet: Sheet, columns: dict[str, int], column: int) -> bool:
    """Whether decimals stand behind a comma, here or in any other column of numbers; where nothing shows it, they do
    in a table that is separated by semicolons."""
    texts = [row.text(column) for row in sheet.rows]
    if not any(sign in text for text in texts for sign in ".," if number_of(text) is not None):
        texts = [cell.text for row in sheet.rows for at, cell in enumerate(row.cells) if at not in columns.values()]
    signs = {sign for text in texts if text and is_grade(text) for sign in ".," if sign in text}
    return signs == {","} or (not signs and sheet.separator == ";")
