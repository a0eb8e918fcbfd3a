"""What reading a class gives: submissions, and what was found out about the class beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .people import Arrival, Owner

ALIASES = ("starter", "solution")


@dataclass(frozen=True)
class Submission:
    """Source text by module name; `problems` are sentences for the student about what was not read.

    `fault` says why nothing could be read if that is not the student's doing: then nothing is judged, and nothing lost.
    """

    name: str
    sources: Mapping[str, str]
    problems: Sequence[str] = ()
    aliases: Sequence[str] = field(default=ALIASES)
    fault: str = ""
    owner: Owner | None = None  # None: the name is all that is known
    arrival: Arrival = field(default_factory=Arrival)
    origin: str = ""  # where it lay, from the path that was given


@dataclass(frozen=True)
class Superseded:
    """Something that was handed in and does not count: `by` is the row that does, `why` a few words."""

    by: str
    origin: str
    why: str


@dataclass(frozen=True)
class Reading:
    """What the paths of a class stand for: a submission for everything handed in, and what was taken for something
    else (tables, reports of an earlier run). `archived` says that an archive was opened for any of it.

    `duplicates` are rows of different owners with the same text, `consulted` files that said something about the
    class, and `notes` sentences about the class as a whole.
    """

    submissions: Sequence[Submission]
    passed_over: Sequence[str] = ()
    archived: bool = False
    superseded: Sequence[Superseded] = ()
    duplicates: Sequence[Sequence[str]] = ()
    consulted: Sequence[str] = ()
    notes: Sequence[str] = ()
