"""Question 6: the reference with one bug: checkpointing and mixed precision."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

FORWARD_LOW = """    with torch.autocast(device_type=x.device.type, dtype=dtype):
        output = model(x)
    return float(descend(loss_fn(as_float32(output), as_float32(x)), optimizer, scaler))
"""

MISTAKES: tuple[Mistake, ...] = (
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
        may_fail=(
            "device",
            "mixed.scaler",
        ),
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
    mistake(
        "checkpoint-asks-of-x",
        "makes the caller's x require a gradient",
        ("checkpoint.gradients",),
        (
            "    for layer in layers:\n        # The",
            "    if x.is_floating_point():\n        x.requires_grad_()\n    for layer in layers:\n        # The",
        ),
        may_fail=("checkpoint.memory",),
    ),
    mistake(
        "scaler-means-float16",
        "with a scaler the forward pass is in float16, whatever dtype says",
        ("mixed.scaler",),
        (FORWARD_LOW, FORWARD_LOW.replace("dtype=dtype", "dtype=dtype if scaler is None else torch.float16")),
    ),
    # ---- arguments and paths that nobody asked for before
    mistake(
        "mixed-returns-tensor",
        "returns the loss as a tensor",
        ("mixed.step",),
        (FORWARD_LOW, FORWARD_LOW.replace("return float(descend(", "return (descend(")),
    ),
    mistake(
        "mixed-stays-on-cpu",
        "the batch stays where it is",
        ("device",),
        (
            "    x = to_model(x, model)\n    with torch.autocast",
            "    with torch.autocast",
        ),
    ),
    mistake(
        "scaler-keeps-gradients",
        "old gradients are cleared only where no scaler is given",
        ("mixed.scaler",),
        (
            "    optimizer.zero_grad()\n    if scaler is None:\n",
            "    if scaler is None:\n        optimizer.zero_grad()\n",
        ),
    ),
    mistake(
        "mixed-loss-after-update",
        "the loss is measured again after the update",
        ("mixed.step",),
        (
            FORWARD_LOW,
            FORWARD_LOW.replace("    return float(", "    float(")
            + "    return float(loss_fn(as_float32(model(x)), as_float32(x)))\n",
        ),
        may_fail=("mixed.scaler",),
    ),
)
