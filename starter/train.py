"""Given: train any of the models from the command line.

    python -m starter.train vae --epochs 20        (or starter.train, or the name of your own folder)

A run keeps everything in OUT/DATASET/MODEL: pictures every few epochs, the curves of the losses, and a checkpoint
after each epoch. The same command continues an interrupted run from its last checkpoint and, on the CPU, ends with
the very weights that an uninterrupted run has: the checkpoint holds weights, optimizer, epoch and random state, and
whatever else draws random numbers (pictures, test losses) does so beside the training's random stream.

`RECIPES`, below, declares what is special to each model; the loop after it is the same for all.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from grader.datasets import DataError, load_dataset, to_float

from .autoencoders import (
    ConvAutoencoder,
    LinearAutoencoder,
    UNetAutoencoder,
    VanillaAutoencoder,
    l1_sparsity,
    mse_loss,
)
from .denoising import DenoisingAutoencoder, corrupt, denoising_loss
from .prior import CodePrior, bits_per_code, sample_codes
from .semi_supervised import JointModel, accuracy, joint_loss
from .training import assemble_stack, pretrain_layerwise
from .vae import CVAE, VAE, ConvVAE, generate, generate_class, interpolate, kl_annealing, vae_loss
from .visualize import (
    codebook_usage,
    interpolation_strip,
    latent_map,
    loss_curves,
    reconstruction_strip,
    sample_grid,
)
from .vqvae import VQVAE, code_usage, perplexity, vqvae_loss

CHECKPOINT = "checkpoint.pt"
STRIP = 10
"""Images in a strip."""
SHOWN = 1000
"""Test images that pictures of a whole data set use."""
SPARSITY = 0.3
BETA = 4.0
WARMUP_STEPS = 500
NOISE = "gaussian"
NOISE_LEVEL = 0.3
ALPHA = 10.0
LABELS_PER_CLASS = 10


class RunError(Exception):
    """A run cannot start or go on: says why and what to do."""


@dataclass(frozen=True)
class Batch:
    """Images `x` (B, 1, 28, 28), labels `y` (B,) with -1 for none, and the number of the optimizer step."""

    x: Tensor
    y: Tensor
    step: int


@dataclass(frozen=True)
class View:
    """Test images and labels to make pictures of, and where to put them."""

    x: Tensor
    y: Tensor
    folder: Path
    epoch: int

    def path(self, name: str) -> Path:
        """File of the picture `name` after this epoch."""
        return self.folder / f"epoch-{self.epoch:04d}-{name}.png"


# Models that the assignment has only in parts.


class StackedAutoencoder(nn.Module):
    """784-256-64-32 and back, pre-trained layer by layer and then trained as a whole."""

    def __init__(self, sizes: Sequence[int] = (784, 256, 64, 32)) -> None:
        super().__init__()
        last = len(sizes) - 2
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(sizes[i], sizes[i + 1]), nn.Identity() if i == last else nn.ReLU())
            for i in range(last + 1)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(nn.Linear(sizes[i + 1], sizes[i]), nn.ReLU() if i else nn.Sigmoid()) for i in range(last + 1)
        )
        self.stack = assemble_stack(list(self.encoders), list(self.decoders))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x_recon, z) of images (B, 1, 28, 28)."""
        x_recon, z = self.stack(x.flatten(1))
        return x_recon.view_as(x), z

    def pretrain(self, images: Tensor) -> None:
        """One epoch for each layer."""
        pretrain_layerwise(list(self.encoders), list(self.decoders), images.flatten(1))


class ImagePrior(nn.Module):
    """A trained VQ-VAE, which stays as it is, and a prior over its codes."""

    def __init__(self, vqvae: VQVAE, num_embeddings: int = 128) -> None:
        super().__init__()
        self.vqvae = vqvae.requires_grad_(False)
        self.prior = CodePrior(num_embeddings)

    def train(self, mode: bool = True) -> ImagePrior:
        """Only the prior has a training mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def codes(self, x: Tensor) -> Tensor:
        """Codes (B, 7, 7) of images (B, 1, 28, 28)."""
        with torch.no_grad():
            indices: Tensor = self.vqvae(x)[2]
        return indices

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, codes) of images."""
        codes = self.codes(x)
        return self.prior(codes), codes


def load_image_prior(folder: Path) -> nn.Module:
    """The prior needs the VQ-VAE that was trained beside it."""
    path = folder.parent / "vqvae" / CHECKPOINT
    if not path.is_file():
        raise RunError(f"the prior needs a trained VQ-VAE and {path} is not there: run `{command()} vqvae` first")
    vqvae = VQVAE()
    vqvae.load_state_dict(read_checkpoint(path)["model"])
    return ImagePrior(vqvae)


# Losses: (model, batch) -> scalar tensor.


def reconstruction_loss(model: Any, batch: Batch) -> Tensor:
    """Squared error."""
    return mse_loss(model(batch.x)[0], batch.x)


def sparse_loss(model: Any, batch: Batch) -> Tensor:
    """Squared error and an L1 penalty on the code."""
    x_recon, z = model(batch.x)
    return mse_loss(x_recon, batch.x) + SPARSITY * l1_sparsity(z)


def noisy_loss(model: Any, batch: Batch) -> Tensor:
    """Squared error between the reconstruction of a corrupted image and the clean one."""
    return denoising_loss(model, batch.x)


def negative_elbo(model: Any, batch: Batch) -> Tensor:
    """-ELBO in nats."""
    x_recon, mu, logvar = model(batch.x)
    return vae_loss(x_recon, batch.x, mu, logvar)


def beta_loss(model: Any, batch: Batch) -> Tensor:
    """The beta-VAE's, with beta rising over the first steps."""
    x_recon, mu, logvar = model(batch.x)
    return vae_loss(x_recon, batch.x, mu, logvar, beta=kl_annealing(batch.step, WARMUP_STEPS, BETA))


def conditional_loss(model: Any, batch: Batch) -> Tensor:
    """-ELBO given the label."""
    x_recon, mu, logvar = model(batch.x, batch.y)
    return vae_loss(x_recon, batch.x, mu, logvar)


def quantised_loss(model: Any, batch: Batch) -> Tensor:
    """The VQ-VAE's."""
    x_recon, vq_loss, _ = model(batch.x)
    return vqvae_loss(x_recon, batch.x, vq_loss)


def code_loss(model: Any, batch: Batch) -> Tensor:
    """Bits per code."""
    return bits_per_code(*model(batch.x))


def labelled_loss(model: Any, batch: Batch) -> Tensor:
    """Squared error of all images and cross-entropy of the labelled ones."""
    x_recon, logits = model(batch.x)
    return joint_loss(x_recon, batch.x, logits, batch.y, ALPHA)


# Pictures: (model, view) -> file.


def reconstructions(model: Any, view: View) -> Path:
    """Images and their reconstructions."""
    x = view.x[:STRIP]
    return reconstruction_strip(x, model(x)[0], view.path("reconstructions"))


def denoised(model: Any, view: View) -> Path:
    """Images, the same with noise, and what the model makes of that."""
    x = view.x[:STRIP]
    noisy = corrupt(x, NOISE, NOISE_LEVEL)
    return reconstruction_strip(x, model(noisy, add_noise=False)[0], view.path("denoised"), corrupted=noisy)


def conditional_reconstructions(model: Any, view: View) -> Path:
    """Images and their reconstructions given their labels."""
    x = view.x[:STRIP]
    return reconstruction_strip(x, model(x, view.y[:STRIP])[0], view.path("reconstructions"))


def samples(model: Any, view: View) -> Path:
    """Decoded draws from the prior."""
    return sample_grid(generate(model, STRIP**2), view.path("samples"))


def class_samples(model: Any, view: View) -> Path:
    """A column for each class."""
    labels = torch.arange(STRIP, device=view.x.device).repeat(STRIP)
    return sample_grid(generate_class(model, labels), view.path("samples"), columns=STRIP)


def interpolation(model: Any, view: View) -> Path:
    """From the first image to the second."""
    return interpolation_strip(interpolate(model, view.x[:1], view.x[1:2], STRIP), view.path("interpolation"))


def codes(model: Any, view: View) -> Path:
    """Map of an autoencoder's codes."""
    return latent_map(model(view.x)[1], view.y, view.path("codes"))


def posterior_means(model: Any, view: View) -> Path:
    """Map of a VAE's posterior means."""
    return latent_map(model.encode(view.x)[0], view.y, view.path("codes"))


def usage(model: Any, view: View) -> Path:
    """How often each code is used."""
    return codebook_usage(code_usage(model(view.x)[2], len(model.quantizer.codebook)), view.path("usage"))


def prior_samples(model: Any, view: View) -> Path:
    """Decoded draws from the prior over codes."""
    indices = sample_codes(model.prior, STRIP**2, *model.codes(view.x[:1]).shape[1:])
    return sample_grid(model.vqvae.decode_indices(indices), view.path("samples"))


# What else may differ: labels, a number to watch, work before the first epoch.


def no_labels(labels: Tensor) -> Tensor:
    """Hide every label."""
    return torch.full_like(labels, -1)


def all_labels(labels: Tensor) -> Tensor:
    """Show every label."""
    return labels


def few_labels(labels: Tensor) -> Tensor:
    """Show the first few labels of each class."""
    chosen = torch.cat([(labels == label).nonzero().flatten()[:LABELS_PER_CLASS] for label in torch.unique(labels)])
    shown = no_labels(labels)
    shown[chosen] = labels[chosen]
    return shown


def no_numbers(model: Any, view: View) -> dict[str, float]:
    """Nothing but the losses."""
    return {}


def codebook_numbers(model: Any, view: View) -> dict[str, float]:
    """Perplexity of the codes in use."""
    return {"perplexity": float(perplexity(model(view.x)[2], len(model.quantizer.codebook)))}


def test_accuracy(model: Any, view: View) -> dict[str, float]:
    """Share of the test images that are classified correctly."""
    return {"accuracy": accuracy(model, view.x, view.y)}


def no_preparation(model: Any, images: Tensor) -> None:
    """Start with random weights."""


def layerwise_pretraining(model: Any, images: Tensor) -> None:
    """Start with pre-trained layers."""
    model.pretrain(images)


@dataclass(frozen=True)
class Recipe:
    """How one model is trained and what its pictures show.

    `build` gets the folder of the run. `labels` maps all labels to those that training may see (-1: none).
    """

    build: Callable[[Path], nn.Module]
    loss: Callable[[Any, Batch], Tensor]
    pictures: tuple[Callable[[Any, View], Path], ...]
    labels: Callable[[Tensor], Tensor] = no_labels
    numbers: Callable[[Any, View], dict[str, float]] = no_numbers
    prepare: Callable[[Any, Tensor], None] = no_preparation
    lr: float = 1e-3


RECIPES = {
    "linear-ae": Recipe(lambda _: LinearAutoencoder(), reconstruction_loss, (reconstructions, codes)),
    "vanilla-ae": Recipe(lambda _: VanillaAutoencoder(), reconstruction_loss, (reconstructions, codes)),
    "conv-ae": Recipe(lambda _: ConvAutoencoder(), reconstruction_loss, (reconstructions, codes)),
    "unet": Recipe(lambda _: UNetAutoencoder(), reconstruction_loss, (reconstructions, codes)),
    "dae": Recipe(lambda _: DenoisingAutoencoder(noise=NOISE, noise_level=NOISE_LEVEL), noisy_loss, (denoised, codes)),
    "sparse-ae": Recipe(lambda _: VanillaAutoencoder(latent_dim=64), sparse_loss, (reconstructions, codes)),
    "stacked-ae": Recipe(
        lambda _: StackedAutoencoder(), reconstruction_loss, (reconstructions, codes), prepare=layerwise_pretraining
    ),
    "vae": Recipe(lambda _: VAE(), negative_elbo, (samples, reconstructions, interpolation, posterior_means)),
    "beta-vae": Recipe(lambda _: VAE(), beta_loss, (samples, reconstructions, interpolation, posterior_means)),
    "conv-vae": Recipe(lambda _: ConvVAE(), negative_elbo, (samples, reconstructions, interpolation, posterior_means)),
    "cvae": Recipe(lambda _: CVAE(), conditional_loss, (class_samples, conditional_reconstructions), labels=all_labels),
    "vqvae": Recipe(lambda _: VQVAE(), quantised_loss, (reconstructions, usage), numbers=codebook_numbers, lr=2e-3),
    "vqvae-ema": Recipe(
        lambda _: VQVAE(ema=True), quantised_loss, (reconstructions, usage), numbers=codebook_numbers, lr=2e-3
    ),
    "prior": Recipe(load_image_prior, code_loss, (prior_samples,)),
    "semi-supervised": Recipe(
        lambda _: JointModel(VanillaAutoencoder(), latent_dim=32),
        labelled_loss,
        (reconstructions,),
        labels=few_labels,
        numbers=test_accuracy,
    ),
}


# The run.


@contextmanager
def separate_randomness(seed: int) -> Iterator[None]:
    """Draws inside start from `seed` and leave the random stream outside as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def random_state() -> dict[str, Any]:
    """States of PyTorch's global generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def set_random_state(state: dict[str, Any]) -> None:
    """Undo what was drawn since `random_state`; GPUs that are not here any more are left out."""
    torch.set_rng_state(state["cpu"])
    for device, cuda_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(cuda_state, device)


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write all or nothing: an interruption leaves the previous checkpoint whole."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values only; nothing in the file is executed."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


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


def command() -> str:
    """How this program is called."""
    return f"python -m {__package__}.train"


def positive(kind: type) -> Callable[[str], Any]:
    """Parser of positive numbers."""

    def parse(text: str) -> Any:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"must be positive, got {text}")
        return value

    return parse


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=command(), description="Train one of the assignment's models.")
    parser.add_argument("model", choices=RECIPES, metavar="MODEL", help=", ".join(RECIPES))
    parser.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto", help="default: %(default)s")
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
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
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
        console.print(f"{arguments.model} on {run.data.name} ({run.data.reason}), {run.device}, in {run.folder}")
        if run.epoch:
            console.print(f"{run.epoch} epochs are done already; --epochs {run.epochs}, --fresh starts again")
        run.go(console)
    except (DataError, RunError) as error:
        console.print(f"[bold red]error:[/] {error}")
        return 1
    except NotImplementedError as error:
        console.print(f"[bold red]not written yet:[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last finished epoch")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
