"""Question 9: the reference with one bug: CVAE.forward."""

from __future__ import annotations

from .. import Mistake
from .mistakes_model import changed

WITH_CLASS = "return torch.cat([features, self.class_embedding(y.to(features.device))], dim=1)"
FORWARD = "return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q09-forward-forgets-class",
        9,
        "vae",
        "forward decodes with class 0",
        ("q9.forward", "q9.gradient", "q9.trained"),
        ((FORWARD, FORWARD.replace("generator), y)", "generator), torch.zeros_like(y))")),),
    ),
    Mistake(
        "q09-forward-decodes-mean",
        9,
        "vae",
        "forward decodes the mean",
        ("q9.forward", "q9.gradient"),
        ((FORWARD, "return self.decode(mu, y), mu, logvar"),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-eps-ignored",
        9,
        "vae",
        "forward does not hand eps on",
        ("q9.forward", "q9.gradient"),
        ((FORWARD, FORWARD.replace("eps, generator", "None, generator")),),
    ),
    Mistake(
        "q09-generator-ignored",
        9,
        "vae",
        "forward does not hand the generator on",
        ("q9.forward",),
        ((FORWARD, FORWARD.replace("eps, generator", "eps")),),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-z-detached",
        9,
        "vae",
        "the reconstruction's gradient does not pass the draw",
        ("q9.gradient",),
        ((FORWARD, FORWARD.replace("generator), y)", "generator).detach(), y)")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-class-vectors-not-registered",
        9,
        "vae",
        "the class vectors are a plain tensor, in no state_dict",
        ("q9.forward", "q9.trained"),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = torch.randn(num_classes, latent_dim)",
            ),
            (WITH_CLASS, "return torch.cat([features, self.class_embedding[y].to(features)], dim=1)"),
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-forward-logits-while-training",
        9,
        "vae",
        "forward, not decode, returns logits in training mode",
        ("q9.forward", "q9.trained"),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n"
            "        found, mu, logvar = super().forward(x, y, eps, generator)\n"
            "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-mean-without-gradients",
        9,
        "vae",
        "decodes the mean where gradients are off",
        ("q9.forward",),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x, y)[0])\n"
            "        return super().forward(x, y, eps, generator)\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-eps-ignored-in-training",
        9,
        "vae",
        "uses eps in evaluation mode only",
        ("q9.forward",),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n        return super().forward(x, y, None if self.training else eps, generator)\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-generator-ignored-in-training",
        9,
        "vae",
        "uses the generator in evaluation mode only",
        ("q9.forward",),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n        return super().forward(x, y, eps, None if self.training else generator)\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-forward-encodes-class-zero",
        9,
        "vae",
        "forward encodes with class 0",
        ("q9.forward",),
        (
            (
                "mu, logvar = self.encode(x, y)\n        " + FORWARD,
                "mu, logvar = self.encode(x, torch.zeros_like(y))\n        " + FORWARD,
            ),
        ),
        may_fail=("q9.gradient", "q9.trained"),
    ),
    Mistake(
        "q09-forward-first-class",
        9,
        "vae",
        "forward decodes all images with the first one's class",
        ("q9.forward",),
        ((FORWARD, FORWARD.replace("generator), y)", "generator), y[:1].expand_as(y))")),),
        may_fail=("q9.gradient", "q9.trained"),
    ),
    Mistake(
        "q09-forward-draws-on-the-cpu",
        9,
        "vae",
        "forward draws eps itself, on the CPU",
        ("q9.generate.model",),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n        if eps is None:\n            eps = torch.randn(len(x), self.latent_dim, generator=generator, dtype=x.dtype)\n        return super().forward(x, y, eps)\n"
        ),
    ),
)
