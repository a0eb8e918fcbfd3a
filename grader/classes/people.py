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

    `id` is the system's own number of the participant, user, group or submission, as text, and empty where a plain
    folder says nothing. `also` holds what else is known: ``email``, ``sid``, ``group``.
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
        return f"{self.system}:{self.kind}:{self.id}" if self.id else f"name:{self.name}"


@dataclass(frozen=True)
class Arrival:
    """When it came. `at` knows its time zone, or is None; `late` is what the system itself says, None if nothing."""

    at: datetime | None = None
    late: bool | None = None
