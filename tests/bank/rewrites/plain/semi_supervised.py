"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


import torch
from torch import Tensor, nn

from .autoencoders import mse_loss
from .training import fit

UNLABELLED = -1
"""Label of an example that has none."""


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _first_weight(model: nn.Module) -> Tensor:
    """A tensor that has the dtype and device of the model."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor
    return torch.zeros(())


def _head(autoencoder: nn.Module, latent_dim: int, num_classes: int) -> nn.Linear:
    like = _first_weight(autoencoder)
    return nn.Linear(latent_dim, num_classes, device=like.device, dtype=like.dtype)


def _labelled(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    rows = (labels != UNLABELLED).nonzero().squeeze(1)
    if len(rows) == 0:
        raise ValueError(f"labels must have a labelled row, got {labels.tolist()}")
    return images[rows.to(images.device)], labels[rows]


def _epochs(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss_of: Callable[[Any, Tensor, Tensor], Tensor],
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator | None,
) -> list[float]:
    """Mean loss per row of each epoch of training by NAdam."""
    if epochs < 0:
        raise ValueError(f"epochs must not be negative, got {epochs}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = _first_weight(model).device
    optimizer = torch.optim.NAdam([p for p in model.parameters() if p.requires_grad], lr=lr)
    place = "cpu" if generator is None else generator.device
    history = []
    with _modes_kept(model):
        model.train()
        for _ in range(epochs):
            total = 0.0
            for rows in torch.randperm(len(images), generator=generator, device=place).split(batch_size):
                x = images[rows.to(images.device)].to(device)
                y = labels[rows.to(labels.device)].to(device)
                optimizer.zero_grad()
                loss = loss_of(model(x), x, y)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            history.append(total / len(images))
    return history


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
        self.body = copy.deepcopy(autoencoder)
        self.body.zero_grad(set_to_none=True)
        self.frozen = freeze
        self.head = _head(autoencoder, latent_dim, num_classes)
        if freeze:
            self.body.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> EncoderClassifier:
        """As ever, but a frozen encoder stays in eval mode: its buffers must not move."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of the images `x`."""
        return self.head(self.body.encode(x))


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
    bad = (labels < UNLABELLED) | (labels >= logits.shape[1])
    if bool(bad.any()):
        raise ValueError(f"labels must be in -1...{logits.shape[1] - 1}, got {labels[bad].tolist()}")
    known = (labels != UNLABELLED).sum().clamp(min=1)
    total = nn.functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / known


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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    images, labels = _labelled(images, labels)
    device = _first_weight(model).device
    hits = 0
    with _modes_kept(model), torch.no_grad():
        model.eval()
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            output = model(x.to(device))
            logits = output[-1] if isinstance(output, tuple) else output
            hits += int((logits.argmax(dim=1) == y.to(logits.device)).sum())
    return hits / len(labels)


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
    return _epochs(
        classifier, images, labels, lambda out, x, y: classification_loss(out, y), epochs, batch_size, lr, generator
    )


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
    _labelled(images, labels)  # complain before the long stage
    optimizer = torch.optim.AdamW([p for p in autoencoder.parameters() if p.requires_grad], lr=lr, weight_decay=1e-4)
    fit(
        autoencoder,
        images,
        lambda output, x: mse_loss(output[0], x),
        optimizer,
        pretrain_epochs,
        batch_size=batch_size,
        generator=generator,
    )
    num_classes = max(10, int(labels.max()) + 1)
    classifier = EncoderClassifier(autoencoder, latent_dim, num_classes, freeze=freeze)
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
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    return _epochs(
        model,
        images,
        labels,
        lambda out, x, y: joint_loss(out[0], x, out[1], y, alpha),
        epochs,
        batch_size,
        lr,
        generator,
    )
