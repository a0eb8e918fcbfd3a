"""Question 8: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative


def changed(model: str, body: str) -> str:
    """A model that differs from the reference in the methods of `body`."""
    return f"class {model}({model}):\n{body}"


OTHER_VAE = """
class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        side = int(round(input_dim ** 0.5))
        if side * side != input_dim:
            raise ValueError("input_dim=%d is no square" % input_dim)
        self.latent_dim, self.side = latent_dim, side
        self.norm = nn.BatchNorm1d(hidden_dim)
        self.drop = nn.Dropout(0.3)
        self.w1 = nn.Parameter(torch.randn(input_dim, hidden_dim) / input_dim ** 0.5)
        self.head = nn.Linear(hidden_dim, 2 * latent_dim, bias=False)
        self.up = nn.ModuleList([nn.Linear(latent_dim, hidden_dim), nn.Linear(hidden_dim, input_dim)])

    def encode(self, x):
        h = torch.tanh(self.drop(self.norm(x.reshape(x.size(0), -1) @ self.w1)))
        return torch.chunk(self.head(h), 2, dim=-1)

    def decode(self, z):
        h = nn.functional.silu(self.up[0](z))
        return ((1 + torch.tanh(self.up[1](h))) / 2).view(z.size(0), 1, self.side, self.side)

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        if eps is None:
            eps = torch.empty_like(mu).normal_(generator=generator)
        sigma = torch.sqrt(torch.exp(logvar))
        return [self.decode(torch.addcmul(mu, sigma, eps)), mu, logvar]
"""


OTHER_CONV = """
class ConvVAE(nn.Module):
    def __init__(self, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.fc_mu, self.fc_logvar = nn.Linear(784, latent_dim), nn.Linear(784, latent_dim)
        nn.init.zeros_(self.fc_logvar.weight)
        nn.init.constant_(self.fc_logvar.bias, -3.0)
        self.fc = nn.Linear(latent_dim, 784)
        self.up1, self.up2 = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def encode(self, x):
        h = nn.functional.max_pool2d(nn.functional.gelu(self.down1(x)), 2)
        h = nn.functional.avg_pool2d(nn.functional.gelu(self.norm(self.down2(h))), 2)
        h = h.permute(0, 2, 3, 1).reshape(len(x), -1)
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z):
        h = self.fc(z).view(-1, 16, 7, 7)
        h = nn.functional.gelu(self.up1(nn.functional.interpolate(h, scale_factor=2)))
        return torch.sigmoid(self.up2(nn.functional.interpolate(h, scale_factor=2, mode="bilinear")))

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        z = reparameterize(mu, logvar, eps=eps, generator=generator)
        return self.decode(z), mu, logvar
"""


OTHER_LOSSES = """
from torch.distributions import Normal
from torch.distributions import kl_divergence as kl_of_torch


def elbo_terms(x_recon, x, mu, logvar):
    p = x_recon.clamp(1e-7, 1 - 1e-7)
    nats = nn.functional.binary_cross_entropy(p, x, reduction="none")
    kl = kl_of_torch(Normal(mu, (logvar / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    return nats.sum(dim=(1, 2, 3)).mean(), kl.sum(-1).mean()


def vae_loss(x_recon, x, mu, logvar, beta=1.0):
    if not beta >= 0:
        raise ValueError(f"beta={beta} is negative")
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        recon, kl = elbo_terms(x_recon[i : i + 1], x[i : i + 1], mu[i : i + 1], logvar[i : i + 1])
        total = total + recon + beta * kl
    return total / len(x)


def kl_annealing(step, warmup_steps, beta_max=1.0):
    if min(step, warmup_steps, beta_max) < 0:
        raise ValueError(f"negative argument in step={step}, warmup_steps={warmup_steps}, beta_max={beta_max}")
    return beta_max * (1 if warmup_steps == 0 else min(1, step / warmup_steps))


def free_bits_kl(mu, logvar, free_bits, group_size=1):
    if free_bits < 0 or group_size <= 0 or mu.size(1) % group_size != 0:
        raise ValueError(f"bad free_bits={free_bits} or group_size={group_size}")
    per_dimension = -0.5 * torch.mean(1 + logvar - mu ** 2 - torch.exp(logvar), dim=0)
    floor = torch.as_tensor(free_bits, dtype=mu.dtype)
    return sum(torch.maximum(group.sum(), floor) for group in per_dimension.split(group_size))
"""


OTHER_SAMPLING = """
@torch.no_grad()
def generate(model, num_samples, generator=None):
    was = model.training
    model.eval()
    try:
        like = next(iter(model.parameters()))
        images = []
        for _ in range(0, num_samples, 100):
            z = torch.empty(min(100, num_samples - 100 * len(images)), model.latent_dim, dtype=like.dtype)
            images.append(model.decode(z.normal_(generator=generator).to(like.device)))
        return torch.cat(images)
    finally:
        model.train(was)


def interpolate(model, x1, x2, steps=10):
    if steps <= 1:
        raise ValueError("steps=%s: a path needs its two ends" % steps)
    mode = model.training
    model.train(False)
    with torch.inference_mode():
        start, end = model.encode(torch.cat([x1, x2]))[0]
        frames = [model.decode((start + (end - start) * i / (steps - 1))[None]) for i in range(steps)]
    model.train(mode)
    return torch.cat(frames, dim=0)
"""


REPARAMETERIZE_RSAMPLE = """
def reparameterize(mu, logvar, eps=None, generator=None):
    sigma = logvar.exp().sqrt()
    if eps is not None:
        return torch.addcmul(mu, eps, sigma)
    if generator is None:
        return torch.distributions.Normal(mu, sigma).rsample()
    columns = [torch.randn(len(mu), generator=generator, dtype=torch.float32) for _ in range(mu.shape[1])]
    return mu + sigma * torch.stack(columns, dim=1).to(mu)
"""


SOFTPLUS_MODEL = """
from typing import NamedTuple

from .autoencoders import _image_side as _side_of


class VAEOutput(NamedTuple):
    x_recon: Tensor
    mu: Tensor
    logvar: Tensor


class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.side = _side_of(input_dim)
        self.register_buffer("centre", torch.full((1, 1, 1, 1), 0.5), persistent=False)
        self.layers = nn.ModuleDict(
            {
                "body": nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ELU(), nn.Linear(hidden_dim, hidden_dim), nn.ELU()),
                "mean": nn.Linear(hidden_dim, latent_dim),
                "scale": nn.Linear(hidden_dim, latent_dim),
                "back": nn.Sequential(nn.Linear(latent_dim, hidden_dim), nn.PReLU(), nn.Linear(hidden_dim, input_dim)),
            }
        )

    def _posterior(self, x):
        h = self.layers["body"]((x - self.centre).flatten(1))
        raw = self.layers["scale"](h)
        exact = torch.log(nn.functional.softplus(raw.clamp(min=-15.0)))
        return self.layers["mean"](h), 2 * torch.where(raw < -15.0, raw, exact)

    def _logits(self, z):
        return self.layers["back"](z).view(-1, 1, self.side, self.side)

    def encode(self, x):
        return self._posterior(x)

    def decode(self, z):
        return self._logits(z).sigmoid()

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self._posterior(x)
        return VAEOutput(self._logits(reparameterize(mu, logvar, eps, generator)).sigmoid(), mu, logvar)
"""


TIED_MODEL = """
import math


class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        self._side = math.isqrt(input_dim) if input_dim > 0 else 0
        if self._side < 1 or self._side**2 != input_dim:
            raise ValueError(f"input_dim: {input_dim} is not s**2")
        self.W = nn.Parameter(nn.init.xavier_normal_(torch.empty(hidden_dim, input_dim)))
        self.V = nn.Parameter(0.1 * torch.randn(2, latent_dim, hidden_dim))
        self.bias_hidden = nn.Parameter(torch.zeros(2, hidden_dim))
        self.bias_code = nn.Parameter(torch.zeros(2, 1, latent_dim))
        self.bias_pixel = nn.Parameter(torch.zeros(input_dim))
        self.U = nn.Linear(latent_dim, hidden_dim, bias=False)

    @property
    def latent_dim(self):
        return self.V.shape[1]

    def encode(self, x):
        h = torch.tanh(nn.functional.linear(x.flatten(1), self.W, self.bias_hidden[0]))
        mu, logvar = torch.einsum("klh,bh->kbl", self.V, h) + self.bias_code
        return mu, logvar

    def decode(self, z):
        h = torch.tanh(self.U(z) + self.bias_hidden[1])
        logits = torch.addmm(self.bias_pixel, h, self.W)
        return logits.sigmoid().view(len(z), 1, self._side, self._side)

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
"""


PIXEL_SHUFFLE = """
class _ConvResidual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h):
        return h + self.conv2(nn.functional.silu(self.conv1(nn.functional.silu(h))))


class ConvVAE(nn.Module):
    def __init__(self, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.stem = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.MaxPool2d(2), _ConvResidual(12),
            nn.Conv2d(12, 24, 3, padding=1), nn.AvgPool2d(2), _ConvResidual(24), nn.SiLU(),
        )
        self.heads = nn.ModuleList(nn.Conv2d(24, latent_dim, 7) for _ in range(2))
        self.unstem = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 24, 7), _ConvResidual(24), nn.SiLU(),
            nn.Conv2d(24, 48, 3, padding=1), nn.PixelShuffle(2), nn.SiLU(),
            nn.Conv2d(12, 4, 3, padding=1), nn.PixelShuffle(2),
        )

    def encode(self, x):
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        return tuple(head(h).flatten(1) for head in self.heads)

    def decode(self, z):
        return torch.sigmoid(self.unstem(z[:, :, None, None]))

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
"""


NUMPY_SCHEDULE = """
import numpy as np


def kl_annealing(step, warmup_steps, beta_max=1.0):
    arguments = {"step": step, "warmup_steps": warmup_steps, "beta_max": beta_max}
    bad = {name: value for name, value in arguments.items() if value < 0}
    if bad:
        raise ValueError("negative: " + ", ".join(f"{name}={value}" for name, value in bad.items()))
    if warmup_steps == 0:
        return np.float64(beta_max)
    return np.interp(step, [0, warmup_steps], [0.0, beta_max])
"""


ON_A_COPY = """
import copy


def generate(model, num_samples, generator=None):
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    like = next(frozen.parameters(), torch.zeros(()))
    z = torch.normal(
        mean=0.0, std=1.0, size=(num_samples, frozen.latent_dim), generator=generator, device=like.device, dtype=like.dtype
    )
    with torch.no_grad():
        return frozen.decode(z).clone()
"""


ONE_BATCH = """
def interpolate(model, x1, x2, steps=10):
    if steps < 2:
        raise ValueError(f"steps={steps} is too small, 2 is the least")
    modes = {module: module.training for module in model.modules()}
    model.train(False)
    with torch.inference_mode():
        mu, _ = model.encode(torch.cat((x1, x2)))
        line = nn.functional.interpolate(mu.t().unsqueeze(0), size=steps, mode="linear", align_corners=True)
        frames = model.decode(line[0].t().contiguous())
    for module, mode in modes.items():
        module.training = mode
    return frames
"""


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative("q08-alt-rsample", 8, "vae", "rsample, draws by column, square root of the exponential",
                append=REPARAMETERIZE_RSAMPLE),
    Alternative("q08-alt-model", 8, "vae", "chunked head, bare parameters, batch norm, dropout, rescaled tanh, a list out",
                append=OTHER_VAE),
    Alternative("q08-alt-conv", 8, "vae", "pooling and upsampling, group norm, a log-variance that starts constant",
                append=OTHER_CONV),
    Alternative("q08-alt-losses", 8, "vae", "torch.distributions, loops over examples and groups, clamped probabilities",
                append=OTHER_LOSSES),
    Alternative("q08-alt-sampling", 8, "vae", "in chunks, frame by frame, inference mode, try and finally",
                append=OTHER_SAMPLING),
    Alternative("q08-alt-everything", 8, "vae", "all of these together",
                append=REPARAMETERIZE_RSAMPLE + OTHER_VAE + OTHER_CONV + OTHER_LOSSES + OTHER_SAMPLING),
    Alternative(
        "q08-alt-weight-norm", 8, "vae", "weight normalisation and clamped log-variances and probabilities",
        append=changed("VAE", "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
                       "        for layer in self.modules():\n            if isinstance(layer, nn.Linear):\n"
                       "                nn.utils.parametrizations.weight_norm(layer)\n\n"
                       "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu, logvar.clamp(-12, 12)\n\n"
                       "    def decode(self, z):\n        return super().decode(z).clamp(1e-6, 1 - 1e-6)\n"),
    ),
    Alternative("q08-alt-softplus", 8, "vae", "sigma by softplus, its logarithm twice; NamedTuple",
                append=SOFTPLUS_MODEL),
    Alternative("q08-alt-tied", 8, "vae", "the decoder uses the encoder's weight, latent_dim is a property",
                append=TIED_MODEL),
    Alternative("q08-alt-pixel-shuffle", 8, "vae", "residual convolutions, heads by convolution, pixel shuffle",
                append=PIXEL_SHUFFLE),
    Alternative("q08-alt-numpy-schedule", 8, "vae", "numpy.interp and its float64",
                append=NUMPY_SCHEDULE),
    Alternative("q08-alt-copy", 8, "vae", "generates with a copy; the model is never touched",
                append=ON_A_COPY),
    Alternative("q08-alt-one-batch", 8, "vae", "both images in one batch, functional.interpolate",
                append=ONE_BATCH),
    Alternative("q08-alt-linear-decoder", 8, "vae", "one layer from the latent to the pixels",
                edits=(("        self.to_logvar = nn.Linear(hidden_dim, latent_dim)\n        self.decoder = image_decoder(latent_dim, hidden_dim, input_dim)\n        # end solution\n\n    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:\n        \"\"\"Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s).\"\"\"",
                        "        self.to_logvar = nn.Linear(hidden_dim, latent_dim)\n        side = _image_side(input_dim)\n        self.decoder = nn.Sequential(nn.Linear(latent_dim, input_dim), nn.Sigmoid(), nn.Unflatten(1, (1, side, side)))\n\n    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:"),)),
)  # fmt: skip
