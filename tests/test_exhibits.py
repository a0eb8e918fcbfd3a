"""What trained checks show: every kind is drawn, nothing that a model returns can stop a report, and none decides."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from grader.boundary.launch import GraderFault, Worker
from grader.boundary.session import Limits
from grader.check import context as of_checks
from grader.check.context import Context
from grader.check.exhibits import FEW, Exhibits, exhibit_of, flattened
from grader.check.outcome import Outcome
from grader.classes.records import Submission
from grader.grading.judge import Bench, Setting, run
from grader.grading.store import Kept, Store
from grader.grading.verdicts import content_of, outcome_of
from grader.report.model import as_dict
from grader.report.pictures.draw import drawn, picture, pictures_of
from grader.rubric import CHECKS

from .forked import forked
from .test_report import report_of

CHECK = next(check for check in CHECKS if check.id == "q8.trained.elbo")
RNG = torch.Generator().manual_seed(3)
LIMITS = Limits(request_s=3.0, check_s=20.0, memory=1200 << 20, threads=1)
IMAGES = torch.rand(30, 1, 28, 28, generator=RNG)


def every_kind() -> Exhibits:
    """One exhibit of each kind."""
    shown = Exhibits()
    shown.images("Rows", "two rows of digits", originals=IMAGES, what_you_made=IMAGES.flip(0))
    shown.bars("Bars", "two bars, one with spread", {"one": [0.5], "several": [0.6, 0.7, 0.8]})
    shown.histogram("Counts", "a codebook", torch.arange(64))
    shown.points("Places", "codes by digit", torch.randn(200, 5, generator=RNG), torch.arange(200) % 10)
    shown.map("Map", "seven by seven", torch.rand(7, 7, generator=RNG))
    shown.curves = {"your model": [0.9, 0.5, 0.4], "another": [1.0, 0.8, 0.7]}
    return shown


EVERY = {one.kind: one for one in (*every_kind().found, *every_kind().all()[-1:])}


@pytest.mark.parametrize("kind", ["images", "lines", "bars", "histogram", "points", "map"])
def test_every_kind_is_drawn(kind: str) -> None:
    exhibits = every_kind()
    exhibits.found = [one for one in exhibits.found if one.kind == kind]
    [one] = exhibits.all()[:1] if kind != "lines" else exhibits.all()[-1:]
    assert one.kind == kind
    assert not one.missing
    with Image.open(io.BytesIO(drawn(one))) as found:
        pixels = np.asarray(found.convert("L"))
    assert 600 < pixels.shape[1] < 900
    assert pixels.std() > 10  # not blank


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (torch.full((3, 1, 28, 28), float("nan")), "NaN"),
        (torch.zeros(0, 1, 28, 28), "no images"),
        (torch.zeros(3, 28, 28), "no images"),
        (torch.zeros(3, 3, 8, 8), "no images"),
    ],
)
def test_images_that_are_none_say_why(value: torch.Tensor, why: str) -> None:
    shown = Exhibits()
    shown.images("Rows", "rows", originals=IMAGES, yours=value)
    [one] = shown.all()
    assert why in one.missing
    assert not one.arrays


@pytest.mark.parametrize("codes", [torch.zeros(2, 5), torch.full((9, 5), float("inf")), torch.zeros(9)])
def test_codes_that_are_none_say_why(codes: torch.Tensor) -> None:
    shown = Exhibits()
    shown.points("Places", "codes", codes, torch.zeros(9))
    assert shown.all()[0].missing


@pytest.mark.parametrize("losses", [[], [float("nan")], [1e300]])
def test_losses_of_which_no_curve_can_be_drawn(losses: list[float]) -> None:
    shown = Exhibits()
    shown.curves = {"yours": losses}
    assert all(one.missing for one in shown.all())


def test_what_is_handed_over_is_small_and_clamped() -> None:
    shown = Exhibits()
    shown.images("Rows", "rows", yours=1e6 * (torch.rand(5_000, 1, 28, 28, generator=RNG) - 0.5))
    [one] = shown.all()
    array = one.arrays[0].unpacked()
    assert array.shape == (FEW, 28, 28)
    assert array.dtype == np.uint8
    assert sum(len(a.data) for a in one.arrays) < 16_000


def test_codes_in_more_than_two_dimensions_are_shown_in_the_plane_of_most_variance() -> None:
    wide = torch.randn(300, 6, generator=RNG, dtype=torch.float64) * torch.tensor([5.0, 0.1, 3.0, 0.1, 0.1, 0.1])
    plane = flattened(wide)
    centred = wide - wide.mean(0)
    assert plane.var(0).tolist() == pytest.approx(torch.linalg.eigvalsh(centred.T.cov()).flip(0)[:2].tolist())
    assert torch.equal(plane, flattened(wide))


def test_they_come_back_from_the_store_as_they_were(tmp_path: Path) -> None:
    outcome = Outcome(CHECK, "passed", CHECK.points, exhibits=tuple(EVERY.values()))
    with Store(tmp_path, make=True) as store:
        store.put_verdicts("text", [Kept(CHECK.id, "d", "passed", content_of(outcome), circumstances=0)])
        [kept] = store.verdicts("text")
    assert outcome_of(CHECK, kept.outcome) == outcome
    before = {name: value for name, value in content_of(outcome).items() if name != "exhibits"}
    assert outcome_of(CHECK, before).exhibits == ()  # a store of before there were any


def test_they_are_in_no_file_but_the_page() -> None:
    plain = report_of(name="ann")
    shown = replace(plain, outcomes=tuple(replace(o, exhibits=tuple(EVERY.values())) for o in plain.outcomes))
    assert as_dict(shown) == as_dict(plain)
    assert len(pictures_of(replace(shown, outcomes=shown.outcomes[:1]))) == len(EVERY)


def test_an_exhibit_that_was_edited_is_a_picture_that_says_why() -> None:
    content = EVERY["images"].content()
    content["arrays"] = [["|u1", [10, 28, 28], "AAAA"]] * 2
    one = picture(Outcome(CHECK, "passed", 1.0), exhibit_of(content))
    assert not one.png
    assert "could not be drawn" in one.missing


def test_a_hidden_check_shows_nothing() -> None:
    plain = report_of(name="ann")
    hidden = replace(CHECK, visibility="hidden")
    shown = replace(plain, outcomes=(Outcome(hidden, "passed", 1.0, exhibits=tuple(EVERY.values())),))
    assert pictures_of(shown) == []


def raising(ctx: Context) -> None:
    ctx.fresh().call("m.f", 1)
    raise ValueError("no such thing")


def test_what_is_asked_aside_decides_nothing(worker: Worker) -> None:
    """Whatever ends it: an exception of ours, one of theirs, a value with which nothing can be done, their process."""
    worker.submit({"m": "import os\ndef f(x): return x\ndef g(x): return object()\ndef h(x): os._exit(3)\n"}, [])
    ctx = Context("aside", worker, 1, LIMITS)
    ctx.call("m.f", 1)
    before = ctx.asked, ctx.entered, ctx.odd, ctx.printed
    for ask in (
        lambda: raising(ctx),
        lambda: ctx.fresh().call("m.no_such_function"),
        lambda: ctx.exhibits.images("Rows", "rows", yours=ctx.fresh().call("m.g", 1)),
        lambda: ctx.fresh().call("m.h", 1),
    ):
        ctx.aside("A picture", ask)
    assert ctx.exhibits.all() == ()
    ctx.ask_aside()
    assert (ctx.asked, ctx.entered, ctx.odd, ctx.printed) == before
    assert ctx.call("m.f", 2) == 2
    assert [bool(one.missing) for one in ctx.exhibits.all()] == [True] * 4
    ctx.close()


HANGS = "def f(x): return x\ndef g(x):\n    while True: pass\n"


def test_what_hangs_aside_costs_a_moment_once_and_no_patience(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained checks have ten minutes for a request, and after two that hung the next trainings would have seconds."""
    monkeypatch.setattr(of_checks, "ASIDE_S", 2.0)
    worker.submit({"m": HANGS}, [])
    ctx = Context("aside", worker, 1, replace(LIMITS, request_s=600.0, check_s=900.0), imports_afresh=True)
    limits, patience = ctx.limits, worker.patience
    assert ctx.call("m.f", 1) == 1
    asked = []

    def show(name: str) -> None:
        asked.append(name)
        ctx.fresh().call("m.g", 1)

    for name in ("one", "another"):
        ctx.aside(name, partial(show, name))
    ctx.ask_aside()
    assert asked == ["one"]
    assert [one.missing for one in ctx.exhibits.all()] == ["no answer within 2 s"] * 2
    assert ctx.limits == limits
    assert worker.patience is patience
    assert not patience.calls
    assert not patience.hung
    assert patience.limit(600.0) == 600.0
    ctx.close()


def outcome_with(ask: Callable[[Context], object], sources: Mapping[str, str]) -> Outcome:
    """Of a trained check that passes and puts this aside."""

    def check(ctx: Context) -> None:
        ctx.call("m.f", 1)
        ctx.aside("A picture", lambda: ask(ctx))

    bench = Bench(Submission("ann", sources))
    try:
        return run(replace(CHECK, run=check), bench, Setting(seed=1), (), together=False)[0]
    finally:
        bench.close()


@pytest.mark.parametrize("end", ["worker", "fault", "hang"])
def test_no_verdict_changes_with_what_is_asked_aside(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_checks, "ASIDE_S", 2.0)

    def ask(ctx: Context) -> object:
        if end == "worker":
            forked(ctx.worker).process.kill()
            forked(ctx.worker).process.wait()
        if end == "fault":
            raise GraderFault("a process could not be started")
        return ctx.fresh().call("m.g", 1)

    outcome = outcome_with(ask, {"m": HANGS})
    assert (outcome.status, outcome.earned) == ("passed", CHECK.points)
    assert outcome.exhibits[0].missing
