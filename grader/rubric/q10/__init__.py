"""Question 10. Vector quantisation, running averages, restarts, and the VQ-VAE.

The checks in order. No check but the trained ones depends on how a codebook is initialised: where values matter, the
grader's own codebook is loaded through the `state_dict` entry that holds the student's.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .averages import (
    ema_buffer,
    ema_codes,
    ema_converges,
    ema_forward,
    ema_modes,
    ema_smoothing,
    ema_steady,
    ema_update,
)
from .both import contract, devices, dtypes, start
from .model import model_forward, model_gradient, model_loss, model_shapes
from .quantizer import (
    codebook_is_parameter,
    codebook_loss_gradient,
    commitment_gradient,
    lookup,
    loss_value,
    nearest,
    output_is_code,
    reconstruction_leaves_codes,
    straight_through,
)
from .trained import TRAINED
from .usage import perplexity, restart_random, restart_replaces, usage

CHECKS: tuple[Check, ...] = (
    codebook_is_parameter, start, nearest, output_is_code, lookup, loss_value, straight_through,
    reconstruction_leaves_codes, codebook_loss_gradient, commitment_gradient, ema_buffer, ema_modes, ema_codes,
    ema_forward, ema_update, ema_smoothing, ema_steady, ema_converges, contract, dtypes, usage, perplexity,
    restart_replaces, restart_random, model_shapes, model_forward, model_gradient, model_loss, devices, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=10, title="VQ-VAE", points=13.0, modules=("vqvae",), checks=CHECKS)
