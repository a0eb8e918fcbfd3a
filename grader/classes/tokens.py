"""Python text as tokens that a disguise does not change: for comparing submissions, never for running them.

Names that the file itself binds, numbers and strings become one symbol each, because whoever copies can change them;
names of libraries stay, because nobody can rename ``torch.logsumexp``. Comments, docstrings, blanks, line ends,
parentheses, commas, annotations, heads of functions and the names of keyword arguments are left out. Nothing is parsed,
so that a file with an error in it is compared like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Literal, Name, Punctuation, Text, _TokenType

NAME, NUMBER, STRING = "name", "0", "text"  # what stands for every name that the file binds, number and string
LEFT_OUT = frozenset({"(", ")", ",", ";", ":", "\\", "@"})
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
HEADS = frozenset({"def", "class"})
LONGEST_LINE = 4000  # no one's handwriting; longer ones are data, and cost a lexer too much
LEXER = PythonLexer()


@dataclass(frozen=True)
class Tokens:
    """One file: `symbols` are numbers of 64 bits that stand for its tokens; `starts` and `ends` say where in the text
    each of them lies."""

    symbols: NDArray[np.uint64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True)
class Lexeme:
    """A token as it is written, `depth` brackets deep. `first`: a logical line begins with it."""

    text: str
    kind: _TokenType
    at: int
    depth: int
    first: bool

    @property
    def named(self) -> bool:
        """Whether it is an identifier."""
        return self.kind in Name and self.text != "."


Statement = Sequence[Lexeme]


def tokens_of(text: str) -> Tokens:
    """A file's tokens. Whatever the text is, this gives something: at worst nothing."""
    lines = list(statements(list(lexemes_of(text))))
    names, attributes = bound(lines)
    kept: list[tuple[int, int, int]] = []
    for line in lines:
        kept += normal(line, names, attributes)
    return Tokens(
        np.array([number for number, _, _ in kept], dtype=np.uint64),
        np.array([start for _, start, _ in kept], dtype=np.int64),
        np.array([end for _, _, end in kept], dtype=np.int64),
    )


@lru_cache(maxsize=100_000)
def symbol(written: str) -> int:
    """The number that stands for a token, the same in every run."""
    return int.from_bytes(hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def lexemes_of(text: str) -> Iterator[Lexeme]:
    """What is written, without comments and blanks; lines that are too long for handwriting are left out."""
    lines = text.split("\n")
    if any(len(line) > LONGEST_LINE for line in lines):
        text = "\n".join(line if len(line) <= LONGEST_LINE else " " * len(line) for line in lines)
    depth, first = 0, True
    for at, kind, piece in LEXER.get_tokens_unprocessed(text):
        if kind in Comment:
            continue
        if kind in Text and not piece.strip():
            first = first or (depth == 0 and "\n" in piece)
            continue
        if piece in HEADS:  # what was left open above is a slip of that line's, not of the rest of the file
            depth, first = 0, True
        if kind in Punctuation and piece in CLOSING:
            depth = max(0, depth - 1)
        if kind in Name.Decorator and len(piece) > 1:
            yield Lexeme("@", Punctuation, at, depth, first)
            at, kind, piece, first = at + 1, Name, piece[1:], False
        yield Lexeme(piece, kind, at, depth, first)
        first = False
        if kind in Punctuation and piece in OPENING:
            depth += 1


def statements(lexemes: Sequence[Lexeme]) -> Iterator[Statement]:
    """Logical lines; the head of a function or class is one of its own."""
    line: list[Lexeme] = []
    for lexeme in lexemes:
        if line and (lexeme.first or (lexeme.text == ";" and lexeme.depth == 0)):
            yield line
            line = []
        line.append(lexeme)
        if lexeme.text == ":" and lexeme.depth == 0 and any(word.text in HEADS for word in line[:2]):
            yield line
            line = []
    if line:
        yield line


def bound(lines: Sequence[Statement]) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a file binds, and the attributes that it sets or defines."""
    names: set[str] = set()
    attributes: set[str] = set()
    for line in lines:
        if head := next((word.text for word in line[:2] if word.text in HEADS), ""):
            defined = next((word.text for word in line if word.kind in (Name.Function, Name.Class)), "")
            names.add(defined)
            attributes.add(defined)
            if head == "def":
                names |= {b.text for a, b in pairwise(line) if b.named and b.depth == 1 and a.text in ("(", ",", "*")}
            continue
        names |= imported(line) | introduced(line)
        for place in targets(line):
            (attributes if place and line[place - 1].text == "." else names).add(line[place].text)
    return frozenset(names), frozenset(attributes)


def imported(line: Statement) -> set[str]:
    """The names that an import binds."""
    words = [word.text for word in line]
    if not words or words[0] not in ("import", "from") or "import" not in words:
        return set()
    after = line[words.index("import") + 1 :]
    return {word.text for word in after if word.named}


def introduced(line: Statement) -> set[str]:
    """The names that ``for``, ``as``, ``lambda``, ``:=`` and ``global`` bind inside a line."""
    found: set[str] = set()
    until = ""  # the word at which a list of targets ends
    for place, word in enumerate(line):
        if word.text in ("for", "lambda", "as", "global", "nonlocal"):
            until = {"for": "in", "lambda": ":", "as": ":"}.get(word.text, "\n")
        elif word.text == until:
            until = ""
        elif word.named and (until or (place + 1 < len(line) and line[place + 1].text == ":=")):
            if line[place - 1].text not in (".", "="):
                found.add(word.text)
            if until == ":" and line[place - 1].text == "as":
                until = ""
    return found


def targets(line: Statement) -> Iterator[int]:
    """The places of the names that an assignment binds: all that stand before its last ``=``."""
    colon = annotation(line)
    ends = [place for place, word in enumerate(line) if assigns(line, place)]
    end = colon or max(ends, default=0)
    for place, word in enumerate(line[:end]):
        owner = place + 1 < len(line) and line[place + 1].text in (".", "[")
        if word.named and not owner:
            yield place


def annotation(line: Statement) -> int:
    """Where the colon of ``name: type`` or ``name: type = value`` stands; 0 if the line is none."""
    if not line or not line[0].named:
        return 0
    end = next((place for place in range(len(line)) if assigns(line, place)), len(line))
    return next((place for place, word in enumerate(line[:end]) if word.text == ":" and word.depth == 0), 0)


def assigns(line: Statement, place: int) -> bool:
    """Whether this is the ``=`` of an assignment; the lexer cuts ``<=`` in two."""
    word = line[place]
    compared = place > 0 and line[place - 1].text in ("<", ">") and line[place - 1].at + 1 == word.at
    return word.text == "=" and word.depth == 0 and not compared


def normal(line: Statement, names: frozenset[str], attributes: frozenset[str]) -> Iterator[tuple[int, int, int]]:
    """The tokens of a logical line: symbol, start and end."""
    if head := next((word for word in line[:2] if word.text in HEADS), None):
        yield symbol(head.text), head.at, line[-1].at + 1
        return
    if all(word.kind in Literal.String for word in line):  # documentation, or a remark
        return
    colon = annotation(line)
    value = next((place for place in range(len(line)) if assigns(line, place)), len(line))
    held: tuple[int, int, int] | None = None  # a string, which the lexer cuts into pieces
    braces = 0  # of a formatted one, whose content is a part of it
    for place, word in enumerate(line):
        end = word.at + len(word.text)
        if word.kind in Literal.String.Interpol:
            braces = max(0, braces + word.text.count("{") - word.text.count("}"))
        if braces or word.kind in Literal.String:
            held = (symbol(STRING), held[1] if held else word.at, end)
            continue
        if colon and colon <= place < value:
            continue
        if written := normal_word(line, place, names, attributes):
            if held:
                yield held
                held = None
            yield symbol(written), word.at, end
    if held:
        yield held


def normal_word(line: Statement, place: int, names: frozenset[str], attributes: frozenset[str]) -> str:
    """What a token counts as; empty if it is left out."""
    word = line[place]
    if word.kind in Literal.Number:
        return NUMBER
    if word.named:
        if keyword_argument(line, place):
            return ""
        known = attributes if place and line[place - 1].text == "." else names
        return NAME if word.text in known else word.text
    if word.text == "=" and place and keyword_argument(line, place - 1):
        return ""
    return "" if word.text in LEFT_OUT else word.text


def keyword_argument(line: Statement, place: int) -> bool:
    """Whether this is the name in ``name=value`` inside brackets: of a call, or a parameter with a default."""
    word = line[place]
    following = line[place + 1].text if place + 1 < len(line) else ""
    return word.depth > 0 and word.named and following == "=" and place > 0 and line[place - 1].text in ("(", ",")
