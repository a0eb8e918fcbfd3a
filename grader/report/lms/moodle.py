"""Moodle's grading worksheet, filled in where it stands, and the zip in which feedback files go back.

Only cells of Grade and Feedback comments change. Moodle skips in silence what it does not understand: rows that are
locked, grades above the maximum. Those are said here, and left.
"""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence

from ...classes.people import Owner
from ..cells import html_cell
from ..printable import one_line
from .columns import Role, changeable, comma_wanted, find_columns, head_at, is_known, number_of, participant
from .filling import Choices, grade_of, maxima_of, refuse_other_scale, same_grade
from .marks import Export, Left, Mark, TemplateError, as_html, notes_of, people, rounded, settled, who, written
from .matching import Seat, folded_id, place
from .sheet import Row, Sheet, read_sheet

KINDS = ("person", "anonymous")
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip of the same marks is the same zip
UNUSABLE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


def fill(marks: Sequence[Mark], template: bytes, choices: Choices | None = None) -> Export:
    """The worksheet with grades and comments. Raises TemplateError."""
    choices = choices or Choices()
    sheet = read_sheet(template, is_known)
    columns = find_columns(sheet, dict(choices.columns))
    found = place(marks, seats_of(sheet, columns), "moodle", KINDS)
    left, good = found.left, list({id(mark): mark for mark in found.marks.values()}.values())
    filled = 0
    refuse_scale(sheet, columns, good, choices)
    changes: dict[tuple[int, int], str] = {}
    notes = notes_of(good)
    comma = comma_wanted(sheet, [columns[role] for role in ("grade", "maximum") if role in columns])
    for row, mark in sorted(found.marks.items()):
        texts, note, why = row_texts(sheet, columns, row, mark, choices, comma)
        if why:
            left.append(Left(mark.name, f"line {sheet.rows[row].line}: {why}"))
            continue
        notes += [f"{mark.name}: {note}"] if note else []
        changes |= {(row, columns[role]): text for role, text in texts.items()}
        filled += 1
    return Export(sheet.replaced(changes), filled, tuple(left), tuple(notes), len(sheet.rows) - filled)


def seats_of(sheet: Sheet, columns: Mapping[Role, int]) -> list[Seat]:
    """Who sits in which row."""
    seats = []
    for index, row in enumerate(sheet.rows):
        ids = {"system": participant(row.text(columns["identifier"])), "email": row.text(columns.get("email")),
               "sid": row.text(columns.get("number"))}  # fmt: skip
        groups = tuple(part.strip() for part in row.text(columns.get("group")).split(",") if part.strip())
        known = {kind: folded_id(text) for kind, text in ids.items() if text}
        seats.append(Seat(index, row.line, row.text(columns.get("name")), known, groups))
    return seats


def refuse_scale(sheet: Sheet, columns: Mapping[Role, int], good: Sequence[Mark], choices: Choices) -> None:
    """Refuses a sheet in which full marks are something else than here. Raises TemplateError."""
    if "scale" in columns and "maximum" not in columns:
        raise TemplateError(
            "the assignment is graded with a scale of words, not with points: set its grade to points in Moodle and "
            "download the worksheet again"
        )
    fitting = maxima_of(good)
    for maximum in sorted({found for row in sheet.rows if (found := maximum_in(columns, row)) is not None}):
        if not choices.scale:
            refuse_other_scale(maximum, fitting)


def locked(sheet: Sheet, columns: Mapping[Role, int], row: Row) -> str:
    """Why Moodle would not take a grade for this row; nothing if it would."""
    if not row.text(columns["identifier"]):
        return "it has no identifier, and Moodle would skip it"
    if "changeable" in columns:
        state, head = row.text(columns["changeable"]), one_line(head_at(sheet, columns["changeable"]), 60)
        if changeable(state) is None:
            return f"whether it may be changed is not understood ({head}: {one_line(state, 20)!r})"
        if not changeable(state):
            return f"it is locked in Moodle ({head}: {one_line(state, 20)})"
    return ""


def maximum_in(columns: Mapping[Role, int], row: Row) -> float | None:
    """The maximum grade that a row names; None where the sheet has no such column. Raises TemplateError."""
    if "maximum" not in columns:
        return None
    text = row.text(columns["maximum"])
    maximum = number_of(text)
    if maximum is None or maximum <= 0:
        raise TemplateError(f"line {row.line}: its maximum is {one_line(text, 40)!r}, which is no number above zero")
    return maximum


def row_texts(
    sheet: Sheet, columns: Mapping[Role, int], index: int, mark: Mark, choices: Choices, comma: bool
) -> tuple[dict[Role, str], str, str]:
    """The new texts of one row and a note; or why the row stays as it is."""
    row = sheet.rows[index]
    if why := locked(sheet, columns, row):
        return {}, "", why
    maximum = maximum_in(columns, row)
    grade, note = grade_of(mark, maximum, choices.scale)
    if rounded(grade) < 0:
        return {}, "", "the mark is below zero"
    there, said = row.text(columns["grade"]), row.text(columns["feedback"])
    feedback = mark.feedback + (f"\n{note}" if note and mark.feedback else "")
    comment = html_cell(sheet.fitting(as_html(feedback)))
    texts: dict[Role, str] = {}
    if not same_grade(there, grade):
        if there and not choices.replace:
            return {}, "", f"the grade {one_line(there, 20)} is there already (--replace writes over it)"
        keep_zeros = "maximum" in columns and bool(re.search(r"[.,]\d\d$", row.text(columns["maximum"])))
        texts["grade"] = written(grade, comma, keep_zeros)
    if comment and said != comment:
        if said and not choices.replace:
            return {}, "", "there are feedback comments already (--replace writes over them)"
        texts["feedback"] = comment
    return texts, note, ""


def feedback_zip(marks: Sequence[Mark], files: Mapping[str, Mapping[str, bytes]]) -> Export:
    """A zip that Moodle hands out to everybody: ``Full Name_123_assignsubmission_file_/report.md``. `files` holds, by
    the owner's key, contents by name of a file."""
    ready, left = settled(marks)
    good = [mark for mark in ready if files.get(mark.owner.key)]
    left += [Left(mark.name, "there is no report to hand back") for mark in ready if not files.get(mark.owner.key)]
    numbers = [owner.id for mark in good for owner in people(mark.owner)]
    out = io.BytesIO()
    filled = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for mark in good:
            for owner in people(mark.owner):
                if why := unusable(owner, numbers):
                    left.append(Left(who(owner) if owner is not mark.owner else mark.name, why))
                    continue
                filled += 1
                for name, content in sorted(files[mark.owner.key].items()):
                    entry = zipfile.ZipInfo(f"{folder_of(owner)}/{name}", EARLIEST)
                    entry.external_attr = 0o644 << 16
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, content)
    return Export(out.getvalue(), filled, tuple(left), tuple(notes_of(good)))


def unusable(owner: Owner, numbers: Sequence[str]) -> str:
    """Why Moodle could not give a file to this owner."""
    if owner.system != "moodle" or owner.kind == "group" or not owner.id.isdigit():
        return "Moodle's number of the participant is not known: hand this feedback back by hand"
    if numbers.count(owner.id) > 1:
        return f"several submissions have the number {owner.id}"
    return ""


def folder_of(owner: Owner) -> str:
    """The folder's name in Moodle's own way: the number stands between the first two underscores."""
    name = unicodedata.normalize("NFC", owner.name).replace("_", " ")
    name = " ".join(UNUSABLE.sub("", name).split()).strip(". ")[:100] or "Participant"
    return f"{name}_{owner.id}_assignsubmission_file_"
