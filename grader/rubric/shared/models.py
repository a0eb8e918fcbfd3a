"""What every variational autoencoder must do, with a class beside the image or without.

`x` are images and `labels` what a conditional model gets besides; images have the dtype of the model, which is float64
where it can work so (`precise`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context, guard
from ...check.expectations import as_sequence, as_tensor, expect, matches
from ...check.failure import INHERIT, Failure
from ...check.shown import alike
from ...check.values import Gen, Handle, StudentRaised, TorchRef
from .draws import TWICE
from .latents import Readings, matches_among, posterior, probabilities, sigma_of, stir, tolerance, zeros_if_none

PASSES = 40
GAINS = (0.7, 1.0, 1.5, 2.0, 3.0, 1.0, 1.5, 2.0)  # of random weights
CLEARLY = 1e-2  # a difference of pixels that is no rounding
WIDE = 6.0  # a guard against overflow further out than this is no bound of the model: sigma is then 20 or 1/20

RETURNS = "What does forward return, in which order, and is each of them what encode has returned?"
INTO_DECODE = "Follow eps through forward: what becomes of it, and what reaches the decoder?"
WHICH_CLASS = "Which y does the decoder get inside forward?"
ENCODED_CLASS = "Which y does the encoder get inside forward?"
BATCHMATES = "In evaluation mode, what have the other images of the batch to do with this one?"
IN_STATE = "Which numbers does your model compute with, and which of them are in its state_dict?"
WHOSE_SIZES = "Make two models of different sizes, then use the first: whose sizes does it know?"
WHICH_WIDTH = "Which layers should become wider when hidden_dim grows, and where do your layers get their sizes from?"
HEADS = "How many heads does your encoder have, and which of them is returned twice?"
LAST_LAYER = "Which values may {name} take? What does its last layer allow?"
AFTER_LAST = "Which values may {name} take? What happens to it after its last layer?"
OWN_NUMBERS = "How many numbers does the head of {name} return for one image?"
OF_IMAGE = "What of the image reaches {name}?"
OF_LATENT = "What of the latent reaches the pixels?"
WHERE_DRAWN = "What does the decoder get here: a draw of the posterior, or always the same point of it?"
REPEATS = "What would have to happen between two passes for both to draw the same noise?"
OF_EACH = "How many numbers of noise does a batch of five images need, and how many are drawn?"
WANTS_GRADIENTS = "What has a draw from the posterior to do with whether somebody wants gradients?"
WHILE_TRAINING = "What does the loss take x_recon for while the model trains?"
HALF = "Which numbers can your last operation return? Is one of them applied twice?"
LINK = "Which path does the reconstruction's gradient take back to the encoder? Is a link of it cut?"
ATTRIBUTE = "Where does your constructor keep the number that it was given?"


def three(value: Any) -> list[Any]:
    """What forward returns: of more than three values the first, since their number costs the points of the shapes."""
    longer = isinstance(value, list | tuple) and len(value) > 3
    return as_sequence(value[:3] if longer else value, 3, "forward")


def usable(model: Handle, x: Tensor, *labels: Tensor) -> bool:
    """Whether a pass gives tensors of the dtype of the images."""
    try:
        return all(isinstance(part, Tensor) and part.dtype == x.dtype for part in three(model(x, *labels)))
    except (StudentRaised, Failure):
        return False


def precise(
    ctx: Context, make: Callable[[int], Handle], batch: int, *labels: Tensor, sides: Sequence[int] = (4, 28)
) -> tuple[Handle, Tensor]:
    """A model in evaluation mode and images for it: small ones in float64 where that works.

    One that works in float32 only, or for 28 pixels a side only, loses the points of its shapes, and not those of every
    other check. `make` is given the side.
    """
    for side in sides:
        x = ctx.images(batch, side)
        if usable(model := make(side).double().eval(), x.double(), *labels):
            return model, x.double()
        if usable(model := make(side).eval(), x, *labels):
            return model, x
    return make(sides[0]).eval(), ctx.images(batch, sides[0])


def expect_apart(ctx: Context, ask: Callable[[], None], second: str) -> None:
    """What `ask` asks of one model holds too after the `second`, of other sizes, has been made."""
    try:
        guard(ask, {"made after the model": second})
    except Failure as failure:
        failure.hint = WHOSE_SIZES
        raise


def expect_shapes(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """encode, decode and forward on images `x` (and labels, for a conditional model)."""
    shape = (len(x), latent_dim)
    named = model.get("latent_dim")
    expect(named == latent_dim, "the attribute latent_dim is wrong", latent_dim, named, hint=ATTRIBUTE)
    posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    z = ctx.randn(*shape, dtype=x.dtype)
    as_tensor(model.call("decode", z, *labels), x.shape, "the output of decode", dtype=x.dtype)
    x_recon, mu, logvar = as_sequence(model(x, *labels), 3, "forward")
    as_tensor(x_recon, x.shape, "x_recon of forward", dtype=x.dtype)
    posterior(ctx, (mu, logvar), shape, x.dtype, "forward")


def expect_hidden_dim(
    ctx: Context, make: Callable[[int], Handle], x: Tensor, z: Tensor, *labels: Tensor, name: str
) -> None:
    """The hidden layers of both halves follow hidden_dim; a half of one layer has none."""
    for half, given in (("encode", x), ("decode", z)):
        weights, layers = [], 0
        for hidden_dim in (5, 50):
            model = make(hidden_dim)
            path: tuple[int, ...] = (0,) if half == "encode" else ()
            found = model.session.vjp((model, half), given, *labels, params=[model], cotangents=[(path, None)])
            held = [grad for grad in found.params[0].values() if grad is not None]
            weights.append(sum(grad.numel() for grad in held))
            layers = sum(grad.ndim > 1 for grad in held)
        expect(
            layers < 2 + len(labels) or weights[1] > weights[0],
            f"hidden_dim changes nothing in {name}.{half}",
            "more weights for hidden_dim = 50 than for 5",
            f"{weights[1]} weights for 50, {weights[0]} for 5",
            hint=WHICH_WIDTH,
        )


def expect_rows_alone(ctx: Context, call: Callable[..., Tensor], what: str, *rows: Tensor) -> None:
    """What `call` makes of each row is what it makes of that row without the others of its batch."""
    whole = call(*rows)
    count = len(rows[0])
    expect(
        whole.ndim > 0 and len(whole) == count, f"{what} has not one row for each", f"{count} rows", tuple(whole.shape),
        hint="How many images go in, and how many rows come out?",
    )  # fmt: skip
    for row in range(count):
        alone = call(*(part[row : row + 1] for part in rows))
        what_row = f"row {row} of {what} in a batch of {count}, compared with that row alone,"
        matches(ctx, whole[row : row + 1], alone, tolerance(alone.dtype), what_row, hint=BATCHMATES)


def expect_loadable(ctx: Context, model: Handle, twin: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """A second instance with the state of the first computes the same as it."""
    twin = (twin.double() if x.dtype == torch.float64 else twin).eval()
    twin.load(model.state())
    shape, z = (len(x), latent_dim), ctx.randn(len(x), latent_dim, dtype=x.dtype)
    pairs = [
        (other.call("decode", z, *labels), *posterior(ctx, other.call("encode", x, *labels), shape, x.dtype, "encode"))
        for other in (model, twin)
    ]
    for one, two, what in zip(*pairs, ("the output of decode", "mu of encode", "logvar of encode"), strict=True):
        what = f"{what} of a new model with the state_dict of the first, compared with the first,"
        matches(ctx, two, as_tensor(one, None, what), tolerance(x.dtype), what, hint=IN_STATE)


# ---- the posterior and the pixels ---------------------------------------------------------------------------------


def expect_heads(ctx: Context, model: Handle, x: Tensor, latent_dim: int, what: str, *labels: Tensor) -> None:
    """mu and logvar are two functions of the image alone, both unbounded, one number of its own for each latent.

    Over several random choices of parameters.
    """
    seen = []
    for _ in range(6):  # with 6 x 8 latents a head of one sign by chance has probability 2^-48
        stir(ctx, model)
        mu, logvar = posterior(ctx, model.call("encode", x, *labels), (len(x), latent_dim), x.dtype, "encode")
        expect(
            not alike(mu, logvar), f"{what}: mu and logvar are the same numbers", "two different outputs",
            "equal tensors", hint=HEADS,
        )  # fmt: skip
        seen.append((mu, logvar))
    for index, name in enumerate(("mu", "logvar")):
        values = torch.stack([pair[index] for pair in seen])
        low, high = float(values.min()), float(values.max())
        expect(
            low < 0 < high, f"{what}: {name} has values of one sign only", "values below and above 0",
            f"{low:.3g} to {high:.3g}", hint=LAST_LAYER.format(name=name),
        )  # fmt: skip
        # equal up to float32 rounding
        expect(
            bool((values.std(dim=1) > 1e-6).any()), f"{what}: {name} is the same for all images",
            "values that depend on the image", "constant over the batch", hint=OF_IMAGE.format(name=name),
        )  # fmt: skip
        # as above
        expect(
            bool((values.std(dim=2) > 1e-6).any()), f"{what}: {name} is the same for all latent dimensions",
            "one of its own for each dimension", "equal columns", hint=OWN_NUMBERS.format(name=name),
        )  # fmt: skip

    def encoded(images: Tensor, *y: Tensor) -> Tensor:
        shape = (len(images), latent_dim)
        return torch.cat(posterior(ctx, model.call("encode", images, *y), shape, x.dtype, what), dim=1)

    bright = torch.linspace(0.2, 1, len(x), dtype=x.dtype).view(-1, 1, 1, 1)
    expect_rows_alone(ctx, encoded, f"(mu, logvar) of {what}", bright * x, *labels)
    expect_unbounded(ctx, model, x, latent_dim, what, *labels)


def expect_unbounded(ctx: Context, model: Handle, x: Tensor, latent_dim: int, what: str, *labels: Tensor) -> None:
    """mu and logvar leave [-6, 6] on both sides when the parameters are large: nothing in the model stops them."""
    low, high = torch.zeros(2, dtype=x.dtype), torch.zeros(2, dtype=x.dtype)
    for gain in (2.0, 2.0, 8.0, 8.0, 30.0, 30.0, 100.0, 100.0):
        stir(ctx, model, gain)
        for head, value in enumerate(as_sequence(model.call("encode", x, *labels), 2, "encode")):
            found = as_tensor(value, (len(x), latent_dim), "a head of encode", finite=False).nan_to_num(nan=0.0)
            low[head], high[head] = torch.minimum(low[head], found.min()), torch.maximum(high[head], found.max())
        if bool(((low < -WIDE) & (high > WIDE)).all()):
            return
    for name, least, most in zip(("mu", "logvar"), low.tolist(), high.tolist(), strict=True):
        expect(
            least < -WIDE and most > WIDE, f"{what}: {name} is bounded", f"values below {-WIDE:g} and above {WIDE:g}",
            f"{least:.3g} to {most:.3g}, however large the weights", hint=AFTER_LAST.format(name=name),
        )  # fmt: skip


def expect_all_probabilities(
    ctx: Context, model: Handle, z: Tensor, what: str, label_of: Callable[[int], Sequence[Tensor]] = lambda count: ()
) -> None:
    """Outputs of decode come near 0 and near 1 when the parameters are large, and never leave [0, 1], in both modes."""
    lows, highs = [], []

    def decoded(z: Tensor, *labels: Tensor) -> Tensor:
        return probabilities(ctx, model.call("decode", z, *labels), None, f"the output of {what}.decode")

    labels = label_of(len(z))
    for _ in range(4):
        stir(ctx, model, 8.0)
        images = decoded(z, *labels)
        lows.append(float(images.min()))
        highs.append(float(images.max()))
    # weights that large saturate what squashes: both ends within 5 %
    expect(
        min(lows) < 0.05 and max(highs) > 0.95, f"{what}.decode cannot make black and white pixels", "about 0 to 1",
        f"{min(lows):.3g} to {max(highs):.3g}, however large the weights", hint=HALF,
    )  # fmt: skip
    expect_probabilities_in_training(
        ctx, model, lambda: model.call("decode", z, *labels), f"the output of {what}.decode"
    )
    stir(ctx, model, 0.7)
    expect_rows_alone(ctx, decoded, f"the output of {what}.decode", z[:3], *(label[:3] for label in labels))


def expect_probabilities_in_training(ctx: Context, model: Handle, call: Callable[[], Any], what: str) -> None:
    """What `call` makes of the model in training mode are probabilities: the loss takes them for such."""
    model.train()
    value = call()
    try:
        probabilities(ctx, value, None, f"{what} in training mode, unlike in evaluation mode,", hint=WHILE_TRAINING)
    except Failure as failure:
        failure.call = ctx.typed()
        raise
    finally:
        model.eval()


# ---- forward ------------------------------------------------------------------------------------------------------


def expect_forward(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """forward with a given eps is decode(mu + sigma eps) of the posterior of encode, and returns that posterior."""
    tol, shape = tolerance(x.dtype), (len(x), latent_dim)
    mu, logvar = posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    sigma = sigma_of(logvar)
    of_mu: dict[str, tuple[Tensor, str]] = {"logvar of encode": (logvar, RETURNS)}
    of_logvar: dict[str, tuple[Tensor, str]] = {
        "mu of encode": (mu, RETURNS), "sigma, of which logvar is twice the logarithm": (sigma, RETURNS),
        "the variance, of which logvar is the logarithm": (sigma.square(), RETURNS),
        "log sigma, half of logvar": (logvar / 2, RETURNS),
    }  # fmt: skip
    for y in labels:
        with contextlib.suppress(StudentRaised):  # a model may know no class 0
            pair = posterior(ctx, model.call("encode", x, torch.zeros_like(y)), shape, x.dtype, "encode")
            for readings, value, name in zip((of_mu, of_logvar), pair, ("mu", "logvar"), strict=True):
                readings[f"{name} of encode with class 0 for every image"] = value, ENCODED_CLASS
    for eps in (ctx.randn(*shape, dtype=x.dtype), torch.zeros(shape, dtype=x.dtype)):
        outputs = three(model(x, *labels, eps=eps))
        call, x_recon = ctx.typed(), as_tensor(outputs[0], None, "x_recon of forward")
        for value, wanted, name, readings in (
            (outputs[1], mu, "mu", of_mu), (outputs[2], logvar, "logvar", of_logvar),
        ):  # fmt: skip
            what = f"{name} of forward, compared with {name} of encode,"
            matches_among(ctx, value, wanted, tol, what, functools.partial(dict, readings), hint=RETURNS, call=call)
        again = three(model(x, *labels, eps=eps))[0]
        expected = as_tensor(model.call("decode", mu + sigma * eps, *labels), None, "the output of decode")
        if not (alike(x_recon, again) or alike(x_recon, expected, rtol=1e-4, atol=1e-5)):
            raise Failure(
                "two passes with the same x and eps return different x_recon",
                "equal numbers: all randomness lies in eps",
                "different numbers", hint=INTO_DECODE, call=call,
            )  # fmt: skip
        otherwise = functools.partial(decoded_otherwise, model, mu, logvar, eps, *labels)
        what = "x_recon of forward, compared with decode(mu + sigma · eps),"
        matches_among(ctx, x_recon, expected, tol, what, otherwise, hint=INTO_DECODE, call=call)
        quiet = three(model.session.infer(model, x, *labels, eps=eps))[0]
        what = "x_recon of forward under no_grad, compared with decode(mu + sigma · eps),"
        matches_among(ctx, quiet, expected, tol, what, otherwise, hint=WANTS_GRADIENTS, call=call)
    far = 10 * ctx.randn(*shape, dtype=x.dtype)  # decodes to what is no probability where nothing sees to that
    model.train()
    decoded = model.call("decode", far, *labels)
    model.eval()
    if isinstance(decoded, Tensor) and bool(((decoded >= 0) & (decoded <= 1)).all()):  # else it costs points elsewhere
        expect_probabilities_in_training(ctx, model, lambda: three(model(x, *labels, eps=far))[0], "x_recon of forward")


def decoded_otherwise(model: Handle, mu: Tensor, logvar: Tensor, eps: Tensor, *labels: Tensor) -> Readings:
    """What forward decodes if it does something else with mu, logvar, eps or the class."""
    sigma = sigma_of(logvar)
    z = mu + sigma * eps
    latents = {
        "decode(mu): eps makes no difference": mu, "decode(eps): mu and sigma make no difference": eps,
        "decode(mu + eps): sigma makes no difference": mu + eps,
        "decode(mu + sigma² · eps)": mu + sigma.square() * eps, "decode(mu + logvar · eps)": mu + logvar * eps,
        "decode(mu - sigma · eps)": mu - sigma * eps, "decode(sigma · eps): mu makes no difference": sigma * eps,
        "decode(logvar + sigma · eps)": logvar + sigma * eps,
    }  # fmt: skip
    found = {words: (model.call("decode", point, *labels), INTO_DECODE) for words, point in latents.items()}
    for y in labels:
        classes = {
            "the decoding of the same z with class 0 for every image": torch.zeros_like(y),
            "the decoding of the same z with the first image's class for every image": y[:1].expand_as(y),
            "the decoding of the same z with the classes in reverse order": y.flip(0),
        }
        for words, other in classes.items():
            with contextlib.suppress(StudentRaised):  # a model may know no class 0
                found[words] = model.call("decode", z, other), WHICH_CLASS
    return {words: pair for words, pair in found.items() if isinstance(pair[0], Tensor)}


def expect_used_in_training(
    ctx: Context, model: Handle, x: Tensor, latent_dim: int, name: str, what: str, *labels: Tensor
) -> None:
    """eps, or the generator, changes x_recon while the model trains, too, where dropout may change it as well.

    Both passes start from the same global seed, so that nothing but the argument differs between them.
    """
    seed, eps = int(ctx.randint(0, 2**31 - 1, 1)), ctx.randn(len(x), latent_dim, dtype=x.dtype)
    one, other, hint = (eps, -eps, INTO_DECODE) if name == "eps" else (Gen(seed), Gen(seed + 1), TWICE)
    expect_alive(ctx, model, x, latent_dim, *labels)
    model.train()

    def seeded(given: Any) -> Tensor:
        ctx.call(TorchRef("manual_seed"), seed)
        return as_tensor(three(model(x, *labels, **{name: given}))[0], None, "x_recon")

    def passed() -> Tensor:
        return as_tensor(three(model(x, *labels))[0], None, "x_recon")

    if alike(seeded(one), seeded(other)):
        shown = ctx.typed()
        # where nothing is drawn, no generator can be used: that costs points elsewhere
        if name == "eps" or not alike(passed(), passed()):
            raise Failure(
                f"{what} in training mode: x_recon is the same whatever {name} is given (in evaluation mode it is not)",
                f"an image that depends on {name}", f"equal images for two values of {name}", hint=hint, call=shown,
            )  # fmt: skip
    model.eval()


def expect_fresh(
    ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor, modes: Sequence[bool] = (False, True)
) -> None:
    """Each forward pass draws anew, for each image of the batch, in both modes, with gradients and without."""
    same = x[:1].expand_as(x).contiguous()
    same_labels = [label[:1].expand_as(label).contiguous() for label in labels]
    expect_alive(ctx, model, same, latent_dim, *same_labels)

    def drawn(call: Callable[..., Any] = model.session.call) -> Tensor:
        found = as_tensor(three(call(model, same, *same_labels))[0], None, "x_recon")
        per_image = found.ndim > 0 and len(found) == len(x)
        expect(
            per_image, "x_recon has not one image for each of x", tuple(x.shape), tuple(found.shape),
            hint="How many images go in, and how many come out?",
        )  # fmt: skip
        return found.reshape(len(x), -1)

    def expect_differ(where: str, call: Callable[..., Any], hint: str) -> None:
        # where a sigmoid saturates two draws may look alike: one difference in many passes is enough
        first = drawn(call)
        shown = ctx.typed()
        if any(float((first - drawn(call)).abs().max()) > 1e-6 for _ in range(PASSES)):
            return
        mu, _ = posterior(ctx, call((model, "encode"), same, *same_labels), (len(x), latent_dim), x.dtype, "encode")
        of_mean = call((model, "decode"), mu, *same_labels)
        mean = isinstance(of_mean, Tensor) and alike(first, of_mean.reshape(len(x), -1))
        raise Failure(
            f"two forward passes {where} give the same x_recon", "a fresh sample on each pass", "equal reconstructions",
            hint=hint or (WHERE_DRAWN if mean else REPEATS), call=shown,
            looks="decode(mu): nothing is drawn" if mean else "the same noise in each pass",
        )  # fmt: skip

    for training in modes:
        model.train(training)
        expect_differ(f"in {'training' if training else 'evaluation'} mode", model.session.call, INHERIT)
        if not training:  # dropout and batch statistics would differ between rows on their own account
            apart = torch.zeros(len(x) - 1, dtype=torch.bool)
            for _ in range(PASSES):
                if apart.all():
                    break
                found = drawn()
                apart |= (found - found[:1]).abs().amax(1)[1:] > 1e-6
            expect(
                bool(apart.all()), "equal images of a batch share their noise", "eps of its own for each image",
                f"equal reconstructions for {len(x)} equal images", hint=OF_EACH,
            )  # fmt: skip
    model.eval()  # where dropout makes no difference
    expect_differ("in evaluation mode under no_grad", model.session.infer, WANTS_GRADIENTS)


def expect_alive(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """Different latents decode to clearly different images: with these random parameters, or else with others."""
    z = ctx.randn(len(x), latent_dim, dtype=x.dtype)
    seen = 0.0
    for gain in GAINS:  # a layer of rectifiers may be dead once, and deep layers of small weights let little through
        images = as_tensor(model.call("decode", z, *labels), None, "the output of decode").reshape(len(x), -1)
        seen = max(seen, float((images - images[:1]).abs().max()))
        if seen > CLEARLY:
            return
        stir(ctx, model, gain)
    # equal up to float32 rounding
    expect(
        seen > 1e-6, "decode returns the same image for different latents", "images that depend on the latent",
        f"equal images for {len(x)} latents, for {len(GAINS)} random choices of the weights", hint=OF_LATENT,
    )  # fmt: skip


# ---- gradients ----------------------------------------------------------------------------------------------------


def expect_chain_rule(ctx: Context, model: Handle, x: Tensor, latent_dim: int, *labels: Tensor) -> None:
    """Gradients of forward are those of decode, the draw and encode in a chain, to the image and all parameters.

    Exact up to rounding, so no kink of an activation can disturb it as it would disturb finite differences.
    """
    session, shape, tol = model.session, (len(x), latent_dim), tolerance(x.dtype)
    mu, logvar = posterior(ctx, model.call("encode", x, *labels), shape, x.dtype, "encode")
    eps = ctx.randn(*shape, dtype=x.dtype)
    image = as_tensor(three(model(x, *labels, eps=eps))[0], None, "x_recon")
    weights = ctx.randn(*image.shape, dtype=x.dtype)
    to_mu, to_logvar = ctx.randn(*shape, dtype=x.dtype), ctx.randn(*shape, dtype=x.dtype)

    def encoder(through_mu: Tensor, through_logvar: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Gradients of encode, to the image and to the parameters."""
        cotangents = [((0,), through_mu), ((1,), through_logvar)]
        found = session.vjp((model, "encode"), x, *labels, wrt=(0,), params=[model], cotangents=cotangents)
        return zeros_if_none(found.args[0], x), found.params[0]

    nothing = torch.zeros_like(to_mu)
    for name, arrives in (("mu", encoder(to_mu, nothing)[0]), ("logvar", encoder(nothing, to_logvar)[0])):
        expect(
            bool(arrives.any()), f"no gradient of {name} of encode reaches the image", "a gradient", "None or zero",
            hint=f"Which steps lead from the image to {name}, and which of them has no gradient?",
        )  # fmt: skip
    z = mu + sigma_of(logvar) * eps
    decoder = session.vjp((model, "decode"), z, *labels, wrt=(0,), params=[model], cotangents=[((), weights)])
    slope = zeros_if_none(decoder.args[0], z)
    expect(bool(slope.any()), "no gradient of decode reaches z", "a gradient", "None or zero",
           hint="Which steps lead from z to the pixels, and which of them has no gradient?")  # fmt: skip
    alone = session.vjp(model, x, *labels, eps=eps, wrt=(0,), cotangents=[((0,), weights)]).args[0]
    expect(
        alone is not None and bool(alone.any()),
        "no gradient of forward's x_recon reaches the image: what it decodes is cut off from encode",
        "a gradient", "None" if alone is None else "zero", hint=LINK,
    )  # fmt: skip
    cotangents = [((0,), weights), ((1,), to_mu), ((2,), to_logvar)]
    whole = session.vjp(model, x, *labels, eps=eps, wrt=(0,), params=[model], cotangents=cotangents)
    call = ctx.typed()
    by_logvar = slope * eps * sigma_of(logvar) / 2
    image_slope, held = encoder(slope + to_mu, by_logvar + to_logvar)

    def cut() -> Readings:
        return {
            "the gradient without the path of x_recon through mu": (encoder(to_mu, by_logvar + to_logvar)[0], LINK),
            "the gradient without the path of x_recon through logvar": (encoder(slope + to_mu, to_logvar)[0], LINK),
            "the gradient without the path of x_recon": (encoder(to_mu, to_logvar)[0], LINK),
            "the gradient without what mu itself passes on": (encoder(slope, by_logvar + to_logvar)[0], LINK),
            "the gradient without what logvar itself passes on": (encoder(slope + to_mu, by_logvar)[0], LINK),
            "the gradient of x_recon alone": (encoder(slope, by_logvar)[0], LINK),
        }

    found = zeros_if_none(whole.args[0], x)
    what = "the gradient of forward to the image, compared with the chain rule,"
    matches_among(ctx, found, image_slope, tol, what, cut, hint=LINK, call=call)
    for name, gradient in whole.params[0].items():
        parts = [part for part in (decoder.params[0][name], held[name]) if part is not None]
        if parts:
            expected = torch.stack(parts).sum(0)
            what = f"the gradient of forward to {name}, compared with the chain rule,"
            matches(ctx, zeros_if_none(gradient, expected), expected, tol, what, hint=LINK)
