"""Canvas's download of an assignment: loose files, ``doejane_12345_67890_a7.zip``.

First the name to sort by, in small letters and without what is no letter or digit, then ``LATE`` if it was, the user's
number, the attachment's number and the file's own name. Several files of one user are one submission. What is handed in
again under one name gets a number, ``a7-1.zip``, and a greater attachment number. With hidden names there is ``anon``
and a short code; an online text or link has no attachment: ``doejane_12345_text.html``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .archives import ending_of, without_ending
from .downloads import Download, Item, Piece, items_of, others_in, put
from .names import DATE, printable, readable
from .people import Arrival, Owner
from .trees import Clock, Entry, Tree

ANONYMOUS = re.compile(r"(LATE_)?anon(_LATE)?_([0-9A-Za-z]+)_(?:(\d+)_(.+)|(?:text|link)\.html)", re.DOTALL)
TEXT = re.compile(r"(.+?)(_LATE)?_(\d+)_(?:text|link)\.html", re.DOTALL)
AGAIN = re.compile(r"(.+)-(\d{1,3})", re.DOTALL)  # of a file that was handed in again
YEAR = re.compile(r"(?:19|20)\d\d")
LONGEST = 250
SURE = 3  # digits of numbers that are taken for Canvas's where there is only one file to see


@dataclass(frozen=True)
class Named:
    """What a file's name says. `attachment` is 0 and `rest` empty for an online text or link."""

    name: str
    id: str
    late: bool
    attachment: int
    rest: str
    anonymous: bool = False

    @property
    def person(self) -> tuple[str, str]:
        """Whose it is."""
        return self.name, self.id


def readings(item: str) -> list[Named]:
    """What an item's name may say, the likeliest first; nothing if it is not one of Canvas's.

    A group's name may end in a number, ``group_3``, and a file's own name may begin with one.
    """
    shown = readable(item)
    if match := ANONYMOUS.fullmatch(shown):
        late = bool(match[1] or match[2])
        return [Named("anon", match[3], late, int(match[4] or 0), match[5] or "", True)]
    if match := TEXT.fullmatch(shown):
        return [Named(match[1], match[3], bool(match[2]), 0, "")]
    words = shown.split("_")
    numbers = [word.isascii() and word.isdigit() for word in words]
    first = next((at for at in range(1, len(words) - 2) if numbers[at] and numbers[at + 1]), None)
    if first is None:
        return []
    found = []
    for at in (first, first + 1):
        if at + 2 < len(words) and numbers[at] and numbers[at + 1]:
            late = words[at - 1] == "LATE" and at > 1
            name = "_".join(words[: at - late])
            found.append(Named(name, words[at], late, int(words[at + 1]), "_".join(words[at + 2 :])))
    return [one for one in found if one.name and one.name == one.name.lower() and one.rest]


def download(tree: Tree) -> Download | None:
    """The pieces of a download; None if most of a folder's items are not Canvas's, or contradict each other."""
    possible = {item: found for item, _ in items_of(tree) if (found := readings(item))}
    named = chosen(possible)
    people = {one.person for one in named.values()}
    if len(people) <= others_in(tree) - len(named) or not consistent(list(named.values())):
        return None
    result = Download("canvas")
    own: defaultdict[tuple[str, str], list[tuple[str, Item, Named]]] = defaultdict(list)
    for item, content in items_of(tree):
        if item in named:
            own[named[item].person].append((item, content, named[item]))
        else:
            put(result.rest, item, content)
    result.pieces = [piece_of(items) for items in own.values()]
    return result


def chosen(possible: dict[str, list[Named]]) -> dict[str, Named]:
    """What each name says, where it may say two things: the one that is like the names that say only one."""
    sure = [found[0] for found in possible.values() if len(found) == 1 and found[0].attachment]
    first = {item: found[0] for item, found in possible.items()}
    unsure = {item: found for item, found in possible.items() if len(found) > 1}
    if not unsure:
        return first
    if sure:
        users, attachments = ({len(one.id) for one in sure}, {len(str(one.attachment)) for one in sure})

        def like(one: Named) -> bool:
            return min(users) <= len(one.id) <= max(users) and (
                min(attachments) <= len(str(one.attachment)) <= max(attachments)
            )

        return first | {item: next(filter(like, found), found[0]) for item, found in unsure.items()}
    second = first | {item: found[1] for item, found in unsure.items()}
    # group_1, group_2 …: all of one name, while the other reading tells them apart
    alike = len({one.name for one in first.values()}) == 1 and len({one.id for one in first.values()}) > 1
    return second if alike and consistent(list(second.values())) else first


def consistent(found: Sequence[Named]) -> bool:
    """Whether these can be Canvas's numbers: a user has one name, an attachment one user, and neither is a date."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    users: defaultdict[int, set[str]] = defaultdict(set)
    for one in found:
        names[one.id].add(one.name)
        if one.attachment:
            users[one.attachment].add(one.id)
    if not found or any(len(several) > 1 for several in (*names.values(), *users.values())):
        return False
    if all(not one.anonymous and (YEAR.fullmatch(one.id) or DATE.fullmatch(one.id)) for one in found):
        return False
    return len(found) > 1 or (len(found[0].id) >= SURE and len(str(found[0].attachment)) >= SURE)


def piece_of(items: Sequence[tuple[str, Item, Named]]) -> Piece:
    """All that one user handed in."""
    files = sorted((one for one in items if one[2].attachment), key=lambda one: one[2].attachment)
    latest = (files or items)[-1][2]
    owner = Owner(printable(latest.name, LONGEST), latest.id, "canvas", "anonymous" if latest.anonymous else "person")
    more = f" and {len(items) - 1} more" if len(items) > 1 else ""
    piece = Piece(owner, f"{items[0][0]}{more}", arrival=Arrival(late=latest.late), order=latest.attachment)
    there = {named.rest for _, _, named in files}
    for _, content, named in files:  # the newest comes last and takes the place of the others
        name = own_name(named.rest, there)
        before = {**piece.tree.files, **piece.tree.folders, **piece.tree.odd}.get(name)
        if before is not None and isinstance(content, Entry) and isinstance(before, Entry):
            piece.problems.append(f"{printable(name)} was handed in more than once: the last one, "
                                  f"{printable(named.rest)}, counts")  # fmt: skip
        put(piece.tree, name, dated(content, named.attachment))
    if len(files) < len(items):
        piece.problems.append("an online text or link was handed in too and was not read" if files else
                              "only an online text or link was handed in, which is not read")  # fmt: skip
    return piece


def own_name(rest: str, there: set[str]) -> str:
    """A file's name before Canvas numbered it. No module has a name like ``vae-1``, but an archive may: there the
    number is taken for Canvas's only where the file without it lies beside."""
    ending = ".py" if rest.casefold().endswith(".py") else rest[len(without_ending(rest)) :]
    match = AGAIN.fullmatch(rest[: len(rest) - len(ending)]) if ending else None
    if match is None:
        return rest
    base = match[1] + ending
    return base if not ending_of(rest) or base in there else rest


def dated(item: Item, attachment: int) -> Item:
    """A file with its place among all that came in."""
    return replace(item, clock=Clock("order", float(attachment))) if isinstance(item, Entry) else item
