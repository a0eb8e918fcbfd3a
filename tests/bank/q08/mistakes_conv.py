"""Question 8: the reference with one bug: ConvVAE."""

from __future__ import annotations

from .. import Mistake
from .alternatives import changed

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-conv-28-to-25",
        8,
        "vae",
        "a transposed convolution without the padding that makes 28",
        ("q8.conv.shapes",),
        (
            (
                "nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1)",
                "nn.ConvTranspose2d(16, 1, kernel_size=3, stride=2, padding=1)",
            ),
        ),
        may_fail=("q8.conv.posterior", "q8.trained.conv"),
    ),
    Mistake(
        "q08-conv-one-head",
        8,
        "vae",
        "ConvVAE with one head",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"
        ),
    ),
    Mistake(
        "q08-conv-clamped",
        8,
        "vae",
        "ConvVAE with a rectifier before the sigmoid",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def decode(self, z):\n        return super().decode(z).clamp(min=0.5)\n"),
    ),
    Mistake(
        "q08-conv-without-convolution",
        8,
        "vae",
        "ConvVAE is the MLP again",
        ("q8.conv.shapes",),
        append="class ConvVAE(VAE):\n    def __init__(self, latent_dim=20):\n        super().__init__(784, 100, latent_dim)\n",
        may_fail=("q8.conv.posterior",),
    ),
    Mistake(
        "q08-conv-squashed-mean",
        8,
        "vae",
        "the mean of ConvVAE goes through a tanh",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return 3 * torch.tanh(mu), logvar\n",
        ),
    ),
    Mistake(
        "q08-conv-isotropic",
        8,
        "vae",
        "one log-variance per image, repeated over the dimensions",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, logvar[:, :1].expand_as(mu)\n",
        ),
    ),
    Mistake(
        "q08-conv-batch-maximum",
        8,
        "vae",
        "ConvVAE divides the images by the maximum of their batch",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE", "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-conv-scale-not-registered",
        8,
        "vae",
        "a random scale of ConvVAE's mean is a plain tensor",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def __init__(self, latent_dim=20):\n        super().__init__(latent_dim)\n"
            "        self.scale = 1 + torch.rand(latent_dim)\n\n"
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu * self.scale.to(mu), logvar\n",
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-conv-mean-without-gradients",
        8,
        "vae",
        "ConvVAE decodes the mean where gradients are off",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x)[0])\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-conv-latent-dim-on-class",
        8,
        "vae",
        "writes latent_dim to the class: the last ConvVAE made decides for all",
        ("q8.conv.shapes",),
        (
            (
                "        self.latent_dim = latent_dim\n        # A kernel",
                "        ConvVAE.latent_dim = latent_dim\n        # A kernel",
            ),
        ),
    ),
    Mistake(
        "q08-conv-logits-while-training",
        8,
        "vae",
        "ConvVAE.decode returns logits in training mode",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def decode(self, z):\n        found = super().decode(z)\n"
            "        return torch.logit(found, 1e-6) if self.training else found\n",
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-conv-generator-ignored",
        8,
        "vae",
        "ConvVAE.forward does not hand the generator on",
        ("q8.generator",),
        append=changed(
            "ConvVAE", "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, eps)\n"
        ),
    ),
    Mistake(
        "q08-conv-eps-ignored",
        8,
        "vae",
        "ConvVAE.forward does not hand eps on",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, None, generator)\n",
        ),
    ),
    Mistake(
        "q08-conv-eps-ignored-in-training",
        8,
        "vae",
        "ConvVAE uses eps in evaluation mode only",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, None if self.training else eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-conv-draws-on-the-cpu",
        8,
        "vae",
        "ConvVAE.forward draws eps itself, on the CPU",
        ("q8.device",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n        if eps is None:\n            eps = torch.randn(len(x), self.latent_dim, generator=generator, dtype=x.dtype)\n        return super().forward(x, eps)\n",
        ),
    ),
    Mistake(
        "q08-conv-default-latent-dim",
        8,
        "vae",
        "ConvVAE has 32 latents by default",
        ("q8.conv.shapes",),
        append=changed("ConvVAE", "    def __init__(self, latent_dim=32):\n        super().__init__(latent_dim)\n"),
    ),
    Mistake(
        "q08-conv-z-detached",
        8,
        "vae",
        "the reconstruction of ConvVAE has no gradient to the encoder",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n        mu, logvar = self.encode(x)\n        return self.decode(reparameterize(mu, logvar, eps, generator).detach()), mu, logvar\n",
        ),
        may_fail=("q8.trained.conv",),
    ),
)
