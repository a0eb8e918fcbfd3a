"""Question 5. Corruption of images, the denoising autoencoder and its loss.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .draws import DRAWN
from .loss import loss_value
from .model import dae_fresh, dae_modes, dae_noise, dae_range, dae_shapes
from .noise import RATES
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    *RATES, *DRAWN, dae_shapes, dae_range, dae_modes, dae_noise, dae_fresh, loss_value, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=5, title="Denoising", points=8.0, modules=("denoising", "autoencoders"), checks=CHECKS)
