"""What can be typed after ``python -m grader``, and what of it every command shares."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from ..check.datasets import load_dataset
from ..grading.run import Plan, cores
from ..rubric import QUESTIONS

QUICK_KINDS = frozenset({"property", "gradient", "statistical"})
ALL_KINDS = QUICK_KINDS | {"trained"}


class UsageError(Exception):
    """The arguments make no sense; exit code 2."""


def question_number(text: str) -> int:
    """A question given as 1 … 10 or "bonus"."""
    known = {("bonus" if not q.number else str(q.number)): q.number for q in QUESTIONS}
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is no question: use one of {', '.join(known)}")
    return known[text]


def seed_number(text: str) -> int:
    """A seed that fits a generator."""
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError("a seed is between 0 and 2147483647")
    return value


def job_number(text: str) -> int:
    """At least one."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("--jobs must be at least 1")
    return value


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    parser = argparse.ArgumentParser(prog="python -m grader", description="Checks and grades assignment 7.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--question", "-q", type=question_number, action="append", metavar="N",
                        help="only this question (1 to 10, or bonus); may be repeated")  # fmt: skip
    common.add_argument("--seed", type=seed_number, help="seed of everything that is drawn (default: a new one)")
    common.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto", help="for trained checks")
    common.add_argument("--data", type=Path, metavar="ROOT", help="where MNIST lies (default: A7_DATA, then data/)")
    common.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="for trained checks")
    common.add_argument(
        "--jobs", type=job_number, default=cores(), metavar="N", help="processes (default: one per core)"
    )
    check = commands.add_parser("check", parents=[common], help="check your own work: public checks, within seconds")
    check.add_argument("path", type=Path)
    check.add_argument("--trained", action="store_true", help="also train the models: minutes, not seconds")
    check.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON")
    whole = commands.add_parser("grade", parents=[common], help="grade submissions and write reports")
    whole.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="a folder, a zip or a tar, or a folder of them"
    )
    whole.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the reports go")
    whole.add_argument("--no-trained", action="store_true", help="leave the trained checks out")
    return parser


def make_plan(options: argparse.Namespace, kinds: frozenset[str], visibilities: frozenset[str]) -> Plan:
    """What the options ask for, with dataset and device decided."""
    name, reason = "none", "no trained checks were asked for"
    if "trained" in kinds:
        data = load_dataset(options.dataset, options.data)
        name, reason = data.name, data.reason
    return Plan(
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        device=pick_device(options.device) if "trained" in kinds else "cpu",
        dataset=name, dataset_reason=reason, data_root=options.data,
        questions=frozenset(options.question) if options.question else frozenset(q.number for q in QUESTIONS),
        kinds=kinds, visibilities=visibilities, jobs=options.jobs,
    )  # fmt: skip


def pick_device(wanted: str) -> str:
    """`cuda` if it is there, or asked for. Raises UsageError if it is asked for and not there."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UsageError("--device cuda: PyTorch finds no CUDA device here; use --device cpu or auto")
    return "cuda" if there and wanted != "cpu" else "cpu"
