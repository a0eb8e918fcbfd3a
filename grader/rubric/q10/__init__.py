"""Question 10. Vector quantisation, running averages, restarts, and the VQ-VAE.

The checks in order. No check but the trained ones depends on how a codebook is initialised: where values matter, the
grader's own codebook is loaded through the `state_dict` entry that holds the student's.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .averages import AVERAGES
from .model import model_forward, model_gradient, model_loss, model_shapes
from .quantizer import (
    codebook_is_parameter,
    codebook_loss_gradient,
    commitment_gradient,
    contract,
    lookup,
    loss_value,
    nearest,
    output_is_code,
    reconstruction_leaves_codes,
    straight_through,
)
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    codebook_is_parameter, nearest, output_is_code, lookup, contract, loss_value, straight_through,
    reconstruction_leaves_codes, codebook_loss_gradient, commitment_gradient, *AVERAGES, model_shapes, model_forward,
    model_gradient, model_loss, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=10, title="VQ-VAE", points=13.0, modules=("vqvae",), checks=CHECKS)
