"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoders import mse_loss

# begin private
from .training import adam, evaluation_mode, fit, modes_kept, to_model, train_epochs

# end private

UNLABELLED = -1
"""Label of an example that has none."""


# begin private
def linear_head(autoencoder: nn.Module, latent_dim: int, num_classes: int) -> nn.Linear:
    """Affine map from codes to logits, with the device and dtype of the autoencoder."""
    anchor = next(autoencoder.parameters(), torch.empty(0))
    return nn.Linear(latent_dim, num_classes, device=anchor.device, dtype=anchor.dtype)


# end private


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
        # begin solution Q7
        self.freeze = freeze
        self.autoencoder: Any = copy.deepcopy(autoencoder).requires_grad_(not freeze)
        self.head = linear_head(autoencoder, latent_dim, num_classes)
        self.train()
        # end solution

    # begin private
    def train(self, mode: bool = True) -> EncoderClassifier:
        """A frozen encoder stays in eval mode, else its running statistics would go on moving."""
        super().train(mode)
        if self.freeze:
            self.autoencoder.eval()
        return self

    # end private

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of the images `x`."""
        # begin solution Q7
        logits: Tensor = self.head(self.autoencoder.encode(x))
        return logits
        # end solution


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
        # begin solution Q7
        self.autoencoder = autoencoder
        self.head = linear_head(autoencoder, latent_dim, num_classes)
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x_recon, logits), both from one code; x_recon like `x`, logits (B, num_classes)."""
        # begin solution Q7
        x_recon, z = self.autoencoder(x)
        return x_recon, self.head(z)
        # end solution


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
    # begin solution Q7
    # Sum, then divide: the built-in mean is 0/0 in a batch without labels.
    total = nn.functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)
    # end solution


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Reconstruction of all rows and classification of the labelled ones.

    L = mse_loss(x_recon, x) + alpha · classification_loss(logits, labels)

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: alpha < 0.
    """
    # begin solution Q7
    if alpha < 0:
        raise ValueError(f"alpha must be at least 0, got {alpha}")
    return mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)
    # end solution


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
    # begin solution Q7
    images, labels = labelled_rows(images, labels)
    images, labels = to_model(images, model), to_model(labels, model)
    hits = labels.new_zeros(())
    with evaluation_mode(model):
        for x, y in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
            output = model(x)
            logits = output[-1] if isinstance(output, tuple) else output
            hits += (logits.argmax(dim=1) == y).sum()
    return int(hits) / len(labels)
    # end solution


# begin private
def labelled_rows(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rows with a label; ValueError if there is none."""
    given = labels != UNLABELLED
    if not given.any():
        raise ValueError(f"labels must have an entry other than {UNLABELLED}, got {len(labels)} unlabelled rows")
    return images[given.to(images.device)], labels[given]


# end private


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
    # begin solution Q7
    images, labels = labelled_rows(images, labels)
    images, labels = to_model(images, classifier), to_model(labels, classifier)
    optimizer = adam(classifier, lr)

    def loss_of_rows(rows: Tensor) -> Tensor:
        return classification_loss(classifier(images[rows]), labels[rows])

    with modes_kept(classifier):
        return list(train_epochs(classifier, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
    # end solution


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
    # begin solution Q7
    optimizer = adam(autoencoder, lr)
    fit(
        autoencoder,
        images,
        lambda output, x: mse_loss(output[0], x),
        optimizer,
        pretrain_epochs,
        batch_size,
        generator=generator,
    )
    classifier = EncoderClassifier(autoencoder, latent_dim, freeze=freeze)
    finetune(classifier, images, labels, finetune_epochs, lr=lr, generator=generator)
    return classifier
    # end solution


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
    # begin solution Q7
    images, labels = to_model(images, model), to_model(labels, model)
    optimizer = adam(model, lr)

    def loss_of_rows(rows: Tensor) -> Tensor:
        x = images[rows]
        x_recon, logits = model(x)
        return joint_loss(x_recon, x, logits, labels[rows], alpha)

    with modes_kept(model):
        return list(train_epochs(model, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
    # end solution
