"""Question 1. Densities: discrete variables, Gaussian densities, and samples.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .densities import DENSITIES
from .discrete import DISCRETE
from .samples import sample_generator, sample_moments
from .together import gradients, inputs

CHECKS: tuple[Check, ...] = (*DISCRETE, *DENSITIES, sample_moments, sample_generator, gradients, inputs)

QUESTION = Question(number=1, title="Densities", points=6.0, modules=("gaussians",), checks=CHECKS)
