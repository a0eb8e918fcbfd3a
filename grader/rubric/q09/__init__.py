"""Question 9. The conditional variational autoencoder and images of a class asked for.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .classes import generate, generate_model, trained
from .model import decoder, encoder, errors, forward, gradient, shapes

CHECKS: tuple[Check, ...] = (
    shapes, encoder, decoder, forward, gradient, generate, generate_model, errors, trained,
)  # fmt: skip

QUESTION = Question(number=9, title="Conditional VAE", points=5.0, modules=("vae",), checks=CHECKS)
