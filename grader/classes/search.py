"""Where the downloads of systems lie among what was given: a folder that is one, or those in which some lie.

A student may hand in whatever looks like a download. It counts only where a person who grades has put it: where it is
called like one, or where most of what lies beside it is one, too.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .archives import MAX_CLASS, archive_tree, file_source, is_archive, nested_source
from .downloads import Download, Item, is_work, items_of
from .layout import is_downloads_name, is_handed_out, is_record, is_report_folder, is_section, modules_in, stem
from .names import ordinary
from .paths import Given, existing
from .systems import may_belong, recognised
from .trees import Budget, Entry, IngestError, Tree, file_entry, folder_tree

MAX_GROUPS = 3  # classes within classes
MAX_OTHERS = 10  # items beside downloads after which a folder is looked at no longer


@dataclass
class Part:
    """An item of a folder in which downloads lie; `tree` is what one of them holds, None for any other item."""

    item: str
    content: Item
    tree: Tree | None
    budget: Budget


def opened(item: str, content: Item, modules: Collection[str], budget: Budget) -> Tree | None:
    """What a folder or archive holds; None for other files, and for what cannot be opened."""
    if isinstance(content, Tree):
        return content if content.trouble is None else None
    if not isinstance(content, Entry) or not is_archive(item):
        return None
    try:
        return archive_tree(nested_source(item, content, budget, MAX_CLASS), modules, budget)
    except IngestError:
        return None  # said when it is read


def holds_downloads(tree: Tree, modules: Collection[str], depth: int = 1) -> bool:
    """Whether a folder is a download, or one in which downloads lie."""
    return recognised(tree) is not None or bool(parts_of(tree, modules, depth))


def parts_of(tree: Tree, modules: Collection[str], depth: int = 1) -> list[Part]:
    """The items of a folder in which downloads lie (one, or one for every section); none for any other folder."""
    if depth > MAX_GROUPS or modules_in(tree, modules):
        return []
    parts: list[Part] = []
    others = 0
    alike = False  # whether somebody's work is called like a download, too
    for item, content in items_of(tree):
        budget = Budget()
        inside = opened(item, content, modules, budget)
        ours = inside is not None and is_report_folder(inside, modules)
        if inside is not None and not ours and holds_downloads(inside, modules, depth + 1):
            parts.append(Part(item, content, inside, budget))
            continue
        parts.append(Part(item, content, None, budget))
        others += not ours and is_work(item, content) and not ordinary(stem(item)) and not is_section(item)
        alike |= inside is not None and not ours and is_handed_out(item)
        if others > MAX_OTHERS and not any(part.tree for part in parts):
            return []
    trusted = sum(part.tree is not None for part in parts) > others
    for part in parts:
        if not trusted and (alike or not is_downloads_name(part.item)):
            part.tree = None
    return parts if any(part.tree is not None for part in parts) else []


def part_beside(item: str, content: Item, modules: Collection[str]) -> Part:
    """An item beside a download, which may hold the same download again."""
    budget = Budget()
    inside = opened(item, content, modules, budget)
    again = inside is not None and holds_downloads(inside, modules)
    return Part(item, content, inside if again else None, budget)


def is_download(real: Path, modules: Collection[str], skip: Path | None) -> bool:
    """Whether a path holds a download. Raises IngestError."""
    if real.is_dir():
        tree = folder_tree(real, skip)
    elif is_archive(real.name) and real.is_file():
        tree = archive_tree(file_source(real), modules, Budget())
    else:
        return False
    return holds_downloads(tree, modules)


def are_downloads(given: Sequence[Given], modules: Collection[str], skip: Path | None) -> bool:
    """Whether what looks like a download among the paths counts as one: it is the only path, or most of them do."""
    downloads = others = 0
    for one in given if len(given) > 1 else ():
        try:
            found = is_download(existing(one.path), modules, skip)
        except IngestError:
            continue
        downloads += found
        others += not found and not is_record(one.path.name)
        if others > downloads + MAX_OTHERS:
            return False
    return len(given) == 1 or downloads > others


def spread_out(given: Sequence[Given], skip: Path | None) -> Iterator[tuple[list[Given], Download]]:
    """The paths that are items of one download, with that: a shell makes such paths of class/*."""
    lying = {one: os.path.dirname(os.path.realpath(one.path)) for one in given}
    for parent in dict.fromkeys(parent for one, parent in lying.items() if may_belong(one.path.name)):
        own = {one.path.name: one for one, where in lying.items() if where == parent}
        tree = Tree()
        for name, one in own.items():
            if one.path.is_dir():
                tree.folders[name] = listed_or_not(one.path, skip)
            elif one.path.is_file():
                tree.files[name] = file_entry(one.path)
        if (download := recognised(tree)) is not None:
            taken = {item for item, _ in items_of(tree)} - {item for item, _ in items_of(download.rest)}
            download.rest = Tree()  # read as any other path
            yield [one for name, one in own.items() if name in taken], download


def listed_or_not(folder: Path, skip: Path | None) -> Tree:
    """A real folder, or the trouble with it."""
    try:
        return folder_tree(folder, skip)
    except IngestError as error:
        return Tree(trouble=error)
