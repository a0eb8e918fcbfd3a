"""The judge network: accurate enough, kept between runs, and not believed where the cache holds something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from grader.check import judge_network
from grader.check.datasets import Dataset
from grader.check.judge_network import JudgeNetwork, judge_for


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    judge_for(digits, folder)
    return folder


def kept(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def test_the_judge_reads_held_out_digits(cache: Path, digits: Dataset) -> None:
    judge = judge_for(digits, cache)
    seen = judge.predict(digits.test_x.float() / 255)
    assert judge.accuracy == pytest.approx(float((seen == digits.test_y).double().mean()))
    assert judge.accuracy >= judge_network.PLANS["digits"].floor


def test_a_judge_in_the_cache_is_not_trained_again(
    cache: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_network, "train", None)
    assert judge_for(digits, cache).accuracy > 0.9


@pytest.mark.parametrize("damage", ["cut", "random weights"])
def test_what_is_no_judge_in_the_cache_is_replaced(
    damage: str, cache: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = kept(cache), judge_for(digits, cache).network
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        torch.manual_seed(0)
        judge_network.write(path, JudgeNetwork().eval())
    before = path.read_bytes()
    monkeypatch.setattr(judge_network, "train", lambda data: good)
    assert judge_for(digits, cache).accuracy > 0.9
    assert path.read_bytes() != before
