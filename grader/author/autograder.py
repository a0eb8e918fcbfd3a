"""Makes Gradescope's autograder: ``dist/autograder.zip``, which grades there what is handed in there.

In it are the grader, the reference (which decides whose fault it is where a check stumbles), what the platform starts
(``setup.sh``, ``run_autograder``), and how much is run (``settings.env``, and ``course.toml`` if one is given: weights,
visibility, lateness). `export --to gradescope` makes another one, which shows what was graded elsewhere.

Usage: ``python -m grader.author.autograder [--config course.toml] [--out FILE]``.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..cli.options import UsageError
from ..cli.settings import read_settings
from ..report.packing import packed
from .starter import ROOT

HERE = Path(__file__).with_name("gradescope")
EXECUTABLE = frozenset({"setup.sh", "run_autograder"})
FOLDERS = ("grader", "solution", "starter")
LEFT_OUT = frozenset({"__pycache__", "author"})  # of these


def autograder(config: Path | None = None) -> dict[str, bytes]:
    """Every file of the autograder by its path in the zip. Raises UsageError where the configuration has mistakes."""
    files: dict[str, bytes] = {path.name: path.read_bytes() for path in sorted(HERE.iterdir())}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and LEFT_OUT.isdisjoint(path.relative_to(ROOT).parts):
                files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for name in ("checksums.json", "label_subsets.json"):
        files[f"data/{name}"] = (ROOT / "data" / name).read_bytes()
    files["constraints.txt"] = (ROOT / "constraints.txt").read_bytes()
    files["requirements.txt"] = requirements()
    if config is not None:
        files |= configured(config)
    return dict(sorted(files.items()))


def requirements() -> bytes:
    """What grading needs, a line each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return "".join(f"{line}\n" for line in project["dependencies"]).encode()


def configured(config: Path) -> Mapping[str, bytes]:
    """The configuration, and the table of extensions that it names beside it. Raises UsageError."""
    read_settings(config)  # every mistake is said here, and not on the platform
    late = tomllib.loads(config.read_text(encoding="utf-8-sig")).get("late", {})
    beside = late.get("extensions")
    found = {"course.toml": config.read_bytes()}
    return found | ({beside: (config.parent / beside).read_bytes()} if beside else {})


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the zip."""
    parser = argparse.ArgumentParser(
        prog="python -m grader.author.autograder", description="Makes Gradescope's autograder."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="weights, visibility and lateness, in TOML")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "autograder.zip", metavar="FILE")
    options = parser.parse_args(argv)
    try:
        files = autograder(options.config)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    content = packed(files, EXECUTABLE)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(content)
    print(f"{options.out}: {len(files)} files, {len(content) >> 10} kB; upload it as the assignment's autograder")
    return 0


if __name__ == "__main__":
    sys.exit(main())
