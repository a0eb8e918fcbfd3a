"""What all engines share: how parts go in, and how results come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

Part = TypeVar("Part")
Result_co = TypeVar("Result_co", covariant=True)


class Refused(Exception):
    """A worker does not do a part, and says why: another has to."""


class Engine(Protocol[Part, Result_co]):
    """Runs parts, several at a time, in any order.

    It is made with a function of a part and of something to tell what it has by then. What is told is heard where
    `results` are read, as soon as the engine can: an engine that cannot loses more when everything is killed.
    """

    def submit(self, part: Part) -> None:
        """Adds a part, also while `results` are read."""

    def results(self) -> Iterator[tuple[Part, Result_co | None]]:
        """Parts as they are finished, with what came out; None for one whose process died twice.

        A generator that is closed early (Ctrl-C, say) ends what is in hand and leaves no process behind.
        """
