"""Moodle's download of an assignment: whose each item is stands in its name.

With folders (3.1 and later): ``Jane Doe_1234567_assignsubmission_file/a7.zip``, before 4.1 with another ``_`` at the
end of the folder's name. Without: ``Jane Doe_1234567_assignsubmission_file_a7.zip``, and what follows is the
student's own file name. Moodle turns every ``_`` of a name into a blank, so that the first one ends it. With blind
marking all are called Participant, in the language of whoever downloaded it; of teams the name and number are the
group's, and students in no group have a folder without a number. Before 4.1 each member of a team has a folder, with
the team's name and a hyphen before the member's. Beside ``file`` other plugins may have written, above all
``onlinetext``; what a grader has written lies under ``assignfeedback`` and is nobody's work.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from .archives import ending_of, without_ending
from .downloads import Download, Item, Piece, items_of, linked, others_in, put
from .names import printable, readable
from .people import Kind, Owner
from .trees import Tree

ITEM = re.compile(r"([^_]*)(?:_(\d+))?_assignsubmission_([a-z][a-z0-9]*)(?:_(.*))?", re.DOTALL)
FEEDBACK = re.compile(r"[^_]+(?:_\d+)?_assignfeedback_[a-z].*", re.DOTALL)
# what Moodle calls a student whose name is hidden, as file names have it
PARTICIPANTS = (
    "participant participante participant-e partecipante teilnehmer teilnehmerin deelnemer deltaker deltagare deltager "
    "osallistuja uczestnik účastník résztvevő katılımcı участник учасник 参加者 参与者 参与人 參與者 참가자"
)
PARTICIPANT = frozenset(PARTICIPANTS.split())
GROUP = re.compile(r"(group|team|groupe|gruppe|grupo|gruppo|groep|grupp|grupa|группа|小组|グループ)\b", re.IGNORECASE)
MEMBER = re.compile(r"\d-[^\W\d_]{2}")  # "Group 3-Bo Li", before 4.1
FILES = "file"
LONGEST = 250


@dataclass(frozen=True)
class Named:
    """What the name of an item says; `rest` is the student's own file name, or empty."""

    name: str
    id: str
    plugin: str
    rest: str


def parsed(item: str) -> Named | None:
    """What an item's name says; None if it is not one of Moodle's."""
    shown = readable(item)
    whole = ITEM.fullmatch(without_ending(shown))  # a folder that was packed up again
    packed = whole is not None and not whole[4] and ending_of(shown) != ""
    match = whole if packed else ITEM.fullmatch(shown)
    if match is None or not match[1].strip():
        return None
    rest = f"{match[3]}{ending_of(shown)}" if packed else match[4] or ""
    return Named(match[1].strip(), match[2] or "", match[3], rest)


def download(tree: Tree) -> Download | None:
    """The pieces of a download; None if most of a folder's items are not Moodle's."""
    found = [(item, content, named) for item, content in items_of(tree) if (named := parsed(item))]
    people = {(named.name, named.id) for _, _, named in found}
    feedback = [item for item, _ in items_of(tree) if FEEDBACK.fullmatch(readable(item))]
    if len(people) <= others_in(tree) - len(found) - len(feedback):
        return None
    result = Download("moodle", passed_over=[printable(item) for item in feedback])
    owners = owners_of(sorted(people))
    own: defaultdict[tuple[str, str], list[tuple[str, Item, Named]]] = defaultdict(list)
    for item, content, named in found:
        own[named.name, named.id].append((item, content, named))
    for person, items in own.items():
        result.pieces += pieces_of(owners[person], items)
    for item, content in items_of(tree):
        if parsed(item) is None and item not in feedback:
            put(result.rest, item, content)
    return result


def owners_of(people: list[tuple[str, str]]) -> dict[tuple[str, str], Owner]:
    """An owner for each name and number. A name that all of three or more have is that of nobody."""
    hidden = len(people) > 2 and len({name for name, _ in people}) == 1

    def kind(name: str, number: str) -> Kind:
        if hidden or not PARTICIPANT.isdisjoint({name.casefold(), name.casefold().rpartition("-")[2]}):
            return "anonymous"
        return "group" if not number or (GROUP.match(name) and not MEMBER.search(name)) else "person"

    return {(name, number): Owner(printable(name, LONGEST), number, "moodle", kind(name, number))
            for name, number in people}  # fmt: skip


def pieces_of(owner: Owner, items: list[tuple[str, Item, Named]]) -> list[Piece]:
    """What one owner handed in: a piece for every folder, and one for all loose files together."""
    pieces: list[Piece] = []
    loose = Piece(owner, "")
    for item, content, named in items:
        if named.plugin != FILES:
            continue
        if not named.rest and not hasattr(content, "read"):
            whole = content if isinstance(content, Tree) else linked(printable(item), str(content))
            pieces.append(Piece(owner, item, whole))
        else:
            put(loose.tree, named.rest or item, content)
            loose.origin = loose.origin or item
    count = len(loose.tree.files) + len(loose.tree.folders) + len(loose.tree.odd)
    if count:
        loose.origin += f" and {count - 1} more" if count > 1 else ""
        pieces.append(loose)
    others = sorted({named.plugin for _, _, named in items if named.plugin != FILES})
    if not pieces:
        pieces.append(Piece(owner, items[0][0]))
    said = ", ".join("an online text" if other == "onlinetext" else printable(other) for other in others)
    files = any(named.plugin == FILES for _, _, named in items)
    told = f"{said} was handed in too and was not read" if files else f"only {said} was handed in, which is not read"
    for piece in pieces if said else []:
        piece.problems.append(told)
    return pieces
