"""How large the pages are: ``python -m tests.page_sizes``, which `make bench` runs; the figures go to ``docs/bench.json``.

One report is real, the reference's with all its pictures on digits; what nobody hopes for, and large classes, are made up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from grader.author.bench import FILE
from grader.author.starter import ROOT
from grader.report.folder import PAGE
from grader.report.pages import classroom, student
from grader.report.write import put

from .made_reports import a_class, all_wrong

CLASSES = (30, 300)


def measure() -> dict[str, float]:
    """Kilobytes of each page. Raises subprocess.CalledProcessError if the reference is not graded."""
    with tempfile.TemporaryDirectory() as out:
        command = ["grade", "solution", "--dataset", "digits", "--box", "none", "--out"]
        subprocess.run(
            [sys.executable, "-m", "grader", *command, out],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        sizes = {"report_with_pictures": Path(out, "solution", "report.html").stat().st_size}
        sizes["class_of_1"] = Path(out, PAGE).stat().st_size
    sizes["report_all_wrong"] = len(student.render(all_wrong()).encode())
    sizes |= {f"class_of_{size}": len(classroom.render(a_class(size)).encode()) for size in CLASSES}
    return {f"{name}_kb": round(size / 1000, 1) for name, size in sizes.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures."""
    argparse.ArgumentParser(prog="python -m tests.page_sizes").parse_args(argv)
    figures = measure()
    print("\n".join(f"{name:>24} {value:g}" for name, value in figures.items()))
    content = json.loads(FILE.read_text())
    content["pages"] = figures
    put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
