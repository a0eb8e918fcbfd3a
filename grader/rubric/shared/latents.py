"""What the questions on variational autoencoders share: their numbers, random parameters, what wrong values equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import as_sequence, as_tensor, expect, matches
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure, Tolerance
from ...check.shown import alike
from ...check.values import Handle

REPARAMETERIZE = "vae.reparameterize"
Readings = Mapping[str, tuple[Tensor, str]]  # what a wrong value equals -> that value, and the question that it raises


def sigma_of(logvar: Tensor) -> Tensor:
    """Standard deviations of log-variances."""
    return torch.exp(logvar / 2)


def nats(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) element by element."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def bernoulli_nats(x_recon: Tensor, x: Tensor) -> Tensor:
    """-log p of each image `(B,)` in float64, the logarithms bounded at -100 as PyTorch bounds them."""
    p, target = x_recon.double(), x.double()
    each = target * torch.log(p).clamp(min=-100) + (1 - target) * torch.log1p(-p).clamp(min=-100)
    return -each.flatten(1).sum(1)


def tolerance(dtype: torch.dtype) -> Tolerance:
    """The tolerance for values computed in this dtype."""
    return FLOAT64 if dtype == torch.float64 else FLOAT32


def zeros_if_none(gradient: Tensor | None, like: Tensor) -> Tensor:
    """A gradient that does not arrive is zero."""
    return torch.zeros_like(like) if gradient is None else gradient


def matches_among(
    ctx: Context, value: Any, expected: Tensor, tol: Tolerance, what: str, readings: Callable[[], Readings], *,
    hint: str = INHERIT, call: str = "",
) -> Tensor:  # fmt: skip
    """`matches`; a wrong value that equals one of `readings` is called that, and raises the question of it.

    Ask it at a point where misconceptions differ, not in a shrunk case, where they coincide. `call` is what returned
    the value, where other calls have been made since.
    """
    try:
        return matches(ctx, value, expected, tol, what, hint=hint)
    except Failure as failure:
        failure.call = call or ctx.typed()
        close = max(tol.rtol, 1e-6)
        found = [pair for pair in readings().items() if alike(value, pair[1][0], rtol=close, atol=close)]
        if found:
            failure.looks = " or ".join(words for words, _ in found)
            failure.hint = " Or: ".join(dict.fromkeys(question for _, (_, question) in found))
        raise


def stir(ctx: Context, model: Handle, gain: float = 1.5, only: Sequence[str] | None = None) -> Handle:
    """Gives the model random parameters, whatever they are called: no check then depends on an initialisation.

    What cannot be trained keeps its values: parameters that are frozen, and what is not among `only`.
    """
    state = model.state()
    for name, trainable in model.parameters().items():
        known = name in state and state[name].is_floating_point()
        if not (trainable and known) or (only is not None and name not in only):
            continue
        held = state[name]
        fan_in = max(1, held[0].numel()) if held.ndim > 1 else 4
        state[name] = (gain / fan_in**0.5) * ctx.randn(*held.shape, dtype=held.dtype)
    model.load(state)
    return model


def posterior(ctx: Context, value: Any, shape: Sequence[int], dtype: torch.dtype, what: str) -> tuple[Tensor, Tensor]:
    """(mu, logvar), both of this shape."""
    mu, logvar = as_sequence(value, 2, what)
    return (
        as_tensor(mu, shape, f"mu of {what}", dtype=dtype),
        as_tensor(logvar, shape, f"logvar of {what}", dtype=dtype),
    )


def probabilities(
    ctx: Context, value: Any, shape: Sequence[int] | None, what: str, dtype: torch.dtype | None = None,
    hint: str = "Which numbers can a probability be, and which can the last operation of your decoder return?",
) -> Tensor:  # fmt: skip
    """Images of this shape with values in [0, 1]."""
    images = as_tensor(value, shape, what, dtype=dtype, finite=False)
    lowest, highest = float(images.min()), float(images.max())
    inside = lowest >= 0 and highest <= 1
    expect(inside, f"{what} is no probability", "values in [0, 1]", f"{lowest:.4g} to {highest:.4g}", hint=hint)
    return images
