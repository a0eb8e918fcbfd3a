"""The command line: ``python -m grader check PATH`` for students, ``python -m grader grade PATH... --out DIR`` for TAs.

Exit codes: `grade` 0 when grading completed whatever the marks, 2 for wrong arguments, 3 when the grader itself failed;
`check` 0 when everything that ran passed, 1 when not, 2 and 3 as above.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..boundary.launch import GraderFault
from ..check.datasets import DataError, load_dataset
from ..classes.ingest import IngestError, Submission, is_archive, read_submission, submission_name
from ..grading.run import Plan, cores, grade
from ..report.model import Report, as_dict
from ..report.write import put, to_json, unique_names, write_gradebook, write_report
from ..rubric import MODULES, QUESTIONS
from . import terminal

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = arguments().parse_args(argv)
    console = Console(stderr=True)
    try:
        return run_check(options, console) if options.command == "check" else run_grade(options, console)
    except (UsageError, IngestError, DataError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 2
    except GraderFault as fault:
        console.print(f"[red]the grader failed:[/] {fault}", highlight=False)
        return 3


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


def run_check(options: argparse.Namespace, console: Console) -> int:
    """A student's own run."""
    submission = read_submission(options.path, MODULES)
    plan = make_plan(options, ALL_KINDS if options.trained else QUICK_KINDS, frozenset({"public"}))
    with terminal.Progress(console, [submission], plan) as progress:
        [(_, report)] = list(grade([submission], plan, progress.note))
    if options.json:
        put(options.json, to_json(as_dict(report)))
    terminal.print_check(Console(), report)
    if report.faults:
        return 3
    return 0 if all(o.status in ("passed", "not_run") for o in report.outcomes) else 1


def run_grade(options: argparse.Namespace, console: Console) -> int:
    """A TA's run over any number of submissions."""
    paths = [found for path in options.paths for found in expand(path)]
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        console.print(f"[red]error:[/] {path} does not exist: give a folder, a .zip or a .tar file", highlight=False)
    paths = [path for path in paths if path.exists()]
    if not paths:
        return 2
    names = unique_names([submission_name(path.resolve()) for path in paths])
    submissions = [read_or_empty(path, name) for path, name in zip(paths, names, strict=True)]
    plan = make_plan(options, QUICK_KINDS if options.no_trained else ALL_KINDS, frozenset({"public", "hidden"}))
    terminal.print_setting(console, plan, submissions)
    reports: dict[int, Report] = {}
    with terminal.Progress(console, submissions, plan) as progress:
        for index, report in grade(submissions, plan, progress.note):
            reports[index] = report
            write_report(report, options.out)
    ordered = [reports[index] for index in sorted(reports)]
    book = write_gradebook(ordered, options.out)
    terminal.print_grades(Console(), ordered, options.out, book)
    return 3 if any(report.faults for report in ordered) else 0


def read_or_empty(path: Path, name: str) -> Submission:
    """A submission; one that cannot be read gets no points and says why, so that a class run goes on."""
    try:
        found = read_submission(path, MODULES)
    except IngestError as error:
        return Submission(name, {}, (str(error),))
    return Submission(name, found.sources, found.problems)


def expand(path: Path) -> list[Path]:
    """The submissions that a path stands for: itself, or what lies in it if it is a folder of submissions."""
    if not path.is_dir() or any((path / f"{module}.py").exists() for module in MODULES):
        return [path]
    inside = sorted(p for p in path.iterdir() if not p.name.startswith((".", "_")) and not p.is_symlink())
    archives = [p for p in inside if p.is_file() and is_archive(p)]
    folders = [p for p in inside if p.is_dir()]
    with_modules = [
        p for p in folders if any(p.rglob(f"{m}.py") for m in MODULES) and read_submission(p, MODULES).sources
    ]
    if archives or len(with_modules) > 1:
        return sorted(archives + folders)
    return [path]
