"""Question 6: the training step, evaluation, early stopping and weight decay.

Models, losses and optimizers are the grader's own; how many times and in which mode a model was called is noted by
`probes.Recorder`. The loop over epochs is in `fit`; layer-wise pre-training is in
`layers`, checkpointing and mixed precision in `memory`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ...boundary.session import Probe, Ref, TorchRef
from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import EXACT, FLOAT64, Check, Failure, Question, declare
from ...check.shown import kind_of, misread
from . import fit as q06_fit
from . import layers as q06_layers
from .fit import EVALUATE, LOSS, STEP, STOPPING, linear, sgd

# ---- one step ---------------------------------------------------------------------------------------------------


@declare(
    id="q6.step.update", question=6, kind="property", points=0.5, visibility="public",
    title="One training step",
    asks="train_step makes one optimizer step on the gradient of this batch alone and returns, as a float, the loss "
    "that the model had before it",
    hint="Which gradients are in .grad when your step begins, and which should the optimizer see? At which moment is "
    "the loss measured?",
    needs=(),
)  # fmt: skip
def step_update(ctx: Context) -> None:
    model, state = linear(ctx, 4)
    optimizer = sgd(ctx, model, lr=0.1)
    ctx.call(Probe("leave_gradients"), model, 3.0)
    weight, bias = state["weight"].requires_grad_(), state["bias"].requires_grad_()
    for number in (1, 2):
        x = ctx.randn(5, 4)
        loss = (F.linear(x, weight, bias) - x).square().mean()
        grads = torch.autograd.grad(loss, (weight, bias))
        value = ctx.preserves(STEP, model, x, LOSS, optimizer)
        if not isinstance(value, float):
            raise Failure("train_step does not return a float", "a Python float", kind_of(value))
        after = F.linear(x, weight - 0.1 * grads[0], bias - 0.1 * grads[1]).sub(x).square().mean()
        late = math.isclose(value, after.item(), rel_tol=1e-6)
        ctx.matches(
            value,
            loss.item(),
            FLOAT64,
            f"the loss of step {number}",
            hint="Is this the loss before the update, or after it?" if late else "",
        )
        weight, bias = ((p - 0.1 * g).detach().requires_grad_() for p, g in zip((weight, bias), grads, strict=True))
        now = model.state()
        for name, wanted in (("weight", weight), ("bias", bias)):
            ctx.matches(now[name], wanted.detach(), FLOAT64, f"the {name} after step {number}")


@declare(
    id="q6.step.mode", question=6, kind="property", points=0.25, visibility="public",
    title="A step runs in training mode",
    asks="train_step puts the model in training mode, and hands the model's whole output and the batch to loss_fn",
    hint="What did the last evaluation leave the model in? Which layers behave differently there?",
    needs=(),
)  # fmt: skip
def step_mode(ctx: Context) -> None:
    inner = ctx.new(Probe("Watched"), 9, 2)  # returns a tuple, which the loss takes apart
    model = ctx.new(Probe("Recorder"), inner).eval()
    loss = ctx.new(Probe("NotingLoss"))
    ctx.call(STEP, model, ctx.images(3, 3), loss, sgd(ctx, model, lr=0.1))
    calls, given = model.get("calls"), loss.get("calls")
    ctx.expect(bool(calls), "the model is never called", "one call", "none")
    ctx.expect(
        all(call["training"] for call in (*calls, *inner.get("calls"))),  # the model, and the part of it that works
        "the forward pass is not in training mode",
        "training mode",
        "evaluation mode",
    )
    ctx.expect(
        bool(given) and given[0]["kind"] == "tuple",
        "loss_fn does not get what the model returned",
        "the model's own output: a tuple",
        given[0]["kind"] if given else "never called",
    )


@declare(
    id="q6.device", question=6, kind="property", points=0.25, visibility="hidden",
    title="Data moves to the model's device",
    asks="train_step and evaluate accept data that lie on another device than the model, and change nothing else "
    "about them: whole numbers stay whole",
    hint="Your images are in main memory, your model on the GPU: who brings them together? What if the data are codes "
    "that a model looks up in a table?",
    needs=(),
)  # fmt: skip
def device(ctx: Context) -> None:
    # `Elsewhere` behaves as a tensor on another device: it can be sliced and copied there, but not mixed with the model
    model, _ = linear(ctx, 3, torch.float32)
    data, call = ctx.randn(5, 3, dtype=torch.float32), Probe("with_data_elsewhere")
    ctx.number(ctx.call(call, Ref(EVALUATE), model, data, LOSS, batch_size=2), "evaluate on data from elsewhere")
    ctx.number(ctx.call(call, Ref(STEP), model, data, LOSS, sgd(ctx, model, lr=0.1)), "train_step's loss")
    table, codes = ctx.new(TorchRef("nn.Embedding"), 5, 3), ctx.randint(0, 5, 7)
    loss, optimizer = Probe("mean_square"), sgd(ctx, table, lr=0.1)
    ctx.number(ctx.call(EVALUATE, table, codes, loss, batch_size=4), "evaluate on codes")
    ctx.number(ctx.call(STEP, table, codes, loss, optimizer), "train_step's loss on codes")


# ---- evaluation -------------------------------------------------------------------------------------------------


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
        value = ctx.number(ctx.preserves(EVALUATE, model, data, LOSS, batch_size=batch), "evaluate")
        unweighted = float(torch.stack([part.mean() for part in torch.split(each, batch)]).mean())
        weighs = math.isclose(value, unweighted, rel_tol=1e-9) and size % batch != 0
        ctx.matches(
            value,
            float(each.mean()),
            FLOAT64,
            "the mean loss",
            hint="Does every batch have the same number of examples?" if weighs else "",
        )

    ctx.forall(body, size=sizes(1, 9), batch=sizes(1, 11), seed=seeds(), examples=20)
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
        ctx.expect(
            model.get("training") is training,
            "the model does not get its former mode back",
            f"training = {training}",
            f"training = {model.get('training')}",
        )
    calls = model.get("calls")
    ctx.expect(
        not any(call["training"] for call in calls),
        "the model is evaluated in training mode",
        "evaluation mode",
        "training mode",
    )
    ctx.expect(not any(call["grad"] for call in calls), "gradients are recorded during evaluation", "off", "on")
    ctx.expect(
        max(call["rows"] for call in calls) <= 4,
        "a batch is larger than batch_size",
        4,
        max(call["rows"] for call in calls),
    )
    after = model.state()
    for name, value in before.items():
        ctx.matches(after[name], value, EXACT, f"{name} after evaluation")
    ctx.leaves_gradients_on("evaluate")
    ctx.leaves_gradients_off(EVALUATE, model, ctx.randn(5, 3), LOSS, batch_size=4)
    kept = all(isinstance(grad, Tensor) and bool((grad == 3.0).all()) for grad in model.grads().values())
    ctx.expect(kept, "the gradients that the model has collected are gone after evaluation", "gradients as before",
               "others", hint="Whose gradients are they: is a look at the model allowed to clear them?")  # fmt: skip
    ctx.expect(not any(model.parameters().values()), "frozen parameters require a gradient after evaluation", "frozen",
               "not", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip


# ---- early stopping ---------------------------------------------------------------------------------------------


def stopping_rule(
    values: Sequence[float], patience: int, min_delta: float, *, accepted: bool
) -> list[tuple[bool, float]]:
    """(answer, best) after each value, straight from the definition.

    The best value so far is the lowest of all or, read otherwise, the lowest that counted as an improvement.
    """
    improved: list[bool] = []
    told, best = [], math.inf
    for value in values:
        improved.append(value < best - min_delta)
        if improved[-1] or (value < best and not accepted):
            best = value
        told.append((len(improved) >= patience and not any(improved[-patience:]), best))
    return told


def follow_stopping(ctx: Context, values: Sequence[float], patience: int, min_delta: float, best: bool) -> None:
    """Feeds `values` one by one until the rule says stop; every answer agrees with the same reading of the rule."""
    rule = ctx.new(STOPPING, patience, min_delta) if min_delta else ctx.new(STOPPING, patience)
    readings = [stopping_rule(values, patience, min_delta, accepted=accepted) for accepted in (False, True)]
    for number, value in enumerate(values):
        answer = rule.call("step", value)
        where = f"step {number + 1} of {[round(v, 4) for v in values[: number + 1]]}"
        ctx.expect(isinstance(answer, bool), "step does not return a bool", "True or False", kind_of(answer))
        agreeing = [told for told in readings if told[number][0] is answer]
        ctx.expect(bool(agreeing), f"the answer of {where} is wrong", readings[0][number][0], answer)
        if best and min(told[number][1] for told in agreeing) < math.inf:
            found = ctx.number(rule.get("best"), f"best after {where}")
            readings = [told for told in agreeing if told[number][1] == found]
            ctx.expect(bool(readings), f"best after {where} is wrong", agreeing[0][number][1], found)
        else:
            readings = agreeing
        if answer:
            return


@declare(
    id="q6.stopping.patience", question=6, kind="property", points=0.5, visibility="public",
    title="Early stopping: patience",
    asks="EarlyStopping.step says True once `patience` successive values have not been below the best; an improvement "
    "starts the count again; .best is the lowest value so far",
    hint="With patience 2: what should happen after 3, 2, 2.5, 1, 1.5, 1.2? Compare with the best value, not the last.",
    needs=(),
)  # fmt: skip
def stopping_patience(ctx: Context) -> None:
    def body(values: list[float], patience: int) -> None:
        follow_stopping(ctx, values, patience, 0.0, best=True)

    few = st.lists(st.integers(-3, 6).map(float), min_size=1, max_size=10)
    ctx.forall(body, values=few, patience=sizes(1, 4), examples=40)
    # the count starts again at an improvement: drawn sequences rarely rise and fall often enough to show it
    low = float(ctx.randint(-5, 5, 1))
    follow_stopping(ctx, [low + step for step in (9.0, 10.0, 8.0, 11.0, 7.0, 12.0, 6.0, 13.0, 14.0)], 2, 0.0, best=True)


@declare(
    id="q6.stopping.edges", question=6, kind="property", points=0.25, visibility="hidden",
    title="Early stopping: min_delta and NaN",
    asks="a value improves only if it is below the best value so far by more than min_delta; NaN is no improvement "
    "and never becomes the best value",
    hint="What does a comparison with NaN answer? A loss falls by less than min_delta: is that an improvement?",
    needs=("q6.stopping.patience",),
)  # fmt: skip
def stopping_edges(ctx: Context) -> None:
    def body(values: list[float], patience: int, min_delta: float) -> None:
        follow_stopping(ctx, values, patience, min_delta, best=True)

    # multiples of 1/4: differences from min_delta are exact
    entry = st.one_of(st.integers(-8, 16).map(lambda n: n / 4), st.just(math.nan))
    ctx.forall(
        body,
        values=st.lists(entry, min_size=2, max_size=10),
        patience=sizes(1, 3),
        min_delta=st.sampled_from([0.25, 0.5, 1.0]),
        examples=40,
    )
    follow_stopping(ctx, [4.0, 3.75, 3.5, 3.25, 3.0], 4, 0.5, best=True)
    follow_stopping(ctx, [math.nan, math.nan, math.nan], 3, 0.25, best=False)
    follow_stopping(ctx, [2.0, math.nan, 1.0, 1.5, math.nan], 2, 0.25, best=True)


# ---- weight decay -----------------------------------------------------------------------------------------------


@declare(
    id="q6.decay", question=6, kind="gradient", points=0.25, visibility="public",
    title="Weight decay",
    asks="weight_decay_penalty is coefficient/2 times the sum of squares of all parameters with two or more "
    "dimensions, whatever they are called and each of them once, and its gradient follows",
    hint="Which parameters are weights and which are biases? What is the derivative of your penalty with respect to "
    "one weight?",
    needs=(),
)  # fmt: skip
def decay(ctx: Context) -> None:
    parts = [
        ctx.new(TorchRef("nn.Conv2d"), 2, 3, 2),
        ctx.new(TorchRef("nn.BatchNorm2d"), 3),
        ctx.new(TorchRef("nn.Linear"), 5, 4),
        ctx.new(TorchRef("nn.GRU"), 3, 2),  # its weights are called weight_ih_l0 and weight_hh_l0
        ctx.new(Probe("Tied"), 3),
        ctx.new(TorchRef("nn.Linear"), 2, 3),
    ]
    model = ctx.new(TorchRef("nn.Sequential"), *parts).double()
    state = {k: ctx.randn(*v.shape) if v.is_floating_point() else v for k, v in model.state().items()}
    state["5.weight"] = torch.zeros_like(state["5.weight"])  # there the penalty has a gradient too, 0
    model.load(state)
    state = model.state()  # a weight with two names has one value
    coefficient = float(ctx.rand(1, low=0.1, high=2.0))
    parameters = {name: state[name] for name in model.parameters()}
    weights = {name: value for name, value in parameters.items() if value.ndim >= 2}
    tied = {name: value for name, value in state.items() if value.ndim >= 2}

    def penalty(of: Mapping[str, Tensor]) -> Tensor:
        return coefficient / 2 * torch.stack([value.square().sum() for value in of.values()]).sum()

    found = ctx.session.vjp("training.weight_decay_penalty", model, coefficient, params=[model])
    hint = misread(found.value, {
        "Your value is exactly twice the expected one: what is the derivative of w²?": 2 * penalty(weights),
        "Should a bias, or the scale of a normalisation, be drawn to 0?": penalty(parameters),
        "Is this a norm, or a squared norm?": coefficient / 2 * torch.stack([v.norm() for v in weights.values()]).sum(),
        "What makes a parameter a weight: what it is called?":
            penalty({name: value for name, value in weights.items() if name.endswith("weight")}),
        "How often should a weight count that two layers share?": penalty(tied),
    })  # fmt: skip
    ctx.matches(found.value, penalty(weights), FLOAT64, "the penalty", hint=hint)
    for name, grad in found.params[0].items():
        if name in weights:
            ctx.matches(grad, coefficient * weights[name], FLOAT64, f"the gradient of {name}")
        elif grad is not None:
            ctx.matches(grad, torch.zeros_like(state[name]), FLOAT64, f"the gradient of {name}")


CHECKS: tuple[Check, ...] = (
    step_update, step_mode, device, evaluate_value, evaluate_state, stopping_patience, stopping_edges, *q06_fit.CHECKS,
        decay, *q06_layers.CHECKS,
)  # fmt: skip

QUESTION = Question(number=6, title="Training", points=10.0, modules=("training",), checks=CHECKS)
