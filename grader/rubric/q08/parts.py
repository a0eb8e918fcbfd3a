"""Parts of Question 8 that other checks build on, and that lose their own points once."""

from __future__ import annotations

from ...check.parts import Part

REPARAMETERIZE = Part(
    "vae.reparameterize", "reparameterize", ("q8.reparam.value", "q8.reparam.gradient", "q8.reparam.draws")
)
TERMS = Part("vae.elbo_terms", "elbo_terms", ("q8.elbo.value",))
LOSS = Part("vae.vae_loss", "vae_loss", ("q8.loss.beta", "q8.elbo.value", "q8.elbo.finite", "q8.elbo.gradient"))
