"""Datasets: what they hold, that damage is noticed, and what `auto` decides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from grader.check import datasets
from grader.check.datasets import DataError, Dataset, draw_label_subsets, load_dataset, load_mnist, to_float


def test_digits(digits: Dataset) -> None:
    assert digits.train_x.shape == (1437, 1, 28, 28)
    assert digits.test_x.shape == (360, 1, 28, 28)
    assert digits.train_x.dtype == torch.uint8
    images = to_float(digits.train_x)
    assert images.dtype == torch.float32
    assert float(images.min()) == 0.0
    assert float(images.max()) <= 1.0
    assert set(digits.train_y.tolist()) == set(range(10))


@pytest.mark.mnist
def test_mnist(mnist: Dataset) -> None:
    assert mnist.train_x.shape == (60000, 1, 28, 28)
    assert mnist.test_x.shape == (10000, 1, 28, 28)
    assert float(to_float(mnist.test_x).square().mean()) == pytest.approx(0.1140, abs=1e-4)


def test_label_subsets_of_digits_are_those_of_the_function(digits: Dataset) -> None:
    drawn = draw_label_subsets(digits.train_y, 5, 7, 1437)
    for index, subset in enumerate(drawn):
        assert digits.label_subset(index).tolist() == subset
        assert torch.bincount(digits.train_y[torch.tensor(subset)]).tolist() == [10] * 10


@pytest.mark.mnist
def test_label_subsets_of_mnist_are_those_of_the_function(mnist: Dataset) -> None:
    drawn = draw_label_subsets(mnist.train_y, 5, 7, 10000)
    assert [mnist.label_subset(index).tolist() for index in range(5)] == drawn


def no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


def test_a_missing_or_cut_off_download_is_noticed_and_auto_takes_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"half of it")
    with pytest.raises(DataError, match="cannot be downloaded"):
        load_mnist(tmp_path, "test")
    assert not (raw / "train-images-idx3-ubyte").exists(), "the damaged file must not be taken for the whole"
    chosen = load_dataset("auto", tmp_path)
    assert chosen.name == "digits"
    assert "cannot be downloaded" in chosen.reason


def test_a_folder_that_is_named_must_be_there_and_is_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    nowhere = tmp_path / "no" / "such"
    monkeypatch.delenv("A7_DATA", raising=False)
    for name in ("auto", "mnist"):
        with pytest.raises(DataError, match=r"--data names .*no folder: name the one"):
            load_dataset(name, nowhere)
    monkeypatch.setenv("A7_DATA", str(nowhere))
    for name in ("auto", "mnist"):
        with pytest.raises(DataError, match=r"A7_DATA names .*unset A7_DATA"):
            load_dataset(name)
    assert not (tmp_path / "no").exists()
    assert load_dataset("digits").name == "digits"


def test_what_a7_data_promises_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    monkeypatch.setenv("A7_DATA", str(tmp_path))
    for name in ("auto", "mnist"):
        with pytest.raises(DataError, match=r"cannot be downloaded .*: put its four files there"):
            load_dataset(name)
    assert list(tmp_path.iterdir()) == [], "a failed download leaves nothing behind"


def test_without_any_promise_digits_stand_in_and_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    monkeypatch.setattr(datasets, "data_root", lambda root: root or tmp_path / "data")
    monkeypatch.delenv("A7_DATA", raising=False)
    chosen = load_dataset("auto")
    assert chosen.name == "digits"
    assert "MNIST is not in" in chosen.reason
    assert "--dataset" not in chosen.reason, "nothing is to be done about it"
    assert not (tmp_path / "data").exists()


def test_a_download_that_delivers_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: object) -> None:
        (tmp_path / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
        for name in datasets.committed("checksums.json")["mnist"]:
            (tmp_path / "MNIST" / "raw" / name).write_bytes(b"\0" * 100)

    monkeypatch.setattr("torchvision.datasets.MNIST.download", wrong)
    monkeypatch.setattr("torchvision.datasets.MNIST._load_data", lambda self: (None, None))
    with pytest.raises(DataError, match="is damaged"):
        load_mnist(tmp_path, "test")


def test_a_name_that_is_no_dataset() -> None:
    with pytest.raises(DataError, match="cifar"):
        load_dataset("cifar")


def test_the_environment_names_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A7_DATA", str(tmp_path))
    assert datasets.data_root() == tmp_path
    assert datasets.data_root(Path("other")) == Path("other")
    monkeypatch.delenv("A7_DATA")
    assert datasets.data_root() == datasets.DATA_FOLDER
