"""Graders that are killed with -9 at random moments: resumed, they end as if nothing had been (``tests.killed``)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .conftest import ROOT


@pytest.mark.slow
def test_killed_graders_end_in_the_gradebook_of_an_undisturbed_run() -> None:
    """In a process of its own: one with threads, as a test's may have, is not to be forked."""
    command = [sys.executable, "-m", "tests.killed", "--times", "5", "--seed", "1"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("5 kills: ")
