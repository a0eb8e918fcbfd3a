"""What a folder or archive stands for: one submission, or several that lie side by side.

Who owns what is decided by names and content together. Several folders or archives that hold the assignment's files are
several submissions unless their names are ordinary ones of an assignment ("a7", "old", "starter"): marks that go to the
wrong owner are worse than a row too many.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from .archives import ending_of, is_archive, without_ending
from .names import ordinary, words_of
from .trees import Entry, Tree

# tables and pages about a class lie beside what it handed in; they are nobody's work
RECORDS = (".csv", ".tsv", ".xlsx", ".xls", ".ods", ".json", ".yml", ".yaml", ".toml", ".log")
REPORTS = frozenset({"gradebook.csv", ".a7-reports"})  # in a folder that an earlier run has written
# a folder of these alone is part of a submission, not somebody's
ASSETS = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pt", ".pth", ".ckpt", ".npz", ".npy", ".safetensors",
          ".pkl", ".csv", ".json", ".log", ".gz", ".bin", ".ubyte", ".idx")  # fmt: skip
HANDED_IN = (".py", ".ipynb", ".pyw", ".pyc")
MAX_WRAPPERS = 3
DOWNLOAD = re.compile(
    r".+-.+-\d{2,}|assignment_\d+_export|.*(?:submissions?|download|moodle|eclass|canvas|gradescope).*", re.IGNORECASE
)
SECTION = re.compile(
    r"(?:.*[\W_])?(?:(?:sec|sect|section|lab|lec|lecture|tut|tutorial|sem|seminar|class|cohort|discussion|recitation|rec|"
    r"workshop|session|stream|track|block)[\W_]*(?:[a-z]?\d{1,3}|[a-z])"
    r"|(?:mon|tues?|wednes|thurs?|fri|satur|sun)day(?:[\W_].*)?)",
    re.IGNORECASE,
)


def modules_in(tree: Tree, modules: Collection[str]) -> list[str]:
    """The assignment's modules that lie directly in a folder."""
    return [module for module in modules if f"{module}.py" in tree.files]


def usable(tree: Tree, modules: Collection[str]) -> bool:
    """Whether a folder holds any of the modules, or an archive that may, at any depth."""
    return any(modules_in(sub, modules) or any(map(is_archive, sub.files)) for _, sub in tree.walk())


def assets_only(tree: Tree) -> bool:
    """Whether a folder holds data and pictures, and nothing that could be a try at the assignment."""
    names = [name for _, sub in tree.walk() for name in sub.files]
    return bool(names) and all(name.casefold().endswith(ASSETS) for name in names)


def is_report_folder(tree: Tree, modules: Collection[str]) -> bool:
    """Whether an earlier run has written here."""
    return not REPORTS.isdisjoint(tree.files) and not modules_in(tree, modules)


def is_record(name: str) -> bool:
    """Whether a file in a class folder is about the class."""
    folded = name.casefold()
    hidden = folded.startswith(".") and not folded.endswith(HANDED_IN) and not ending_of(name)
    return folded.endswith(RECORDS) or hidden or folded.startswith("readme")


def is_handed_out(name: str) -> bool:
    """Whether a folder or archive is called as a system calls what it hands out."""
    return DOWNLOAD.fullmatch(stem(name) if ending_of(name) else name) is not None


def is_downloads_name(name: str) -> bool:
    """Whether a folder or archive that looks like a download is called like one, or in words that say nothing."""
    return is_handed_out(name) or ordinary(stem(name) if ending_of(name) else name) or is_section(name)


def is_section(name: str) -> bool:
    """Whether a folder or archive is called like a part of a class, "sec1", "lab A", "tuesday": nobody's name."""
    return SECTION.fullmatch(stem(name) if ending_of(name) else name) is not None


def stem(name: str) -> str:
    """A file's name without its ending."""
    return without_ending(name) if ending_of(name) else name.rpartition(".")[0] or name


def levels(tree: Tree, name: str) -> Iterator[tuple[Tree, set[str], str]]:
    """A folder and, while it holds nothing but another one, that; with the words that they are called by, and names."""
    words = words_of(name)
    yield tree, words, name
    for _ in range(MAX_WRAPPERS):
        if len(tree.folders) != 1 or tree.odd or any(not is_record(name) for name in tree.files):
            return
        [(name, tree)] = tree.folders.items()
        words = words | words_of(name)
        yield tree, words, name


def whole_class(tree: Tree, modules: Collection[str], name: str) -> Tree | None:
    """The folder whose items are a class, for one called `name` on the command line; None for one submission."""
    for level, known, own in levels(tree, name):
        if is_class(level, modules, known) or (is_section(own) and owners_in(level, modules, known)):
            return level
    return None


def owners_in(tree: Tree, modules: Collection[str], known: Collection[str] = ()) -> list[str]:
    """The folders and archives of a section that are somebody's: in a folder of modules, none."""
    if modules_in(tree, modules):
        return []
    folders = [name for name, sub in tree.folders.items() if usable(sub, modules) and not ordinary(name, known)]
    return folders + [name for name in tree.files if is_archive(name) and not ordinary(stem(name), known)]


def sections_in(tree: Tree, modules: Collection[str]) -> list[str]:
    """The folders that are parts of a class, if all that hold work are."""
    ready = [name for name, sub in tree.folders.items() if usable(sub, modules)]
    parts = [name for name in ready if is_section(name) and section(tree.folders[name], modules, name) is not None]
    return parts if len(parts) == len(ready) and not modules_in(tree, modules) else []


def section(tree: Tree, modules: Collection[str], name: str) -> Tree | None:
    """The folder whose items are submissions, for a part of a class; None if it is called otherwise or holds none."""
    levelled = levels(tree, name) if is_section(name) else ()
    return next((level for level, known, _ in levelled if owners_in(level, modules, known)), None)


def group(tree: Tree, modules: Collection[str], name: str) -> Tree | None:
    """The folder whose items are submissions, for what lies in a class as if it were one; None if it is one."""
    return next((level for level, known, _ in levels(tree, name) if is_group(level, modules, known)), None)


def lone_archive(tree: Tree, modules: Collection[str]) -> tuple[str, Entry] | None:
    """The only archive that is opened in a folder without modules: what it holds is what the folder stands for."""
    found: list[tuple[str, Entry]] = []
    for _, sub in tree.walk():
        if modules_in(sub, modules):
            return None
        found += [(name, entry) for name, entry in sub.files.items() if is_archive(name)]
    return found[0] if len(found) == 1 else None


def is_class(tree: Tree, modules: Collection[str], known: Collection[str]) -> bool:
    """Whether the items of a folder that was named on the command line are submissions, readable or not.

    `known` are the words of the folder's own name, which say nothing about another owner.
    """
    if is_group(tree, modules, known) or sections_in(tree, modules):
        return True
    if here := len(modules_in(tree, modules)):  # a lone file beside somebody's folder of several
        others = [sub for name, sub in tree.folders.items() if not ordinary(name, known)]
        return here == 1 and any(len(modules_in(below, modules)) > 1 for sub in others for _, below in sub.walk())
    if any(ending_of(name) and not ordinary(stem(name), known) for name in tree.files):
        return True
    folders = {name: sub for name, sub in tree.folders.items() if not is_report_folder(sub, modules)}
    people = [name for name, sub in folders.items() if not ordinary(name, known) and not assets_only(sub)]
    ready = [name for name, sub in folders.items() if usable(sub, modules)]
    if ready and not set(ready) & set(people):  # a submission whose files lie one folder down
        return False
    loose = [name for name in tree.files if name.casefold().endswith(HANDED_IN) or ending_of(name)]
    links = [name for name in tree.odd if not name.endswith(".py")]
    others = [name for name in (*(loose if people else ()), *links) if not ordinary(stem(name), known)]
    return len(people) + len(others) >= 2 or (not people and bool(others))


def is_group(tree: Tree, modules: Collection[str], known: Collection[str]) -> bool:
    """Whether what looks like one submission is several: two or more folders or archives that are somebody's.

    Archives count only where no folder of an ordinary name holds the work: beside that they may be anything.
    """
    ready = [name for name, sub in tree.folders.items() if usable(sub, modules)]
    folders = [name for name in ready if not ordinary(name, known)]
    archives = [name for name in tree.files if is_archive(name) and not ordinary(stem(name), known)]
    here = len(modules_in(tree, modules))
    if here:  # a submission with other folders beside its files, unless it is somebody's lone file in a class
        return here == 1 and len(folders) >= 2
    return len(folders) >= 2 or (len(ready) == len(folders) and len(folders) + len(archives) >= 2)
