"""A class on a cluster of processes: the reports of a run without one, even when a worker is killed in the middle."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the libraries of a cluster are an extra")

from distributed import LocalCluster

from .conftest import ROOT
from .test_engines import LOOPBACK, worker_process

SUBMISSIONS = 4
PATIENT_S = 300.0


def grade(folder: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """A run on the quick checks of one question, without a box: what the workers have is not what is tested."""
    command = [sys.executable, "-m", "grader", "grade", str(folder), "--question", "1", "--no-trained", "--seed", "3",
               "--box", "none", "--unsafe-no-box", "--out", str(out), *options]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def reports(out: Path) -> dict[str, Any]:
    """Everything that a run has written but for durations, by path."""
    found: dict[str, Any] = {"gradebook": (out / "gradebook.csv").read_bytes()}
    for path in sorted(out.glob("*/report.*")):
        name = path.relative_to(out).as_posix()
        found[name] = without_durations(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()
    return found


def without_durations(value: Any) -> Any:
    """Plain data."""
    if isinstance(value, dict):
        return {key: without_durations(one) for key, one in value.items() if key != "duration_s"}
    return [without_durations(one) for one in value] if isinstance(value, list) else value


def a_class(folder: Path) -> Path:
    """Submissions that differ: one of them loses points."""
    for number in range(SUBMISSIONS):
        shutil.copytree(ROOT / "solution", folder / f"student{number}", ignore=shutil.ignore_patterns("__pycache__"))
        text = (ROOT / "solution" / "gaussians.py").read_text() + f"\n# number {number}\n"
        if number == 1:
            text += "def univariate_log_prob(x, mean, std): return 0 * x\n"
        (folder / f"student{number}" / "gaussians.py").write_text(text)
    return folder


def verdicts(out: Path) -> int:
    """How many are in the store of a run that goes on."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{(out / 'run.sqlite').as_uri()}?mode=ro", uri=True)) as base,
    ):
        return int(base.execute("SELECT count(*) FROM verdict").fetchone()[0])
    return 0


def busy_one(cluster: LocalCluster, out: Path) -> str:
    """Name of a worker that is in the middle of its part, some verdicts having been made."""
    until = time.monotonic() + PATIENT_S
    assert cluster.scheduler is not None
    while time.monotonic() < until:
        working = [str(state.name) for state in cluster.scheduler.workers.values() if state.processing]
        if working and verdicts(out):
            return working[0]
        time.sleep(0.05)
    raise AssertionError("no worker has begun")


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_class_changes_nothing(tmp_path: Path) -> None:
    folder = a_class(tmp_path / "class")
    alone = grade(folder, tmp_path / "alone", "--jobs", "2")
    assert alone.communicate(timeout=PATIENT_S)[0]
    assert alone.returncode == 0
    with LocalCluster(n_workers=0, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0", silence_logs=100) as cluster:
        workers = {
            name: worker_process(cluster.scheduler_address, name, tmp_path / "scratch") for name in ("u", "v", "w")
        }
        try:
            run = grade(folder, tmp_path / "cluster", "--engine", "dask", "--scheduler", cluster.scheduler_address)
            killed = busy_one(cluster, tmp_path / "cluster")
            workers[killed].kill()
            said = run.communicate(timeout=PATIENT_S)[0]
            assert run.returncode == 0, said
            left = {str(state.name) for state in cluster.scheduler.workers.values()}
            assert left == workers.keys() - {killed}
        finally:
            for process in workers.values():
                process.kill()
                process.wait()
    assert reports(tmp_path / "cluster") == reports(tmp_path / "alone")
