"""Question 8: the reference with one bug: interpolate."""

from __future__ import annotations

from .. import Mistake

LERP = "return model.decode(torch.lerp(mu1, mu2, weight.unsqueeze(1)))  # (1, L), (1, L), (steps, 1) -> (steps, L)"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-interpolation-reversed",
        8,
        "vae",
        "starts at image 2, as the study guide does",
        ("q8.interpolate.path",),
        ((LERP, "return model.decode(torch.lerp(mu2, mu1, weight.unsqueeze(1)))"),),
    ),
    Mistake(
        "q08-interpolation-misses-end",
        8,
        "vae",
        "the last frame does not reach image 2",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (
            (
                "weight = torch.linspace(0, 1, steps, device=mu1.device, dtype=mu1.dtype)",
                "weight = torch.arange(steps, device=mu1.device, dtype=mu1.dtype) / steps",
            ),
        ),
    ),
    Mistake(
        "q08-interpolates-images",
        8,
        "vae",
        "mixes pixels, then reconstructs",
        ("q8.interpolate.model",),
        (
            (
                LERP,
                "mixed = torch.lerp(x1, x2, weight.view(-1, 1, 1, 1))\n        return model.decode(model.encode(mixed)[0])",
            ),
        ),
    ),
    Mistake(
        "q08-interpolates-reconstructions",
        8,
        "vae",
        "cross-fades the two decoded images",
        ("q8.interpolate.model",),
        ((LERP, "return torch.lerp(model.decode(mu1), model.decode(mu2), weight.view(-1, 1, 1, 1))"),),
    ),
    Mistake(
        "q08-interpolates-samples",
        8,
        "vae",
        "between draws, not means",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (("        mu1, _ = model.encode(x1)\n", "        mu1 = reparameterize(*model.encode(x1))\n"),),
    ),
    Mistake(
        "q08-interpolates-on-sphere",
        8,
        "vae",
        "keeps the norm: not equally spaced on the line",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (
            (
                LERP,
                "z = torch.lerp(mu1, mu2, weight.unsqueeze(1))\n"
                "        norm = torch.lerp(mu1.norm(), mu2.norm(), weight.unsqueeze(1))\n"
                "        return model.decode(z / z.norm(dim=1, keepdim=True) * norm)",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-in-training-mode",
        8,
        "vae",
        "no eval()",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _", "    with torch.no_grad():\n        mu1, _"),),
    ),
    Mistake(
        "q08-interpolate-with-graph",
        8,
        "vae",
        "no no_grad()",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    with evaluation_mode(model), torch.enable_grad():\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-leaves-eval",
        8,
        "vae",
        "the model stays in evaluation mode",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    model.eval()\n    with torch.no_grad():\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-no-errors-for-steps",
        8,
        "vae",
        "one frame passes",
        ("q8.errors",),
        (("    if steps < 2:", "    if steps < 1:"),),
    ),
    Mistake(
        "q08-interpolate-switches-gradients-off",
        8,
        "vae",
        "gradients are switched off for good by interpolate",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    torch.set_grad_enabled(False)\n    with evaluation_mode(model):\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-walks-in-place",
        8,
        "vae",
        "adds the step to the first mean in place: an image of which it is a view",
        ("q8.interpolate.path",),
        (
            (
                LERP,
                "step = (mu2 - mu1) / (steps - 1)\n        frames = [model.decode(mu1)]\n        for _ in range(steps - 1):\n"
                "            mu1 += step\n            frames.append(model.decode(mu1))\n        return torch.cat(frames)",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-switches-gradients-on",
        8,
        "vae",
        "switches gradients on afterwards, whatever they were",
        ("q8.interpolate.model",),
        (
            (
                LERP,
                f"frames: Tensor = {LERP.removeprefix('return ')}\n    torch.set_grad_enabled(True)\n    return frames",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-freezes",
        8,
        "vae",
        "freezes the model for the call and leaves it so",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    model.requires_grad_(False)\n    with evaluation_mode(model):\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-weights-on-the-cpu",
        8,
        "vae",
        "the weights lie on the CPU",
        ("q8.device",),
        (
            (
                "torch.linspace(0, 1, steps, device=mu1.device, dtype=mu1.dtype)",
                "torch.linspace(0, 1, steps, dtype=mu1.dtype)",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-default-steps",
        8,
        "vae",
        "eight frames by default",
        ("q8.interpolate.path",),
        (("x2: Tensor, steps: int = 10) -> Tensor:", "x2: Tensor, steps: int = 8) -> Tensor:"),),
    ),
    Mistake(
        "q08-interpolate-one-frame-more",
        8,
        "vae",
        "steps intervals, and so one frame more",
        ("q8.interpolate.path",),
        (("torch.linspace(0, 1, steps, device", "torch.linspace(0, 1, steps + 1, device"),),
        may_fail=("q8.interpolate.model",),
    ),
    Mistake(
        "q08-interpolates-log-variances",
        8,
        "vae",
        "takes the second output of encode",
        ("q8.interpolate.path",),
        (
            (
                "        mu1, _ = model.encode(x1)\n        mu2, _ = model.encode(x2)\n",
                "        _, mu1 = model.encode(x1)\n        _, mu2 = model.encode(x2)\n",
            ),
        ),
        may_fail=("q8.interpolate.model",),
    ),
    Mistake(
        "q08-interpolate-smooth",
        8,
        "vae",
        "eases in and out: not equally spaced",
        ("q8.interpolate.path",),
        ((LERP, LERP.replace("weight.unsqueeze(1)", "(weight * weight * (3 - 2 * weight)).unsqueeze(1)")),),
        may_fail=("q8.interpolate.model",),
    ),
)
