"""Given: train any of the models from the command line.

    python -m starter.train vae --epochs 20        (or starter.train, or the name of your own folder)

A run keeps everything in OUT/DATASET/MODEL: pictures every few epochs, the curves of the losses, and a checkpoint
after each epoch. The same command continues an interrupted run from its last checkpoint and, on the CPU, ends with
the very weights that an uninterrupted run has: the checkpoint holds weights, optimizer, epoch and random state, and
whatever else draws random numbers (pictures, test losses) does so beside the training's random stream.

`recipes.py` declares what is special to each model; the loop here is the same for all.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .checkpoints import (
    CHECKPOINT,
    random_state,
    read_checkpoint,
    separate_randomness,
    set_random_state,
    write_checkpoint,
)
from .data import NAMES, DataError, load_dataset, to_float
from .recipes import RECIPES, Batch, RunError, View, command
from .visualize import loss_curves

SHOWN = 1000
"""Test images that pictures of a whole data set use."""


class Run:
    """One model, its data and its folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.recipe = RECIPES[arguments.model]
        self.data = load_dataset(arguments.dataset, arguments.data)
        self.device = torch.device(arguments.device)
        self.epochs: int = arguments.epochs
        self.batch_size: int = arguments.batch_size
        self.sample_every: int = arguments.sample_every
        # What has to stay the same when a run goes on.
        self.settings = {
            "model": arguments.model,
            "batch_size": self.batch_size,
            "lr": arguments.lr or self.recipe.lr,
            "seed": arguments.seed,
        }
        self.folder: Path = arguments.out / self.data.name / arguments.model
        self.folder.mkdir(parents=True, exist_ok=True)
        self.train_x = self.data.train_x.to(self.device)
        self.train_y = self.recipe.labels(self.data.train_y).to(self.device)
        self.test_x = self.data.test_x.to(self.device)
        self.test_y = self.data.test_y.to(self.device)
        self.epoch = 0
        self.history: dict[str, list[float]] = {"train": [], "test": []}
        torch.manual_seed(arguments.seed)
        self.model = self.recipe.build(self.folder).to(self.device)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=self.settings["lr"])
        if arguments.resume and (self.folder / CHECKPOINT).is_file():
            self.restore()
        else:
            self.recipe.prepare(self.model, to_float(self.train_x))
            self.save()

    def save(self) -> None:
        """Checkpoint of this moment, between two epochs."""
        content = {
            "settings": self.settings,
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(),
        }
        write_checkpoint(self.folder / CHECKPOINT, content)

    def restore(self) -> None:
        """Go back to the last checkpoint."""
        saved = read_checkpoint(self.folder / CHECKPOINT)
        for name, value in self.settings.items():
            if saved["settings"][name] != value:
                raise RunError(
                    f"{name} is {value}, but the run in {self.folder} has {saved['settings'][name]}: "
                    "use that, or another --out, or --fresh to start again"
                )
        self.epoch = saved["epoch"]
        self.history = saved["history"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        set_random_state(saved["random"])

    def train_epoch(self, advance: Callable[[], None]) -> float:
        """Every training image once, in random order; the mean loss."""
        self.model.train()
        batches = torch.split(torch.randperm(len(self.train_x)).to(self.device), self.batch_size)
        total = 0.0
        for i, rows in enumerate(batches):
            batch = Batch(to_float(self.train_x[rows]), self.train_y[rows], self.epoch * len(batches) + i)
            loss = self.recipe.loss(self.model, batch)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += float(loss.detach()) * len(rows)
            advance()
        return total / len(self.train_x)

    @torch.no_grad()
    def test_loss(self) -> float:
        """Mean loss over the test images; they have all their labels, and the last optimizer step's beta."""
        self.model.eval()
        step = self.epoch * self.batches_per_epoch
        total = 0.0
        for x, y in zip(torch.split(self.test_x, SHOWN), torch.split(self.test_y, SHOWN), strict=True):
            total += float(self.recipe.loss(self.model, Batch(to_float(x), y, step))) * len(x)
        return total / len(self.test_x)

    @property
    def batches_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the last batch may be smaller."""
        return math.ceil(len(self.train_x) / self.batch_size)

    @torch.no_grad()
    def look(self) -> None:
        """Append to the history what does not take part in the training, and draw the pictures if it is time."""
        self.history["test"].append(self.test_loss())
        view = View(to_float(self.test_x[:SHOWN]), self.test_y[:SHOWN], self.folder, self.epoch)
        for name, value in self.recipe.numbers(self.model, view).items():
            self.history.setdefault(name, []).append(value)
        if self.epoch % self.sample_every == 0 or self.epoch == self.epochs:
            for picture in self.recipe.pictures:
                picture(self.model, view)
            loss_curves(self.history, self.folder / "losses.png")

    def go(self, console: Console) -> None:
        """Train up to `epochs`."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        while self.epoch < self.epochs:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
                task = progress.add_task(f"epoch {self.epoch + 1}/{self.epochs}", total=self.batches_per_epoch)
                self.history["train"].append(self.train_epoch(partial(progress.advance, task)))
            self.epoch += 1
            with separate_randomness(self.settings["seed"]):
                self.look()
            self.save()
            numbers = "  ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
            console.print(f"epoch {self.epoch}/{self.epochs}  {numbers}", highlight=False)


def positive(kind: type) -> Callable[[str], Any]:
    """Parser of positive numbers."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
        return value

    return parse


def seed(text: str) -> int:
    """A whole number that starts a random stream."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to {2**31 - 1}, got {text!r}")
    return int(text)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=command(), description="Train one of the assignment's models.")
    parser.add_argument("model", choices=RECIPES, metavar="MODEL", help=", ".join(RECIPES))
    parser.add_argument("--dataset", choices=NAMES, default="auto", help="default: %(default)s")
    parser.add_argument(
        "--data", type=Path, metavar="ROOT", help="folder with the dataset, laid out as torchvision does"
    )
    parser.add_argument(
        "--epochs", type=positive(int), default=10, help="in all, also when resuming; default: %(default)s"
    )
    parser.add_argument("--batch-size", type=positive(int), default=128, help="default: %(default)s")
    parser.add_argument("--lr", type=positive(float), help="learning rate of Adam; default: the model's")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of all runs; default: %(default)s")
    parser.add_argument("--seed", type=seed, default=0, help="default: %(default)s")
    parser.add_argument(
        "--sample-every",
        type=positive(int),
        default=5,
        metavar="N",
        help="epochs between pictures; default: %(default)s",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume", action="store_true", default=True, help="go on from the last checkpoint, if there is one (default)"
    )
    start.add_argument("--fresh", action="store_false", dest="resume", help="start again, over an older run")
    arguments = parser.parse_args(argv)
    if arguments.device == "auto":
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 for an error that is explained, 130 after Ctrl-C."""
    arguments = parse_arguments(argv)
    console = Console()
    try:
        run = Run(arguments)
        where = escape(f"{arguments.model} on {run.data.name} ({run.data.reason}), {run.device}, in {run.folder}")
        console.print(where, highlight=False)
        if run.epoch:
            console.print(f"{run.epoch} epochs are done already; --epochs {run.epochs}, --fresh starts again")
        run.go(console)
    except (DataError, RunError) as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}")
        return 1
    except NotImplementedError as error:
        console.print(f"[bold red]not written yet:[/] {escape(str(error))}")
        return 1
    except OSError as error:  # of this program's own files: what the models compute opens none
        console.print("[bold red]error:[/] " + escape(f"{error}: is there room, and may you write in {arguments.out}?"))
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last finished epoch")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
