"""``python -m tests.killed --times 200``: graders that are killed with -9 at random moments, and what resuming makes of it.

A class is graded once undisturbed. Then graders of the same class are killed at random moments, one after the other on
the same folder, until one of them ends by itself; its gradebook, its reports and its store must be those of the
undisturbed run. Every grader is a fork of this process, which has imported everything already: so the moments lie where
verdicts are made and reports are written, and not in the seconds that importing PyTorch and trying the box take.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from grader.boundary.box import Observation
from grader.cli import boxes
from grader.cli import commands as commands  # a fork would else import each of them for itself
from grader.cli.main import main as grader
from grader.report.folder import PAGE, STORE, STORE_FILES

from .conftest import ROOT

REFERENCE = (ROOT / "solution" / "gaussians.py").read_text()
WRONG = REFERENCE + "\n_kl = kl_divergence\ndef kl_divergence(mu, logvar):\n    return 2 * _kl(mu, logvar)\n"
STUDENTS = {
    "ann": REFERENCE, "bob": WRONG, "cy": REFERENCE, "eve": "def kl_divergence(mu, logvar:\n",
}  # fmt: skip
AHEAD = 0.25  # of the moments lie before a grader's first verdict: most of that is starting workers
JOBS = (1, 1, 2)  # of the graders, drawn: each lane beyond the first has PyTorch to import
TIME = re.compile(rb'<td class="number time".*?</td>')  # in the page about the class
RUN = ("--question", "2", "--no-trained", "--seed", "3", "--box", "none", "--unsafe-no-box")


def make_class(folder: Path) -> Path:
    """A class of small submissions: right, wrong, the same again, not to be read in two ways.

    Every other text would cost each grader another worker, most of which is importing PyTorch."""
    for name, text in STUDENTS.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "gaussians.py").write_text(text)
    (folder / "gil.zip").write_bytes(b"PK no zip")
    return folder


def start(arguments: Sequence[str], log: Path) -> int:
    """A grader in a process of its own, which leads its own group; what it prints goes to `log`. Returns its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(to, 1)
        os.dup2(to, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = grader(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(child: int, seconds: float | None = None) -> int | None:
    """The exit code of a grader; None if it is still at work after so many seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        found, status = os.waitpid(child, 0 if until is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def kill(child: int, everything: bool) -> None:
    """With -9: the grader alone, whose workers notice, or all of its processes at once, as a power cut does."""
    (os.killpg if everything else os.kill)(child, signal.SIGKILL)
    os.waitpid(child, 0)


def left_by(out: Path) -> dict[str, Any]:
    """Every file of a folder but the store; reports without durations, which are all that may differ."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_dir() or name in STORE_FILES:
            continue
        found[name] = path.read_bytes()
        if path.name == "report.json":
            found[name] = json.loads(found[name])
            for one in (found[name], *found[name]["checks"]):
                one.pop("duration_s", None)
        elif name == PAGE:
            found[name] = TIME.sub(b"", found[name])
        elif path.parent != out:
            found[name] = len(found[name]) > 0  # the same report in another form, with durations
        elif name == ".a7-reports":
            found[name] = sorted(set(found[name].split(b"\n")))  # in the order in which they were finished
    return found


def verdicts_of(out: Path) -> int:
    """Committed verdicts in a folder's store. AssertionError where the store is damaged."""
    if not (out / STORE).exists():
        return 0
    with contextlib.closing(sqlite3.connect(out / STORE)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master")]
        return int(base.execute("SELECT count(*) FROM verdict").fetchone()[0]) if "verdict" in tables else 0


def reader(out: Path) -> sqlite3.Connection:
    """The store of a grader that is at work, or has not made it yet: nothing is made or changed here."""
    return sqlite3.connect(f"{(out / STORE).as_uri()}?mode=ro", uri=True)


def first_verdict(child: int, out: Path, before: int) -> int | None:
    """Waits until a grader has committed a verdict more than were there; its exit code if it ends instead."""
    while (code := ended(child, 0.02)) is None:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(reader(out)) as base:
            if base.execute("SELECT count(*) FROM verdict").fetchone()[0] > before:
                break
    return code


@dataclass
class Tally:
    """What became of the graders that were killed."""

    all_of_them: int  # verdicts of the class
    kills: int = 0
    runs: int = 0  # that came to their end after being killed, once or more
    early: int = 0  # kills of graders that had not committed anything yet
    late: int = 0  # when all verdicts were made: while reports and the table were written
    differing: list[str] = field(default_factory=list)

    def killed(self, before: int, made: int) -> None:
        """One more, that began with so many verdicts and has left so many."""
        assert made >= before, "a committed verdict has gone"
        self.kills += 1
        self.late += made == self.all_of_them
        self.early += made == before < self.all_of_them

    def __str__(self) -> str:
        return (
            f"{self.kills} kills: {self.early} before the grader's first verdict, {self.kills - self.early - self.late} "
            f"between verdicts, {self.late} after the last; {self.runs} runs ended after them, "
            f"{self.runs - len(self.differing)} of these in the gradebook, reports and store of an undisturbed run"
        )


def disturbed(folder: Path, times: int, seed: int) -> Tally:
    """Kills graders so many times. Raises AssertionError where an undisturbed run does not end, or a store is damaged."""
    everybody = make_class(folder / "class")
    calm, out, log = folder / "calm", folder / "out", folder / "out.log"

    def begun(lanes: int, where: Path) -> int:
        words = ["grade", str(everybody), "--out", str(where), *RUN, "--jobs", str(lanes)]
        return start(words, folder / f"{where.name}.log")

    seconds = {}  # until the first verdict, and from there to the end
    for lanes in sorted(set(JOBS)):  # the last one is compared with
        shutil.rmtree(calm, ignore_errors=True)
        began = time.monotonic()
        child = begun(lanes, calm)
        assert first_verdict(child, calm, 0) is None, (folder / "calm.log").read_text()
        first = time.monotonic()
        assert ended(child) == 0, (folder / "calm.log").read_text()
        seconds[lanes] = first - began, time.monotonic() - first
    wanted, tally = left_by(calm), Tally(verdicts_of(calm))
    rng, hits = random.Random(seed), 0
    while tally.kills < times or out.exists():
        lanes, before = rng.choice(JOBS), verdicts_of(out)
        child, code = begun(lanes, out), None
        ahead, rest = seconds[lanes]
        if tally.kills == times:
            code = ended(child)
        elif rng.random() < AHEAD:
            code = ended(child, rng.uniform(0.0, ahead))
        else:
            code = first_verdict(child, out, before)
            code = ended(child, rng.uniform(0.0, rest)) if code is None else code
        if code is None:
            kill(child, everything=rng.random() < 0.5)
            tally.killed(before, verdicts_of(out))
            hits += 1
            continue
        tally.runs, hits = tally.runs + (hits > 0), 0
        if code != 0 or left_by(out) != wanted or verdicts_of(out) != tally.all_of_them:
            tally.differing.append(f"after {tally.kills} kills (exit code {code}): {log.read_text()[-2000:]}")
        print(tally, flush=True)
        shutil.rmtree(out)
        log.unlink()
    return tally


def main() -> int:
    """0 if every run that was killed has ended as an undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.killed", description=__doc__)
    parser.add_argument("--times", type=int, default=200, metavar="N", help="how many graders are killed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    untried = Observation("a test of the kit", True, "the self-test is left out")
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(boxes, "observe", return_value=[untried]):
        tally = disturbed(Path(folder), options.times, options.seed)
    print(*tally.differing, tally, sep="\n")
    return 1 if tally.differing else 0


if __name__ == "__main__":
    sys.exit(main())
