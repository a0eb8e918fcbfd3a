"""Bonus. The prior over codes, and evaluation: bounds, features, distances.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import BONUS, Check, Question
from .arguments import devices, errors
from .bounds import BOUNDS
from .features import FEATURES
from .prior import (
    bits,
    masked_reach,
    masked_trained,
    prior_causal,
    prior_shapes,
    sample_law,
    sample_modes,
)
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    masked_reach, masked_trained, prior_shapes, prior_causal, bits, sample_law, sample_modes, *BOUNDS, *FEATURES,
    errors, devices, *TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=BONUS, title="Prior over codes, evaluation", points=10.0, modules=("prior", "evaluation"), checks=CHECKS
)
