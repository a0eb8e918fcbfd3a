"""Question 7. Semi-supervised learning: classifiers on an encoder, losses for partly labelled batches, pipelines.

The checks in order; what each asks stands in the modules beside this file.
"""

from __future__ import annotations

from ...check.declaration import Check, Question
from .accuracy import accuracy_state, accuracy_value
from .classifier import CHECKS as CLASSIFIER
from .losses import jointloss_value, loss_gradient, loss_unlabelled, loss_value
from .pipelines import CHECKS as PIPELINES
from .trained import TRAINED

CHECKS: tuple[Check, ...] = (
    *CLASSIFIER, loss_value, loss_unlabelled, jointloss_value, loss_gradient, accuracy_value, accuracy_state,
    *PIPELINES, *TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=7, title="Semi-supervised learning", points=14.0, modules=("semi_supervised",), checks=CHECKS
)
