"""The page of results says what the committed figures say, and what was not measured."""

from __future__ import annotations

import json

import pytest
import torch

from grader.author import scale
from grader.author.bench import FILE, UsualVAE, epoch_flops, loss_of
from grader.author.results import CURVES, NOTES, PAGE, page
from grader.check.thresholds import FILE as THRESHOLDS
from grader.rubric import CHECKS


def test_the_page_is_made_from_the_committed_figures() -> None:
    assert PAGE.read_text() == page()


def test_the_page_of_scale_is_made_from_the_committed_figures_too() -> None:
    assert scale.PAGE.read_text() == scale.page(scale.PAGE.read_text())


def test_what_saturates_first_is_what_takes_longest() -> None:
    figures = {"size": 20.0, "local_cpu_s": 10.0, "dask_own_cpu_s": 0.5, "disk_kib": 400.0, "lane_mib": 1000.0}
    bench = {"class": figures, "cpu": {"machine": "a machine", "mnist": {"trained_s": 100.0}}}
    cluster = scale.Cluster(submissions=7200, nodes=2, cores=11, speedup=2.0, again=1.0, price=1.0)
    assert [round(hours, 3) for _, _, hours in scale.rows(bench, cluster).values()] == [1.0, 50.0, 1.0]
    text = scale.section(bench, cluster)
    assert "**With training**: 50 hours, $100; the GPUs saturate first" in text
    assert "about 20 cores busy" in text


def test_every_metric_and_both_datasets_are_on_the_page() -> None:
    text, checks = PAGE.read_text(), json.loads(THRESHOLDS.read_text())["checks"]
    for check in (check for check in CHECKS if check.kind == "trained"):
        for dataset in ("digits", "mnist"):
            assert text.count(f"| `{check.id}` |") >= len(checks[check.id][dataset])
    assert all(path.read_text() in text for path in NOTES)


def test_figures_of_a_gpu_are_there_or_said_to_be_missing() -> None:
    assert ("cuda" in json.loads(FILE.read_text())) != ("GPU columns were not measured" in PAGE.read_text())


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_the_page_has_the_learning_curves(dataset: str) -> None:
    picture = CURVES.with_name(CURVES.name.format(dataset))
    assert picture.read_text().startswith("<?xml")
    assert f"images/{picture.name}" in PAGE.read_text()


def test_the_yardstick_of_the_bench_counts_products() -> None:
    # forward 784-400-400-(20, 20)-400-400-784, backward twice that but for the gradient of the image
    forward = 2 * (784 * 400 + 400 * 400 + 2 * 400 * 20 + 20 * 400 + 400 * 400 + 400 * 784)
    assert epoch_flops(128) == pytest.approx(128 * (3 * forward - 2 * 784 * 400))
    assert torch.isfinite(loss_of(UsualVAE(), torch.rand(2, 1, 28, 28)))
