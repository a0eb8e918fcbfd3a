"""Question 6: the reference with one bug: one step, evaluation, early stopping, the loop, weight decay."""

from __future__ import annotations

from .. import Mistake


def mistake(
    id: str,
    story: str,
    fails: tuple[str, ...],
    *edits: tuple[str, str],
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """One bug in training.py; ids of checks without the question's prefix."""
    return Mistake(
        f"q6-{id}", 6, "training", story, tuple(f"q6.{name}" for name in fails), edits, append,
        tuple(name if name.startswith("q7.") else f"q6.{name}" for name in may_fail),
    )  # fmt: skip


EPOCHS = (
    "q7.finetune.rows",
    "q7.trainjoint.rows",
    "q7.twostage.rows",
)  # loops of Question 7 use the reference's helper


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


PUT_BACK = "    if best_weights is not None:\n        model.load_state_dict(best_weights)\n"


MISTAKES: tuple[Mistake, ...] = (
    # ---- one step
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
    # ---- evaluation
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
    # ---- early stopping
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
        ("stopping.patience", "fit.stops"),
        (IMPROVES, IMPROVES.replace("0 if value", "self._stale if value")),
        may_fail=("stopping.edges",),
    ),
    mistake(
        "stopping-one-late",
        "stops one value too late",
        ("stopping.patience", "fit.stops"),
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
    # ---- the loop
    mistake(
        "fit-history-per-batch",
        "one number per batch",
        ("fit.history",),
        (
            '            history["train"].append(loss)\n',
            '            history["train"].extend([loss] * -(-len(data) // batch_size))\n',
        ),
        may_fail=("fit.modes", "stage.only", "stage.target", "layerwise"),
    ),
    mistake(
        "fit-unweighted",
        "the training loss is the mean of batch means",
        ("fit.history", "stage.target"),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        yield float(torch.stack(losses).mean())\n",
        ),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-last-batch-loss",
        "the history holds the loss of each epoch's last batch",
        ("fit.history", "stage.target"),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        yield float(losses[-1])\n",
        ),
        may_fail=("fit.modes", "stage.only", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-no-validation-history",
        "validation losses are not kept",
        ("fit.history",),
        ('            history["validation"].append(value)\n', ""),
        may_fail=("fit.stops", "fit.edges"),
    ),
    mistake(
        "fit-not-shuffled",
        "the examples come in the order in which they are stored",
        ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.arange(num_rows, device=drawn_on)"),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-shuffled-once",
        "the order is drawn before the first epoch only",
        ("fit.order",),
        (
            "    for _ in range(epochs):\n        model.train()\n        drawn_on = None if generator is None else generator.device\n"
            "        order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n",
            "    drawn_on = None if generator is None else generator.device\n"
            "    order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n"
            "    for _ in range(epochs):\n        model.train()\n",
        ),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-with-replacement",
        "draws examples with replacement",
        ("fit.order",),
        (
            "torch.randperm(num_rows, generator=generator, device=drawn_on)",
            "torch.randint(num_rows, (num_rows,), generator=generator, device=drawn_on)",
        ),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-drops-last",
        "the smaller last batch is never trained on",
        ("fit.order",),
        (
            "        batches = torch.split(order, batch_size)\n",
            "        batches = [b for b in torch.split(order, batch_size) if len(b) == batch_size] or [order]\n",
        ),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-ignores-generator",
        "the order comes from the global stream",
        ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.randperm(num_rows, device=drawn_on)"),
    ),
    mistake(
        "fit-full-batch",
        "ignores batch_size",
        ("fit.order",),
        ("        batches = torch.split(order, batch_size)\n", "        batches = torch.split(order, num_rows)\n"),
        may_fail=("layerwise", "stage.only"),
    ),
    mistake(
        "fit-train-once",
        "training mode is set before the first epoch, validation then leaves evaluation mode",
        ("fit.modes",),
        ("    for _ in range(epochs):\n        model.train()\n", "    model.train()\n    for _ in range(epochs):\n"),
        (
            "            value = evaluate(model, validation, loss_fn, batch_size)\n",
            "            value = evaluate(model, validation, loss_fn, batch_size)\n            model.eval()\n",
        ),
    ),
    mistake(
        "fit-leaves-training",
        "the model stays in training mode",
        ("fit.modes",),
        ("    with modes_kept(model):\n        for loss in", "    if True:\n        for loss in"),
    ),
    mistake(
        "fit-validates-in-training-mode",
        "validation runs in training mode",
        ("fit.modes",),
        (
            "            value = evaluate(model, validation, loss_fn, batch_size)\n",
            "            with torch.no_grad():\n                value = float(loss_fn(model(validation), validation))\n",
        ),
        may_fail=("fit.history",),
    ),
    mistake(
        "fit-zero-grad-per-epoch",
        "gradients are cleared once per epoch",
        ("fit.modes",),
        ("    optimizer.zero_grad()\n    if scaler is None:\n", "    if scaler is None:\n"),
        (
            "    for _ in range(epochs):\n        model.train()\n",
            "    for epoch in range(epochs):\n        optimizer.zero_grad() if epoch % 2 == 0 else None\n        model.train()\n",
        ),
        may_fail=("step.update", "fit.stops", "stage.only", "layerwise", "mixed.step", "mixed.scaler"),
    ),
    mistake(
        "fit-best-is-alias",
        "the best weights are a reference to the live ones",
        ("fit.stops",),
        ("copy.deepcopy(model.state_dict())", "dict(model.state_dict())"),
    ),
    mistake("fit-keeps-last", "the best weights are not put back", ("fit.stops",), (PUT_BACK, "")),
    mistake(
        "fit-restores-only-on-stop",
        "the best weights are put back only if the training stopped early",
        ("fit.stops",),
        (PUT_BACK, ""),
        (
            "            if stopping.step(value):\n                break\n",
            "            if stopping.step(value):\n                model.load_state_dict(best_weights or model.state_dict())\n"
            "                break\n",
        ),
    ),
    mistake(
        "fit-stops-on-training-loss",
        "early stopping looks at the training loss",
        ("fit.stops",),
        ("            if stopping.step(value):\n", "            if stopping.step(loss):\n"),
        may_fail=("fit.edges",),
    ),
    mistake(
        "fit-always-restores",
        "puts the best weights back without patience too",
        ("fit.stops",),
        (
            "    stopping = None if patience is None else EarlyStopping(patience)\n",
            "    stopping = EarlyStopping(10**9 if patience is None else patience)\n",
        ),
    ),
    mistake(
        "fit-no-value-error",
        "patience without validation data is accepted",
        ("fit.edges",),
        ("    if patience is not None and validation is None:\n", "    if False:\n"),
    ),
    mistake(
        "fit-nan-crashes",
        "insists on best weights though every validation loss was NaN",
        ("fit.edges",),
        (PUT_BACK, "    if patience is not None:\n        model.load_state_dict(best_weights)  # type: ignore\n"),
    ),
    mistake(
        "fit-mode-lost-on-stop",
        "returns from inside the loop when it stops early: the mode is not put back",
        ("fit.modes",),
        (
            "    with modes_kept(model):\n        for loss in",
            "    modes = [(module, module.training) for module in model.modules()]\n    if True:\n        for loss in",
        ),
        (
            "                break\n",
            "                model.load_state_dict(best_weights or model.state_dict())\n"
            "                return history\n",
        ),
        (
            "        model.load_state_dict(best_weights)\n    return history\n",
            "        model.load_state_dict(best_weights)\n    for module, training in modes:\n        module.training = training\n"
            "    return history\n",
        ),
    ),
    # ---- weight decay
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
)
