"""Question 4. Three autoencoders, sizes of convolutions, reconstruction losses and sparsity.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .losses import LOSSES, losses_gradients
from .models import PLAIN
from .sizes import SIZES
from .sparsity import SPARSITY
from .together import models_gradients, models_pure
from .trained import TRAINED
from .unet import concat_errors, concat_value, unet_influence, unet_join, unet_range, unet_shapes

CHECKS: tuple[Check, ...] = (
    *PLAIN, concat_value, concat_errors, unet_shapes, unet_range, unet_influence, unet_join, models_gradients,
    models_pure, *SIZES, *LOSSES, *SPARSITY, losses_gradients, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=4, title="Autoencoders", points=12.0, modules=("autoencoders",), checks=CHECKS)
