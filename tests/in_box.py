"""Shows that a box changes no verdict: ``python -m tests.in_box [--mistakes N] [--alternatives N] [--box NAME]``.

A sample of the banks, from every question as many, is judged as in grading: in the strongest box of this machine and in
none, on the quick checks of its question. Everything that a report says must be equal, but for how long it took. With
``--trained`` the reference's trained checks on digits as well. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grader.author.starter import ROOT
from grader.boundary.box import Box, choose
from grader.check.datasets import load_dataset
from grader.check.declaration import Check
from grader.check.thresholds import load_thresholds
from grader.classes.ingest import Submission, read_submission
from grader.cli.boxes import find_box
from grader.grading.judge import Bench, Setting, judge_all
from grader.grading.pool import Pool
from grader.report.model import outcome_dict
from grader.rubric import CHECKS, MODULES, QUESTIONS

from . import bank
from .bank import Alternative, Mistake
from .bank.whole import ALTERNATIVES
from .test_bank import QUICK_MISTAKES

MISTAKES_AT_LEAST, ALTERNATIVES_AT_LEAST = 50, 20


@dataclass(frozen=True)
class Difference:
    """What a report says in the box and without."""

    variant: str
    check: str
    boxed: Mapping[str, Any]
    bare: Mapping[str, Any]

    def __str__(self) -> str:
        keys = [key for key in self.boxed if self.boxed[key] != self.bare.get(key)]
        told = "; ".join(
            f"{key}: {self.boxed[key]!r:.200} in the box, {self.bare.get(key)!r:.200} without" for key in keys
        )
        return f"{self.variant}, {self.check}: {told}"


def sample(found: Sequence[Mistake | Alternative], count: int, seed: int) -> list[Mistake | Alternative]:
    """So many variants, one question after the other, so that each has its share."""
    draw = random.Random(seed)
    piles = [
        draw.sample(own, len(own)) for q in QUESTIONS if (own := [one for one in found if one.question == q.number])
    ]
    mixed = (one for layer in itertools.zip_longest(*piles) for one in layer if one is not None)
    return list(itertools.islice(mixed, count))


def told(bench: Bench, checks: Sequence[Check], setting: Setting) -> dict[str, dict[str, Any]]:
    """What a report says of each check, without how long it took."""
    found = {}
    for outcome in judge_all(checks, bench, setting, lambda _: True, {check.id: "not_run" for check in CHECKS}):
        found[outcome.check.id] = {key: value for key, value in outcome_dict(outcome).items() if key != "duration_s"}
    return found


def compared(name: str, both: tuple[dict[str, Any], dict[str, Any]]) -> list[Difference]:
    """Where two reports of the same submission differ."""
    boxed, bare = both
    assert boxed.keys() == bare.keys()
    return [Difference(name, check, boxed[check], bare[check]) for check in boxed if boxed[check] != bare[check]]


def differences(
    variants: Sequence[Mistake | Alternative], box: Box, seed: int = 1
) -> Iterator[tuple[str, list[Difference], dict[str, Any]]]:  # fmt: skip
    """For each variant: its name, what differs, and what was said in the box."""
    sources = dict(read_submission(ROOT / "solution", MODULES).sources)
    with contextlib.ExitStack() as stack:
        first = Submission("variant", sources)
        benches = [stack.enter_context(Bench(first, Pool(one))) for one in (box, choose("none"))]
        for variant in variants:
            changed = bank.apply(sources, variant)
            checks = [check for check in CHECKS if check.question == variant.question and check.kind != "trained"]
            for bench in benches:
                bench.submission = Submission("variant", changed)
                bench.worker.submit(changed, ["starter", "solution"])
            boxed, bare = (told(bench, checks, Setting(seed)) for bench in benches)
            yield variant.id, compared(variant.id, (boxed, bare)), boxed


def trained_differences(box: Box, seed: int = 1) -> list[Difference]:
    """The same for the reference's trained checks on digits."""
    reference = read_submission(ROOT / "solution", MODULES)
    checks = [check for check in CHECKS if check.kind == "trained"]
    setting = Setting(seed, data=load_dataset("digits"), thresholds=load_thresholds("digits"))
    found = []
    for one in (box, choose("none")):
        with Bench(reference, Pool(one)) as bench:
            found.append(told(bench, checks, setting))
    return compared("reference", (found[0], found[1]))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what differs, and how much was compared."""
    parser = argparse.ArgumentParser(prog="python -m tests.in_box")
    parser.add_argument("--mistakes", type=int, default=MISTAKES_AT_LEAST)
    parser.add_argument("--alternatives", type=int, default=ALTERNATIVES_AT_LEAST)
    parser.add_argument("--seed", type=int, default=1, help="of the sample, and of what is drawn")
    parser.add_argument("--box", default="auto")
    parser.add_argument("--trained", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    box = find_box(options.box).box
    variants = [*sample(QUICK_MISTAKES, options.mistakes, options.seed),
                *sample(ALTERNATIVES, options.alternatives, options.seed)]  # fmt: skip
    count, wrong = 0, []
    for number, (name, different, said) in enumerate(differences(variants, box, options.seed), 1):
        count += len(said)
        wrong += different
        print(
            f"[{number}/{len(variants)}] {name}: {len(said)} checks, {len(different)} differ",
            file=sys.stderr,
            flush=True,
        )
        for one in different:
            print(one, flush=True)
    if options.trained:
        more = trained_differences(box, options.seed)
        wrong += more
        for one in more:
            print(one)
    print(f"{options.mistakes} mistakes and {options.alternatives} alternatives, {count} checks in {box.sandbox.backend} "
          f"and in none: {len(wrong)} differ")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
