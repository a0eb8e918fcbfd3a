"""What students train with runs from a copy of the folder alone, under any name, without the grader anywhere near."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from grader.check.datasets import Dataset
from solution import data

from .conftest import ROOT


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m answers.train`` in a folder from which nothing of this project can be imported."""
    hidden = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "A7_DATA")}
    barred = "import runpy, sys; sys.modules['grader'] = None; sys.argv[0] = 'train'; runpy.run_module('answers.train', run_name='__main__', alter_sys=True)"
    return subprocess.run([sys.executable, "-c", barred, *arguments], cwd=folder, env={**hidden, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, timeout=300)  # fmt: skip


def test_the_starter_says_what_can_be_trained_without_the_grader(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "starter", tmp_path / "answers")
    done = alone(tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "answers.train" in done.stdout
    assert "vqvae-ema" in done.stdout


def test_a_copy_trains_under_another_name_without_the_grader(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "solution", tmp_path / "answers")
    done = alone(tmp_path, "vanilla-ae", "--dataset", "digits", "--epochs", "1", "--batch-size", "512")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1" in done.stdout
    run = tmp_path / "runs" / "digits" / "vanilla-ae"
    assert (run / "checkpoint.pt").is_file()
    assert list(run.glob("epoch-0001-*.png"))


def test_what_is_not_written_yet_is_called_that(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "starter", tmp_path / "answers")
    done = alone(tmp_path, "vae", "--dataset", "digits", "--epochs", "1")
    assert done.returncode == 1
    assert "not written yet" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--epochs", "x"), ("--lr", "nan"), ("--seed", "abc"), ("--seed", "-1")])
def test_wrong_numbers_are_answered_with_a_sentence(
    arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    from solution.train import main

    with pytest.raises(SystemExit) as caught:
        main(["vae", *arguments])
    assert caught.value.code == 2
    assert repr(arguments[1]) in capsys.readouterr().err


def test_given_data_are_the_graders(digits: Dataset) -> None:
    given = data.load_dataset("digits")
    for name in ("train_x", "train_y", "test_x", "test_y"):
        assert torch.equal(getattr(given, name), getattr(digits, name)), name
    assert torch.equal(data.to_float(given.test_x[:2]), digits.test_x[:2].float() / 255)


@pytest.mark.mnist
def test_given_mnist_is_the_graders(mnist: Dataset) -> None:
    given = data.load_dataset("mnist")
    assert torch.equal(given.train_x, mnist.train_x)
    assert torch.equal(given.test_y, mnist.test_y)


def test_places_that_do_not_hold_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    monkeypatch.delenv("A7_DATA", raising=False)
    with pytest.raises(data.DataError, match=r"--data names .*no folder"):
        data.load_dataset("auto", tmp_path / "nowhere")
    with pytest.raises(data.DataError, match="put its four files there"):
        data.load_dataset("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("A7_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(data.DataError, match="A7_DATA names"):
        data.load_dataset("auto")
    with pytest.raises(data.DataError, match="cifar"):
        data.load_dataset("cifar")
