"""Question 8. Variational autoencoders: reparameterization, models, the ELBO and its variants, sampling.

The checks in order. Models are judged with random parameters in place of those of their initialisation, and against
their own encode and decode.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .annealing import ANNEALINGS
from .conv import conv_posterior, conv_shapes
from .free_bits import FREE
from .loss import LOSSES
from .model import (
    device,
    uses_generator,
    vae_forward,
    vae_fresh,
    vae_gradient,
    vae_heads,
    vae_probabilities,
    vae_shapes,
)
from .reparameterization import reparam_draws, reparam_gradient, reparam_value
from .sampling import ERRORS, SAMPLING
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    reparam_value, reparam_gradient, reparam_draws,
    vae_shapes, vae_heads, vae_probabilities, vae_forward, vae_fresh, vae_gradient,
    conv_shapes, conv_posterior, uses_generator,
    *LOSSES, *ANNEALINGS, *FREE, *SAMPLING, device, ERRORS, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=8, title="Variational autoencoders", points=16.0, modules=("vae",), checks=CHECKS)
