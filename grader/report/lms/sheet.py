"""A table as somebody's system wrote it, in which single cells can be replaced and no other byte changes.

Cells are found by their place in the text. Separators, quotes, line ends, marks of byte order and whatever else stands
between them are never written again, only copied.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..printable import one_line
from .marks import TemplateError

MAX_BYTES = 32 << 20
MAX_ROWS = 200_000
MAX_COLUMNS = 2_000
SEPARATORS = (",", ";", "\t")
ANNOUNCED = re.compile(
    r"sep=(.)(?:\r\n|\r|\n|$)", re.IGNORECASE
)  # what Excel takes for the separator, in the first line
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
UNICODE = frozenset({"utf-8", "utf-16-le", "utf-16-be"})


class Cell(NamedTuple):
    """A cell's text, and where it stands with its quotes."""

    text: str
    start: int
    end: int
    quoted: bool


class Row(NamedTuple):
    """A line of the table: its cells, and the number of the line in the file where it begins, from 1."""

    cells: tuple[Cell, ...]
    line: int

    def text(self, column: int | None) -> str:
        """A cell's text without blanks around it; nothing where the row is shorter or there is no such column."""
        return self.cells[column].text.strip() if column is not None and column < len(self.cells) else ""


@dataclass(frozen=True)
class Sheet:
    """A table: the head, and the rows that are not blank."""

    mark: bytes
    encoding: str
    text: str
    separator: str
    head: Row
    rows: tuple[Row, ...]

    def replaced(self, changes: Mapping[tuple[int, int], str]) -> bytes:
        """The bytes with other texts in the cells (row, column), and all else as it was. A row that ends before such a
        cell gets the separators that lead to it."""
        pieces: list[str] = []
        done = 0
        for (row, column), text in sorted(changes.items()):
            cells = self.rows[row].cells
            if column < len(cells):
                place = cells[column]
                pieces += [self.text[done : place.start], self._dressed(text, place.quoted)]
                done = place.end
            else:
                before = max((c for r, c in changes if r == row and c < column), default=0)
                missing = column - max(len(cells) - 1, before)
                pieces += [self.text[done : cells[-1].end], self.separator * missing, self._dressed(text, False)]
                done = cells[-1].end
        pieces.append(self.text[done:])
        return self.mark + "".join(pieces).encode(self.encoding)

    def _dressed(self, text: str, quoted: bool) -> str:
        """Text as it stands in a cell: in quotes where the cell had them or the text needs them."""
        needs = any(sign in text for sign in (self.separator, '"', "\r", "\n")) or text != text.strip()
        return '"' + text.replace('"', '""') + '"' if quoted or needs else text

    def fitting(self, text: str) -> str:
        """Text without a character that the file cannot hold: those become HTML's numbers. Of a file that is not
        Unicode it is only guessed which code page it has, so that all but ASCII does."""
        if self.encoding in UNICODE:
            return text
        return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def read_sheet(content: bytes, known: Callable[[str], bool]) -> Sheet:
    """A template. `known` says whether a text is the name of a column, which decides what separates them.

    Raises TemplateError.
    """
    if len(content) > MAX_BYTES:
        raise TemplateError(f"it has more than {MAX_BYTES >> 20} MB: give the table that the system lets you download")
    mark, encoding, text = decoded(content)
    if not text.strip():
        raise TemplateError("it is empty: download it again")
    start, first, announced = 0, 1, ""
    if match := ANNOUNCED.match(text):
        start, first, announced = match.end(), 2, match[1]
    separator = announced or separator_of(text, start, known)
    rows = table(text, start, first, separator)
    if not rows:
        raise TemplateError("it has no head with the names of columns: download it again")
    return Sheet(mark, encoding, text, separator, rows[0], tuple(rows[1:]))


def decoded(content: bytes) -> tuple[bytes, str, str]:
    """Mark of byte order, encoding and text. Encoding the text again gives the same bytes. Raises TemplateError."""
    mark, encoding = next(((m, e) for m, e in MARKS if content.startswith(m)), (b"", "utf-8"))
    if not mark:
        zeros = content[:4000].count(0)
        if zeros and zeros >= len(content[:4000]) // 4:  # UTF-16 without a mark: every second byte of ASCII is 0
            encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise TemplateError("it is a spreadsheet's own file, not a CSV: download the CSV, or save it as one")
    body = content[len(mark) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        if mark or encoding != "utf-8":
            line = body[: error.start].decode(encoding, "replace").count("\n") + 1
            raise TemplateError(
                f"line {line}: it is marked as {encoding.upper()}, and that line is not: download it again"
            ) from error
        encoding, text = eight_bit(body)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise TemplateError(f"line {line}: it holds a zero byte, so it is no CSV: download it again")
    return mark, encoding, text


def eight_bit(body: bytes) -> tuple[str, str]:
    """Text in some code page. None of those in use has a quote, a separator or a line end within a character, so that
    cells are found also where their text is not understood."""
    for encoding in ("cp1252", "latin-1"):
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.encode(encoding) == body:
            return encoding, text
    raise AssertionError("latin-1 decodes everything")


def separator_of(text: str, start: int, known: Callable[[str], bool]) -> str:
    """What separates the names of the head: the sign that finds the most of them, then the one that finds the most
    cells."""

    def fit(separator: str) -> tuple[int, int]:
        try:
            cells = next(records(text, start, 1, separator, escapes=False), Row((), 1)).cells
        except TemplateError:
            return (-1, 0)
        return (sum(known(cell.text) for cell in cells), len(cells))

    return max(SEPARATORS, key=fit)


def table(text: str, start: int, first: int, separator: str) -> list[Row]:
    """All rows that are not blank. Raises TemplateError.

    PHP, and so Moodle, writes a quote after a backslash without doubling it. That reading is taken where the ordinary
    one does not give a table.
    """
    try:
        return rectangular(records(text, start, first, separator, escapes=False))
    except TemplateError as error:
        try:
            return rectangular(records(text, start, first, separator, escapes=True))
        except TemplateError:
            raise error from None


def rectangular(rows: Iterable[Row]) -> list[Row]:
    """Rows with no more cells than the head. Fewer are allowed: Excel leaves empty ones at the end away."""
    filled = [row for row in rows if any(cell.text.strip() for cell in row.cells)]
    width = len(filled[0].cells) if filled else 0
    for row in filled[1:]:
        if any(cell.text.strip() for cell in row.cells[width:]):
            raise TemplateError(
                f"line {row.line}: it has {len(row.cells)} cells and the head {width}: a quote or a separator is "
                "missing there; download it again and do not save it with a spreadsheet"
            )
    return filled


def records(text: str, start: int, first: int, separator: str, escapes: bool) -> Iterator[Row]:
    """Every row of the text from `start` on, which is line `first`. Raises TemplateError."""
    plain = re.compile(rf"[^{re.escape(separator)}\r\n]*")
    inside = re.compile(r'[^"\\]*(?:(?:\\.|"")[^"\\]*)*' if escapes else r'[^"]*(?:""[^"]*)*', re.DOTALL)
    count = 0
    cells: list[Cell] = []
    place, line, row_line = start, first, first
    end = len(text)
    while place < end or cells:
        if text[place : place + 1] == '"':
            body = inside.match(text, place + 1)
            assert body is not None  # it matches nothing, too
            after = body.end()
            if text[after : after + 1] != '"':
                raise TemplateError(f"line {line}: a quote opens there and is not closed: download it again, whole")
            after += 1
            follows = text[after : after + 1]
            if follows not in ("", separator, "\r", "\n"):
                at = line + lines_in(text[place:after])
                raise TemplateError(
                    f"line {at}: {one_line(text[after : after + 20])!r} follows a closing quote: quotes inside a "
                    "cell are written twice; download it again and do not edit it as text"
                )
            raw = body[0]
            cells.append(Cell(raw.replace('""', '"'), place, after, True))
            line += lines_in(raw)
        else:
            match = plain.match(text, place)
            assert match is not None
            after = match.end()
            cells.append(Cell(match[0], place, after, False))
        if len(cells) > MAX_COLUMNS:
            raise TemplateError(f"line {row_line}: it has more than {MAX_COLUMNS} columns: is it the right file?")
        if text[after : after + 1] == separator:
            place = after + 1
            continue
        yield Row(tuple(cells), row_line)
        count += 1
        if count > MAX_ROWS:
            raise TemplateError(f"it has more than {MAX_ROWS} rows: is it the right file?")
        cells = []
        place = after + (2 if text[after : after + 2] == "\r\n" else 1)
        line += 1
        row_line = line


def lines_in(text: str) -> int:
    """Line ends in a text, of any kind."""
    return len(re.findall(r"\r\n|\r|\n", text))
