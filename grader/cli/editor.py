"""A pytest plugin: in a student's folder ``pytest`` finds the public quick checks, question by question.

An editor's test panel shows them under the file and at the line of the function that they ask about. What judges them
is what `check` runs. Everywhere else, in the kit's own tests too, this does nothing: which folders it is about is found
out once, from what pytest was asked to look at, and without any of them nothing more of the grader is imported.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from .arguments import MODULE_NAMES
from .marks import KINDS, SEED, marker_of, question_words
from .options import LARGEST_SEED, QUESTION_NAMES

NAME = "grader.cli.editor"
FILES = frozenset(f"{module}.py" for module in MODULE_NAMES)
ENOUGH = len(FILES) - 2  # so many of the assignment's files make a folder a student's
FOLDERS = pytest.StashKey[frozenset[Path]]()


class Entry:
    """What the installed package names to pytest: it takes the module, unless ``-p grader.cli.editor`` has."""

    def pytest_addoption(self, pluginmanager: pytest.PytestPluginManager) -> None:
        """The first hook that is called."""
        module = sys.modules[NAME]
        if not pluginmanager.is_registered(module):
            pluginmanager.register(module, NAME)


ENTRY = Entry()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    group = parser.getgroup("a7", "assignment 7, in a student's folder")
    group.addoption("--a7-seed", type=int, metavar="N", help="seed of everything that is drawn (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    """Finds out whether there is anything to do here."""
    config.stash[FOLDERS] = folders = frozenset(students_folders(config))
    if not folders:
        return
    given = config.getoption("--a7-seed")
    if given is not None and not 0 <= given <= LARGEST_SEED:
        raise pytest.UsageError(f"--a7-seed {given}: a seed is a whole number from 0 to {LARGEST_SEED}")
    shared = getattr(config, "workerinput", {}).get("a7_seed")  # of pytest-xdist: all its processes draw the same
    config.stash[SEED] = next((s for s in (given, shared) if s is not None), secrets.randbelow(2**31))
    for kind, words in KINDS.items():
        config.addinivalue_line("markers", f"{kind}: {words}")
    for name in QUESTION_NAMES:
        config.addinivalue_line("markers", f"{marker_of(name)}: checks of {question_words(name)}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist starts a process."""
    if SEED in node.config.stash:
        node.workerinput["a7_seed"] = node.config.stash[SEED]


def students_folders(config: pytest.Config) -> Iterator[Path]:
    """Those that pytest was asked about by name, or is started in; in a student's copy of the kit, those beside it."""
    for argument in config.args:
        path = (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        folder = path if path.is_dir() else path.parent
        if is_students(folder):
            yield folder
    root = config.rootpath.resolve()
    asked = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    if root in asked and (root / "grader" / "rubric").is_dir() and not (root / "solution").is_dir():
        yield from (folder.resolve() for folder in sorted(root.iterdir()) if is_students(folder))


def is_students(folder: Path) -> bool:
    """Whether nearly all of the assignment's files lie there."""
    return sum((folder / name).is_file() for name in FILES) >= ENOUGH


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A student's folder is no package here: nothing of it is imported into this process."""
    return pytest.Dir.from_parent(parent, path=path) if path in parent.config.stash[FOLDERS] else None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """The checks of a file, and nothing else of it, whatever pytest's own settings say."""
    found = yield
    if file_path.name in FILES and file_path.parent in parent.config.stash[FOLDERS]:
        from .items import StudentFile

        return [StudentFile.from_parent(parent, path=file_path)]
    return found


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """What these are, and how to draw the same again."""
    if not config.stash[FOLDERS]:
        return []
    from .items import CheckItem

    count = sum(isinstance(item, CheckItem) for item in items)
    words = "public checks of assignment 7; hidden and trained ones are not run here"
    return [f"a7: {count} {words} (--a7-seed {config.stash[SEED]} draws the same again)"] if count else []


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what was started."""
    if config.stash.get(FOLDERS, None):
        from .items import close_panels

        close_panels(config)
