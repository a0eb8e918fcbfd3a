"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoders import mse_loss
from .training import batches, device_of, evaluating, train_epochs

UNLABELLED = -1
"""Label of an example that has none."""


def _linear_head(body: nn.Module, inputs: int, outputs: int) -> nn.Linear:
    """An affine map to logits that lives where `body` lives, with small weights to start with."""
    like = next((weight for weight in body.parameters() if weight.is_floating_point()), None)
    head = nn.Linear(inputs, outputs)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head if like is None else head.to(like.device, like.dtype)


def _logits(output: Any) -> Tensor:
    """Logits out of what a model returned: all of it, or the last of a tuple."""
    logits: Tensor = output[-1] if isinstance(output, tuple | list) else output
    return logits


def _labelled_rows(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels of the rows that have a label."""
    labelled = labels != UNLABELLED
    if not labelled.any():
        raise ValueError(f"labels must have an entry other than {UNLABELLED}, got {len(labels)} unlabelled rows")
    return images[labelled.to(images.device)], labels[labelled]


def _check_alpha(alpha: float) -> None:
    if not alpha >= 0:
        raise ValueError(f"alpha must be at least 0, got {alpha}")


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
        self.freeze = freeze
        self.encoder = copy.deepcopy(autoencoder)
        self.encoder.zero_grad()
        self.head = _linear_head(self.encoder, latent_dim, num_classes)
        if freeze:
            self.encoder.requires_grad_(False)
        self.train(autoencoder.training)

    def train(self, mode: bool = True) -> EncoderClassifier:
        """A frozen encoder has no training mode."""
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of the images `x`."""
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
        self.head = _linear_head(autoencoder, latent_dim, num_classes)

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
    log_probs = torch.log_softmax(logits[labelled], dim=1)
    total = log_probs[:0].sum()  # 0, and part of the graph also if no class occurs
    for label in labels[labelled].unique().tolist():
        total = total - log_probs[labels[labelled] == label, label].sum()
    return total / labelled.sum().clamp(min=1)


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Reconstruction of all rows and classification of the labelled ones.

    L = mse_loss(x_recon, x) + alpha · classification_loss(logits, labels)

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: alpha < 0.
    """
    _check_alpha(alpha)
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
    images, labels = _labelled_rows(images, labels)
    correct = 0
    with evaluating(model):
        for x, y in batches(images, labels, batch_size=batch_size):
            device = device_of(model, x)
            predictions = _logits(model(x.to(device))).argmax(dim=1)
            correct += int((predictions == y.to(device)).sum())
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
    images, labels = _labelled_rows(images, labels)

    def batch_loss(x: Tensor, y: Tensor) -> Tensor:
        device = device_of(classifier, x)
        return classification_loss(_logits(classifier(x.to(device))), y.to(device))

    loader = batches(images, labels, batch_size=batch_size, shuffle=True, generator=generator)
    return train_epochs([classifier], loader, batch_loss, epochs, lr)


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
    def batch_loss(x: Tensor) -> Tensor:
        x = x.to(device_of(autoencoder, x))
        return mse_loss(autoencoder(x)[0], x)

    loader = batches(images, batch_size=batch_size, shuffle=True, generator=generator)
    train_epochs([autoencoder], loader, batch_loss, pretrain_epochs, lr)
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
    _check_alpha(alpha)

    def batch_loss(x: Tensor, y: Tensor) -> Tensor:
        device = device_of(model, x)
        x = x.to(device)
        x_recon, logits = model(x)
        return joint_loss(x_recon, x, logits, y.to(device), alpha)

    loader = batches(images, labels, batch_size=batch_size, shuffle=True, generator=generator)
    return train_epochs([model], loader, batch_loss, epochs, lr)
