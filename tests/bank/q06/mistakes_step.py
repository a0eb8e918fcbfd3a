"""Question 6: the reference with one bug: the step, evaluation, early stopping, weight decay."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

STEP_BODY = (
    "    model.train()\n    x = to_model(x, model)\n    return float(descend(loss_fn(model(x), x), optimizer))\n"
)
EVALUATE_BODY = """    batches = torch.split(to_model(data, model), batch_size)
    with evaluation_mode(model):
        losses = [loss_fn(model(x), x) for x in batches]
    return mean_per_example(losses, [len(x) for x in batches])
"""
IMPROVES = "        self._stale = 0 if value < self.best - self.min_delta else self._stale + 1\n"
NEW_BEST = "        if value < self.best:\n            self.best = value\n"

MISTAKES: tuple[Mistake, ...] = (
    mistake(
        "no-zero-grad",
        "gradients pile up from step to step",
        ("step.update",),
        (
            STEP_BODY,
            """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    return float(loss)
""",
        ),
    ),
    mistake(
        "zero-grad-after-step",
        "old gradients are cleared after the step only: what was there before counts",
        ("step.update",),
        (
            STEP_BODY,
            """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)
""",
        ),
    ),
    mistake(
        "zero-grad-before-step",
        "the fresh gradients are cleared: nothing is learned",
        ("step.update",),
        (
            STEP_BODY,
            """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return float(loss)
""",
        ),
    ),
    mistake(
        "loss-after-update",
        "the loss is measured again after the update",
        ("step.update",),
        (
            STEP_BODY,
            STEP_BODY.replace(
                "return float(descend(loss_fn(model(x), x), optimizer))",
                "descend(loss_fn(model(x), x), optimizer)\n    return float(loss_fn(model(x), x))",
            ),
        ),
    ),
    mistake(
        "loss-is-a-tensor",
        "returns the loss as a tensor that keeps its graph",
        ("step.update",),
        (
            STEP_BODY,
            STEP_BODY.replace(
                "float(descend(loss_fn(model(x), x), optimizer))",
                "descend(loss_fn(model(x), x), optimizer)  # type: ignore",
            ),
        ),
    ),
    mistake(
        "step-keeps-mode",
        "the step runs in whatever mode the last evaluation left",
        ("step.mode",),
        (STEP_BODY, STEP_BODY.replace("    model.train()\n", "")),
    ),
    mistake(
        "step-unpacks",
        "loss_fn gets the reconstruction, not what the model returned",
        ("step.mode",),
        (
            STEP_BODY,
            STEP_BODY.replace(
                "return float", "out = model(x)\n    out = out[0] if isinstance(out, tuple) else out\n    return float"
            ).replace("loss_fn(model(x), x)", "loss_fn(out, x)"),
        ),
    ),
    mistake(
        "step-stays-on-cpu",
        "the batch stays where it is",
        ("device",),
        (STEP_BODY, STEP_BODY.replace("    x = to_model(x, model)\n", "")),
    ),
    mistake(
        "step-in-place",
        "shifts the batch in place before the step",
        ("step.update",),
        (STEP_BODY, STEP_BODY.replace("    x = to_model(x, model)\n", "    x = to_model(x, model).sub_(0.1)\n")),
        may_fail=("device",),
    ),
    mistake(
        "step-casts-batch",
        "the batch takes the weights' dtype as well as their device",
        ("device",),
        (STEP_BODY, STEP_BODY.replace("to_model(x, model)", "x.to(next(model.parameters()))")),
    ),
    mistake(
        "step-sets-own-flag",
        "sets the flag of the model alone: its layers stay in evaluation mode",
        ("step.mode",),
        (STEP_BODY, STEP_BODY.replace("model.train()", "model.training = True")),
    ),
    mistake(
        "evaluate-unweighted",
        "the mean of batch means",
        ("evaluate.value",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "return mean_per_example(losses, [len(x) for x in batches])", "return float(torch.stack(losses).mean())"
            ),
        ),
        may_fail=("fit.history",),
    ),
    mistake(
        "evaluate-sum",
        "the sum of batch losses",
        ("evaluate.value",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "return mean_per_example(losses, [len(x) for x in batches])", "return float(torch.stack(losses).sum())"
            ),
        ),
        may_fail=("fit.history",),
    ),
    mistake(
        "evaluate-per-batch-size",
        "divides by batches times batch_size, though the last batch is smaller",
        ("evaluate.value",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "return mean_per_example(losses, [len(x) for x in batches])",
                "total = sum(float(v) * len(x) for v, x in zip(losses, batches))\n"
                "    return total / (len(batches) * batch_size)",
            ),
        ),
        may_fail=("fit.history", "device", "fit.stops"),
    ),
    mistake(
        "evaluate-leaves-eval",
        "the model stays in evaluation mode",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace("with evaluation_mode(model):", "model.eval()\n    with torch.no_grad():"),
        ),
    ),
    mistake(
        "evaluate-always-train",
        "puts the model in training mode afterwards, whichever mode it had",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace("with evaluation_mode(model):", "model.eval()\n    with torch.no_grad():").replace(
                "    return mean", "    model.train()\n    return mean"
            ),
        ),
    ),
    mistake(
        "evaluate-in-training-mode",
        "dropout and batch statistics stay on",
        ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("with evaluation_mode(model):", "with torch.no_grad():")),
        may_fail=("fit.modes",),
    ),
    mistake(
        "evaluate-with-gradients",
        "the graph of every batch is kept",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace("with evaluation_mode(model):", "with modes_kept(model):\n        model.eval()"),
        ),
        may_fail=("fit.modes", "fit.order"),
    ),
    mistake(
        "evaluate-all-at-once",
        "ignores batch_size: all data in one batch",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace("torch.split(to_model(data, model), batch_size)", "(to_model(data, model),)"),
        ),
    ),
    mistake(
        "evaluate-drops-last",
        "the smaller last batch is left out",
        ("evaluate.value",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "batch_size)\n",
                "batch_size)\n    batches = tuple(x for x in batches if len(x) == batch_size) or batches\n",
                1,
            ),
        ),
        may_fail=("fit.history", "device"),
    ),
    mistake(
        "evaluate-gradients-off",
        "switches gradients off and never on again",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "with evaluation_mode(model):",
                "torch.set_grad_enabled(False)\n    with modes_kept(model):\n        model.eval()",
            ),
        ),
        may_fail=("fit.history", "fit.order", "fit.modes", "fit.stops", "fit.edges", "device"),
    ),
    mistake(
        "stopping-last-value",
        "compares with the last value instead of the best",
        ("stopping.patience",),
        (NEW_BEST, "        self.best = value\n"),
        may_fail=("stopping.edges", "fit.stops", "fit.edges"),
    ),
    mistake(
        "stopping-never-resets",
        "counts bad values since the beginning",
        ("stopping.patience",),
        (IMPROVES, IMPROVES.replace("0 if value", "self._stale if value")),
        may_fail=("stopping.edges",),
    ),
    mistake(
        "stopping-one-late",
        "stops one value too late",
        ("stopping.patience",),
        ("        return self._stale >= self.patience\n", "        return self._stale > self.patience\n"),
        may_fail=("stopping.edges", "fit.edges"),
    ),
    mistake(
        "stopping-maximises",
        "waits for the value to rise, as for an accuracy",
        ("stopping.patience",),
        (IMPROVES, IMPROVES.replace("value < self.best - self.min_delta", "value > self.best + self.min_delta")),
        may_fail=("stopping.edges", "fit.stops"),
    ),
    mistake(
        "stopping-equal-improves",
        "a value equal to the best counts as better",
        ("stopping.patience",),
        (IMPROVES, IMPROVES.replace("value < self.best", "value <= self.best")),
        may_fail=("stopping.edges",),
    ),
    mistake(
        "stopping-nan-improves",
        "NaN starts the count again",
        ("stopping.edges",),
        (
            IMPROVES,
            IMPROVES.replace(
                "0 if value < self.best - self.min_delta else self._stale + 1",
                "self._stale + 1 if value >= self.best - self.min_delta else 0",
            ),
        ),
        may_fail=("fit.edges",),
    ),
    mistake(
        "stopping-nan-is-best",
        "NaN becomes the best value, which nothing is below",
        ("stopping.edges",),
        (NEW_BEST, "        self.best = value if not value >= self.best else self.best\n"),
        may_fail=("fit.edges",),
    ),
    mistake(
        "stopping-delta-ignored",
        "min_delta is not used",
        ("stopping.edges",),
        (IMPROVES, IMPROVES.replace(" - self.min_delta", "")),
    ),
    mistake(
        "stopping-delta-sign",
        "a value slightly above the best counts as better",
        ("stopping.edges",),
        (IMPROVES, IMPROVES.replace("self.best - self.min_delta", "self.best + self.min_delta")),
    ),
    mistake(
        "decay-with-biases",
        "biases and normalisation scales are penalised too",
        ("decay",),
        ("for parameter in model.parameters() if parameter.dim() >= 2]", "for parameter in model.parameters()]"),
    ),
    mistake(
        "decay-no-half",
        "the half is missing",
        ("decay",),
        ("    return coefficient / 2 * total\n", "    return coefficient * total\n"),
    ),
    mistake("decay-norm", "the norm, not its square", ("decay",), ("weight.square().sum() for", "weight.norm() for")),
    mistake(
        "decay-mean", "the mean of squares", ("decay",), ("weight.square().sum() for", "weight.square().mean() for")
    ),
    mistake(
        "decay-detached",
        "built from .data: no gradient",
        ("decay",),
        ("weight.square().sum() for", "weight.data.square().sum() for"),
    ),
    mistake(
        "decay-linear-only",
        "convolutions are forgotten",
        ("decay",),
        ("if parameter.dim() >= 2]", "if parameter.dim() == 2]"),
    ),
    mistake(
        "decay-called-weight",
        "weights are what is called weight",
        ("decay",),
        (
            "[parameter for parameter in model.parameters() if parameter.dim() >= 2]",
            '[p for name, p in model.named_parameters() if name.endswith("weight") and p.dim() >= 2]',
        ),
    ),
    mistake(
        "decay-tied-twice",
        "walks through the modules: a weight that two of them share counts twice",
        ("decay",),
        (
            "[parameter for parameter in model.parameters() if parameter.dim() >= 2]",
            "[p for module in model.modules() for p in module.parameters(recurse=False) if p.dim() >= 2]",
        ),
    ),
    mistake(
        "evaluate-gradients-on",
        "gradients are on afterwards, also where the caller had switched them off",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "    with evaluation_mode", "    torch.set_grad_enabled(False)\n    with evaluation_mode"
            )
            .replace("with evaluation_mode(model):", "with modes_kept(model):\n        model.eval()")
            .replace("    return mean", "    torch.set_grad_enabled(True)\n    return mean"),
        ),
    ),
    mistake(
        "evaluate-clears-gradients",
        "gradients that the model has collected are cleared",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace("    with evaluation_mode", "    model.zero_grad()\n    with evaluation_mode"),
        ),
    ),
    mistake(
        "evaluate-unfreezes",
        "every parameter requires a gradient afterwards",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "    with evaluation_mode", "    model.requires_grad_(False)\n    with evaluation_mode"
            ).replace("    return mean", "    model.requires_grad_(True)\n    return mean"),
        ),
    ),
    mistake(
        "decay-root-squared",
        "squares a square root: no gradient where a weight is 0",
        ("decay",),
        ("weight.square().sum() for", "weight.square().sum().sqrt() ** 2 for"),
    ),
    # ---- arguments that nobody asked for before
    mistake(
        "evaluate-own-loss",
        "the mean squared error, whatever loss_fn is",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "loss_fn(model(x), x)",
                "((lambda out: (out[0] if isinstance(out, tuple) else out) - x)(model(x))).square().mean()",
            ),
        ),
        may_fail=("device",),
    ),
    mistake(
        "evaluate-unpacks",
        "loss_fn gets the reconstruction, not what the model returned",
        ("evaluate.state",),
        (
            EVALUATE_BODY,
            EVALUATE_BODY.replace(
                "loss_fn(model(x), x)", "loss_fn((lambda out: out[0] if isinstance(out, tuple) else out)(model(x)), x)"
            ),
        ),
    ),
    mistake(
        "evaluate-first-batch",
        "the loss of the first batch is taken for that of all",
        ("evaluate.value",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("return mean_per", "return float(losses[0])\n    return mean_per")),
        may_fail=("fit.history",),
    ),
    mistake(
        "step-own-optimizer",
        "steps with an optimizer of its own, whatever the caller's is",
        ("step.update",),
        (STEP_BODY, STEP_BODY.replace("optimizer))", "adam(model, 1e-3)))")),
    ),
    mistake(
        "step-twice",
        "the optimizer steps twice",
        ("step.update",),
        (
            STEP_BODY,
            STEP_BODY.replace(
                "    return float(descend(loss_fn(model(x), x), optimizer))",
                "    loss = float(descend(loss_fn(model(x), x), optimizer))\n    optimizer.step()\n    return loss",
            ),
        ),
    ),
    mistake(
        "stopping-one-early",
        "stops one value too early",
        ("stopping.patience",),
        ("        return self._stale >= self.patience\n", "        return self._stale >= self.patience - 1\n"),
        may_fail=("stopping.edges", "fit.stops", "fit.edges"),
    ),
    mistake(
        "stopping-delta-is-relative",
        "min_delta is taken for a share of the best value",
        ("stopping.edges",),
        (IMPROVES, IMPROVES.replace("self.best - self.min_delta", "self.best * (1 - self.min_delta)")),
    ),
    mistake(
        "decay-no-coefficient",
        "the coefficient is not used",
        ("decay",),
        ("    return coefficient / 2 * total\n", "    return total / 2\n"),
    ),
)
