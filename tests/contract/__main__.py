"""``make contract``, or ``python -m tests.contract [--run] [-q N]``: what an author has left out, a line each.

Exit code 1 if anything is missing, else 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from grader.cli.options import Parser, question_number

from . import RULES, findings, running
from .kit import Kit, read_kit


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    parser = Parser(
        prog="python -m tests.contract",
        description="Names what a question lacks: a check without a mistake, a hint with code in it, an entry of the "
        "bank that does not fit, and so on, each with the remedy. Exit code 1 if anything is missing.",
    )
    parser.add_argument("--run", action="store_true", help="also run the starter, whose stubs must earn nothing")
    parser.add_argument(
        "--question", "-q", type=question_number, action="append", metavar="N",
        help="also run the reference and the bank on this question; may be repeated",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Says what is missing; returns the exit code."""
    options = arguments().parse_args(argv)
    torch.set_num_threads(1)
    kit = read_kit()
    found = findings(kit)
    if not found and options.run:
        found += running.stubs_earn_nothing(kit)
    if not found and options.question:
        found += [
            *running.reference_keeps_all(kit, options.question),
            *running.alternatives_keep_all(kit, options.question),
            *running.mistakes_are_seen(kit, options.question),
        ]
    for finding in found:
        print(finding)
    if found:
        print(f"{len(found)} to mend", file=sys.stderr)
        return 1
    print(said(kit))
    return 0


def said(kit: Kit) -> str:
    """What was looked at."""
    return (f"nothing is missing: {len(kit.questions)} questions, {len(kit.checks)} checks, {len(kit.mistakes)} mistakes, "
            f"{len(kit.alternatives)} alternatives, {len(RULES)} rules")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
