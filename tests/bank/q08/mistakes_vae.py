"""Question 8: the reference with one bug: sizes, heads and pixels of VAE."""

from __future__ import annotations

from .. import Mistake
from .alternatives import changed

OF_VAE = ("q8.vae.heads", "q8.vae.probabilities", "q8.vae.forward", "q8.vae.fresh", "q8.vae.gradient", "q8.generator")

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-flat-reconstruction",
        8,
        "vae",
        "decode returns (B, 784)",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).flatten(1)\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-size-28-hard-coded",
        8,
        "vae",
        "decode reshapes to 28 x 28 whatever input_dim is",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).reshape(-1, 1, 28, 28)\n"),
        may_fail=(
            "q8.vae.probabilities",
            "q8.vae.forward",
            "q8.vae.fresh",
            "q8.vae.gradient",
            "q8.generator",
            "q8.generate.model",
            "q8.interpolate.model",
        ),
    ),
    Mistake(
        "q08-returns-z-too",
        8,
        "vae",
        "forward returns (x_recon, mu, logvar, z)",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        mu, logvar = self.encode(x)\n        z = reparameterize(mu, logvar, eps, generator)\n"
            "        return self.decode(z), mu, logvar, z\n",
        ),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-latent-dim-missing",
        8,
        "vae",
        "the attribute latent_dim is not kept",
        ("q8.vae.shapes", "q8.generate.model"),
        append=changed(
            "VAE",
            "    latent_dim = 20\n\n    def __init__(self, *args, **kwargs):\n"
            "        super().__init__(*args, **kwargs)\n        del self.latent_dim\n",
        ),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-one-head",
        8,
        "vae",
        "one head for both mu and logvar",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"),
    ),
    Mistake(
        "q08-relu-on-mu",
        8,
        "vae",
        "a rectifier on the mean",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n        return mu.relu(), logvar\n",
        ),
    ),
    Mistake(
        "q08-softplus-on-logvar",
        8,
        "vae",
        "softplus makes the log-variance positive, sigma never below 1",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, nn.functional.softplus(logvar)\n",
        ),
    ),
    Mistake(
        "q08-double-sigmoid",
        8,
        "vae",
        "sigmoid of the sigmoid",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        return torch.sigmoid(super().decode(z))\n"),
    ),
    Mistake(
        "q08-decodes-logits",
        8,
        "vae",
        "decode returns logits",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        return torch.logit(super().decode(z), 1e-30)\n"),
        may_fail=("q8.vae.forward", "q8.vae.gradient", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-hidden-dim-ignored",
        8,
        "vae",
        "hidden layers of fixed width",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, 64, latent_dim)\n",
        ),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-float32-inside",
        8,
        "vae",
        "encode converts to float32",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x.float())\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-logvar-clamped",
        8,
        "vae",
        "clamps the log-variance to -6 ... 2",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, logvar.clamp(-6, 2)\n",
        ),
    ),
    Mistake(
        "q08-batch-maximum",
        8,
        "vae",
        "divides the images by the maximum of their batch",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"),
        may_fail=("q8.vae.gradient", "q8.interpolate.model", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-decodes-relative-to-batch",
        8,
        "vae",
        "stretches the decoded images of a batch to 0 ... 1",
        ("q8.vae.probabilities",),
        append=changed(
            "VAE",
            "    def decode(self, z):\n        shown = super().decode(z)\n"
            "        return (shown - shown.min()) / (shown.max() - shown.min()).clamp(min=1e-6)\n",
        ),
        may_fail=(
            "q8.vae.fresh",
            "q8.vae.gradient",
            "q8.generator",
            "q8.elbo.zero",
            "q8.interpolate.model",
            "q8.trained.elbo",
            "q8.trained.beta",
        ),
    ),
    Mistake(
        "q08-scale-not-registered",
        8,
        "vae",
        "a random scale of the features is a plain tensor, in no state_dict",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, hidden_dim, latent_dim)\n"
            "        self.scale = 1 + torch.rand(latent_dim)\n\n"
            "    def decode(self, z):\n        return super().decode(z * self.scale.to(z))\n",
        ),
        may_fail=("q8.vae.gradient", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-latent-dim-on-class",
        8,
        "vae",
        "writes latent_dim to the class: the last VAE made decides for all",
        ("q8.vae.shapes",),
        (
            (
                "        self.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()",
                "        VAE.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()",
            ),
        ),
    ),
    Mistake(
        "q08-side-on-class",
        8,
        "vae",
        "writes the side of the images to the class: a VAE of another size breaks the first",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, hidden_dim, latent_dim)\n        VAE.side = _image_side(input_dim)\n\n"
            "    def decode(self, z):\n        return super().decode(z).flatten(1).unflatten(1, (1, self.side, self.side))\n",
        ),
    ),
    Mistake(
        "q08-hidden-dim-in-encoder-only",
        8,
        "vae",
        "hidden layers of the decoder have a fixed width",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n        super().__init__(input_dim, hidden_dim, latent_dim)\n        self.decoder = image_decoder(latent_dim, 64, input_dim)\n",
        ),
    ),
    Mistake(
        "q08-default-hidden-dim",
        8,
        "vae",
        "hidden layers of 256 by default",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=256, latent_dim=20):\n        super().__init__(input_dim, hidden_dim, latent_dim)\n",
        ),
    ),
    Mistake(
        "q08-default-latent-dim",
        8,
        "vae",
        "16 latents by default",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=16):\n        super().__init__(input_dim, hidden_dim, latent_dim)\n",
        ),
    ),
    Mistake(
        "q08-mean-image-no-buffer",
        8,
        "vae",
        "a mean image that is taken off is a plain tensor, which no model.to moves",
        ("q8.device",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n        super().__init__(input_dim, hidden_dim, latent_dim)\n        self.centre = torch.full((1, 1, 1, 1), 0.5)\n\n    def encode(self, x):\n        return super().encode(x - self.centre.to(x.dtype))\n",
        ),
    ),
    Mistake(
        "q08-decoder-ignores-latent",
        8,
        "vae",
        "multiplies the latent with 0",
        ("q8.vae.fresh",),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(0 * z)\n"),
        may_fail=("q8.vae.gradient", "q8.vae.forward", "q8.generator", "q8.vae.probabilities"),
    ),
    Mistake(
        "q08-latent-of-one-squeezed",
        8,
        "vae",
        "squeezes what one latent or one image leaves",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n        return mu.squeeze(), logvar.squeeze()\n",
        ),
        may_fail=("q8.vae.heads", "q8.interpolate.model"),
    ),
)
