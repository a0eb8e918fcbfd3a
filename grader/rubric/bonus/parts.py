"""What stands in for a part of the bonus that has lost its own points, where others build on it."""

from __future__ import annotations

from ...check.parts import Part

MASKED_PART = Part("prior.MaskedConv2d", "MaskedConv2d", ("bonus.masked.reach", "bonus.masked.trained"))
WEIGHTS_PART = Part("evaluation.log_importance_weights", "log_importance_weights", ("bonus.weights",))
BOUND_PART = Part("evaluation.iwae_bound", "iwae_bound", ("bonus.bound",))
PPCA_PART = Part("evaluation.ppca_log_likelihood", "ppca_log_likelihood", ("bonus.ppca.value",))
