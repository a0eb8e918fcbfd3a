"""Given: what is special to each model that `train.py` trains: its loss, its pictures, the labels it may see.

`RECIPES`, at the end, is the list; everything before it is what the recipes are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoders import (
    ConvAutoencoder,
    LinearAutoencoder,
    UNetAutoencoder,
    VanillaAutoencoder,
    l1_sparsity,
    mse_loss,
)
from .checkpoints import CHECKPOINT, read_checkpoint
from .denoising import DenoisingAutoencoder, corrupt, denoising_loss
from .prior import CodePrior, bits_per_code, sample_codes
from .semi_supervised import JointModel, accuracy, joint_loss
from .training import assemble_stack, pretrain_layerwise
from .vae import CVAE, VAE, ConvVAE, generate, generate_class, interpolate, kl_annealing, vae_loss
from .visualize import (
    codebook_usage,
    interpolation_strip,
    latent_map,
    reconstruction_strip,
    sample_grid,
)
from .vqvae import VQVAE, code_usage, perplexity, vqvae_loss

STRIP = 10
"""Images in a strip."""
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


def command() -> str:
    """How this program is called."""
    return f"python -m {__package__}.train"


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
