"""The loss over a dataset."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import EXACT, FLOAT64
from ...check.forall import forall
from ...check.values import Probe, TorchRef
from .fit import EVALUATE, LOSS, linear


@declare(
    id="q6.evaluate.value", question=6, kind="property", points=0.5, visibility="public",
    title="Evaluation: mean per example",
    asks="evaluate returns the mean loss per example, whatever the batch size, also when the last batch is smaller",
    hint="Ten examples in batches of four: how much should each of the last two count?",
    needs=(),
)  # fmt: skip
def evaluate_value(ctx: Context) -> None:
    model, state = linear(ctx, 3)

    def body(size: int, batch: int, seed: int) -> None:
        data = random(seed, size, 3)
        each = (F.linear(data, state["weight"], state["bias"]) - data).square().mean(1)
        value = as_number(preserves(ctx, EVALUATE, model, data, LOSS, batch_size=batch), "evaluate")
        unweighted = float(torch.stack([part.mean() for part in torch.split(each, batch)]).mean())
        weighs = math.isclose(value, unweighted, rel_tol=1e-9) and size % batch != 0
        matches(
            ctx,
            value,
            float(each.mean()),
            FLOAT64,
            "the mean loss",
            hint="Does every batch have the same number of examples?" if weighs else "",
        )

    forall(ctx, body, size=sizes(1, 9), batch=sizes(1, 11), seed=seeds(), examples=20)
    for size, batch in ((7, 3), (10, 4)):  # drawn sizes may all leave no smaller last batch
        body(size, batch, ctx.seed)


@declare(
    id="q6.evaluate.state", question=6, kind="property", points=0.25, visibility="public",
    title="Evaluation: a look without a touch",
    asks="evaluate runs in evaluation mode without gradients, which are on again afterwards if they were on before, "
    "changes nothing in the model, gradients and what requires one included, keeps to batch_size and gives the model "
    "its former mode back, whichever it was",
    hint="Compare the model's running statistics and its mode before and after. What if it was in evaluation mode "
    "already?",
    needs=(),
)  # fmt: skip
def evaluate_state(ctx: Context) -> None:
    norm = ctx.new(TorchRef("nn.BatchNorm1d"), 3).double()
    norm.call("requires_grad_", False)
    model = ctx.new(Probe("Recorder"), norm)
    ctx.call(Probe("leave_gradients"), model, 3.0)
    before = model.state()
    for training in (True, False):
        model.train(training)
        ctx.call(EVALUATE, model, ctx.randn(11, 3), LOSS, batch_size=4)
        expect(
            model.get("training") is training,
            "the model does not get its former mode back",
            f"training = {training}",
            f"training = {model.get('training')}",
        )
    calls = model.get("calls")
    expect(
        not any(call["training"] for call in calls),
        "the model is evaluated in training mode",
        "evaluation mode",
        "training mode",
    )
    expect(not any(call["grad"] for call in calls), "gradients are recorded during evaluation", "off", "on")
    expect(
        max(call["rows"] for call in calls) <= 4,
        "a batch is larger than batch_size",
        4,
        max(call["rows"] for call in calls),
    )
    after = model.state()
    for name, value in before.items():
        matches(ctx, after[name], value, EXACT, f"{name} after evaluation")
    leaves_gradients_on(ctx, "evaluate")
    leaves_gradients_off(ctx, EVALUATE, model, ctx.randn(5, 3), LOSS, batch_size=4)
    kept = all(isinstance(grad, Tensor) and bool((grad == 3.0).all()) for grad in model.grads().values())
    expect(kept, "the gradients that the model has collected are gone after evaluation", "gradients as before",
               "others", hint="Whose gradients are they: is a look at the model allowed to clear them?")  # fmt: skip
    expect(not any(model.parameters().values()), "frozen parameters require a gradient after evaluation", "frozen",
               "not", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip
