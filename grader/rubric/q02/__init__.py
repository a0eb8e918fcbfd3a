"""Question 2. KL divergences between Gaussians, against closed forms, `torch.distributions` and Monte Carlo.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .full import full_errors, full_large, full_value
from .pairs import diagonal_value, properties, univariate_value
from .standard import standard_extremes, standard_value
from .together import gradient_general, gradient_standard, inputs, montecarlo

CHECKS: tuple[Check, ...] = (
    univariate_value, diagonal_value, standard_value, standard_extremes, full_value, full_large, full_errors,
    properties, montecarlo, gradient_standard, gradient_general, inputs,
)  # fmt: skip

QUESTION = Question(number=2, title="KL divergence", points=8.0, modules=("gaussians",), checks=CHECKS)
