"""What a class costs: quick checks of distinct submissions, in boxes, by one command; and by plain pytest processes.

Usage: ``python -m tests.class_cost [--quick] [--size N] [--box NAME]``, which `make bench` runs; the figures go to
``docs/bench.json``. All ways have the same cores and follow each other within one run, with their start-up.

A submission is the reference with a line of its own in every file, so that all cost the same and none is known from
another. A plain process judges one submission with the same checks inside itself, without box, time limit or report.

* ``local_s``, ``dask_s``, ``plain_s``: of wall time for one submission
* ``plain_over_local``: how many submissions are done in the time of one in a plain process
* ``cores_used``: time in which the machine's cores were busy, over wall time and cores: processes that die with their box
  are in no parent's account, so that the whole machine is asked, on which nothing else should run
* ``lane_mib``: the most that a lane has in memory, with the boxes that it keeps; what processes share counts once
* ``own_cpu_s``, ``dask_own_cpu_s``: what the first process itself uses for one submission: it keeps the store and writes the
  reports, and Dask's scheduler runs in it
* ``disk_kib``: store and reports, for one submission
* ``late_over_early``: what checks take in the last ten submissions, over the first ten
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from grader.author.bench import FILE
from grader.author.starter import ROOT
from grader.grading.plan import cores
from grader.report.write import put
from grader.rubric import MODULES

SIZE, ALONE = 20, 3  # submissions of a class, and of plain processes for each core
ENDS = 10  # submissions at either end of a class that are compared
LOOK_SECONDS = 2.0  # a look at the memory of all processes takes a while itself
PLAIN = """
import os
from pathlib import Path

import pytest

from grader.classes.ingest import read_submission
from grader.rubric import CHECKS, MODULES
from tests.nearby import judged

QUICK = [check for check in CHECKS if check.kind != "trained"]


@pytest.fixture(scope="module")
def outcomes():
    return judged(read_submission(Path(os.environ["SUBMISSION"]), MODULES).sources, QUICK, seed=3)


@pytest.mark.parametrize("name", [check.id for check in QUICK])
def test_check(outcomes, name):
    assert outcomes[name].status == "passed", outcomes[name].message
"""
# what each figure should be at least, and at most
GOALS = {"plain_over_local": (3.0, None), "cores_used": (0.9, None), "lane_mib": (None, 1.2e9 / 2**20),
         "late_over_early": (0.95, 1.05), "dask_over_local": (None, 1.1)}  # fmt: skip


def environment() -> dict[str, str]:
    """One thread for each process, as in grading."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def make_class(folder: Path, size: int) -> None:
    """Submissions of a class, a folder for each."""
    for number in range(size):
        own = folder / f"student{number:04}"
        own.mkdir(parents=True)
        for module in MODULES:
            text = (ROOT / "solution" / f"{module}.py").read_text()
            (own / f"{module}.py").write_text(f"{text}\n# handed in by number {number}\n")


def resident(process: psutil.Process) -> int:
    """Bytes of a process and all below it; what several of them share counts once."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


def lanes(process: psutil.Process) -> list[psutil.Process]:
    """Processes that work on parts: neither the box that is tried first, nor what keeps the others' names."""
    return [one for one in process.children() if any("spawn_main" in word for word in one.cmdline())]


@dataclass
class Seen:
    """Of a run, from outside: the most bytes that a lane has had, and what the first process used since lanes were there."""

    most: int = 0
    before: float | None = None
    own_s: float = 0.0

    def look(self, process: psutil.Process) -> None:
        """Once."""
        found = lanes(process)
        if found:
            used = sum(process.cpu_times()[:2])
            self.before = used if self.before is None else self.before
            self.own_s = used - self.before
            self.most = max(self.most, *map(resident, found))


class Ran(NamedTuple):
    """A command that has ended."""

    wall_s: float
    busy_s: float  # of all cores of the machine meanwhile
    seen: Seen


def busy_seconds() -> float:
    """For how long the machine's cores have been at work, added up."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


@contextlib.contextmanager
def watched(process: psutil.Process) -> Iterator[Seen]:
    """What is seen of it, filled meanwhile."""
    seen, over = Seen(), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            with contextlib.suppress(psutil.Error):
                seen.look(process)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def run(arguments: Sequence[str]) -> Ran:
    """A Python process with all its children. Raises CalledProcessError."""
    began, busy = time.perf_counter(), busy_seconds()
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    with watched(psutil.Process(process.pid)) as seen:
        process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Ran(time.perf_counter() - began, busy_seconds() - busy, seen)


def grade(folder: Path, out: Path, box: str, *options: str) -> Ran:
    """A class by one command."""
    return run(["-m", "grader", "grade", str(folder), "--no-trained", "--box", box, "--seed", "3", "--jobs",
                str(cores()), "--out", str(out), *options])  # fmt: skip


def plain(folders: Sequence[Path], scratch: Path) -> float:
    """Wall seconds of a pytest process for each submission, as many at a time as there are cores."""
    file = scratch / "test_plain.py"
    file.write_text(PLAIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull,
               "--rootdir", str(scratch), str(file)]  # fmt: skip

    def one(folder: Path) -> None:
        subprocess.run(command, cwd=ROOT, env={**environment(), "SUBMISSION": str(folder)}, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    began = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(one, folders))
    return time.perf_counter() - began


def took(out: Path) -> list[float]:
    """Seconds that the checks of each submission took, in the order in which they were done.

    Raises RuntimeError where the reference has lost anything: what was measured then is something else.
    """
    files = sorted(out.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    reports = [json.loads(path.read_text()) for path in files]
    if lost := [report["submission"] for report in reports if report["score"] < report["judged_points"]]:
        raise RuntimeError(f"the reference loses points: {', '.join(lost)}")
    return [report["duration_s"] for report in reports]


def measure(size: int, box: str, alone: int) -> dict[str, float]:
    """The figures of one round."""
    with tempfile.TemporaryDirectory(prefix="a7-class-") as name:
        scratch = Path(name)
        make_class(scratch / "class", size)
        folders = sorted((scratch / "class").iterdir())[: alone * cores()]
        ours = grade(scratch / "class", scratch / "local", box)
        plain_s = plain(folders, scratch) / len(folders)
        dask = grade(scratch / "class", scratch / "dask", box, "--engine", "dask")
        checks, _ = took(scratch / "local"), took(scratch / "dask")
        stored = sum(file.stat().st_size for file in (scratch / "local").rglob("*") if file.is_file())
    ends = min(ENDS, size // 2)
    found = {
        "size": float(size), "cores": float(cores()), "local_s": ours.wall_s / size, "local_cpu_s": ours.busy_s / size,
        "plain_s": plain_s, "dask_s": dask.wall_s / size, "plain_over_local": plain_s / (ours.wall_s / size),
        "dask_over_local": dask.wall_s / ours.wall_s, "cores_used": ours.busy_s / ours.wall_s / cores(),
        "lane_mib": ours.seen.most / 2**20, "own_cpu_s": ours.seen.own_s / size, "dask_own_cpu_s": dask.seen.own_s / size,
        "disk_kib": stored / size / 2**10,
        "late_over_early": statistics.median(checks[-ends:]) / statistics.median(checks[:ends]),
    }  # fmt: skip
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def misses(figures: dict[str, float]) -> list[str]:
    """Which figures are not what they should be, in words."""
    found = []
    for name, (least, most) in GOALS.items():
        if least is not None and figures[name] < least:
            found.append(f"{name} is {figures[name]:g}, less than {least:g}")
        if most is not None and figures[name] > most:
            found.append(f"{name} is {figures[name]:g}, more than {most:.4g}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures; says which of them miss their goals."""
    parser = argparse.ArgumentParser(prog="python -m tests.class_cost")
    parser.add_argument("--quick", action="store_true", help="a small class, and nothing is written")
    parser.add_argument("--size", type=int, default=SIZE, help="submissions of the class")
    parser.add_argument("--box", default="auto", help="a backend by name")
    options = parser.parse_args(argv)
    figures = measure(2 * cores(), options.box, 1) if options.quick else measure(options.size, options.box, ALONE)
    print("\n".join(f"{name:>20} {value:g}" for name, value in figures.items()))
    print("\n".join(misses(figures)))
    if not options.quick:
        content = json.loads(FILE.read_text())
        content["class"] = figures
        put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
