"""Question 3. PCA, the linear autoencoder, and the comparison of the two.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .angles import SUBSPACES
from .comparison import compare_mode, compare_value
from .linear import linear_affine, linear_errors, linear_gradient, linear_shapes
from .pca import COMPONENTS
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    *COMPONENTS, *SUBSPACES, compare_value, compare_mode, linear_shapes, linear_affine, linear_errors, linear_gradient,
    *TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=3, title="PCA and the linear autoencoder", points=8.0, modules=("pca", "autoencoders"), checks=CHECKS
)
