"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoders import mse_loss

UNLABELLED = -1
"""Label of an example that has none."""


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
        raise NotImplementedError("Question 7: EncoderClassifier.__init__")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of the images `x`."""
        raise NotImplementedError("Question 7: EncoderClassifier.forward")


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
        raise NotImplementedError("Question 7: JointModel.__init__")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x_recon, logits), both from one code; x_recon like `x`, logits (B, num_classes)."""
        raise NotImplementedError("Question 7: JointModel.forward")


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
    raise NotImplementedError("Question 7: classification_loss")


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Reconstruction of all rows and classification of the labelled ones.

    L = mse_loss(x_recon, x) + alpha · classification_loss(logits, labels)

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: alpha < 0.
    """
    raise NotImplementedError("Question 7: joint_loss")


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
    raise NotImplementedError("Question 7: accuracy")


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

    The classifier learns in training mode; each labelled row comes once per epoch, in a fresh random order.

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
    raise NotImplementedError("Question 7: finetune")


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

    Stage 1 trains `autoencoder` on all images without their labels, by mse_loss between reconstruction and image,
    in training mode, whatever `freeze` is.
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
    raise NotImplementedError("Question 7: train_two_stage")


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

    The model learns in training mode; the rows come in a fresh random order in each epoch.

    Args:
        images: (N, ...).
        labels: (N,) int64, -1 for an unlabelled row.
        alpha: weight of the classification, at least 0.
        generator: source of the random order.

    Returns:
        Mean loss per example of each epoch.
    """
    raise NotImplementedError("Question 7: train_joint")
