"""Gradescope's export of submissions: numbered folders, and a table in YAML that says whose they are.

``submission_metadata.yml`` has the symbols of Ruby for keys: ``submission_123:`` with ``:submitters:`` (``:name``,
``:sid``, ``:email``; several in a group) and ``:created_at``. It is read as text only: no tag makes an object and no
number loses a zero.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

import yaml

from .archives import MAX_TABLE, is_archive, without_ending
from .downloads import Download, Item, Piece, items_of, linked, others_in, put
from .names import DATE, printable
from .people import Arrival, Owner
from .trees import Budget, Entry, IngestError, Tree

METADATA = ("submission_metadata.yml", "submission_metadata.yaml")
FOLDER = re.compile(r"submission_\d+")
NUMBER = re.compile(r"submission_(\d{5,})")  # what only Gradescope calls folders, even without the table
MAX_NESTING = 40
MOST_NAMED = 3
LONGEST = 250
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T|\s+)(\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)", re.IGNORECASE
)


class Unreadable(Exception):
    """The table cannot be read: says why."""


def download(tree: Tree) -> Download | None:
    """The pieces of an export; None for any other folder."""
    name = next((name for name in METADATA if name in tree.files), None)
    folders = {item: content for item, content in items_of(tree) if FOLDER.fullmatch(folder_of(item, content))}
    if not folders or (name is None and not sure(tree, [folder_of(*item) for item in folders.items()])):
        return None
    result = Download("gradescope", consulted=[name] if name is not None else [])
    table: dict[str, Any] = {}
    if name is None:
        result.notes.append(
            f"{METADATA[0]} is missing: nothing says whose the folders are, download them again with it"
        )
    else:
        try:
            table = read_table(tree.files[name])
        except (Unreadable, IngestError) as error:
            why = printable(str(error), 300)
            result.notes.append(f"{name} cannot be read ({why}): nothing says whose the folders are")
    for item, content in items_of(tree):
        if item in folders:
            folder = folder_of(item, content)
            result.pieces.append(piece_of(folder, item, content, table.get(folder)))
        elif item != name:
            put(result.rest, item, content)
    there = {folder_of(item, content) for item, content in folders.items()}
    for folder in sorted(folder for folder in table if FOLDER.fullmatch(folder) and folder not in there):
        piece = piece_of(folder, folder, Tree(), table[folder])
        piece.fault = f"{name} lists {folder}, and no such folder is there: download the submissions again"
        result.pieces.append(piece)
    result.notes += tell_several(result.pieces)
    return result


def folder_of(item: str, content: Item) -> str:
    """The name by which the table knows an item, which may have been packed up again."""
    return without_ending(item) if isinstance(content, Entry) and is_archive(item) else item


def sure(tree: Tree, folders: list[str]) -> bool:
    """Whether a folder without the table is an export all the same: nothing but long numbers that are no dates."""
    numbers = [match[1] for folder in folders if (match := NUMBER.fullmatch(folder)) and not DATE.fullmatch(match[1])]
    return len(numbers) == len(folders) == others_in(tree) > 1


def read_table(entry: Entry) -> dict[str, Any]:
    """The table by folder, every scalar as text. Raises Unreadable and IngestError."""
    data = entry.read(MAX_TABLE, Budget())
    if len(data) > MAX_TABLE:
        raise Unreadable(f"it is larger than {MAX_TABLE >> 20} MB")
    try:
        text = data.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=LOADER):  # before anything is built, which takes a call for every level
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_NESTING:
                raise Unreadable(f"it nests more than {MAX_NESTING} levels")
        found = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Unreadable(" ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise Unreadable("it is no table of submissions")
    return {key: value for key, value in found.items() if isinstance(key, str)}


def value_of(table: Any, key: str) -> Any:
    """A value under a key of Ruby's, or under the same without its colon; empty text where there is none."""
    if not isinstance(table, dict):
        return ""
    value = table.get(f":{key}", table.get(key, ""))
    return "" if value is None else value


def text_of(table: Any, key: str) -> str:
    """The same if it is text: blanks at its ends, and what YAML writes for nothing, are nothing."""
    value = value_of(table, key)
    text = printable(value.strip(), LONGEST) if isinstance(value, str) else ""
    return "" if text.casefold() in ("~", "null") else text


def piece_of(folder: str, item: str, content: Item, about: Any) -> Piece:
    """A folder of the export with what the table says of it."""
    submitters = value_of(about, "submitters")
    people = [owner for one in submitters if (owner := person(one, folder))] if isinstance(submitters, list) else []
    if not people:
        owner = Owner(folder, "", "gradescope", "anonymous", {"submission": folder})
        problems = [f"nothing says whose {folder} is: it is graded under the folder's name"]
    else:
        owner, problems = (people[0] if len(people) == 1 else group_of(people, folder)), []
    tree = content if isinstance(content, Tree) else Tree()
    if isinstance(content, Entry):
        put(tree, item, content)
    elif isinstance(content, str):
        tree = linked(printable(item), content)
    return Piece(owner, item, tree, Arrival(time_of(value_of(about, "created_at"))), problems=problems)


def person(table: Any, folder: str) -> Owner | None:
    """One submitter; None where not even a name or number is given."""
    name, sid, email = (text_of(table, key) for key in ("name", "sid", "email"))
    if not (name or sid or email):
        return None
    known = {"email": email, "sid": sid, "submission": folder}
    also = {key: value for key, value in known.items() if value}
    return Owner(name or email or sid, sid or email.casefold() or folder, "gradescope", also=also)


def group_of(people: list[Owner], folder: str) -> Owner:
    """Several that handed in together. Their numbers are the group's: it has none of its own."""
    more = f" and {len(people) - MOST_NAMED} more" if len(people) > MOST_NAMED else ""
    name = ", ".join(one.name for one in people[:MOST_NAMED]) + more
    number = "+".join(sorted({one.id for one in people}))
    return Owner(name, number, "gradescope", "group", {"submission": folder}, tuple(people))


def tell_several(pieces: list[Piece]) -> list[str]:
    """Says, there and of the class, who is in several submissions of different groups: which mark counts is open."""
    places: defaultdict[str, list[Piece]] = defaultdict(list)
    names: dict[str, str] = {}
    for piece in pieces:
        for one in piece.owner.members or (piece.owner,):
            if one.id:
                places[one.id].append(piece)
                names[one.id] = one.name
    notes = []
    for number, several in places.items():
        if len({piece.owner.key for piece in several}) > 1:
            where = ", ".join(piece.owner.also["submission"] for piece in several)
            told = f"{names[number]} is in several submissions of different groups ({where}): decide which one counts"
            notes.append(told)
            for piece in several:
                piece.problems.append(told)
    return notes


def time_of(value: Any) -> datetime | None:
    """A point in time; None where there is none, or none with its zone. A time of Ruby's own kind holds one in UTC."""
    if isinstance(value, dict):
        inner = value.get("utc")
        return time_of(f"{inner} UTC" if isinstance(inner, str) and not inner.strip().endswith("Z") else inner)
    match = TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    zone = "+00:00" if match[4].upper() in ("Z", "UTC") else match[4]
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}.{(match[3] or '0')[:6]:0<6}{zone}")
    except ValueError:  # no such day, hour or zone
        return None
