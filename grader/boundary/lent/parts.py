"""The grader's own version of parts that checks rely on (`checks.Part`, `rubric.borrowed`).

Where a submission's own part failed its checks, what rests on it runs once more with one of these. They are needed in
grading only: what is handed to students leaves this file out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .given import image_nelbo


def univariate_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """`gaussians.univariate_log_prob`."""
    return -0.5 * ((x - mu).square() * torch.exp(-logvar) + logvar + math.log(2 * math.pi))


def diagonal_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """`gaussians.diagonal_log_prob`."""
    return univariate_log_prob(x, mu, logvar).sum(-1)


def full_covariance_log_prob(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """`gaussians.full_covariance_log_prob`."""
    try:
        law = torch.distributions.MultivariateNormal(mu, cov)
    except ValueError as error:
        raise ValueError(f"cov must be symmetric positive definite: {error}") from error
    found: Tensor = law.log_prob(x)  # type: ignore[no-untyped-call]
    return found


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """`evaluation.log_importance_weights`."""
    zero = torch.zeros_like(mu)
    return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)


def iwae_bound(log_weights: Tensor) -> Tensor:
    """`evaluation.iwae_bound`."""
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def ppca_log_likelihood(x: Tensor, weight: Tensor, mean: Tensor, noise_var: float) -> Tensor:
    """`evaluation.ppca_log_likelihood`."""
    noise = noise_var * torch.eye(len(mean), dtype=weight.dtype, device=weight.device)
    return full_covariance_log_prob(x, mean, weight @ weight.T + noise)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """`gaussians.kl_divergence`."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


def kl_univariate(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """`gaussians.kl_univariate`."""
    ratio = logvar_p - logvar_q
    return 0.5 * (torch.expm1(ratio) - ratio + (mu_p - mu_q).square() * torch.exp(-logvar_q))


def kl_diagonal(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """`gaussians.kl_diagonal`."""
    return kl_univariate(mu_p, logvar_p, mu_q, logvar_q).sum(1)


def kl_full_covariance(mu: Tensor, cov: Tensor) -> Tensor:
    """`gaussians.kl_full_covariance`, for what is a covariance."""
    found: Tensor = 0.5 * (cov.trace() + mu @ mu - len(mu) - torch.linalg.slogdet(cov).logabsdet)
    return found


def pmf_expectation(values: Tensor, probs: Tensor) -> Tensor:
    """`gaussians.pmf_expectation`."""
    if not bool((probs >= 0).all()) or not bool(((probs.sum(-1) - 1).abs() < 1e-4).all()):
        raise ValueError(f"probs must be non-negative and sum to 1, got {probs}")
    return (probs * values).sum(-1)


def pmf_variance(values: Tensor, probs: Tensor) -> Tensor:
    """`gaussians.pmf_variance`."""
    centred = values - pmf_expectation(values, probs).unsqueeze(-1)
    return (probs * centred.square()).sum(-1)


def conditional_log_prob(x: Tensor, y: Tensor, mu_table: Tensor, logvar_table: Tensor) -> Tensor:
    """`gaussians.conditional_log_prob`, for classes that there are."""
    return diagonal_log_prob(x, mu_table[y], logvar_table[y])


class PCA:
    """`pca.PCA`, with what others may ask of it."""

    mean_: Tensor
    components_: Tensor
    explained_variance_: Tensor
    explained_variance_ratio_: Tensor

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, x: Tensor) -> PCA:
        if not 1 <= self.n_components <= min(x.shape):
            raise ValueError(f"n_components must be in 1...{min(x.shape)}, got {self.n_components}")
        self.mean_ = x.mean(0)
        _, values, rows = torch.linalg.svd(x - self.mean_, full_matrices=False)
        variance = values.square() / (len(x) - 1)
        self.components_, self.explained_variance_ = rows[: self.n_components], variance[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / variance.sum()
        return self

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.mean_) @ self.components_.mT

    def decode(self, z: Tensor) -> Tensor:
        return z @ self.components_ + self.mean_

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def bce_loss(x_recon: Tensor, x: Tensor) -> Tensor:
    """`autoencoders.bce_loss`."""
    return F.binary_cross_entropy(x_recon, x, reduction="none").flatten(1).sum(1).mean()


def concat_skip(upsampled: Tensor, skip: Tensor) -> Tensor:
    """`autoencoders.concat_skip`."""
    if upsampled.shape[:1] + upsampled.shape[2:] != skip.shape[:1] + skip.shape[2:]:
        raise ValueError(f"upsampled {tuple(upsampled.shape)} and skip {tuple(skip.shape)} differ in B, H or W")
    return torch.cat([upsampled, skip], dim=1)


class VanillaAutoencoder(nn.Module):
    """`autoencoders.VanillaAutoencoder`."""

    def __init__(self, input_dim: int = 784, latent_dim: int = 32) -> None:
        super().__init__()
        self.side = math.isqrt(input_dim)
        if self.side**2 != input_dim:
            raise ValueError(f"input_dim must be a square number, got {input_dim}")
        wide, narrow = 256, 128
        self.encoder = nn.Sequential(nn.Linear(input_dim, wide), nn.ReLU(), nn.Linear(wide, narrow), nn.ReLU(),
                                     nn.Linear(narrow, latent_dim))  # fmt: skip
        self.decoder = nn.Sequential(nn.Linear(latent_dim, narrow), nn.ReLU(), nn.Linear(narrow, wide), nn.ReLU(),
                                     nn.Linear(wide, input_dim), nn.Sigmoid())  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.encoder(x.flatten(1))
        return z

    def decode(self, z: Tensor) -> Tensor:
        pixels: Tensor = self.decoder(z)
        return pixels.view(-1, 1, self.side, self.side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


class ConvAutoencoder(nn.Module):
    """`autoencoders.ConvAutoencoder`."""

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
                                     nn.Conv2d(32, latent_dim, 7), nn.Flatten())  # fmt: skip
        self.decoder = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, 32, 7),
                                     nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
                                     nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Sigmoid())  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor) -> Tensor:
        x_recon: Tensor = self.decoder(z)
        return x_recon

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


class UNetAutoencoder(nn.Module):
    """`autoencoders.UNetAutoencoder`."""

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.on_full, self.on_half = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.to_code, self.from_code = nn.Linear(16 * 49, latent_dim), nn.Linear(latent_dim, 16 * 49)
        self.up_half, self.join_half = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(8 + 16, 8, 3, padding=1)
        self.up_full, self.join_full = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(8 + 8, 1, 3, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        full = F.relu(self.on_full(x))
        half = F.relu(self.on_half(F.max_pool2d(full, 2)))
        return self.to_code(F.max_pool2d(half, 2).flatten(1)), [full, half]

    def decode(self, z: Tensor, skips: Sequence[Tensor]) -> Tensor:
        bottom = F.relu(self.from_code(z)).view(-1, 16, 7, 7)
        half = F.relu(self.join_half(torch.cat([self.up_half(bottom), skips[1]], dim=1)))
        return torch.sigmoid(self.join_full(torch.cat([self.up_full(half), skips[0]], dim=1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, skips = self.encode(x)
        return self.decode(z, skips), z


def elbo_terms(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """`vae.elbo_terms`."""
    return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()


def vae_loss(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """`vae.vae_loss`."""
    kl = kl_divergence(mu, logvar).mean()
    return image_nelbo(x_recon, x, mu, logvar) + (beta - 1) * kl


def gaussian_noise(x: Tensor, std: float, generator: torch.Generator | None = None) -> Tensor:
    """`denoising.gaussian_noise`."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return (x + std * noise).clamp(0, 1)


def masking_noise(x: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """`denoising.masking_noise`."""
    return x * (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) >= drop_prob)


def salt_and_pepper_noise(x: Tensor, prob: float, generator: torch.Generator | None = None) -> Tensor:
    """`denoising.salt_and_pepper_noise`."""
    replaced, white = (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) for _ in range(2))
    return torch.where(replaced < prob, (white < 0.5).to(x.dtype), x)


def corrupt(x: Tensor, kind: str, level: float, generator: torch.Generator | None = None) -> Tensor:
    """`denoising.corrupt`."""
    kinds = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper_noise}
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}, got {kind!r}")
    return kinds[kind](x, level, generator)


def descend(
    parameters: Sequence[Tensor], loss_of: Any, size: int, epochs: int, batch_size: int, lr: float,
    generator: torch.Generator | None,
) -> list[float]:  # fmt: skip
    """Adam on `loss_of(rows)`; the mean loss of each epoch."""
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], lr=lr, fused=True)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(size, generator=generator), batch_size):
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / size)
    return losses


def pretrain_stage(
    encoders: Sequence[nn.Module], decoders: Sequence[nn.Module], stage: int, data: Tensor, epochs: int = 1,
    batch_size: int = 128, lr: float = 1e-3, generator: torch.Generator | None = None,
) -> list[float]:  # fmt: skip
    """`training.pretrain_stage`."""
    below = nn.Sequential(*encoders[:stage])
    modes = [(module, module.training) for module in below.modules()]
    below.eval()
    with torch.no_grad():
        data = below(data)
    for module, mode in modes:
        module.training = mode
    encode, decode = encoders[stage], decoders[stage]

    def loss_of(rows: Tensor) -> Tensor:
        target = data[rows]
        output: Tensor = decode(encode(target))
        return (output - target).square().sum(1).mean()

    weights = [*encode.parameters(), *decode.parameters()]
    return descend(weights, loss_of, len(data), epochs, batch_size, lr, generator)


def finetune(
    classifier: nn.Module, images: Tensor, labels: Tensor, epochs: int, batch_size: int = 32, lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[float]:  # fmt: skip
    """`semi_supervised.finetune`."""
    given = labels != -1
    images, labels = images[given], labels[given]
    classifier.train()

    def loss_of(rows: Tensor) -> Tensor:
        return F.cross_entropy(classifier(images[rows]), labels[rows])

    return descend(list(classifier.parameters()), loss_of, len(images), epochs, batch_size, lr, generator)


class VectorQuantizer(nn.Module):
    """`vqvae.VectorQuantizer`."""

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.commitment_cost = num_embeddings, embedding_dim, commitment_cost
        self.codebook: Tensor = nn.Parameter(0.05 * torch.randn(num_embeddings, embedding_dim))

    def nearest(self, z_e: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors `(N, D)` of all positions, and their codes' numbers `(N,)`."""
        vectors = z_e.detach().movedim(1, -1).flatten(0, -2)
        return vectors, torch.cdist(vectors, self.codebook.detach()).argmin(1)

    def losses(self, z_e: Tensor, codes: Tensor) -> Tensor:
        """What pulls the codes to the vectors, and the vectors to the codes."""
        return F.mse_loss(codes, z_e.detach()) + self.commitment_cost * F.mse_loss(z_e, codes.detach())

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        _, numbers = self.nearest(z_e)
        indices = numbers.view(len(z_e), *z_e.shape[2:])
        codes = self.lookup(indices)
        return z_e + (codes - z_e).detach(), self.losses(z_e, codes), indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes of numbers."""
        return F.embedding(indices, self.codebook).movedim(-1, 1)


class EMAVectorQuantizer(VectorQuantizer):
    """`vqvae.EMAVectorQuantizer`."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25, decay: float = 0.99,
        epsilon: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, commitment_cost)
        start = self.codebook.detach().clone()
        del self.codebook
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("codebook", start)
        self.register_buffer("counts", torch.ones(num_embeddings))
        self.register_buffer("sums", start.clone())

    def losses(self, z_e: Tensor, codes: Tensor) -> Tensor:
        """Only the vectors are pulled."""
        return self.commitment_cost * F.mse_loss(z_e, codes.detach())

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = super().forward(z_e)
        if self.training:
            vectors, numbers = self.nearest(z_e)
            with torch.no_grad():
                members = F.one_hot(numbers, self.num_embeddings).to(vectors)
                counts, sums = self.get_buffer("counts"), self.get_buffer("sums")
                counts.mul_(self.decay).add_(members.sum(0), alpha=1 - self.decay)
                sums.mul_(self.decay).add_(members.T @ vectors, alpha=1 - self.decay)
                self.codebook.copy_(sums / (counts + self.epsilon)[:, None])
        return found


class MaskedConv2d(nn.Conv2d):
    """`prior.MaskedConv2d`."""

    def __init__(self, mask_type: str, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        seen = torch.arange(kernel_size**2) < kernel_size**2 // 2 + (mask_type == "B")
        self.register_buffer("seen", seen.view(kernel_size, kernel_size), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        seen = self.get_buffer("seen")
        return F.conv2d(input, self.weight * seen, self.bias, padding=self.padding)


class EncoderClassifier(nn.Module):
    """`semi_supervised.EncoderClassifier`."""

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10, freeze: bool = False) -> None:
        super().__init__()
        self.autoencoder = copy.deepcopy(autoencoder).requires_grad_(not freeze)
        like = next(autoencoder.parameters(), torch.zeros(()))
        self.head, self.freeze = nn.Linear(latent_dim, num_classes).to(like), freeze

    def forward(self, x: Tensor) -> Tensor:
        if self.freeze:
            self.autoencoder.eval()
        logits: Tensor = self.head(self.autoencoder.encode(x))  # type: ignore[operator]
        return logits


def evaluate(model: nn.Module, data: Tensor, loss_fn: Any, batch_size: int = 128) -> float:
    """`training.evaluate`."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        total = 0.0
        for x in torch.split(data, batch_size):
            total += float(loss_fn(model(x), x)) * len(x)
    for module, mode in modes:
        module.training = mode
    return total / len(data)


class EarlyStopping:
    """`training.EarlyStopping`."""

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        self.patience, self.min_delta, self.best, self.stale = patience, min_delta, math.inf, 0

    def step(self, value: float) -> bool:
        """The next value: whether to stop."""
        self.stale = 0 if value < self.best - self.min_delta else self.stale + 1
        self.best = value if value < self.best else self.best
        return self.stale >= self.patience


class JointModel(nn.Module):
    """`semi_supervised.JointModel`."""

    def __init__(self, autoencoder: nn.Module, latent_dim: int, num_classes: int = 10) -> None:
        super().__init__()
        like = next(autoencoder.parameters(), torch.zeros(()))
        self.autoencoder, self.head = autoencoder, nn.Linear(latent_dim, num_classes).to(like)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x_recon, z = self.autoencoder(x)
        return x_recon, self.head(z)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """`semi_supervised.classification_loss`."""
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / (labels != -1).sum().clamp(min=1)


def joint_loss(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """`semi_supervised.joint_loss`."""
    if alpha < 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    return (x_recon - x).square().flatten(1).sum(1).mean() + alpha * classification_loss(logits, labels)
