"""Picks the assignment's modules out of what one student handed in, and says what was left out and why."""

from __future__ import annotations

import difflib
import hashlib
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .archives import archive_tree, ending_of, is_archive, nested_source
from .decoding import Undecodable, decode, newer_syntax
from .layout import group, modules_in
from .names import printable
from .trees import MAX_FILE, Budget, Clock, DiskError, IngestError, Tree, newest

# handed out complete; not read, and nothing to mention
GIVEN = ("__init__.py", "checkpoints.py", "data.py", "recipes.py", "train.py", "visualize.py")
MAX_ARCHIVES, MAX_NESTING = 10, 2  # inside one submission
MAX_HOMES = 40
MAX_NAMED = 20
MAX_GUESSED, MAX_GUESSED_NAME = 2000, 200
UNFINISHED = "raise NotImplementedError("
COPY = re.compile(r"^copy of |[\s_.-]*(\(\d+\)|copy( ?\d+)?|final|new|v?\d+)$")
WRONG_ENDINGS = (".txt", ".py", ".pyw", ".pyc", ".py3", ".ipynb", ".md", ".bak", ".orig", ".doc", ".docx",
                 ".rtf", ".html")  # fmt: skip
CLOSE = 0.85  # of two names, one with a slip of the keyboard
Place = tuple[str, ...]
Shelf = tuple[Place, Tree, int, Clock | None]  # a folder, the archives around it, and the time of the outermost


@dataclass(frozen=True)
class Home:
    """A folder with modules of the assignment."""

    path: Place
    tree: Tree
    modules: Sequence[str]
    nesting: int  # archives around it
    clock: Clock | None  # of the archive that it lies in
    changed: int  # so many modules are not as they were handed out


@dataclass
class Chosen:
    """Source text by module, sentences about what was not read, and the folder that the modules come from."""

    sources: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    folder: str = ""


def digest(text: str) -> str:
    """The same for two texts that differ in line ends, spaces at the ends of lines and empty lines at the end only."""
    lines = "\n".join(line.rstrip() for line in text.splitlines()).rstrip()
    return hashlib.sha256(lines.encode()).hexdigest()


def starter_digests(folder: Path, modules: Sequence[str]) -> frozenset[str]:
    """Digests of the modules as handed out, of those that are there."""
    paths = [folder / f"{module}.py" for module in modules]
    return frozenset(digest(path.read_text(encoding="utf-8")) for path in paths if path.is_file())


def choose(
    tree: Tree, name: str, modules: Sequence[str], starter: Collection[str], budget: Budget, owned: bool = False
) -> Chosen:
    """The modules of the submission called `name`; `owned` says that all of it is one owner's, whatever folders are
    called. Raises IngestError if the ones to read cannot be."""
    chosen = Chosen()
    places: list[Shelf] = [(path, sub, 0, None) for path, sub in tree.walk()]
    homes = homes_in(places, modules, starter, budget)
    if not any(len(home.modules) == len(modules) and home.changed for home in homes):
        inside = list(opened(tree, None if owned else name, modules, budget, chosen.problems))
        homes += homes_in(inside, modules, starter, budget)
        places += inside
    if homes:
        ages = ages_of(homes)
        homes.sort(key=lambda h: (not h.changed, -len(h.modules), -h.changed, h.nesting, ages[h.path],
                                  len(h.path), h.path))  # fmt: skip
        read_home(homes[0], chosen, budget)
        chosen.problems += beside(homes)
    else:
        chosen.problems.append("none of the expected files was found: submit the folder that holds "
                               + ", ".join(f"{m}.py" for m in modules))  # fmt: skip
    chosen.problems += remarks(homes[0] if homes else None, [(path, sub) for path, sub, _, _ in places], modules)
    return chosen


def homes_in(places: Sequence[Shelf], modules: Sequence[str], starter: Collection[str], budget: Budget) -> list[Home]:
    """The folders with modules of the assignment."""
    found = [(len(here), here, shelf) for shelf in places if (here := modules_in(shelf[1], modules))]
    found.sort(key=lambda home: -home[0])
    return [
        Home(path, sub, here, nesting, clock, changed(sub, here, starter, budget))
        for _, here, (path, sub, nesting, clock) in found[:MAX_HOMES]
    ]


def ages_of(homes: Sequence[Home]) -> dict[Place, float]:
    """Less for what is newer, by the archives that folders lie in; all the same where their times do not compare."""
    clocks = {home.path: home.clock for home in homes if home.nesting}
    kinds = {clock.kind if clock is not None else "" for clock in clocks.values()}
    comparable = len(kinds) == 1
    return {home.path: -home.clock.at if comparable and home.clock is not None else 0.0 for home in homes}


def changed(tree: Tree, modules: Sequence[str], starter: Collection[str], budget: Budget) -> int:
    """How many modules of a folder are not as they were handed out; one that cannot be read is not, either."""
    count = 0
    for module in modules:
        try:
            text = decode(tree.files[f"{module}.py"].read(MAX_FILE, budget)) if starter else ""
        except (IngestError, Undecodable):
            text = ""
        count += not (UNFINISHED in text and digest(text) in starter)
    return count


def opened(
    tree: Tree, owner: str | None, modules: Sequence[str], budget: Budget, problems: list[str], above: Place = (),
    nesting: int = 1, outer: Clock | None = None,
) -> Iterator[Shelf]:  # fmt: skip
    """The folders inside the archives of a submission. What cannot be opened becomes a sentence, and so does what seems
    to hold the work of others than `owner`; None: it is known whose all of it is."""
    found = [(path, name) for path, sub in tree.walk(above) for name in sorted(sub.files) if ending_of(name)]
    folders = dict(tree.walk(above))
    readable = [(path, name) for path, name in found if is_archive(name)]
    for path, name in readable[:MAX_ARCHIVES]:
        shown = "/".join((*path, name))
        try:
            content = archive_tree(nested_source(shown, folders[path].files[name], budget), modules, budget)
        except DiskError:
            raise
        except IngestError as error:
            problems.append(str(error))
            continue
        # whose marks these would be, nobody can say
        if owner is not None and group(content, modules, f"{owner} {shown}") is not None:
            problems.append(f"{printable(shown)} holds the work of several people and was not read")
            continue
        given = folders[path].files[name].clock
        clock = outer or (given if given is not None and given.kind == "order" else newest(content))
        for below, sub in content.walk((*path, name)):
            yield below, sub, nesting, clock
        if nesting < MAX_NESTING:
            yield from opened(content, owner, modules, budget, problems, (*path, name), nesting + 1, clock)
    others = [place for place in found if place not in readable[:MAX_ARCHIVES] and wrong_archive(place[1])]
    problems += [f"{shown_path(path, name)} was not opened: pack the folder as .zip and resubmit"
                 for path, name in others[:MAX_NAMED]]  # fmt: skip


def wrong_archive(name: str) -> bool:
    """Whether a file that is not opened may hold a submission; a single compressed file is mostly data."""
    return ending_of(name) not in (".gz", ".bz2", ".xz", ".lzma", ".zst")


def read_home(home: Home, chosen: Chosen, budget: Budget) -> None:
    """Reads the modules of the folder that was chosen. Raises IngestError for damage."""
    chosen.folder = home.path[-1] if home.path else ""
    for module in home.modules:
        name = f"{module}.py"
        entry = home.tree.files[name]
        content = entry.read(MAX_FILE, budget)
        if len(content) > MAX_FILE:
            chosen.problems.append(f"{name} is larger than {MAX_FILE} bytes and was not read")
            continue
        try:
            chosen.sources[module] = text = decode(content)
        except Undecodable as error:
            said, colon, remedy = str(error).partition(":")
            chosen.problems.append(f"{name} {said} and was not read{colon}{remedy}")
            continue
        if entry.copies > 1:
            chosen.problems.append(f"{name} is in the archive {entry.copies} times: the last one was read")
        if newer := newer_syntax(text):
            chosen.problems.append(f"{name} is written for Python 3.12 or newer ({newer}), and Python "
                                   f"{sys.version_info[0]}.{sys.version_info[1]} runs it here")  # fmt: skip


def beside(homes: Sequence[Home]) -> list[str]:
    """Which folder was read, if there was a choice."""
    if len(homes) < 2:
        return []
    others = [f"{shown_path(home.path)}{'' if home.changed else ' (as handed out)'}" for home in homes[1:]]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return [f"read from {shown_path(homes[0].path)}, not from {', '.join(others[:5])}{more}"]


def shown_path(path: Place, name: str = "") -> str:
    """A place in a submission, for a sentence."""
    return printable("/".join((*path, name)) if name else "/".join(path) + "/" if path else "the top folder")


def remarks(home: Home | None, places: Sequence[tuple[Place, Tree]], modules: Sequence[str]) -> list[str]:
    """What is missing, what may be meant instead, and what was not read."""
    said: list[str] = []
    missing = [module for module in modules if home is None or module not in home.modules]
    if home is not None and missing:
        said.append("missing: " + ", ".join(f"{module}.py" for module in missing))
    if missing:
        # the folder that was read comes first, so that a slip in it is named before a copy elsewhere
        ordered = sorted(places, key=lambda place: home is None or place[0] != home.path)
        files = [(path, name) for path, tree in ordered for name in sorted(tree.files)][:MAX_GUESSED]
        guesses: dict[str, tuple[Place, str]] = {}
        for path, name in files:
            if guess := meant(name, modules):
                guesses.setdefault(guess, (path, name))
        for module in missing:
            said += instead(module, home, ordered, guesses.get(module))
        notebooks = [shown_path(path, name) for path, name in files if name.casefold().endswith(".ipynb")
                     and (path, name) not in guesses.values()]  # fmt: skip
        if notebooks:
            said.append(f"a notebook is not read ({', '.join(notebooks[:3])}): put the code into the .py files")
    extra = [name for name in sorted(home.tree.files) if name.endswith(".py") and name not in GIVEN
             and name.removesuffix(".py") not in modules] if home is not None else []  # fmt: skip
    if extra:
        said.append("not read, because only the files of the assignment are: "
                    + ", ".join(printable(name) for name in extra[:MAX_NAMED])
                    + (f" and {len(extra) - MAX_NAMED} more" if len(extra) > MAX_NAMED else "")
                    + " (move what you need into the file that uses it)")  # fmt: skip
    return said


def instead(
    module: str, home: Home | None, places: Sequence[tuple[Place, Tree]], guess: tuple[Place, str] | None
) -> list[str]:
    """For a missing module: a link of that name, one in another folder, a file that may be meant."""
    name = f"{module}.py"
    if links := [(path, tree) for path, tree in places if name in tree.odd]:
        path, tree = links[0]
        return [f"{shown_path(path, name)} is {tree.odd[name]} and was not read: hand in the file itself"]
    elsewhere = [path for path, tree in places if name in tree.files]
    if elsewhere and home is not None and (guess is None or guess[0] != home.path):
        return [f"{shown_path(elsewhere[0], name)} was not read: put all files into one folder"]
    if guess is None:
        return []
    path, other = guess
    kind = "a notebook, which is not read" if other.casefold().endswith(".ipynb") else "no file of the assignment"
    return [f"{shown_path(path, other)} is {kind}: did you mean {name}?"]


def meant(name: str, modules: Sequence[str]) -> str:
    """The module that a file is a copy, a misspelling or another kind of; empty for other files."""
    rest = name.casefold()
    if len(name) > MAX_GUESSED_NAME or name.removesuffix(".py") in modules or name in GIVEN:
        return ""
    while rest.endswith(WRONG_ENDINGS):
        rest = rest.rpartition(".")[0]
    if rest == name.casefold():
        return ""
    plain = {module.replace("_", ""): module for module in modules}
    key = re.sub(r"[\s_-]", "", rest)
    for _ in range(3):
        if key in plain:
            return plain[key]
        rest = COPY.sub("", rest).strip()
        key = re.sub(r"[\s_-]", "", rest)
    near = difflib.get_close_matches(key, plain, 1, CLOSE)
    return plain[near[0]] if near else ""
