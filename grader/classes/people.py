"""Whose a submission is and when it came, as far as the system that collected it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

System = Literal["", "moodle", "canvas", "gradescope"]
Kind = Literal["person", "group", "anonymous"]


@dataclass(frozen=True)
class Owner:
    """A student, or several that hand in together.

    `id` is the system's own number of the participant, user or group, as text, and empty where a plain folder says
    nothing. Gradescope numbers submissions, not people: there it is the student's number (``sid``), else the address,
    and of a group those of its members. `also` holds what else is known: ``email``, ``sid``, ``login``, ``group``,
    ``section`` (the part of the class), ``submission`` (Gradescope's folder), ``submitted`` (a time without its zone,
    as the system's table says it), and ``apart`` where two owners have one number.
    """

    name: str
    id: str = ""
    system: System = ""
    kind: Kind = "person"
    also: Mapping[str, str] = field(default_factory=dict)
    members: tuple[Owner, ...] = ()

    @property
    def key(self) -> str:
        """What tells this owner from all others of one class: never a name alone where there is a number."""
        if not self.id:
            section = self.also.get("section", "")
            return f"name:{section}/{self.name}" if section else f"name:{self.name}"
        apart = self.also.get("apart", "")
        return f"{self.system}:{self.kind}:{self.id}" + (f":{apart}" if apart else "")


def row_name(owner: Owner) -> str:
    """What a row and its folder are called: never the name alone where there is a number."""
    return f"{owner.name}_{owner.id}" if owner.id else owner.name


@dataclass(frozen=True)
class Arrival:
    """When it came. `at` knows its time zone, or is None; `late` is what the system itself says, None if nothing."""

    at: datetime | None = None
    late: bool | None = None
