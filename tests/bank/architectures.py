"""Correct models of other widths, depths and activations: their quick checks pass, and they are trained to all points.

Each is a layout that people publish or hand in, written with PyTorch's own initialisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import Alternative, Mistake

AUTOENCODER = '''
class VanillaAutoencoder(nn.Module):
    """Perceptrons of these widths, between whose layers lies the same each time."""

    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        self.side = math.isqrt(input_dim)
        if self.side**2 != input_dim:
            raise ValueError(f"input_dim must be a square number, got {{input_dim}}")

        def chain(widths):
            layers = []
            for a, b in zip(widths[:-1], widths[1:]):
                layers += [nn.Linear(a, b), {between}]
            return nn.Sequential(*layers[: -{count}])

        widths = [input_dim, *{widths}, latent_dim]
        self.encoder, self.decoder = chain(widths), chain(widths[::-1])

    def encode(self, x):
        return self.encoder(x.flatten(1))

    def decode(self, z):
        return torch.sigmoid(self.decoder(z)).reshape(-1, 1, self.side, self.side)

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
'''

DENOISER = (
    AUTOENCODER.replace("VanillaAutoencoder", "DenoisingAutoencoder")
    .replace(
        "latent_dim=32):\n        super().__init__()",
        """latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__()
        if noise not in ("gaussian", "masking", "salt_and_pepper"):
            raise ValueError(f"unknown noise {{noise!r}}")
        self.noise, self.noise_level = noise, noise_level""",
    )
    .replace(
        "def forward(self, x):\n        z = self.encode(x)",
        """def forward(self, x, add_noise=None, generator=None):
        if add_noise or (add_noise is None and self.training):
            x = corrupt(x, self.noise, self.noise_level, generator)
        z = self.encode(x)""",
    )
)

CONV_AUTOENCODER = """
class ConvAutoencoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.encoder = nn.Sequential({encoder}, nn.Flatten())
        self.decoder = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), {decoder}, nn.Sigmoid())

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
"""

VAE = '''
class VAE(nn.Module):
    """Perceptrons of these widths."""

    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        side = math.isqrt(input_dim)
        if side**2 != input_dim:
            raise ValueError(f"input_dim must be a square number, got {{input_dim}}")
        self.latent_dim = latent_dim

        def chain(widths):
            layers = []
            for a, b in zip(widths[:-1], widths[1:]):
                layers += [nn.Linear(a, b), {between}]
            return layers

        widths = [input_dim, *{widths}]
        self.encoder = nn.Sequential(nn.Flatten(), *chain(widths))
        self.to_mu, self.to_logvar = nn.Linear(widths[-1], latent_dim), nn.Linear(widths[-1], latent_dim)
        self.decoder = nn.Sequential(*chain([latent_dim, *widths[:0:-1]]), nn.Linear(widths[1], input_dim),
                                     nn.Sigmoid(), nn.Unflatten(1, (1, side, side)))
{methods}'''

POSTERIOR = """
    def encode(self, x):
        h = self.encoder(x)
        return self.to_mu(h), self.to_logvar(h)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
"""

CONV_VAE = """
class ConvVAE(nn.Module):
    def __init__(self, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential({encoder})
        self.to_mu, self.to_logvar = nn.Linear({hidden}, latent_dim), nn.Linear({hidden}, latent_dim)
        self.decoder = nn.Sequential(nn.Linear(latent_dim, {hidden}), nn.ReLU(), {decoder}, nn.Sigmoid(){after})
{methods}"""

PIXEL_CNN = '''
class CodePrior(nn.Module):
    """Masked convolutions one after the other, and no path around them."""

    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.num_embeddings = num_embeddings
        layers = [MaskedConv2d("A", num_embeddings, hidden_channels, 7), {between}]
        for _ in range(num_layers):
            layers += [MaskedConv2d("B", hidden_channels, hidden_channels, {kernel_size}), {between}]
        self.layers = nn.Sequential(*layers, MaskedConv2d("B", hidden_channels, num_embeddings, 1))

    def forward(self, indices):
        x = F.one_hot(indices, self.num_embeddings).movedim(-1, 1).to(next(self.parameters()).dtype)
        return self.layers(x)
'''

VQVAE = """
class VQVAE(nn.Module):
    def __init__(self, num_embeddings=128, embedding_dim=16, commitment_cost=0.25, ema=False):
        super().__init__()
        self.quantizer = (EMAVectorQuantizer if ema else VectorQuantizer)(
            num_embeddings, embedding_dim, commitment_cost)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, {a}, 4, 2, 1), nn.ReLU(), nn.Conv2d({a}, {b}, 4, 2, 1), nn.ReLU(),
            nn.Conv2d({b}, embedding_dim, 1))
        self.decoder = nn.Sequential(
            nn.Conv2d(embedding_dim, {b}, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d({b}, {a}, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d({a}, 1, 4, 2, 1), nn.Sigmoid())

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z_q):
        return self.decoder(z_q)

    def decode_indices(self, indices):
        return self.decode(self.quantizer.lookup(indices))

    def forward(self, x):
        z_q, vq_loss, indices = self.quantizer(self.encode(x))
        return self.decode(z_q), vq_loss, indices
"""


def joined(*layers: str) -> str:
    """Layers as arguments."""
    return ", ".join(layers)


def named(text: str, question: int, kind: str, module: str, rows: Mapping[str, Mapping[str, object]],
          checks: Sequence[str]) -> dict[str, tuple[Alternative, Sequence[str]]]:  # fmt: skip
    """Alternatives by id, each with the trained checks of its model."""
    found = {}
    for name, values in rows.items():
        made = Alternative(f"{kind}-{name}", question, module, f"another layout: {name}", append=text.format(**values))
        found[made.id] = (made, checks)
    return found


def dense(*widths: int | str, between: str = "nn.ReLU()", count: int = 1) -> dict[str, object]:
    """Values of the layouts of perceptrons; `count` is the number of layers in `between`."""
    return {"widths": f"[{', '.join(map(str, widths))}]", "between": between, "count": count, "methods": POSTERIOR}


def strided(a: int, b: int, act: str = "nn.ReLU()") -> dict[str, object]:
    """Values of a convolutional autoencoder of 28 -> 14 -> 7 -> 1 and back."""
    return {
        "encoder": joined(f"nn.Conv2d(1, {a}, 3, 2, 1)", act, f"nn.Conv2d({a}, {b}, 3, 2, 1)", act,
                          f"nn.Conv2d({b}, latent_dim, 7)"),
        "decoder": joined(f"nn.ConvTranspose2d(latent_dim, {b}, 7)", act,
                          f"nn.ConvTranspose2d({b}, {a}, 3, 2, 1, output_padding=1)", act,
                          f"nn.ConvTranspose2d({a}, 1, 3, 2, 1, output_padding=1)"),
    }  # fmt: skip


def conv_posterior(a: int, b: int) -> dict[str, object]:
    """Values of a ConvVAE of two strided convolutions."""
    return {
        "encoder": joined(f"nn.Conv2d(1, {a}, 3, 2, 1)", "nn.ReLU()", f"nn.Conv2d({a}, {b}, 3, 2, 1)", "nn.ReLU()",
                          "nn.Flatten()"),
        "hidden": 49 * b,
        "decoder": joined(f"nn.Unflatten(1, ({b}, 7, 7))",
                          f"nn.ConvTranspose2d({b}, {a}, 3, 2, 1, output_padding=1)", "nn.ReLU()",
                          f"nn.ConvTranspose2d({a}, 1, 3, 2, 1, output_padding=1)"),
        "after": "", "methods": POSTERIOR,
    }  # fmt: skip


# four convolutions of 32, 32, 64 and 64 channels and two layers of 256 (arXiv:1804.03599), images padded to 32x32
BURGESS: dict[str, object] = {
    "encoder": joined("nn.ZeroPad2d(2)", "nn.Conv2d(1, 32, 4, 2, 1)", "nn.ReLU()", "nn.Conv2d(32, 32, 4, 2, 1)",
                      "nn.ReLU()", "nn.Conv2d(32, 64, 4, 2, 1)", "nn.ReLU()", "nn.Conv2d(64, 64, 4, 2, 1)",
                      "nn.ReLU()", "nn.Flatten()", "nn.Linear(256, 256)", "nn.ReLU()", "nn.Linear(256, 256)",
                      "nn.ReLU()"),
    "hidden": 256,
    "decoder": joined("nn.Linear(256, 256)", "nn.ReLU()", "nn.Unflatten(1, (64, 2, 2))",
                      "nn.ConvTranspose2d(64, 64, 4, 2, 1)", "nn.ReLU()", "nn.ConvTranspose2d(64, 32, 4, 2, 1)",
                      "nn.ReLU()", "nn.ConvTranspose2d(32, 32, 4, 2, 1)", "nn.ReLU()",
                      "nn.ConvTranspose2d(32, 1, 4, 2, 1)"),
    "after": ", nn.ZeroPad2d(-2)", "methods": POSTERIOR,
}  # fmt: skip
DROPPED = "nn.ReLU(), nn.Dropout(0.2)"
NORMED = "nn.BatchNorm1d(b), nn.ReLU()"

LAYOUTS: dict[str, tuple[Alternative, Sequence[str]]] = {
    **named("import math\n" + AUTOENCODER, 4, "q4-layout-autoencoder", "autoencoders", {
        "deep-and-narrow": dense(128, 64, 12),
        "deep": dense(512, 256, 128),
        "wide": dense(1000, 500),
        "one-hidden-layer": dense(128),
        "dropout": dense(256, 128, between=DROPPED, count=2),
        "batch-norm": dense(256, 128, between=NORMED, count=2),
        "tanh": dense(256, 128, between="nn.Tanh()"),
        "gelu": dense(256, 128, between="nn.GELU()"),
        "leaky": dense(512, 128, between="nn.LeakyReLU(0.2)"),
    }, ("q4.trained.vanilla",)),
    **named(CONV_AUTOENCODER, 4, "q4-layout-conv", "autoencoders", {
        "few-channels": strided(4, 8),
        "half-the-channels": strided(8, 16),
        "many-channels": strided(32, 64),
        "elu": strided(8, 16, "nn.ELU()"),
    }, ("q4.trained.conv",)),
    **named("import math\n" + DENOISER, 5, "q5-layout-denoiser", "denoising", {
        "deep-and-narrow": dense(128, 64),
        "one-hidden-layer": dense(256),
        "dropout": dense(256, 128, between=DROPPED, count=2),
        "batch-norm": dense(256, 128, between=NORMED, count=2),
        "both": dense(256, 128, between="nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(0.2)", count=3),
        "tanh": dense(256, 128, between="nn.Tanh()"),
    }, ("q5.trained.gaussian", "q5.trained.masking")),
    **named("import math\n" + VAE, 8, "q8-layout-vae", "vae", {
        "narrow": dense("hidden_dim // 3"),
        "one-hidden-layer": dense("hidden_dim"),
        "deep": dense("hidden_dim + 112", "hidden_dim // 2 + 56", "hidden_dim // 4 + 28"),
        "tanh": dense("hidden_dim", between="nn.Tanh()"),
        "batch-norm": dense("hidden_dim", "hidden_dim", between=NORMED),
        "dropout": dense("hidden_dim", "hidden_dim", between="nn.ReLU(), nn.Dropout(0.1)"),
    }, ("q8.trained.elbo", "q8.trained.beta")),
    **named(CONV_VAE, 8, "q8-layout-conv", "vae", {
        "burgess": BURGESS,
        "few-channels": conv_posterior(4, 8),
        "half-the-channels": conv_posterior(8, 16),
    }, ("q8.trained.conv",)),
    **named(VQVAE, 10, "q10-layout", "vqvae", {
        "half-the-channels": {"a": 8, "b": 16},
        "many-channels": {"a": 32, "b": 64},
    }, ("q10.trained.vq", "q10.trained.ema")),
    **named(PIXEL_CNN, 0, "bonus-layout-prior", "prior", {
        "elu": {"between": "nn.ELU()", "kernel_size": 7},
        "elu-and-dropout": {"between": "nn.ELU(), nn.Dropout(0.2)", "kernel_size": 7},
        "relu": {"between": "nn.ReLU()", "kernel_size": 7},
        "small-kernels": {"between": "nn.ELU()", "kernel_size": 3},
    }, ("bonus.trained.source", "bonus.trained.images")),
}  # fmt: skip

MISTAKES: tuple[Mistake, ...] = ()
ALTERNATIVES: tuple[Alternative, ...] = tuple(made for made, _ in LAYOUTS.values())
