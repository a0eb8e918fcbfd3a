"""Mistakes and alternatives of Question 6."""

from __future__ import annotations

from . import Alternative, Mistake


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


LOOP = ("fit.history", "fit.order", "fit.modes", "fit.stops", "fit.edges")
EPOCHS = (
    "q7.finetune.rows",
    "q7.trainjoint.rows",
    "q7.twostage.rows",
)  # loops of Question 7 use the reference's helper
STAGES = ("stage.only", "stage.target", "layerwise")
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
STAGE_FIT = '    return fit(pair, h, mse_loss, adam(pair, lr), epochs, batch_size, generator=generator)["train"]\n'
STAGE_CODES = """    with evaluation_mode(below):  # fixed during this stage, so its codes are computed once
        h = torch.cat([below(x) for x in torch.split(to_model(data, pair), batch_size)])
"""
FORWARD_LOW = """    with torch.autocast(device_type=x.device.type, dtype=dtype):
        output = model(x)
    return float(descend(loss_fn(as_float32(output), as_float32(x)), optimizer, scaler))
"""

MISTAKES: tuple[Mistake, ...] = (
    # ---- one step
    mistake(
        "no-zero-grad", "gradients pile up from step to step", ("step.update",),
        (STEP_BODY, """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    return float(loss)
"""),
    ),
    mistake(
        "zero-grad-after-step", "old gradients are cleared after the step only: what was there before counts", ("step.update",),
        (STEP_BODY, """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)
"""),
    ),
    mistake(
        "zero-grad-before-step", "the fresh gradients are cleared: nothing is learned", ("step.update",),
        (STEP_BODY, """    model.train()
    x = to_model(x, model)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return float(loss)
"""),
    ),
    mistake(
        "loss-after-update", "the loss is measured again after the update", ("step.update",),
        (STEP_BODY, STEP_BODY.replace("return float(descend(loss_fn(model(x), x), optimizer))",
                                      "descend(loss_fn(model(x), x), optimizer)\n    return float(loss_fn(model(x), x))")),
    ),
    mistake(
        "loss-is-a-tensor", "returns the loss as a tensor that keeps its graph", ("step.update",),
        (STEP_BODY, STEP_BODY.replace("float(descend(loss_fn(model(x), x), optimizer))",
                                      "descend(loss_fn(model(x), x), optimizer)  # type: ignore")),
    ),
    mistake(
        "step-keeps-mode", "the step runs in whatever mode the last evaluation left", ("step.mode",),
        (STEP_BODY, STEP_BODY.replace("    model.train()\n", "")),
    ),
    mistake(
        "step-unpacks", "loss_fn gets the reconstruction, not what the model returned", ("step.mode",),
        (STEP_BODY, STEP_BODY.replace(
            "return float", "out = model(x)\n    out = out[0] if isinstance(out, tuple) else out\n    return float"
        ).replace("loss_fn(model(x), x)", "loss_fn(out, x)")),
    ),
    mistake(
        "step-stays-on-cpu", "the batch stays where it is", ("device",),
        (STEP_BODY, STEP_BODY.replace("    x = to_model(x, model)\n", "")),
    ),
    mistake(
        "step-in-place", "shifts the batch in place before the step", ("step.update",),
        (STEP_BODY, STEP_BODY.replace("    x = to_model(x, model)\n", "    x = to_model(x, model).sub_(0.1)\n")),
        may_fail=("device",),
    ),
    mistake(
        "step-casts-batch", "the batch takes the weights' dtype as well as their device", ("device",),
        (STEP_BODY, STEP_BODY.replace("to_model(x, model)", "x.to(next(model.parameters()))")),
    ),
    mistake(
        "step-sets-own-flag", "sets the flag of the model alone: its layers stay in evaluation mode", ("step.mode",),
        (STEP_BODY, STEP_BODY.replace("model.train()", "model.training = True")),
    ),
    # ---- evaluation
    mistake(
        "evaluate-unweighted", "the mean of batch means", ("evaluate.value",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("return mean_per_example(losses, [len(x) for x in batches])",
                                              "return float(torch.stack(losses).mean())")),
        may_fail=("fit.history",),
    ),
    mistake(
        "evaluate-sum", "the sum of batch losses", ("evaluate.value",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("return mean_per_example(losses, [len(x) for x in batches])",
                                              "return float(torch.stack(losses).sum())")),
        may_fail=("fit.history",),
    ),
    mistake(
        "evaluate-per-batch-size", "divides by batches times batch_size, though the last batch is smaller", ("evaluate.value",),
        (EVALUATE_BODY, EVALUATE_BODY.replace(
            "return mean_per_example(losses, [len(x) for x in batches])",
            "total = sum(float(v) * len(x) for v, x in zip(losses, batches))\n"
            "    return total / (len(batches) * batch_size)")),
        may_fail=("fit.history", "device", "fit.stops"),
    ),
    mistake(
        "evaluate-leaves-eval", "the model stays in evaluation mode", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("with evaluation_mode(model):", "model.eval()\n    with torch.no_grad():")),
    ),
    mistake(
        "evaluate-always-train", "puts the model in training mode afterwards, whichever mode it had", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("with evaluation_mode(model):", "model.eval()\n    with torch.no_grad():")
            .replace("    return mean", "    model.train()\n    return mean")),
    ),
    mistake(
        "evaluate-in-training-mode", "dropout and batch statistics stay on", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("with evaluation_mode(model):", "with torch.no_grad():")),
        may_fail=("fit.modes",),
    ),
    mistake(
        "evaluate-with-gradients", "the graph of every batch is kept", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("with evaluation_mode(model):", "with modes_kept(model):\n        model.eval()")),
        may_fail=("fit.modes", "fit.order"),
    ),
    mistake(
        "evaluate-all-at-once", "ignores batch_size: all data in one batch", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("torch.split(to_model(data, model), batch_size)", "(to_model(data, model),)")),
    ),
    mistake(
        "evaluate-drops-last", "the smaller last batch is left out", ("evaluate.value",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("batch_size)\n", "batch_size)\n    batches = tuple(x for x in batches if "
                                              "len(x) == batch_size) or batches\n", 1)),
        may_fail=("fit.history", "device"),
    ),
    mistake(
        "evaluate-gradients-off", "switches gradients off and never on again", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace(
            "with evaluation_mode(model):", "torch.set_grad_enabled(False)\n    with modes_kept(model):\n        model.eval()"
        )),
        may_fail=("fit.history", "fit.order", "fit.modes", "fit.stops", "fit.edges", "device"),
    ),
    # ---- early stopping
    mistake(
        "stopping-last-value", "compares with the last value instead of the best", ("stopping.patience",),
        (NEW_BEST, "        self.best = value\n"), may_fail=("stopping.edges", "fit.stops", "fit.edges"),
    ),
    mistake(
        "stopping-never-resets", "counts bad values since the beginning", ("stopping.patience", "fit.stops"),
        (IMPROVES, IMPROVES.replace("0 if value", "self._stale if value")), may_fail=("stopping.edges",),
    ),
    mistake(
        "stopping-one-late", "stops one value too late", ("stopping.patience", "fit.stops"),
        ("        return self._stale >= self.patience\n", "        return self._stale > self.patience\n"),
        may_fail=("stopping.edges", "fit.edges"),
    ),
    mistake(
        "stopping-maximises", "waits for the value to rise, as for an accuracy", ("stopping.patience",),
        (IMPROVES, IMPROVES.replace("value < self.best - self.min_delta", "value > self.best + self.min_delta")),
        may_fail=("stopping.edges", "fit.stops"),
    ),
    mistake(
        "stopping-equal-improves", "a value equal to the best counts as better", ("stopping.patience",),
        (IMPROVES, IMPROVES.replace("value < self.best", "value <= self.best")), may_fail=("stopping.edges",),
    ),
    mistake(
        "stopping-nan-improves", "NaN starts the count again", ("stopping.edges",),
        (IMPROVES, IMPROVES.replace("0 if value < self.best - self.min_delta else self._stale + 1",
                                    "self._stale + 1 if value >= self.best - self.min_delta else 0")),
        may_fail=("fit.edges",),
    ),
    mistake(
        "stopping-nan-is-best", "NaN becomes the best value, which nothing is below", ("stopping.edges",),
        (NEW_BEST, "        self.best = value if not value >= self.best else self.best\n"), may_fail=("fit.edges",),
    ),
    mistake(
        "stopping-delta-ignored", "min_delta is not used", ("stopping.edges",),
        (IMPROVES, IMPROVES.replace(" - self.min_delta", "")),
    ),
    mistake(
        "stopping-delta-sign", "a value slightly above the best counts as better", ("stopping.edges",),
        (IMPROVES, IMPROVES.replace("self.best - self.min_delta", "self.best + self.min_delta")),
    ),
    # ---- the loop
    mistake(
        "fit-history-per-batch", "one number per batch", ("fit.history",),
        ('            history["train"].append(loss)\n',
         '            history["train"].extend([loss] * -(-len(data) // batch_size))\n'),
        may_fail=("fit.modes", "stage.only", "stage.target", "layerwise"),
    ),
    mistake(
        "fit-unweighted", "the training loss is the mean of batch means", ("fit.history", "stage.target"),
        ("        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
         "        yield float(torch.stack(losses).mean())\n"),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-last-batch-loss", "the history holds the loss of each epoch's last batch", ("fit.history", "stage.target"),
        ("        yield mean_per_example(losses, [len(rows) for rows in batches])\n", "        yield float(losses[-1])\n"),
        may_fail=("fit.modes", "stage.only", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-no-validation-history", "validation losses are not kept", ("fit.history",),
        ('            history["validation"].append(value)\n', ""), may_fail=("fit.stops", "fit.edges"),
    ),
    mistake(
        "fit-not-shuffled", "the examples come in the order in which they are stored", ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.arange(num_rows, device=drawn_on)"),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-shuffled-once", "the order is drawn before the first epoch only", ("fit.order",),
        ("    for _ in range(epochs):\n        model.train()\n        drawn_on = None if generator is None else generator.device\n"
         "        order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n",
         "    drawn_on = None if generator is None else generator.device\n"
         "    order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n"
         "    for _ in range(epochs):\n        model.train()\n"),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-with-replacement", "draws examples with replacement", ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)",
         "torch.randint(num_rows, (num_rows,), generator=generator, device=drawn_on)"),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-drops-last", "the smaller last batch is never trained on", ("fit.order",),
        ("        batches = torch.split(order, batch_size)\n",
         "        batches = [b for b in torch.split(order, batch_size) if len(b) == batch_size] or [order]\n"),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-ignores-generator", "the order comes from the global stream", ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.randperm(num_rows, device=drawn_on)"),
    ),
    mistake(
        "fit-full-batch", "ignores batch_size", ("fit.order",),
        ("        batches = torch.split(order, batch_size)\n", "        batches = torch.split(order, num_rows)\n"),
        may_fail=("layerwise", "stage.only"),
    ),
    mistake(
        "fit-train-once", "training mode is set before the first epoch, validation then leaves evaluation mode", ("fit.modes",),
        ("    for _ in range(epochs):\n        model.train()\n", "    model.train()\n    for _ in range(epochs):\n"),
        ("            value = evaluate(model, validation, loss_fn, batch_size)\n",
         "            value = evaluate(model, validation, loss_fn, batch_size)\n            model.eval()\n"),
    ),
    mistake(
        "fit-leaves-training", "the model stays in training mode", ("fit.modes",),
        ("    with modes_kept(model):\n        for loss in", "    if True:\n        for loss in"),
    ),
    mistake(
        "fit-validates-in-training-mode", "validation runs in training mode", ("fit.modes",),
        ("            value = evaluate(model, validation, loss_fn, batch_size)\n",
         "            with torch.no_grad():\n                value = float(loss_fn(model(validation), validation))\n"),
        may_fail=("fit.history",),
    ),
    mistake(
        "fit-zero-grad-per-epoch", "gradients are cleared once per epoch", ("fit.modes",),
        ("    optimizer.zero_grad()\n    if scaler is None:\n", "    if scaler is None:\n"),
        ("    for _ in range(epochs):\n        model.train()\n",
         "    for epoch in range(epochs):\n        optimizer.zero_grad() if epoch % 2 == 0 else None\n        model.train()\n"),
        may_fail=("step.update", "fit.stops", "stage.only", "layerwise", "mixed.step", "mixed.scaler"),
    ),
    mistake(
        "fit-best-is-alias", "the best weights are a reference to the live ones", ("fit.stops",),
        ("copy.deepcopy(model.state_dict())", "dict(model.state_dict())"),
    ),
    mistake("fit-keeps-last", "the best weights are not put back", ("fit.stops",), (PUT_BACK, "")),
    mistake(
        "fit-restores-only-on-stop", "the best weights are put back only if the training stopped early", ("fit.stops",),
        (PUT_BACK, ""),
        ("            if stopping.step(value):\n                break\n",
         "            if stopping.step(value):\n                model.load_state_dict(best_weights or model.state_dict())\n"
         "                break\n"),
    ),
    mistake(
        "fit-stops-on-training-loss", "early stopping looks at the training loss", ("fit.stops",),
        ("            if stopping.step(value):\n", "            if stopping.step(loss):\n"), may_fail=("fit.edges",),
    ),
    mistake(
        "fit-always-restores", "puts the best weights back without patience too", ("fit.stops",),
        ("    stopping = None if patience is None else EarlyStopping(patience)\n",
         "    stopping = EarlyStopping(10**9 if patience is None else patience)\n"),
    ),
    mistake(
        "fit-no-value-error", "patience without validation data is accepted", ("fit.edges",),
        ("    if patience is not None and validation is None:\n", "    if False:\n"),
    ),
    mistake(
        "fit-nan-crashes", "insists on best weights though every validation loss was NaN", ("fit.edges",),
        (PUT_BACK, "    if patience is not None:\n        model.load_state_dict(best_weights)  # type: ignore\n"),
    ),
    mistake(
        "fit-mode-lost-on-stop", "returns from inside the loop when it stops early: the mode is not put back", ("fit.modes",),
        ("    with modes_kept(model):\n        for loss in", "    modes = [(module, module.training) for module in model.modules()]\n"
         "    if True:\n        for loss in"),
        ("                break\n", "                model.load_state_dict(best_weights or model.state_dict())\n"
         "                return history\n"),
        ("        model.load_state_dict(best_weights)\n    return history\n",
         "        model.load_state_dict(best_weights)\n    for module, training in modes:\n        module.training = training\n"
         "    return history\n"),
    ),
    # ---- weight decay
    mistake(
        "decay-with-biases", "biases and normalisation scales are penalised too", ("decay",),
        ("for parameter in model.parameters() if parameter.dim() >= 2]", "for parameter in model.parameters()]"),
    ),
    mistake("decay-no-half", "the half is missing", ("decay",), ("    return coefficient / 2 * total\n", "    return coefficient * total\n")),
    mistake("decay-norm", "the norm, not its square", ("decay",), ("weight.square().sum() for", "weight.norm() for")),
    mistake("decay-mean", "the mean of squares", ("decay",), ("weight.square().sum() for", "weight.square().mean() for")),
    mistake("decay-detached", "built from .data: no gradient", ("decay",), ("weight.square().sum() for", "weight.data.square().sum() for")),
    mistake(
        "decay-linear-only", "convolutions are forgotten", ("decay",),
        ("if parameter.dim() >= 2]", "if parameter.dim() == 2]"),
    ),
    mistake(
        "decay-called-weight", "weights are what is called weight", ("decay",),
        ("[parameter for parameter in model.parameters() if parameter.dim() >= 2]",
         '[p for name, p in model.named_parameters() if name.endswith("weight") and p.dim() >= 2]'),
    ),
    mistake(
        "decay-tied-twice", "walks through the modules: a weight that two of them share counts twice", ("decay",),
        ("[parameter for parameter in model.parameters() if parameter.dim() >= 2]",
         "[p for module in model.modules() for p in module.parameters(recurse=False) if p.dim() >= 2]"),
    ),
    # ---- layer-wise pre-training
    mistake(
        "stage-trains-below", "the optimizer holds the earlier layers too and gradients reach them", ("stage.only",),
        (STAGE_CODES, ""),
        (STAGE_FIT, """    whole = nn.Sequential(below, pair)
    optimizer = adam(whole, lr)
    history = []
    with modes_kept(pair):
        for _ in range(epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(data), generator=generator), batch_size):
                h = below(data[rows])
                total += float(descend(mse_loss(pair(h), h), optimizer)) * len(rows)
            history.append(total / len(data))
    return history
"""),
        may_fail=("stage.target", "layerwise"),
    ),
    mistake(
        "stage-reconstructs-x", "every stage is to reconstruct the image through the decoders below", ("stage.target",),
        (STAGE_FIT, """    x = to_model(data, pair)
    back = nn.Sequential(*reversed(decoders[:stage]))
    optimizer = adam(pair, lr)
    history = []
    with modes_kept(pair):
        for _ in range(epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
                total += float(descend(mse_loss(back(pair(h[rows])), x[rows]), optimizer)) * len(rows)
            history.append(total / len(h))
    return history
"""),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-sees-x", "every stage gets the data themselves", ("stage.target",),
        ("    below = nn.Sequential(*encoders[:stage])\n", "    below = nn.Identity()\n"), may_fail=("stage.only", "layerwise"),
    ),
    mistake(
        "stage-below-in-training-mode", "the encoders below run in training mode", ("stage.only",),
        ("    with evaluation_mode(below):  #", "    with torch.no_grad():  #"), may_fail=("layerwise",),
    ),
    mistake(
        "stage-leaves-eval", "the encoders below stay in evaluation mode", ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"), may_fail=("layerwise",),
    ),
    mistake(
        "stage-below-back-to-training", "the encoders below end in training mode, whichever they had", ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        (STAGE_FIT, f"    below.train()\n{STAGE_FIT}"),
    ),
    mistake(
        "stage-freezes-for-good", "the encoders below are frozen and stay so", ("stage.only",),
        (STAGE_CODES, STAGE_CODES + "    below.requires_grad_(False)\n"), may_fail=("layerwise", "stack"),
    ),
    mistake(
        "stage-decoder-untrained", "only the encoder goes to the optimizer", ("stage.only",),
        (STAGE_FIT, STAGE_FIT.replace("adam(pair, lr)", "adam(encoders[stage], lr)")),
    ),
    mistake(
        "stage-mean-loss", "the loss is a mean over the elements of the code", ("stage.target",),
        (STAGE_FIT, STAGE_FIT.replace("mse_loss,", "nn.functional.mse_loss,")),
    ),
    mistake(
        "stage-detached-code", "the code is detached: the encoder gets no gradient", ("stage.only",),
        (STAGE_FIT, """    optimizer = torch.optim.Adam([*encoders[stage].parameters(), *decoders[stage].parameters()], lr)
    history = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
            z = encoders[stage](h[rows]).detach()
            total += float(descend(mse_loss(decoders[stage](z), h[rows]), optimizer)) * len(rows)
        history.append(total / len(h))
    return history
"""),
        may_fail=("layerwise",),
    ),
    mistake(
        "layerwise-stale-codes", "the codes of all stages are computed before any stage is trained", ("layerwise",),
        append="""def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    inputs = [data]
    with torch.no_grad():
        for encoder in encoders[:-1]:
            inputs.append(encoder(inputs[-1]))
    return [
        pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator)
        for encoder, decoder, h in zip(encoders, decoders, inputs)
    ]
""",
    ),
    mistake(
        "layerwise-top-first", "the last stage is trained first", ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in reversed(range(len(encoders)))\n"),
    ),
    mistake(
        "layerwise-forgets-last", "the last stage is left out", ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in range(len(encoders) - 1)\n"),
    ),
    mistake(
        "layerwise-one-epoch", "epochs is not passed on", ("layerwise",),
        ("pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)",
         "pretrain_stage(encoders, decoders, stage, data, 1, batch_size, lr, generator)"),
    ),
    mistake(
        "stack-decoders-in-order", "the decoders are applied first to last", ("stack",),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-of-copies", "the stack is made of copies", ("stack",),
        ("    return Stack(encoders, decoders)\n", "    return copy.deepcopy(Stack(encoders, decoders))\n"),
    ),
    mistake(
        "stack-reverses-callers-list", "turns the caller's list around", ("stack",),
        ("    return Stack(encoders, decoders)\n", "    decoders.reverse()\n    return Stack(encoders, decoders)\n"),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-unregistered", "the layers lie in plain lists: the stack has no parameters", ("stack",),
        ("        self.encoder = nn.Sequential(*encoders)\n        self.decoder = nn.Sequential(*reversed(decoders))\n",
         "        self.both = [nn.Sequential(*encoders), nn.Sequential(*reversed(decoders))]\n"),
        ("        z: Tensor = self.encoder(x)\n", "        z: Tensor = self.both[0](x)\n"),
        ("        x_recon: Tensor = self.decoder(z)\n", "        x_recon: Tensor = self.both[1](z)\n"),
    ),
    mistake(
        "stack-without-code", "forward returns the reconstruction only", ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z)\n"),
    ),
    mistake(
        "stack-detached", "the code is detached on its way to the decoders", ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z.detach()), z\n"),
    ),
    # ---- checkpointing and precision
    mistake(
        "checkpoint-reentrant", "the reentrant variant: a batch without gradient gives parameters without gradient",
        ("checkpoint.gradients",), ("checkpoint(layer, x, use_reentrant=False)", "checkpoint(layer, x, use_reentrant=True)"),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-nothing", "the plain composition: every activation is kept", ("checkpoint.memory",),
        ("checkpoint(layer, x, use_reentrant=False)", "layer(x)"),
    ),
    mistake(
        "checkpoint-no-grad", "runs the layers without gradients to save memory", ("checkpoint.gradients",),
        ("        x = checkpoint(layer, x, use_reentrant=False)\n", "        with torch.no_grad():\n            x = layer(x)\n"),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-detaches", "every layer's input is detached", ("checkpoint.gradients",),
        ("checkpoint(layer, x, use_reentrant=False)", "checkpoint(layer, x.detach(), use_reentrant=False)"),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-fresh-dropout", "recomputes with a new dropout mask", ("checkpoint.memory",),
        ("checkpoint(layer, x, use_reentrant=False)", "checkpoint(layer, x, use_reentrant=False, preserve_rng_state=False)"),
    ),
    mistake(
        "mixed-full-precision", "no autocast", ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype)", "dtype=dtype, enabled=False)")),
    ),
    mistake(
        "mixed-low-loss", "the loss is computed in the lower precision", ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("loss_fn(as_float32(output), as_float32(x))", "loss_fn(output, x)")),
    ),
    mistake(
        "mixed-converts-model", "the parameters themselves are converted", ("mixed.step",),
        (FORWARD_LOW, "    model.to(dtype)\n    output = model(x.to(dtype))\n"
         + FORWARD_LOW[FORWARD_LOW.index("    return"):]),
        may_fail=("mixed.scaler",),
    ),
    mistake(
        "mixed-no-zero-grad", "gradients pile up", ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("    return float(descend(", "    loss = (").replace(", optimizer, scaler))\n", """)
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return float(loss)
""")),
        may_fail=("mixed.scaler",),
    ),
    mistake(
        "mixed-dtype-ignored", "always bfloat16", ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype", "dtype=torch.bfloat16")),
    ),
    mistake(
        "mixed-first-output-only", "casts the reconstruction, not the other outputs", ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("    return", "    if isinstance(output, tuple):\n"
         "        output = (output[0].float(), *output[1:])\n    else:\n        output = as_float32(output)\n    return")
         .replace("as_float32(output), as_float32(x)", "output, as_float32(x)")),
    ),
    mistake(
        "mixed-casts-integers", "casts indices among the outputs too", ("mixed.step",),
        ("        return output.float() if output.is_floating_point() else output\n", "        return output.float()\n"),
    ),
    mistake(
        "mixed-rounds-target", "casts the batch for the model and compares with that batch", ("mixed.step",),
        (FORWARD_LOW, f"    x = x.to(dtype)\n{FORWARD_LOW}"),
    ),
    mistake(
        "mixed-in-eval-mode", "does not switch to training mode", ("mixed.step",),
        ("    model.train()\n    x = to_model(x, model)\n    with torch.autocast", "    x = to_model(x, model)\n    with torch.autocast"),
    ),
    mistake(
        "scaler-ignored", "the scaler is not used", ("mixed.scaler",),
        (FORWARD_LOW, FORWARD_LOW.replace("optimizer, scaler", "optimizer")),
    ),
    mistake(
        "scaler-not-unscaled", "the optimizer steps on the scaled gradients", ("mixed.scaler",),
        ("        scaler.step(optimizer)\n", "        optimizer.step()\n"),
    ),
    mistake("scaler-not-updated", "update is forgotten", ("mixed.scaler",), ("        scaler.update()\n", "")),
    mistake(
        "scaler-loss-scaled", "returns the scaled loss", ("mixed.scaler",),
        ("        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]\n",
         "        loss = scaler.scale(loss)\n        loss.backward()\n"),
    ),
    # ---- what somebody found who knew the handout only
    mistake(
        "evaluate-gradients-on", "gradients are on afterwards, also where the caller had switched them off",
        ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("    with evaluation_mode", "    torch.set_grad_enabled(False)\n"
                                              "    with evaluation_mode").replace("with evaluation_mode(model):",
                                              "with modes_kept(model):\n        model.eval()")
            .replace("    return mean", "    torch.set_grad_enabled(True)\n    return mean")),
    ),
    mistake(
        "evaluate-clears-gradients", "gradients that the model has collected are cleared", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("    with evaluation_mode", "    model.zero_grad()\n    with evaluation_mode")),
    ),
    mistake(
        "evaluate-unfreezes", "every parameter requires a gradient afterwards", ("evaluate.state",),
        (EVALUATE_BODY, EVALUATE_BODY.replace("    with evaluation_mode", "    model.requires_grad_(False)\n"
                                              "    with evaluation_mode")
            .replace("    return mean", "    model.requires_grad_(True)\n    return mean")),
    ),
    mistake(
        "fit-running-mean", "total and count are never set back: the mean over all epochs so far", ("fit.history",),
        ("    for _ in range(epochs):\n        model.train()\n",
         "    all_losses, all_sizes = [], []\n    for _ in range(epochs):\n        model.train()\n"),
        ("        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
         "        all_losses += losses\n        all_sizes += [len(rows) for rows in batches]\n"
         "        yield mean_per_example(all_losses, all_sizes)\n"),
        may_fail=("q7.trainjoint.rows",),
    ),
    mistake(
        "decay-root-squared", "squares a square root: no gradient where a weight is 0", ("decay",),
        ("weight.square().sum() for", "weight.square().sum().sqrt() ** 2 for"),
    ),
    mistake(
        "stage-mode-of-the-first", "gives all encoders below the mode of the first", ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        ("    below = nn.Sequential(*encoders[:stage])\n",
         "    mode = encoders[0].training\n    below = nn.Sequential(*encoders[:stage])\n"),
        (STAGE_FIT, f"    below.train(mode)\n{STAGE_FIT}"),
    ),
    mistake(
        "layerwise-codes-in-training-mode", "a trained encoder makes the codes for the next stage in training mode",
        ("layerwise",),
        append="""def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    histories, h = [], data
    for encoder, decoder in zip(encoders, decoders):
        histories.append(pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator))
        with torch.no_grad():
            h = encoder(h)
    return histories
""",
    ),
    mistake(
        "stack-of-the-parts", "unpacks each module into its parts, past its own forward", ("stack",),
        ("    return Stack(encoders, decoders)\n",
         "    def parts(modules):\n        return [part for m in modules for part in list(m.children()) or [m]]\n\n"
         "    return Stack(parts(encoders), parts(decoders))\n"),
    ),
    mistake(
        "checkpoint-asks-of-x", "makes the caller's x require a gradient", ("checkpoint.gradients",),
        ("    for layer in layers:\n        # The", "    if x.is_floating_point():\n        x.requires_grad_()\n"
         "    for layer in layers:\n        # The"),
    ),
    mistake(
        "scaler-means-float16", "with a scaler the forward pass is in float16, whatever dtype says", ("mixed.scaler",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype", "dtype=dtype if scaler is None else torch.float16")),
    ),
)  # fmt: skip


def alternative(id: str, story: str, append: str) -> Alternative:
    """A rewrite of part of training.py."""
    return Alternative(f"q6-{id}", 6, "training", story, (), append)


ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "dataloader",
        "loops over DataLoaders, weights by hand, mode flags, state dict cloned tensor by tensor",
        """from torch.utils.data import DataLoader, TensorDataset


def train_step(model, x, loss_fn, optimizer):
    device = next(model.parameters()).device
    model.train(True)
    for parameter in model.parameters():
        parameter.grad = None
    x = x.to(device, non_blocking=True)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def evaluate(model, data, loss_fn, batch_size=128):
    former = model.training
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for (x,) in DataLoader(TensorDataset(data), batch_size=batch_size):
        x = x.to(device)
        total += loss_fn(model(x), x).item() * x.size(0)
        count += x.size(0)
    model.train(former)
    return total / count


def fit(model, data, loss_fn, optimizer, epochs, batch_size=128, validation=None, patience=None, generator=None):
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation data, got validation={validation}")
    former = model.training
    loader = DataLoader(TensorDataset(data), batch_size=batch_size, shuffle=True, generator=generator)
    history = {"train": [], "validation": [], "seconds": []}
    best, bad, saved = float("inf"), 0, None
    for epoch in range(epochs):
        total = 0.0
        for (x,) in loader:
            total += train_step(model, x, loss_fn, optimizer) * len(x)
        history["train"].append(total / len(data))
        if validation is None:
            continue
        value = evaluate(model, validation, loss_fn, batch_size)
        history["validation"].append(value)
        if patience is None:
            continue
        if value < best:
            best, bad = value, 0
            saved = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            bad += 1
        if bad == patience:
            break
    if saved is not None:
        model.load_state_dict(saved)
    model.train(former)
    return history
""",
    ),
    alternative(
        "own-stopping",
        "early stopping with an explicit NaN test and a list of all values",
        """import math


class EarlyStopping:
    def __init__(self, patience, min_delta=0.0):
        self.wait, self.delta, self.values, self.since = patience, min_delta, [], 0

    @property
    def best(self):
        return min((v for v in self.values if not math.isnan(v)), default=math.inf)

    def step(self, value):
        better = not math.isnan(value) and value < self.best - self.delta
        self.values.append(value)
        self.since = 0 if better else self.since + 1
        return bool(self.since >= self.wait)
""",
    ),
    alternative(
        "stage-by-hand",
        "the codes are computed batch by batch, with RMSprop, and one step per batch through train_step",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    own = [*encoders[stage].parameters(), *decoders[stage].parameters()]
    optimizer = torch.optim.RMSprop(own, lr=lr)
    former = [encoder.training for encoder in encoders]
    for encoder in encoders[:stage]:
        encoder.eval()
    encoders[stage].train()
    decoders[stage].train()
    history = []
    for _ in range(epochs):
        order = torch.randperm(len(data), generator=generator)
        total = 0.0
        for start in range(0, len(data), batch_size):
            h = data[order[start : start + batch_size]]
            with torch.no_grad():
                for encoder in encoders[:stage]:
                    h = encoder(h)
            loss = ((decoders[stage](encoders[stage](h)) - h) ** 2).sum(dim=1).mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(h)
        history.append(total / len(data))
    for encoder, mode in zip(encoders, former):
        encoder.train(mode)
    return history


def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    history = []
    for stage, _ in enumerate(encoders):
        history.append(pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator))
    return history
""",
    ),
    alternative(
        "frozen-below",
        "the layers below are frozen while the stage is trained, and thawed again",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    below = nn.Sequential(*encoders[:stage])
    modes = [module.training for module in below.modules()]
    asked = [parameter.requires_grad for parameter in below.parameters()]
    for parameter in below.parameters():
        parameter.requires_grad = False
    below.eval()
    with torch.inference_mode():
        h = below(data)
    h = h.clone()
    pair = nn.Sequential(encoders[stage], decoders[stage])
    optimizer = torch.optim.AdamW(pair.parameters(), lr=lr, weight_decay=0.0)
    history = fit(pair, h, mse_loss, optimizer, epochs, batch_size, generator=generator)
    for module, mode in zip(below.modules(), modes):
        module.training = mode
    for parameter, value in zip(below.parameters(), asked):
        parameter.requires_grad = value
    return list(history["train"])
""",
    ),
    alternative(
        "stack-modulelist",
        "module lists and loops",
        """class DeepAutoencoder(nn.Module):
    def __init__(self, down, up):
        super().__init__()
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)

    def encode(self, x):
        for layer in self.down:
            x = layer(x)
        return x

    def decode(self, z):
        for layer in list(self.up)[::-1]:
            z = layer(z)
        return z

    def forward(self, x):
        code = self.encode(x)
        return self.decode(code), code


def assemble_stack(encoders, decoders):
    return DeepAutoencoder(encoders, decoders)
""",
    ),
    alternative(
        "checkpoint-sequential",
        "torch's own checkpoint_sequential, one segment per layer",
        """from torch.utils.checkpoint import checkpoint_sequential


def checkpointed_forward(layers, x):
    layers = list(layers)
    return checkpoint_sequential(layers, len(layers), x, use_reentrant=False)
""",
    ),
    alternative(
        "checkpoint-function",
        "a Function that keeps each layer's input and the random state",
        """class Recompute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layer, x, *weights):
        ctx.layer, ctx.state = layer, torch.get_rng_state()
        ctx.save_for_backward(x)
        with torch.no_grad():
            return layer(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        now = torch.get_rng_state()
        torch.set_rng_state(ctx.state)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = ctx.layer(x)
        torch.set_rng_state(now)
        weights = list(ctx.layer.parameters())
        return (None, *torch.autograd.grad(y, [x, *weights], grad))


def checkpointed_forward(layers, x):
    for layer in layers:
        x = Recompute.apply(layer, x, *layer.parameters())
    return x
""",
    ),
    alternative(
        "mixed-unscaled",
        "loss in a region without autocast; gradients unscaled before the step",
        """def mixed_precision_step(model, x, loss_fn, optimizer, scaler=None, dtype=torch.bfloat16):
    device = next(model.parameters()).device
    x = x.to(device)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    scaler = torch.amp.GradScaler(device.type, enabled=False) if scaler is None else scaler
    with torch.amp.autocast(device.type, dtype=dtype):
        output = model(x)
        output = tuple(o.float() if o.is_floating_point() else o for o in output) if isinstance(output, tuple) else output.to(torch.float32)
        with torch.amp.autocast(device.type, enabled=False):
            loss = loss_fn(output, x.float())
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return loss.detach().cpu().item()
""",
    ),
    alternative(
        "decay-by-name",
        "a loop that adds squared norms",
        """def weight_decay_penalty(model, coefficient):
    total = 0.0
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            total = total + torch.linalg.vector_norm(parameter) ** 2
    return 0.5 * coefficient * total
""",
    ),
    alternative(
        "stopping-accepted-best",
        "the best value is lowered only by what counts as an improvement",
        """class EarlyStopping:
    def __init__(self, patience, min_delta=0.0):
        self.patience, self.min_delta, self.best, self.bad_epochs = patience, min_delta, float("inf"), 0

    def step(self, value):
        if value < self.best - self.min_delta:
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        return self.bad_epochs >= self.patience
""",
    ),
    alternative(
        "fit-numpy-order",
        "NumPy shuffles, seeded by one draw from the generator; the best weights are copied back in place",
        """def fit(model, data, loss_fn, optimizer, epochs, batch_size=128, validation=None, patience=None, generator=None):
    import numpy as np
    if patience is not None:
        if validation is None:
            raise ValueError(f'patience={patience!r} requires validation, which is {validation!r}')
        early = EarlyStopping(patience=patience)
    on = None if generator is None else generator.device
    rng = np.random.default_rng(int(torch.randint(2 ** 62, (), generator=generator, device=on)))
    order = np.arange(len(data))
    train, val = ([], [])
    snapshot = []
    with modes_kept(model):
        epoch = 0
        while epoch < epochs:
            epoch += 1
            rng.shuffle(order)
            pieces = np.split(order, range(batch_size, len(order), batch_size))
            losses = [train_step(model, data[torch.from_numpy(piece.copy()).to(data.device)], loss_fn, optimizer) for piece in pieces]
            train.append(float(np.average(losses, weights=[len(piece) for piece in pieces])))
            if validation is not None:
                val.append(evaluate(model, validation, loss_fn, batch_size))
            if patience is not None:
                if val[-1] < early.best:
                    snapshot = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
                if early.step(val[-1]):
                    epoch = epochs
        with torch.no_grad():
            for live, old in snapshot:
                live.copy_(old)
    return dict(train=train, validation=val)
""",
    ),
    alternative(
        "stage-frozen-copies",
        "frozen copies of the encoders below, codes anew for every batch, NAdam with a schedule",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=0.001, generator=None):
    below = [copy.deepcopy(encoders[i]).eval().requires_grad_(False) for i in range(stage)]
    encoder, decoder = (encoders[stage], decoders[stage])
    encoder.train()
    decoder.train()
    trained = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.NAdam(trained, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2 * max(epochs, 1))
    device = trained[0].device if trained else data.device
    numbers = []
    for _ in range(epochs):
        where = None if generator is None else generator.device
        order = torch.randperm(data.shape[0], generator=generator, device=where).to(data.device)
        total = 0.0
        for rows in order.split(batch_size):
            with torch.no_grad():
                h = data[rows].to(device)
                for layer in below:
                    h = layer(h)
            loss = mse_loss(decoder(encoder(h)), h)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        schedule.step()
        numbers.append(total / data.shape[0])
    return numbers
""",
    ),
    alternative(
        "layerwise-carries-codes",
        "each pair is trained as stage 0 of one-element lists",
        """def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=0.001, generator=None):
    h = data
    losses = []
    for encoder, decoder in zip(encoders, decoders):
        losses.append(pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator))
        with evaluation_mode(encoder):
            h = torch.cat([encoder(to_model(part, encoder)) for part in h.split(batch_size)])
    return losses
""",
    ),
    alternative(
        "mixed-casts-anything",
        "casts named tuples and mappings too, gives the mode back, clears gradients after the step",
        """from collections.abc import Mapping

def _up(value):
    if isinstance(value, Tensor):
        return value.float() if value.dtype.is_floating_point else value
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return type(value)(*map(_up, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(_up, value))
    if isinstance(value, Mapping):
        return type(value)(((k, _up(v)) for k, v in value.items()))
    return value

def mixed_precision_step(model, x, loss_fn, optimizer, scaler=None, dtype=torch.bfloat16):
    with modes_kept(model):
        model.train()
        x = to_model(x, model)
        optimizer.zero_grad()
        forward = torch.autocast(x.device.type, dtype, cache_enabled=False)(model.__call__)
        loss = loss_fn(_up(forward(x)), _up(x))
        value = float(loss.detach())
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()
    return value
""",
    ),
)
