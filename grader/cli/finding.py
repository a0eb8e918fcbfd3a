"""Who and what is meant: a student or a check by any of the names they go by, and nobody by guessing.

Capitals, accents and spaces say nothing. A name that several go by is answered with all of them, an unknown one with
those that are nearest to it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from ..check.declaration import Check
from ..classes.ingest import Submission
from ..classes.people import Owner
from ..report.names import folder_name
from ..report.printable import name_of
from .options import UsageError

T = TypeVar("T")
MOST_SHOWN = 8
ALIKE = 0.6  # how alike two names are that may be meant for each other (difflib's measure)
KNOWN_BY = ("email", "sid", "login", "sis")  # of what a system says of somebody, what is theirs alone
# letters that Unicode does not take for others with an accent
LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d", "ħ": "h"})


class Student(NamedTuple):
    """Somebody in a run folder: `key` and `names` are what they may be called, `folder` is that of their report."""

    key: str
    folder: str
    names: tuple[str, ...]
    shown: str


def student(key: str, submission: Submission) -> Student:
    """A submission as somebody who can be named."""
    folder = folder_name(submission.name)
    names = [submission.name, folder, name_of(submission.name), name_of(key)]  # as they are, and as they are shown
    owner = submission.owner
    if owner is not None:
        names += [name for one in (owner, *owner.members) for name in names_of(one)]
    return Student(key, folder, tuple(dict.fromkeys(name for name in names if name)), shown(key, submission))


def names_of(owner: Owner) -> Iterator[str]:
    """What one person or group goes by."""
    yield from (owner.name, owner.id, *(owner.also.get(what, "") for what in KNOWN_BY))


def shown(key: str, submission: Submission) -> str:
    """A submission on one line, with all that tells it from another of the same name."""
    owner = submission.owner
    known = [f"id {owner.id}" if owner.id else "", owner.also.get("email", "")] if owner is not None else []
    places = [f"folder {folder_name(submission.name)}" if folder_name(submission.name) != submission.name else ""]
    more = "; ".join(name_of(text) for text in (*known, *places, f"key {key}") if text)
    return f"{name_of(submission.name)} ({more})"


def folded(text: str) -> str:
    """What two spellings of one name share."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(LETTERS))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def find_student(wanted: str, everybody: Sequence[Student]) -> Student:
    """The one who is meant. Raises UsageError where that is nobody, or more than one."""
    for one in everybody:
        if one.key == wanted:
            return one
    found: list[Student] = []
    for alike in (str, folded):  # who is called just that comes before those who are nearly
        found = found or [one for one in everybody if alike(wanted) in map(alike, (one.key, *one.names))]
    path = re.fullmatch(r"(?:.*[/\\])?([^/\\]+)[/\\]+|.*[/\\]([^/\\]+)", wanted)
    if path is not None:  # a folder, as a shell completes it
        for alike in (str, folded):
            found = found or [one for one in everybody if alike(path[1] or path[2]) == alike(one.folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{name_of(wanted)!r} may be any of {len(found)}; name one of them by id or key:\n"
            + listed(one.shown for one in found)
        )
    near = nearest(wanted, everybody, lambda one: one.names)
    hint = (
        f"; the nearest are:\n{listed(one.shown for one in near)}" if near else "; python -m grader show DIR lists all"
    )
    raise UsageError(f"nobody here is called {name_of(wanted)!r}{hint}")


def find_check(wanted: str, checks: Sequence[Check], others: Iterable[str] = ()) -> str:
    """The id of the check that is meant, by all of it or a beginning that no other has. `others` are ids of checks that
    the rubric no longer holds. Raises UsageError."""
    name = folded(wanted)
    ids = [*(check.id for check in checks), *others]
    found = [one for one in ids if one == name] or [one for one in ids if one.startswith(name) and name]
    if len(found) == 1:
        return found[0]
    worth = {check.id: f"{check.id} ({check.points:g}): {check.title}" for check in checks}
    if found:
        raise UsageError(
            f"{name_of(wanted)!r} may be any of {len(found)} checks; name one of them:\n"
            + listed((worth.get(one, one) for one in found), len(found))
        )
    near = nearest(wanted, checks, lambda check: (check.id, check.id.partition(".")[2], check.title))
    hint = f"; the nearest are:\n{listed(worth[check.id] for check in near)}" if near else ""
    raise UsageError(f"no check is called {name_of(wanted)!r}{hint}")


def nearest(wanted: str, known: Sequence[T], names: Callable[[T], Iterable[str]]) -> list[T]:
    """Those whose names are most like what was typed, or have one of its words."""
    name = folded(wanted)
    words = {word for word in re.findall(r"\w+", name) if len(word) > 2}
    scored: list[tuple[float, int, T]] = []
    for place, one in enumerate(known):
        best = 0.0
        for other in map(folded, names(one)):
            likeness = difflib.SequenceMatcher(None, name, other).ratio()
            shares = words & set(re.findall(r"\w+", other)) or (len(name) > 2 and name in other)
            best = max(best, likeness, ALIKE * (1 + likeness) if shares else 0.0)
        if best >= ALIKE:
            scored.append((-best, place, one))
    return [one for _, _, one in sorted(scored, key=lambda found: found[:2])[:MOST_SHOWN]]


def listed(lines: Iterable[str], most: int = MOST_SHOWN) -> str:
    """A line each, and how many more there are."""
    every = list(lines)
    more = [f"  and {len(every) - most} more"] if len(every) > most else []
    return "\n".join([*(f"  {line}" for line in every[:most]), *more])
