"""Question 8: the reference with one bug: VAE.forward."""

from __future__ import annotations

from .. import Mistake
from .alternatives import changed

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-eps-ignored",
        8,
        "vae",
        "forward does not hand eps on",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, None, generator)\n",
        ),
    ),
    Mistake(
        "q08-forward-ignores-generator",
        8,
        "vae",
        "forward does not hand the generator on",
        ("q8.generator",),
        append=changed(
            "VAE", "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, eps)\n"
        ),
    ),
    Mistake(
        "q08-mean-in-eval",
        8,
        "vae",
        "decodes the mean in evaluation mode",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if not self.training and eps is None:\n"
            "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
            "        return super().forward(x, eps, generator)\n",
        ),
        may_fail=("q8.generator",),
    ),
    Mistake(
        "q08-mean-in-training",
        8,
        "vae",
        "decodes the mean in training mode",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if self.training and eps is None:\n"
            "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-sigma-returned",
        8,
        "vae",
        "forward returns sigma in place of logvar",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        x_recon, mu, logvar = super().forward(x, eps, generator)\n"
            "        return x_recon, mu, torch.exp(0.5 * logvar)\n",
        ),
        may_fail=("q8.elbo.zero",),
    ),
    Mistake(
        "q08-z-detached",
        8,
        "vae",
        "the reconstruction's gradient does not pass the draw",
        ("q8.vae.gradient",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        mu, logvar = self.encode(x)\n"
            "        return self.decode(reparameterize(mu, logvar, eps, generator).detach()), mu, logvar\n",
        ),
    ),
    Mistake(
        "q08-mean-without-gradients",
        8,
        "vae",
        "takes gradients that are off for an evaluation, and decodes the mean then",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x)[0])\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-logits-while-training",
        8,
        "vae",
        "decode returns logits in training mode, probabilities in evaluation mode",
        ("q8.vae.probabilities",),
        append=changed(
            "VAE",
            "    def decode(self, z):\n        found = super().decode(z)\n"
            "        return torch.logit(found, 1e-6) if self.training else found\n",
        ),
        may_fail=("q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-forward-logits-while-training",
        8,
        "vae",
        "forward, not decode, returns logits in training mode",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        found, mu, logvar = super().forward(x, eps, generator)\n"
            "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n",
        ),
        may_fail=("q8.vae.gradient", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-eps-ignored-in-training",
        8,
        "vae",
        "uses eps in evaluation mode only",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, None if self.training else eps, generator)\n",
        ),
        may_fail=("q8.vae.gradient",),
    ),
    Mistake(
        "q08-generator-ignored-in-training",
        8,
        "vae",
        "uses the generator in evaluation mode only",
        ("q8.generator",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, eps, None if self.training else generator)\n",
        ),
    ),
    Mistake(
        "q08-heads-swapped-by-forward",
        8,
        "vae",
        "forward returns logvar before mu",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        x_recon, mu, logvar = super().forward(x, eps, generator)\n        return x_recon, logvar, mu\n",
        ),
        may_fail=("q8.vae.gradient",),
    ),
    Mistake(
        "q08-mu-detached-in-forward",
        8,
        "vae",
        "the reconstruction has no gradient to mu",
        ("q8.vae.gradient",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        mu, logvar = self.encode(x)\n        return self.decode(reparameterize(mu.detach(), logvar, eps, generator)), mu, logvar\n",
        ),
    ),
    Mistake(
        "q08-logvar-detached-in-forward",
        8,
        "vae",
        "the reconstruction has no gradient to logvar",
        ("q8.vae.gradient",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        mu, logvar = self.encode(x)\n        return self.decode(reparameterize(mu, logvar.detach(), eps, generator)), mu, logvar\n",
        ),
    ),
    Mistake(
        "q08-decodes-mean-with-eps",
        8,
        "vae",
        "decodes the mean where eps is given",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        mu, logvar = self.encode(x)\n        z = mu if eps is not None else reparameterize(mu, logvar, eps, generator)\n        return self.decode(z), mu, logvar\n",
        ),
        may_fail=("q8.vae.gradient",),
    ),
    Mistake(
        "q08-decodes-eps",
        8,
        "vae",
        "decodes the noise alone",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        mu, logvar = self.encode(x)\n        noise = reparameterize(0 * mu, 0 * logvar, eps, generator)\n        return self.decode(noise), mu, logvar\n",
        ),
        may_fail=("q8.vae.gradient",),
    ),
    Mistake(
        "q08-forward-draws-on-the-cpu",
        8,
        "vae",
        "VAE.forward draws eps itself, on the CPU",
        ("q8.device",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        if eps is None:\n            eps = torch.randn(len(x), self.latent_dim, generator=generator, dtype=x.dtype)\n        return super().forward(x, eps)\n",
        ),
    ),
)
