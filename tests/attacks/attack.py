"""What an attack is: a text or a file that is handed in, the way in which it is run, and the oracle that judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .oracles import Oracle

KINDS: Mapping[str, str] = {
    "reading": "reading what is not theirs",
    "writing": "changing what is not theirs",
    "processes": "other processes, and outliving the check",
    "network": "reaching out",
    "notes": "notes between a submission's own processes",
    "limits": "using more than is allowed",
    "replies": "answers that are none",
    "ending": "ending the class",
    "archives": "what is handed in, and how",
    "reports": "texts that reports and terminals would obey",
    "helping": "helping itself to what the worker has",
    "learning": "full marks without learning",
}
Place = Literal["check", "import"]
Passage = Literal["training to encoding", "encoding to decoding", "check to check"]


@dataclass(frozen=True)
class Inside:
    """Code in the worker: `body` defines ``attack(bait)``, which returns what it has got hold of.

    It runs in a check's process, and once more while the submission is imported.
    """

    body: str
    places: tuple[Place, ...] = ("check", "import")
    seconds: float = 5.0  # for the call
    most: float = 0  # how far it may come: it prints "came to N" on its way, which is our text and believed


@dataclass(frozen=True)
class Notes:
    """`body` defines ``leave(secret, bait)`` and ``find(bait)``, which run in two processes of one submission."""

    body: str
    passages: tuple[Passage, ...] = ("training to encoding", "encoding to decoding", "check to check")
    bystander: str = ""  # another module of the submission, which a note may be written into
    digits: int = 32  # of the secret; a short one is told apart from other numbers by ``note=`` before it
    one_folder: bool = False  # whether the control runs both in one folder, as a grader without boxes does


@dataclass(frozen=True)
class Forged:
    """An answer that the grader has not asked for: `body` defines ``attack(forge)``; `forge` sends a frame's header."""

    body: str


@dataclass(frozen=True)
class Graded:
    """A submission for the checks that `checks` names; `without` is the same one without the attack.

    Both replace modules of the handed-out files, or of the reference where `on` says so.
    """

    sources: Mapping[str, str]
    checks: tuple[str, ...]
    without: Mapping[str, str] = field(default_factory=dict)
    on: Literal["starter", "solution"] = "starter"
    trained: bool = False  # whether these checks train; what they earn without the attack is then nothing


@dataclass(frozen=True)
class Member:
    """Something that lies in the folder of a class, beside the work of others: ``put(folder, bait)`` writes it there.

    `naive` says what a grader without a thought would do with it, by which the oracle is shown to be able to fail.
    """

    put: Callable[[Path, Mapping[str, Any]], None]
    naive: Literal["unpack", "render", "obey"] = "obey"
    most: float = 0  # bytes that the grader itself may take for it


Way = Inside | Notes | Forged | Graded | Member


@dataclass(frozen=True)
class Attack:
    """One attack. `open_on` says for each box that it is known to get through why that is so."""

    name: str
    kind: str
    says: str  # what it does, in plain words
    oracle: Oracle
    way: Way
    open_on: Mapping[str, str] = field(default_factory=dict)
    dangerous: bool = False  # may do damage where nothing stops it: only where the machine can be thrown away
    once: bool = False  # on the strongest box only: the box makes no difference to it, and it takes long
    sample: bool = False  # one of those that `make test` runs
