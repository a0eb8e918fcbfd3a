"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import mse_loss

UNLABELLED = -1
"""Label of an example that has none."""


def _device(model: nn.Module, default: Tensor) -> torch.device:
    """Where `model` lies; where `default` does if it has no tensors."""
    return next(chain(model.parameters(), model.buffers()), default).device


def _head(autoencoder: nn.Module, latent_dim: int, num_classes: int) -> nn.Linear:
    """Linear classifier that starts at equal probabilities, with the dtype and device of `autoencoder`."""
    like = next((p for p in autoencoder.parameters() if p.is_floating_point()), torch.zeros(()))
    head = nn.Linear(latent_dim, num_classes, dtype=like.dtype, device=like.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def _labelled(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The labelled rows; ValueError if there is none."""
    rows = labels != UNLABELLED
    if not rows.any():
        raise ValueError(f"labels must have a row that is not {UNLABELLED}, got {labels}")
    return images[rows.to(images.device)], labels[rows]


def _train(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator | None,
) -> list[float]:
    """Every row once per epoch, in a fresh random order; the mean loss per row of each epoch."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    device = _device(model, images)
    means = []
    model.train()
    for _ in range(epochs):
        order = torch.randperm(
            len(images), generator=generator, device=images.device if generator is None else generator.device
        )
        total = 0.0
        for rows in order.split(batch_size):
            x = images[rows.to(images.device)].to(device)
            y = labels[rows.to(labels.device)].to(device)
            optimizer.zero_grad()
            loss = loss_fn(x, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        means.append(total / len(images))
    return means


class EncoderClassifier(nn.Module):
    """Linear classifier on a copy of an autoencoder's encoder: logits = W encode(x) + b.

    The autoencoder given is copied and never changes. With `freeze` no weight and no buffer of the copied
    encoder changes while the head trains, in training mode too (think of batch normalisation).
    """

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10, freeze: bool = False) -> None:
        """Copy the encoder and add the head.

        Args:
            autoencoder: any module with `encode(x)` -> (B, latent_dim).
            freeze: train the head only.
        """
        super().__init__()
        self.encoder = copy.deepcopy(autoencoder)
        self.freeze = freeze
        if freeze:
            self.encoder.requires_grad_(False).eval()
        self.head = _head(autoencoder, latent_dim, num_classes)

    def train(self, mode: bool = True) -> EncoderClassifier:
        """A frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of the images `x`."""
        if self.freeze:
            self.encoder.eval()
        return self.head(self.encoder.encode(x))


class JointModel(nn.Module):
    """An autoencoder with a linear classifier on its code; both train together.

    Uses the very autoencoder given, not a copy.
    """

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10) -> None:
        """Keep the autoencoder and add the head.

        Args:
            autoencoder: any module with `forward(x)` -> (x_recon, z), z (B, latent_dim).
        """
        super().__init__()
        self.autoencoder = autoencoder
        self.head = _head(autoencoder, latent_dim, num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x_recon, logits), both from one code; x_recon like `x`, logits (B, num_classes)."""
        x_recon, z = self.autoencoder(x)
        return x_recon, self.head(z)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats, averaged over the labelled rows only.

    -1/n · sum over rows with y ≠ -1 of log softmax(logits)_y, with n the number of such rows. If there is none,
    the loss is 0 with a gradient of zeros (not NaN).

    Args:
        logits: (B, C).
        labels: (B,) int64, -1 for an unlabelled row.

    Returns:
        Scalar tensor ().
    """
    labelled = labels != UNLABELLED
    # Unlabelled rows are cut out, so that not even an infinite logit of theirs matters; no row at all sums to 0.
    total = F.cross_entropy(logits[labelled], labels[labelled], reduction="sum")
    return total / labelled.sum().clamp(min=1)


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Reconstruction of all rows and classification of the labelled ones.

    L = mse_loss(x_recon, x) + alpha · classification_loss(logits, labels)

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: alpha < 0.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    return mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Share of the labelled rows whose largest logit is that of their label.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Args:
        model: returns logits (B, C), or a tuple with the logits last.
        images: (N, ...).
        labels: (N,) int64; rows with -1 do not count.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: no row is labelled.
    """
    images, labels = _labelled(images, labels)
    twin = copy.deepcopy(model).eval()
    device = _device(twin, images)
    correct = 0
    with torch.no_grad():
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            output = twin(x.to(device))
            logits = output[-1] if isinstance(output, tuple) else output
            correct += int((logits.argmax(1) == y.to(logits.device)).sum())
    return correct / len(labels)


def finetune(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    epochs: int,
    batch_size: int = 32,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train a classifier on the labelled rows, and only those of its parameters that require gradients.

    Args:
        classifier: returns logits (B, C).
        images: (N, ...).
        labels: (N,) int64; rows with -1 are left out.
        generator: source of the random order.

    Returns:
        Mean classification loss per labelled row of each epoch.

    Raises:
        ValueError: no row is labelled.
    """
    images, labels = _labelled(images, labels)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return classification_loss(classifier(x), y)

    return _train(classifier, loss, images, labels, epochs, batch_size, lr, generator)


def train_two_stage(
    autoencoder: nn.Module,
    images: Tensor,
    labels: Tensor,
    latent_dim: int,
    pretrain_epochs: int,
    finetune_epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    freeze: bool = False,
    generator: torch.Generator | None = None,
) -> EncoderClassifier:
    """Pre-train on all images, then fine-tune on the labelled ones (compare M1 of arXiv:1406.5298).

    Stage 1 trains `autoencoder` on all images without their labels, by mse_loss between reconstruction and image.
    Stage 2 fine-tunes an `EncoderClassifier` on it.

    Args:
        autoencoder: any module with `encode(x)` -> (B, latent_dim) and `forward(x)` -> (x_recon, z).
        images: (N, ...).
        labels: (N,) int64, -1 for an unlabelled row.
        batch_size: of stage 1; stage 2 has few rows and keeps the default of `finetune`.
        lr: learning rate of both stages.
        freeze: in stage 2 train the head only.
        generator: source of the random orders.

    Returns:
        The fine-tuned classifier.
    """

    def loss(x: Tensor, _: Tensor) -> Tensor:
        return mse_loss(autoencoder(x)[0], x)

    _train(autoencoder, loss, images, labels, pretrain_epochs, batch_size, lr, generator)
    classifier = EncoderClassifier(autoencoder, latent_dim, freeze=freeze)
    finetune(classifier, images, labels, finetune_epochs, lr=lr, generator=generator)
    return classifier


def train_joint(
    model: JointModel,
    images: Tensor,
    labels: Tensor,
    alpha: float,
    epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train a `JointModel` by `joint_loss`; every image and every given label is used once per epoch.

    Args:
        images: (N, ...).
        labels: (N,) int64, -1 for an unlabelled row.
        alpha: weight of the classification, at least 0.
        generator: source of the random order.

    Returns:
        Mean loss per example of each epoch.
    """

    def loss(x: Tensor, y: Tensor) -> Tensor:
        x_recon, logits = model(x)
        return joint_loss(x_recon, x, logits, y, alpha)

    return _train(model, loss, images, labels, epochs, batch_size, lr, generator)
