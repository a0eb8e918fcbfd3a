"""Question 6: the reference with one bug: layer-wise pre-training, checkpointing and precision, what somebody found who knew the handout only."""

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


EVALUATE_BODY = """    batches = torch.split(to_model(data, model), batch_size)
    with evaluation_mode(model):
        losses = [loss_fn(model(x), x) for x in batches]
    return mean_per_example(losses, [len(x) for x in batches])
"""


STAGE_FIT = '    return fit(pair, h, mse_loss, adam(pair, lr), epochs, batch_size, generator=generator)["train"]\n'


STAGE_CODES = """    with evaluation_mode(below):  # fixed during this stage, so its codes are computed once
        h = torch.cat([below(x) for x in torch.split(to_model(data, pair), batch_size)])
"""


FORWARD_LOW = """    with torch.autocast(device_type=x.device.type, dtype=dtype):
        output = model(x)
    return float(descend(loss_fn(as_float32(output), as_float32(x)), optimizer, scaler))
"""


MISTAKES: tuple[Mistake, ...] = (
    # ---- layer-wise pre-training
    mistake(
        "stage-trains-below",
        "the optimizer holds the earlier layers too and gradients reach them",
        ("stage.only",),
        (STAGE_CODES, ""),
        (
            STAGE_FIT,
            """    whole = nn.Sequential(below, pair)
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
""",
        ),
        may_fail=("stage.target", "layerwise"),
    ),
    mistake(
        "stage-reconstructs-x",
        "every stage is to reconstruct the image through the decoders below",
        ("stage.target",),
        (
            STAGE_FIT,
            """    x = to_model(data, pair)
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
""",
        ),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-sees-x",
        "every stage gets the data themselves",
        ("stage.target",),
        ("    below = nn.Sequential(*encoders[:stage])\n", "    below = nn.Identity()\n"),
        may_fail=("stage.only", "layerwise"),
    ),
    mistake(
        "stage-below-in-training-mode",
        "the encoders below run in training mode",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    with torch.no_grad():  #"),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-leaves-eval",
        "the encoders below stay in evaluation mode",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-below-back-to-training",
        "the encoders below end in training mode, whichever they had",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        (STAGE_FIT, f"    below.train()\n{STAGE_FIT}"),
    ),
    mistake(
        "stage-freezes-for-good",
        "the encoders below are frozen and stay so",
        ("stage.only",),
        (STAGE_CODES, STAGE_CODES + "    below.requires_grad_(False)\n"),
        may_fail=("layerwise", "stack"),
    ),
    mistake(
        "stage-decoder-untrained",
        "only the encoder goes to the optimizer",
        ("stage.only",),
        (STAGE_FIT, STAGE_FIT.replace("adam(pair, lr)", "adam(encoders[stage], lr)")),
    ),
    mistake(
        "stage-mean-loss",
        "the loss is a mean over the elements of the code",
        ("stage.target",),
        (STAGE_FIT, STAGE_FIT.replace("mse_loss,", "nn.functional.mse_loss,")),
    ),
    mistake(
        "stage-detached-code",
        "the code is detached: the encoder gets no gradient",
        ("stage.only",),
        (
            STAGE_FIT,
            """    optimizer = torch.optim.Adam([*encoders[stage].parameters(), *decoders[stage].parameters()], lr)
    history = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
            z = encoders[stage](h[rows]).detach()
            total += float(descend(mse_loss(decoders[stage](z), h[rows]), optimizer)) * len(rows)
        history.append(total / len(h))
    return history
""",
        ),
        may_fail=("layerwise",),
    ),
    mistake(
        "layerwise-stale-codes",
        "the codes of all stages are computed before any stage is trained",
        ("layerwise",),
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
        "layerwise-top-first",
        "the last stage is trained first",
        ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in reversed(range(len(encoders)))\n"),
    ),
    mistake(
        "layerwise-forgets-last",
        "the last stage is left out",
        ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in range(len(encoders) - 1)\n"),
    ),
    mistake(
        "layerwise-one-epoch",
        "epochs is not passed on",
        ("layerwise",),
        (
            "pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)",
            "pretrain_stage(encoders, decoders, stage, data, 1, batch_size, lr, generator)",
        ),
    ),
    mistake(
        "stack-decoders-in-order",
        "the decoders are applied first to last",
        ("stack",),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-of-copies",
        "the stack is made of copies",
        ("stack",),
        ("    return Stack(encoders, decoders)\n", "    return copy.deepcopy(Stack(encoders, decoders))\n"),
    ),
    mistake(
        "stack-reverses-callers-list",
        "turns the caller's list around",
        ("stack",),
        ("    return Stack(encoders, decoders)\n", "    decoders.reverse()\n    return Stack(encoders, decoders)\n"),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-unregistered",
        "the layers lie in plain lists: the stack has no parameters",
        ("stack",),
        (
            "        self.encoder = nn.Sequential(*encoders)\n        self.decoder = nn.Sequential(*reversed(decoders))\n",
            "        self.both = [nn.Sequential(*encoders), nn.Sequential(*reversed(decoders))]\n",
        ),
        ("        z: Tensor = self.encoder(x)\n", "        z: Tensor = self.both[0](x)\n"),
        ("        x_recon: Tensor = self.decoder(z)\n", "        x_recon: Tensor = self.both[1](z)\n"),
    ),
    mistake(
        "stack-without-code",
        "forward returns the reconstruction only",
        ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z)\n"),
    ),
    mistake(
        "stack-detached",
        "the code is detached on its way to the decoders",
        ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z.detach()), z\n"),
    ),
    # ---- checkpointing and precision
    mistake(
        "checkpoint-reentrant",
        "the reentrant variant: a batch without gradient gives parameters without gradient",
        ("checkpoint.gradients",),
        ("checkpoint(layer, x, use_reentrant=False)", "checkpoint(layer, x, use_reentrant=True)"),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-nothing",
        "the plain composition: every activation is kept",
        ("checkpoint.memory",),
        ("checkpoint(layer, x, use_reentrant=False)", "layer(x)"),
    ),
    mistake(
        "checkpoint-no-grad",
        "runs the layers without gradients to save memory",
        ("checkpoint.gradients",),
        (
            "        x = checkpoint(layer, x, use_reentrant=False)\n",
            "        with torch.no_grad():\n            x = layer(x)\n",
        ),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-detaches",
        "every layer's input is detached",
        ("checkpoint.gradients",),
        ("checkpoint(layer, x, use_reentrant=False)", "checkpoint(layer, x.detach(), use_reentrant=False)"),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "checkpoint-fresh-dropout",
        "recomputes with a new dropout mask",
        ("checkpoint.memory",),
        (
            "checkpoint(layer, x, use_reentrant=False)",
            "checkpoint(layer, x, use_reentrant=False, preserve_rng_state=False)",
        ),
    ),
    mistake(
        "mixed-full-precision",
        "no autocast",
        ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype)", "dtype=dtype, enabled=False)")),
    ),
    mistake(
        "mixed-low-loss",
        "the loss is computed in the lower precision",
        ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("loss_fn(as_float32(output), as_float32(x))", "loss_fn(output, x)")),
    ),
    mistake(
        "mixed-converts-model",
        "the parameters themselves are converted",
        ("mixed.step",),
        (
            FORWARD_LOW,
            "    model.to(dtype)\n    output = model(x.to(dtype))\n" + FORWARD_LOW[FORWARD_LOW.index("    return") :],
        ),
        may_fail=("mixed.scaler",),
    ),
    mistake(
        "mixed-no-zero-grad",
        "gradients pile up",
        ("mixed.step",),
        (
            FORWARD_LOW,
            FORWARD_LOW.replace("    return float(descend(", "    loss = (").replace(
                ", optimizer, scaler))\n",
                """)
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return float(loss)
""",
            ),
        ),
        may_fail=("mixed.scaler",),
    ),
    mistake(
        "mixed-dtype-ignored",
        "always bfloat16",
        ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype", "dtype=torch.bfloat16")),
    ),
    mistake(
        "mixed-first-output-only",
        "casts the reconstruction, not the other outputs",
        ("mixed.step",),
        (
            FORWARD_LOW,
            FORWARD_LOW.replace(
                "    return",
                "    if isinstance(output, tuple):\n"
                "        output = (output[0].float(), *output[1:])\n    else:\n        output = as_float32(output)\n    return",
            ).replace("as_float32(output), as_float32(x)", "output, as_float32(x)"),
        ),
    ),
    mistake(
        "mixed-casts-integers",
        "casts indices among the outputs too",
        ("mixed.step",),
        (
            "        return output.float() if output.is_floating_point() else output\n",
            "        return output.float()\n",
        ),
    ),
    mistake(
        "mixed-rounds-target",
        "casts the batch for the model and compares with that batch",
        ("mixed.step",),
        (FORWARD_LOW, f"    x = x.to(dtype)\n{FORWARD_LOW}"),
    ),
    mistake(
        "mixed-in-eval-mode",
        "does not switch to training mode",
        ("mixed.step",),
        (
            "    model.train()\n    x = to_model(x, model)\n    with torch.autocast",
            "    x = to_model(x, model)\n    with torch.autocast",
        ),
    ),
    mistake(
        "scaler-ignored",
        "the scaler is not used",
        ("mixed.scaler",),
        (FORWARD_LOW, FORWARD_LOW.replace("optimizer, scaler", "optimizer")),
    ),
    mistake(
        "scaler-not-unscaled",
        "the optimizer steps on the scaled gradients",
        ("mixed.scaler",),
        ("        scaler.step(optimizer)\n", "        optimizer.step()\n"),
    ),
    mistake("scaler-not-updated", "update is forgotten", ("mixed.scaler",), ("        scaler.update()\n", "")),
    mistake(
        "scaler-loss-scaled",
        "returns the scaled loss",
        ("mixed.scaler",),
        (
            "        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]\n",
            "        loss = scaler.scale(loss)\n        loss.backward()\n",
        ),
    ),
    # ---- what somebody found who knew the handout only
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
        "fit-running-mean",
        "total and count are never set back: the mean over all epochs so far",
        ("fit.history",),
        (
            "    for _ in range(epochs):\n        model.train()\n",
            "    all_losses, all_sizes = [], []\n    for _ in range(epochs):\n        model.train()\n",
        ),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        all_losses += losses\n        all_sizes += [len(rows) for rows in batches]\n"
            "        yield mean_per_example(all_losses, all_sizes)\n",
        ),
        may_fail=("q7.trainjoint.rows",),
    ),
    mistake(
        "decay-root-squared",
        "squares a square root: no gradient where a weight is 0",
        ("decay",),
        ("weight.square().sum() for", "weight.square().sum().sqrt() ** 2 for"),
    ),
    mistake(
        "stage-mode-of-the-first",
        "gives all encoders below the mode of the first",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        (
            "    below = nn.Sequential(*encoders[:stage])\n",
            "    mode = encoders[0].training\n    below = nn.Sequential(*encoders[:stage])\n",
        ),
        (STAGE_FIT, f"    below.train(mode)\n{STAGE_FIT}"),
    ),
    mistake(
        "layerwise-codes-in-training-mode",
        "a trained encoder makes the codes for the next stage in training mode",
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
        "stack-of-the-parts",
        "unpacks each module into its parts, past its own forward",
        ("stack",),
        (
            "    return Stack(encoders, decoders)\n",
            "    def parts(modules):\n        return [part for m in modules for part in list(m.children()) or [m]]\n\n"
            "    return Stack(parts(encoders), parts(decoders))\n",
        ),
    ),
    mistake(
        "checkpoint-asks-of-x",
        "makes the caller's x require a gradient",
        ("checkpoint.gradients",),
        (
            "    for layer in layers:\n        # The",
            "    if x.is_floating_point():\n        x.requires_grad_()\n    for layer in layers:\n        # The",
        ),
    ),
    mistake(
        "scaler-means-float16",
        "with a scaler the forward pass is in float16, whatever dtype says",
        ("mixed.scaler",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype", "dtype=dtype if scaler is None else torch.float16")),
    ),
)
