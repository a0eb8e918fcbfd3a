"""Question 7: classifiers on top of autoencoders, with few labels."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoders import _evaluating, _like_model, mse_loss
from .training import _shuffled, _trainable, fit

UNLABELLED = -1
"""Label of an example that has none."""


class _Head(nn.Module):
    """logits = W z + b, with the device and type of another module."""

    def __init__(self, latent_dim: int, num_classes: int, body: nn.Module) -> None:
        super().__init__()
        like = _like_model(body)
        start = torch.randn(num_classes, latent_dim) * (0.5 / math.sqrt(latent_dim))
        self.directions = nn.Parameter(start.to(like))
        self.biases = nn.Parameter(torch.zeros(num_classes).to(like))

    def forward(self, z: Tensor) -> Tensor:
        return torch.einsum("bl,cl->bc", z, self.directions.to(z.dtype)) + self.biases


class EncoderClassifier(nn.Module):
    """Linear classifier on a copy of an autoencoder's encoder."""

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10, freeze: bool = False) -> None:
        super().__init__()
        self.frozen = freeze
        self.body = copy.deepcopy(autoencoder)
        self.body.zero_grad()
        self.head = _Head(latent_dim, num_classes, self.body)
        if freeze:
            self.body.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> EncoderClassifier:
        """A frozen body is always in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.body.encode(x))


class JointModel(nn.Module):
    """An autoencoder with a linear classifier on its code."""

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.head = _Head(latent_dim, num_classes, autoencoder)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(x_recon, logits)`."""
        x_recon, z = self.autoencoder(x)
        return x_recon, self.head(z)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the labelled rows; an empty sum is 0."""
    rows = torch.nonzero(labels != UNLABELLED).flatten()
    chosen = logits[rows].double()
    log_p = chosen - torch.logsumexp(chosen, dim=1, keepdim=True)
    picked = torch.gather(log_p, 1, labels[rows][:, None])
    return (-picked.sum() / max(len(rows), 1)).to(logits.dtype)


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Reconstruction and alpha times classification."""
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    return mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)


def _labelled_rows(labels: Tensor) -> Tensor:
    rows = torch.nonzero(labels != UNLABELLED).flatten()
    if len(rows) == 0:
        raise ValueError(f"labels has no labelled row among {len(labels)}: all are {UNLABELLED}")
    return rows


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Share of labelled rows that are classified correctly."""
    rows = _labelled_rows(labels)
    device = _like_model(model, images.device).device
    right = 0
    with _evaluating(model):
        for some in torch.split(rows, batch_size):
            output: Any = model(images[some.to(images.device)].to(device))
            logits = output[-1] if isinstance(output, (tuple, list)) else output
            right += int((logits.argmax(dim=1) == labels[some].to(logits.device)).sum())
    return right / len(rows)


def finetune(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    epochs: int,
    batch_size: int = 32,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train on the labelled rows."""
    rows = _labelled_rows(labels)
    device = _like_model(classifier, images.device).device
    x, y = images[rows.to(images.device)].to(device), labels[rows].to(device)
    optimizer = torch.optim.NAdam(_trainable(classifier), lr=lr)
    classifier.train()
    losses = []
    for _ in range(epochs):
        total = 0.0
        for some in _shuffled(len(x), batch_size, x.device, generator):
            optimizer.zero_grad()
            loss = classification_loss(classifier(x[some]), y[some])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(some)
        losses.append(total / len(x))
    return losses


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
    """Pre-train on all images, fine-tune on the labelled ones."""
    optimizer = torch.optim.Adam(_trainable(autoencoder), lr=lr, amsgrad=True)
    fit(
        autoencoder,
        images,
        lambda output, batch: mse_loss(output[0], batch),
        optimizer,
        pretrain_epochs,
        batch_size,
        generator=generator,
    )
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
    """Train by `joint_loss`."""
    device = _like_model(model, images.device).device
    optimizer = torch.optim.Adam(_trainable(model), lr=lr, amsgrad=True)
    model.train()

    def step(rows: Tensor) -> float:
        x, y = images[rows].to(device), labels[rows.to(labels.device)].to(device)
        optimizer.zero_grad()
        x_recon, logits = model(x)
        loss = joint_loss(x_recon, x, logits, y, alpha)
        loss.backward()
        optimizer.step()
        return float(loss.detach()) * len(rows)

    return [
        sum(map(step, _shuffled(len(images), batch_size, images.device, generator))) / len(images)
        for _ in range(epochs)
    ]
