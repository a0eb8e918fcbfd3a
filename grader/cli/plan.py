"""From options to a plan: the dataset and the device are decided here, once for a run."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from ..check.datasets import load_dataset
from ..grading.run import Plan, cores
from ..rubric import MODULES, QUESTIONS
from .arguments import UsageError
from .reading import handed_out as handed_out  # what reads submissions needs no PyTorch

QUICK_KINDS = frozenset({"property", "gradient", "statistical"})
ALL_KINDS = QUICK_KINDS | {"trained"}


def known_right() -> Path | None:
    """The reference solution, where it lies beside the grader: students' copies of the kit have none."""
    folder = Path(__file__).resolve().parents[2] / "solution"
    return folder if all((folder / f"{module}.py").is_file() for module in MODULES) else None


def make_plan(options: argparse.Namespace, kinds: frozenset[str], visibilities: frozenset[str]) -> Plan:
    """What the options ask for. Raises UsageError and DataError."""
    name, reason, device = "none", "no trained checks were asked for", "cpu"
    if "trained" in kinds:
        # a cluster's workers say themselves what they train on
        device = pick_device(options.device) if getattr(options, "engine", "local") == "local" else "cpu"
        data = load_dataset(options.dataset, options.data)
        name, reason = data.name, data.reason
    return Plan(
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        device=device, dataset=name, dataset_reason=reason, data_root=options.data,
        questions=frozenset(options.question) if options.question else frozenset(q.number for q in QUESTIONS),
        kinds=kinds, visibilities=visibilities, jobs=options.jobs or cores(), control=known_right(),
    )  # fmt: skip


def pick_device(wanted: str) -> str:
    """`cuda` if it is there, or asked for. Raises UsageError if it is asked for and not there."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UsageError("--device cuda: PyTorch finds no CUDA device here; use --device cpu or auto")
    return "cuda" if there and wanted != "cpu" else "cpu"
