"""Question 6. The training step and loop, early stopping, layer-wise pre-training, memory and precision.

The checks in order. Models, losses and optimizers are the grader's own; how many times and in which mode a model was
called is noted by `probes.Recorder`.
"""

from __future__ import annotations

from ...check.declaration import OPTIMIZERS, Check, Question
from .decay import decay
from .evaluation import evaluate_state, evaluate_value
from .fit import CHECKS as FIT
from .layers import TRAINED
from .memory import CHECKS as MEMORY
from .stages import CHECKS as STAGES
from .step import device, step_mode, step_update
from .stopping import stopping_edges, stopping_patience

CHECKS: tuple[Check, ...] = (
    step_update, step_mode, evaluate_value, evaluate_state, stopping_patience, stopping_edges, *FIT, decay, *STAGES,
    *MEMORY, device, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=6, title="Training", points=10.0, modules=("training",), checks=CHECKS, loads=OPTIMIZERS)
