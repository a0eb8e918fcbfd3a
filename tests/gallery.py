"""``python -m tests.gallery [NAME…]``: the handout's pictures, of the reference beside mistakes of the bank.

Both are trained by the trained checks on digits with one seed, and what these show (`check.exhibits`) is drawn as on a
student's page. A picture shows what a mistake looks like, and no code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from grader.check.datasets import load_dataset
from grader.check.exhibits import Exhibit
from grader.check.thresholds import load_thresholds
from grader.classes.ingest import Submission, read_submission
from grader.grading.judge import Bench, Setting, once
from grader.report.pictures.draw import drawn
from grader.rubric import CHECKS, MODULES

from .bank import apply
from .bank.whole import MISTAKES
from .conftest import ROOT

FOLDER = ROOT / "docs" / "images" / "handout"
SEED = 7
BY_ID = {check.id: check for check in CHECKS}
STORIES = {mistake.id: mistake for mistake in MISTAKES}


class Pair(NamedTuple):
    """A picture of a trained check: `title` is the beginning of the exhibit's, `mistake` what the other one has."""

    name: str
    check: str
    title: str
    mistake: str


PAIRS = (
    Pair("linear", "q3.trained.linear", "PCA beside", "q3-linear-detached-code"),
    Pair("vanilla", "q4.trained.vanilla", "PCA beside", "q4-vanilla-one-number"),
    Pair("unet", "q4.trained.unet", "Your U-Net", "q4-unet-skips-in-evaluation-only"),
    Pair("denoising", "q5.trained.gaussian", "Your denoising", "q5-dae-never"),
    Pair("labels", "q7.trained.labels", "Accuracy", "q7-no-pretraining"),
    Pair("samples", "q8.trained.elbo", "Samples", "q08-always-mu"),
    Pair("latents", "q8.trained.elbo", "Where digits", "q08-always-mu"),
    Pair("beta", "q8.trained.beta", "KL against", "q08-beta-ignored"),
    Pair("classes", "q9.trained", "Digits asked", "q09-neither"),
    Pair("codebook", "q10.trained.vq", "Use of", "q10.codebook-too-wide"),
    Pair("codes", "q10.trained.vq", "Through 49", "q10.codebook-too-wide"),
    Pair("prior", "bonus.trained.images", "What the prior", "bonus.mask-rows-only"),
)


def shown_by(check: str, submission: Submission) -> dict[str, Exhibit]:
    """What a trained check shows of a submission, by title."""
    data = load_dataset("digits")
    with Bench(submission) as bench:
        outcome, _ = once(BY_ID[check], bench, Setting(SEED, data=data, thresholds=load_thresholds(data.name)), ())
    return {exhibit.title: exhibit for exhibit in outcome.exhibits}


def draw(pairs: Sequence[Pair]) -> None:
    """The files of these pairs, two for each."""
    reference = read_submission(ROOT / "solution", MODULES)
    known: dict[tuple[str, str], dict[str, Exhibit]] = {}
    for pair in pairs:
        wrong = replace(reference, sources=apply(reference.sources, STORIES[pair.mistake]))
        for kind, mistake, submission in (("good", "", reference), ("bad", pair.mistake, wrong)):
            key = pair.check, mistake
            if key not in known:
                known[key] = shown_by(pair.check, submission)
            [exhibit] = [one for title, one in known[key].items() if title.startswith(pair.title)]
            if exhibit.missing:
                raise RuntimeError(f"{pair.name}, {kind}: {exhibit.missing}")
            (FOLDER / f"{pair.name}-{kind}.png").write_bytes(drawn(exhibit))
            print(f"{pair.name}-{kind}: {exhibit.says}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Draws all of them, or those that are named."""
    names = set(argv if argv is not None else sys.argv[1:])
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw([pair for pair in PAIRS if not names or pair.name in names])
    return 0


if __name__ == "__main__":
    sys.exit(main())
