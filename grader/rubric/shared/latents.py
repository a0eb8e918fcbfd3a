"""What the questions on variational autoencoders share: random parameters, normal draws, and the chain rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from ...check.context import Context, guard
from ...check.expectations import as_sequence, as_tensor, expect, leaves_gradients_off, leaves_gradients_on, matches
from ...check.failure import FLOAT32, FLOAT64, Failure, Tolerance
from ...check.shown import alike
from ...check.statistics import FALSE_ALARM, correlation_bound, mean_bound, variance_bounds
from ...check.values import Gen, Handle, TorchRef

REPARAMETERIZE = "vae.reparameterize"
TWICE = "Where does your randomness come from, and does the argument generator reach it?"


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


# ---- a student's model ------------------------------------------------------------------------------------------


PASSES = 40


def stir(ctx: Context, model: Handle, gain: float = 1.5) -> Handle:
    """Gives the model random parameters, whatever they are called: no check then depends on an initialisation."""
    state = model.state()
    for name in model.parameters():
        if name not in state or not state[name].is_floating_point():
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
    ctx: Context, value: Any, shape: Sequence[int] | None, what: str, dtype: torch.dtype | None = None
) -> Tensor:
    """Images of this shape with values in [0, 1]."""
    images = as_tensor(value, shape, what, dtype=dtype)
    lowest, highest = float(images.min()), float(images.max())
    expect(
        lowest >= 0 and highest <= 1, f"{what} is no probability", "values in [0, 1]", f"{lowest:.4g} to {highest:.4g}"
    )
    return images


def expect_shapes(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """encode, decode and forward on images `x` (and labels, for a conditional model)."""
    shape = (len(x), latent_dim)
    expect(
        model.get("latent_dim") == latent_dim, "the attribute latent_dim is wrong", latent_dim, model.get("latent_dim")
    )
    posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    z = ctx.randn(*shape, dtype=x.dtype)
    as_tensor(model.call("decode", z, *labels), x.shape, "the output of decode", dtype=x.dtype)
    x_recon, mu, logvar = as_sequence(model(x, *labels), 3, "forward")
    as_tensor(x_recon, x.shape, "x_recon of forward", dtype=x.dtype)
    posterior(ctx, (mu, logvar), shape, x.dtype, "forward")


def expect_rows_alone(ctx: Context, call: Callable[..., Tensor], what: str, *rows: Tensor) -> None:
    """What `call` makes of each row, in float64, is what it makes of that row without the others of its batch."""
    whole = call(*rows)
    count = len(rows[0])
    expect(
        whole.ndim > 0 and len(whole) == count, f"{what} has not one row for each", f"{count} rows", tuple(whole.shape)
    )
    for row in range(count):
        alone = call(*(part[row : row + 1] for part in rows))
        matches(
            ctx,
            whole[row : row + 1],
            alone,
            FLOAT64,
            f"row {row} of {what} in a batch, compared with that row alone,",
            hint="In evaluation mode, what have the other images of the batch to do with this one?",
        )


def expect_loadable(ctx: Context, model: Handle, twin: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """A second instance with the state of the first, both in float64, computes the same as it."""
    twin.double().eval().load(model.state())
    shape, z = (len(x), latent_dim), ctx.randn(len(x), latent_dim)
    pairs = [
        (other.call("decode", z, *labels), *posterior(ctx, other.call("encode", x, *labels), shape, x.dtype, "encode"))
        for other in (model, twin)
    ]
    for one, two, what in zip(*pairs, ("x_recon", "mu", "logvar"), strict=True):
        matches(
            ctx,
            two,
            as_tensor(one, None, what),
            FLOAT64,
            f"{what} of a new model with the state_dict of the first, compared with the first,",
            hint="Which numbers does your model compute with, and which of them are in its state_dict?",
        )


def expect_forward(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """forward with a given eps is decode(mu + sigma eps) of the posterior of encode, and returns that posterior."""
    tol, shape = tolerance(x.dtype), (len(x), latent_dim)
    mu, logvar = posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    for eps in (ctx.randn(*shape, dtype=x.dtype), torch.zeros(shape, dtype=x.dtype)):
        x_recon, mu_again, logvar_again = as_sequence(model(x, *labels, eps=eps), 3, "forward")
        matches(ctx, mu_again, mu, tol, "mu of forward, compared with encode")
        matches(ctx, logvar_again, logvar, tol, "logvar of forward, compared with encode")
        what = "x_recon of forward(x, eps=eps), compared with decode(mu + sigma eps)"
        try:
            matches(ctx, x_recon, model.call("decode", mu + sigma_of(logvar) * eps, *labels), tol, what)
        except Failure:  # a mistake in reparameterize costs points there, and not once more in each model
            own = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar, eps), shape, "reparameterize")
            if not alike(x_recon, model.call("decode", own, *labels), rtol=1e-4, atol=1e-5):
                raise
    far = 10 * ctx.randn(*shape, dtype=x.dtype)  # decodes to what is no probability where nothing sees to that
    model.train()
    decoded = model.call("decode", far, *labels)
    model.eval()
    if isinstance(decoded, Tensor) and bool(((decoded >= 0) & (decoded <= 1)).all()):  # else it costs points elsewhere
        expect_probabilities_in_training(
            ctx, model, lambda: as_sequence(model(x, *labels, eps=far), 3, "forward")[0], "x_recon of forward"
        )


def expect_fresh(
    ctx: Context, model: Handle, x: Tensor, *labels: Tensor, modes: Sequence[bool] = (False, True)
) -> None:
    """Each forward pass draws anew, for each image of the batch, in both modes, with gradients and without."""
    same = x[:1].expand_as(x).contiguous()
    same_labels = [label[:1].expand_as(label).contiguous() for label in labels]

    def drawn(call: Callable[..., Any] = model.session.call) -> Tensor:
        found = as_tensor(as_sequence(call(model, same, *same_labels), 3, "forward")[0], None, "x_recon")
        per_image = found.ndim > 0 and len(found) == len(x)
        expect(per_image, "x_recon has not one image for each of x", tuple(x.shape), tuple(found.shape))
        return found.reshape(len(x), -1)

    for training in modes:
        model.train(training)
        mode = "training" if training else "evaluation"
        # where a sigmoid saturates two draws may look alike: one difference in many passes is enough
        first = drawn()
        expect(
            any(float((first - drawn()).abs().max()) > 1e-6 for _ in range(PASSES)),
            f"two forward passes in {mode} mode give the same x_recon",
            "a fresh sample on each pass",
            "equal reconstructions",
        )
        if not training:  # dropout and batch statistics would differ between rows on their own account
            apart = torch.zeros(len(x) - 1, dtype=torch.bool)
            for _ in range(PASSES):
                if apart.all():
                    break
                found = drawn()
                apart |= (found - found[:1]).abs().amax(1)[1:] > 1e-6
            expect(
                bool(apart.all()),
                "equal images of a batch share their noise",
                "eps of its own for each image",
                "equal reconstructions",
            )
    model.eval()  # where dropout makes no difference
    first = drawn(model.session.infer)
    expect(
        any(float((first - drawn(model.session.infer)).abs().max()) > 1e-6 for _ in range(PASSES)),
        "two forward passes under no_grad give the same x_recon",
        "a fresh sample on each pass",
        "equal reconstructions",
        hint="What has a draw from the posterior to do with whether somebody wants gradients?",
    )


def expect_probabilities_in_training(ctx: Context, model: Handle, call: Callable[[], Any], what: str) -> None:
    """What `call` makes of the model in training mode are probabilities: the loss takes them for such."""
    model.train()
    value = call()
    model.eval()
    try:
        probabilities(ctx, value, None, f"{what} in training mode")
    except Failure as failure:
        failure.hint = "What does the loss take x_recon for while the model trains?"
        raise


def expect_apart(ctx: Context, ask: Callable[[], None], second: str) -> None:
    """What `ask` asks of one model holds too after the `second`, of other sizes, has been made."""
    try:
        guard(ask, {"made after the model": second})
    except Failure as failure:
        failure.hint = "Make two models of different sizes, then use the first: whose sizes does it know?"
        raise


def expect_chain_rule(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """Gradients of forward are those of decode, the draw and encode in a chain, to the image and all parameters.

    Exact up to rounding, so no kink of an activation can disturb it as it would disturb finite differences.
    """
    session, shape = model.session, (len(x), latent_dim)
    mu, logvar = posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    eps = ctx.randn(*shape)
    weights = ctx.randn(*as_tensor(as_sequence(model(x, *labels, eps=eps), 3, "forward")[0], None, "x_recon").shape)
    to_mu, to_logvar = ctx.randn(*shape), ctx.randn(*shape)
    for index, name in enumerate(("mu", "logvar")):
        single = session.vjp((model, "encode"), x, *labels, wrt=(0,), cotangents=[((index,), to_mu)]).args[0]
        arrives = single is not None and float(single.abs().max()) > 0
        expect(arrives, f"no gradient passes through {name} of encode", "a gradient to the image", "None or zero")
    cotangents = [((0,), weights), ((1,), to_mu), ((2,), to_logvar)]
    whole = session.vjp(model, x, *labels, eps=eps, wrt=(0,), params=[model], cotangents=cotangents)

    def compare(z: Tensor, link: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        """Compares with a draw `z`; `link` takes the gradient to z on to mu and logvar."""
        decoder = session.vjp((model, "decode"), z, *labels, wrt=(0,), params=[model], cotangents=[((), weights)])
        slope = decoder.args[0]
        if slope is None:
            raise Failure("no gradient passes through decode to z", "a gradient", "None")
        through_mu, through_logvar = link(slope)
        cotangents = [((0,), through_mu + to_mu), ((1,), through_logvar + to_logvar)]
        encoder = session.vjp((model, "encode"), x, *labels, wrt=(0,), params=[model], cotangents=cotangents)
        expected = zeros_if_none(encoder.args[0], x)
        matches(ctx, zeros_if_none(whole.args[0], x), expected, FLOAT64, "the gradient of forward to the image")
        for name, found in whole.params[0].items():
            parts = [part for part in (decoder.params[0][name], encoder.params[0][name]) if part is not None]
            if parts:
                expected = torch.stack(parts).sum(0)
                what = f"the gradient of forward to {name}, compared with the chain rule"
                matches(ctx, zeros_if_none(found, expected), expected, FLOAT64, what)

    def own_link(slope: Tensor) -> tuple[Tensor, Tensor]:
        found = session.vjp(REPARAMETERIZE, mu, logvar, eps, wrt=(0, 1), cotangents=[((), slope)]).args
        return zeros_if_none(found[0], mu), zeros_if_none(found[1], mu)

    sigma = sigma_of(logvar)
    try:
        compare(mu + sigma * eps, lambda slope: (slope, slope * eps * sigma / 2))
    except Failure as failure:  # a mistake in reparameterize costs points there, and not once more in each model
        own = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar, eps), shape, "reparameterize")
        try:
            compare(own, own_link)
        except Failure:
            raise failure from None


def zeros_if_none(gradient: Tensor | None, like: Tensor) -> Tensor:
    """A gradient that does not arrive is zero."""
    return torch.zeros_like(like) if gradient is None else gradient


# ---- draws --------------------------------------------------------------------------------------------------------


def expect_standard_normal(ctx: Context, eps: Tensor, what: str, *, hint: str = "") -> None:
    """Rows of `eps` `(n, L)` are independent draws of N(0, I).

    Five comparisons of 1e-7 each, those per dimension or pair of dimensions divided among these: 5e-7 in all. With
    n = 4000 means are held to .1, variances to 12 %, correlations to .1, the distribution function to .02.
    """
    count, dims = eps.shape
    alpha = FALSE_ALARM / dims
    means, variances = eps.double().mean(0), eps.double().var(0)
    worst = float(means.abs().max())
    bound = mean_bound(1.0, count, alpha)
    expect(worst <= bound, f"the mean of {what} is not that of N(0, I)", f"0 ± {bound:.2g}", means, hint=hint)
    low, high = variance_bounds(count, alpha)
    inside = bool(((variances >= low) & (variances <= high)).all())
    expect(
        inside, f"the variance of {what} is not that of N(0, I)", f"1, {low:.3g} to {high:.3g}", variances, hint=hint
    )
    p_value = float(stats.kstest(eps.double().flatten().numpy(), "norm").pvalue)
    expect(
        p_value >= FALSE_ALARM,
        f"{what} is not normally distributed",
        "the bell curve of N(0, 1)",
        f"values from {float(eps.min()):.3g} to {float(eps.max()):.3g} (Kolmogorov-Smirnov p = {p_value:.1g})",
        hint=hint,
    )
    if dims > 1:
        between = torch.corrcoef(eps.double().T).fill_diagonal_(0).abs().max()
        bound = correlation_bound(count, FALSE_ALARM / (dims * (dims - 1) / 2))
        expect(
            float(between) <= bound, f"the dimensions of {what} are correlated", f"0 ± {bound:.2g}", between, hint=hint
        )
    pairs = torch.stack([eps[:-1].double().flatten(), eps[1:].double().flatten()])
    along, bound = torch.corrcoef(pairs)[0, 1], correlation_bound(pairs.shape[1])
    expect(
        abs(float(along)) <= bound, f"successive rows of {what} are correlated", f"0 ± {bound:.2g}", along, hint=hint
    )


def expect_few(ctx: Context, draw: Callable[[int], Tensor], what: str) -> None:
    """Latents `draw(n)` of few images, `(n, L)`, are as independent as those of many: their mean varies by 1/n.

    60 means of 3 draws in at least 4 dimensions, alpha = 1e-7: their variance is held to 50 % at most.
    """
    hint = "Ask for three images again and again: should the mean of the three latents always be the same? And for one?"
    guard(lambda: draw(1), {"images asked for": 1})
    means = torch.stack([draw(3).double().mean(0) for _ in range(60)]).flatten() * 3**0.5
    low, high = variance_bounds(len(means) + 1)  # the mean is known, so that no degree of freedom is lost
    variance = float(means.square().mean())
    expect(
        low <= variance <= high,
        f"the mean of three of {what} does not vary as that of independent draws",
        f"variance 1/3, {low / 3:.2g} to {high / 3:.2g}",
        f"{variance / 3:.3g}",
        hint=hint,
    )


def expect_generator(ctx: Context, draw: Callable[[Any], Any], what: str) -> None:
    """`draw(generator)` takes all its randomness from the generator, moves it on, and does without one too."""
    seed = int(ctx.randint(0, 2**31 - 1, 1))

    def drawn(generator: Any) -> Tensor:
        return as_tensor(draw(generator), None, what)

    first, again, other = drawn(Gen(seed)), drawn(Gen(seed)), drawn(Gen(seed + 1))
    expect(
        alike(first, again),
        f"{what}: equal generators give different draws",
        "randomness from the generator alone",
        "different numbers",
        hint=TWICE,
    )
    expect(
        not alike(first, other),
        f"{what}: different generators give the same draw",
        "draws that depend on the generator",
        "equal numbers",
        hint=TWICE,
    )
    one = ctx.new(TorchRef("Generator"))
    ctx.call((one, "manual_seed"), seed)
    expect(
        not alike(drawn(one), drawn(one)),
        f"{what}: successive draws from one generator are the same",
        "fresh noise on each call",
        "equal numbers",
    )
    expect(
        not alike(drawn(None), drawn(None)),
        f"{what}: successive draws without a generator are the same",
        "fresh noise on each call",
        "equal numbers",
    )


def expect_evaluation(ctx: Context, target: str, probe: Handle, *args: Any) -> None:
    """`target` uses the model in evaluation mode without gradients, and leaves mode and gradients as it found them."""
    what = target.partition(".")[2]
    for training in (True, False):
        probe.train(training)
        ctx.call(target, probe, *args)
        expect(
            probe.get("training") is training,
            f"{what} does not give the model its mode back",
            f"training = {training}",
            f"training = {not training}",
            hint="In which mode does the caller find the model afterwards, if it was training?",
        )
    modes, grads = probe.get("modes"), probe.get("grads")
    expect(len(modes) > 0, f"{what} never calls the model's encode or decode", "a call", "none")
    expect(
        not any(modes),
        f"{what} calls the model in training mode",
        "evaluation mode",
        "training mode",
        hint="What would BatchNorm and Dropout do to these images?",
    )
    expect(
        not any(grads),
        f"{what} builds a graph of gradients",
        "no gradients",
        "gradients are on",
        hint="Will anybody call backward on these images?",
    )
    leaves_gradients_on(ctx, what)
    leaves_gradients_off(ctx, target, probe, *args)
    for trained in (True, False):
        probe.call("requires_grad_", trained)
        ctx.call(target, probe, *args)
        found = list(probe.parameters().values())
        expect(
            found == [trained],
            f"{what} changes which parameters of the model require gradients",
            [trained],
            found,
            hint="Which parameters were frozen before, and which are afterwards?",
        )
