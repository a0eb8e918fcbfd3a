"""Question 7. Semi-supervised learning: classifiers on an encoder, losses for partly labelled batches, pipelines.

The checks in order; what each asks stands in the modules beside this file. What others build on comes first: a part
that has lost its points is replaced where it is used later.
"""

from __future__ import annotations

from ...check.declaration import OPTIMIZERS, Check, Question
from .accuracy import accuracy_state, accuracy_value
from .classifier import classifier_copy, classifier_dtype, classifier_freeze, classifier_logits
from .finetune import CHECKS as FINETUNE
from .joint import joint_model
from .losses import jointloss_edges, jointloss_value, loss_gradient, loss_unlabelled, loss_value
from .trained import TRAINED
from .trainjoint import CHECKS as TRAINJOINT
from .twostage import CHECKS as TWOSTAGE

CHECKS: tuple[Check, ...] = (
    classifier_logits, classifier_copy, joint_model, loss_value, loss_unlabelled, jointloss_value, jointloss_edges,
    loss_gradient, accuracy_value, accuracy_state, *FINETUNE, classifier_freeze, classifier_dtype, *TWOSTAGE,
    *TRAINJOINT, *TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=7,
    title="Semi-supervised learning",
    points=14.0,
    modules=("semi_supervised",),
    checks=CHECKS,
    loads=OPTIMIZERS,
)
