"""Imports the submission from memory, whatever name the student's files use for one another."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

PACKAGE = "submission"


class NeverImported(BaseException):
    """The import of a file does not end, or ends the process. A BaseException: `except Exception` does not hide it."""


class SubmissionFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Serves ``submission.vae`` from source text, and ``vae``, ``starter.vae``, ``solution.vae`` as the same module.

    Students write ``from .gaussians import f`` or ``from gaussians import f``; both must reach one module object.
    The text never touches the disk, so no check can change what the next one imports.
    """

    def __init__(
        self, sources: Mapping[str, str], aliases: Sequence[str], blocked: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.sources = dict(sources)
        self.aliases = set(aliases)
        self.blocked = dict(blocked)  # files whose import hung or died once, and how: it is not tried again

    def _target(self, fullname: str) -> str | None:
        head, _, rest = fullname.partition(".")
        if head == PACKAGE or head in self.aliases:
            return PACKAGE + (f".{rest}" if rest else "")
        return f"{PACKAGE}.{fullname}" if fullname in self.sources else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = self._target(fullname)
        if name is None or (name != PACKAGE and name.removeprefix(PACKAGE + ".") not in self.sources):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=self.filename(name), is_package=name == PACKAGE)

    @staticmethod
    def filename(name: str) -> str:
        return f"{name.removeprefix(PACKAGE + '.')}.py"

    def get_source(self, fullname: str) -> str:
        return self.sources.get(fullname.removeprefix(PACKAGE + "."), "")

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.get_source(fullname), self.filename(fullname), "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return fullname == PACKAGE

    def exec_module(self, module: ModuleType) -> None:
        name = self._target(module.__name__)
        if name is not None and name != module.__name__:
            sys.modules[module.__name__] = importlib.import_module(name)
            return
        if (known := module.__name__.removeprefix(PACKAGE + ".")) in self.blocked:
            raise NeverImported(f"{known}.py {self.blocked[known]}")
        module.__file__ = self.filename(module.__name__)
        exec(self.get_code(module.__name__), module.__dict__)

    def install(self) -> None:
        """Makes the submission importable, and tracebacks and `inspect` able to show its lines."""
        for name, text in self.sources.items():
            filename = self.filename(name)
            linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        sys.meta_path.insert(0, self)


def execute(text: str, names: dict[str, Any], module: str) -> None:
    """Runs a definition that the grader lends, among those that it has lent before, as if it stood in `module`."""
    names["__name__"] = module
    exec(compile(text, "<lent>", "exec", dont_inherit=True), names)


def forget(aliases: Sequence[str], sources: Mapping[str, str]) -> None:
    """Drops the submission's modules: what is imported from now on is new, and sees what has been replaced."""
    for prefix in (PACKAGE, *aliases):
        for name in [found for found in sys.modules if found == prefix or found.startswith(f"{prefix}.")]:
            del sys.modules[name]
    for name in sources:
        sys.modules.pop(name, None)
