"""Question 5: the three corruptions, the denoising autoencoder and its loss."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..boundary import Gen, Handle, Probe, TorchRef
from ..cases import random, seeds, sizes
from ..checks import EXACT, FLOAT32, FLOAT64, Check, Failure, Question, declare
from ..context import Context, alike, show
from ..statistics import count_bounds, mean_bound, variance_bounds
from .q04_models import ACROSS, blown_up, squashed
from .q05_trained import TRAINED

GAUSSIAN, MASKING, SALT = (f"denoising.{name}_noise" for name in ("gaussian", "masking", "salt_and_pepper"))
CORRUPT, LOSS, DAE = "denoising.corrupt", "denoising.denoising_loss", "denoising.DenoisingAutoencoder"
# the name of each corruption, its function and a level at which it changes every image of more than a few pixels
KINDS = {"gaussian": (GAUSSIAN, 0.1), "masking": (MASKING, 0.4), "salt_and_pepper": (SALT, 0.4)}
SHAPE = (40, 1, 25, 20)  # 20 000 pixels
N = math.prod(SHAPE)


def phi(x: float) -> float:
    """P(N(0, 1) < x)."""
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


# ---- statistics of a corruption -----------------------------------------------------------------------------------


def within(ctx: Context, value: float, bounds: tuple[float, float], what: str, hint: str = "") -> None:
    """A statistic lies between bounds that a correct sample leaves with the stated probability."""
    low, high = bounds
    ctx.expect(low <= value <= high, f"{what} is wrong", f"between {low:.6g} and {high:.6g}", value, hint=hint)


def noise_is_normal(ctx: Context, noisy: Tensor, x: Tensor, std: float, what: str) -> None:
    """Added noise is N(0, std²). Four comparisons at 1e-7; pixels must be five `std` away from 0 and 1."""
    e = (ctx.tensor(noisy, x.shape, what, dtype=x.dtype).double() - x.double()) / std
    rms = float(e.square().mean().sqrt())
    squared = "exactly the square of what was asked: is the argument a standard deviation or a variance?"
    within(ctx, float(e.var()), variance_bounds(e.numel()), f"the variance of the noise of {what}, in units of std²,",
           squared if any(math.isclose(rms, wrong, rel_tol=0.05) for wrong in (std, std**-0.5)) else "")  # fmt: skip
    bound = mean_bound(1.0, e.numel())
    within(ctx, float(e.mean()), (-bound, bound), f"the mean of the noise of {what}, in units of std,")
    # the shape: uniform noise of this variance has 58 % and 100 % inside, Laplace noise 76 % and 94 %
    for limit in (1.0, 2.0):
        inside = int((e.abs() < limit).sum())
        share = phi(limit) - phi(-limit)
        within(ctx, inside, count_bounds(e.numel(), share), f"the number of pixels within {limit:g} std of {what}",
               "From which distribution do you draw?")  # fmt: skip


def pixels_are_dropped(ctx: Context, noisy: Tensor, x: Tensor, prob: float, what: str) -> None:
    """Each pixel is 0 with probability `prob`, else as before. One comparison at 1e-7; pixels of `x` are above 0."""
    noisy = ctx.tensor(noisy, x.shape, what, dtype=x.dtype)
    dropped = noisy == 0
    changed = noisy[~dropped & (noisy != x)]
    white = bool(changed.numel()) and bool((changed == changed[0]).all())
    hint = "Which value stands for a pixel that is gone?" if white else "What happens to a pixel that stays?"
    ctx.expect(not changed.numel(), f"{what} changes pixels that it does not set to 0",
               show(x[~dropped][:4]), show(noisy[~dropped][:4]), hint=hint)  # fmt: skip
    keeps = count_bounds(x.numel(), 1 - prob)
    count = int(dropped.sum())
    hint = "Is the argument the probability to keep a pixel, or to lose it?" if keeps[0] <= count <= keeps[1] else ""
    within(ctx, count, count_bounds(x.numel(), prob), f"the number of pixels set to 0 by {what}, of {x.numel()},", hint)


def pixels_are_replaced(ctx: Context, noisy: Tensor, x: Tensor, prob: float, what: str) -> None:
    """Each pixel is 0 or 1 with probability `prob`/2 each. Two comparisons at 1e-7; pixels of `x` are inside (0, 1)."""
    noisy = ctx.tensor(noisy, x.shape, what, dtype=x.dtype)
    black, white = noisy == 0, noisy == 1
    ctx.expect(bool((black | white | (noisy == x)).all()), f"{what} changes pixels to other values than 0 and 1",
               "0, 1 or the pixel as it was", noisy)  # fmt: skip
    for value, where in ((0, black), (1, white)):
        within(ctx, int(where.sum()), count_bounds(x.numel(), prob / 2),
               f"the number of pixels set to {value} by {what}, of {x.numel()},",
               "With which probability is a pixel replaced at all, and with which by this value?")  # fmt: skip


@declare(
    id="q5.gaussian.moments", question=5, kind="statistical", points=0.75, visibility="public",
    title="Gaussian noise: distribution",
    asks="gaussian_noise adds N(0, std^2) to each pixel",
    hint="Which mean, which spread and which shape has the noise that you add? Plot a histogram of it.",
    needs=(),
)  # fmt: skip
def gaussian_moments(ctx: Context) -> None:
    # 20 000 pixels, twice four comparisons at 1e-7: false alarm below 1e-6. A clamped pixel (5 std away) has a chance
    # of 1e-6 each and does not move a statistic
    for std in (0.08, 0.03):
        x = ctx.rand(*SHAPE, low=0.4, high=0.6, dtype=torch.float32)
        noisy = ctx.call(GAUSSIAN, x, std, generator=Gen(int(ctx.randint(0, 2**31, 1))))
        noise_is_normal(ctx, noisy, x, std, "gaussian_noise")


@declare(
    id="q5.gaussian.clamp", question=5, kind="statistical", points=0.5, visibility="public",
    title="Gaussian noise: clamped",
    asks="what gaussian_noise pushes out of [0, 1] ends exactly at 0 or 1",
    hint="What share of the pixels of a black image stays black? How do you bring values back into [0, 1]?",
    needs=(),
)  # fmt: skip
def gaussian_clamp(ctx: Context) -> None:
    # 20 000 pixels a brightness, seven comparisons at 1e-7: false alarm below 1e-6
    std = 0.5
    for brightness in (0.0, 0.5, 0.8):
        x = torch.full(SHAPE, brightness)
        noisy = ctx.tensor(ctx.call(GAUSSIAN, x, std), SHAPE, "gaussian_noise", dtype=x.dtype)
        ctx.expect(bool(((noisy >= 0) & (noisy <= 1)).all()), "gaussian_noise leaves [0, 1]", "pixels in [0, 1]", noisy)
        for value, share in ((0.0, phi(-brightness / std)), (1.0, phi((brightness - 1) / std))):
            within(ctx, int((noisy == value).sum()), count_bounds(N, share),
                   f"the number of pixels that end at {value:g}, of {N} that were {brightness:g},")  # fmt: skip
    low = int((noisy < 0.5).sum())  # between the ends too: no rescaling, no reflection
    within(ctx, low, count_bounds(N, phi((0.5 - 0.8) / std)), "the number of pixels that end below 0.5")


@declare(
    id="q5.masking.rate", question=5, kind="statistical", points=0.75, visibility="public",
    title="Masking noise: rate",
    asks="masking_noise sets each pixel to 0 with probability drop_prob and leaves the others as they are",
    hint="Count the zeros for a drop_prob of 0.2. And what happens to a pixel that stays?",
    needs=(),
)  # fmt: skip
def masking_rate(ctx: Context) -> None:
    # 20 000 pixels, two comparisons at 1e-7
    for prob in (0.2, 0.7):
        x = ctx.rand(*SHAPE, low=0.1, high=1.0, dtype=torch.float32)
        noisy = ctx.call(MASKING, x, prob, generator=Gen(int(ctx.randint(0, 2**31, 1))))
        pixels_are_dropped(ctx, noisy, x, prob, f"masking_noise with drop_prob={prob}")


@declare(
    id="q5.salt.rate", question=5, kind="statistical", points=0.75, visibility="public",
    title="Salt-and-pepper noise: rates",
    asks="salt_and_pepper_noise replaces each pixel with probability prob, by 0 or 1 with equal chance",
    hint="Count zeros and ones for a prob of 0.3. Does one random number decide both whether and by what?",
    needs=(),
)  # fmt: skip
def salt_rate(ctx: Context) -> None:
    # 20 000 pixels, four comparisons at 1e-7
    for prob in (0.3, 0.8):
        x = ctx.rand(*SHAPE, low=0.1, high=0.9, dtype=torch.float32)
        noisy = ctx.call(SALT, x, prob, generator=Gen(int(ctx.randint(0, 2**31, 1))))
        pixels_are_replaced(ctx, noisy, x, prob, f"salt_and_pepper_noise with prob={prob}")


def generator_of(ctx: Context) -> Handle:
    """A generator that lives on in the worker, from one call to the next."""
    made = ctx.new(TorchRef("Generator"))
    made.call("manual_seed", int(ctx.randint(0, 2**31, 1)))
    return made


@declare(
    id="q5.noise.independent", question=5, kind="statistical", points=0.25, visibility="public",
    title="Noise: independent from pixel to pixel",
    asks="the noise of a pixel tells nothing about that of its neighbours, of other images or of the next call",
    hint="How many random numbers do you draw for a batch of images? Which pixels share one?",
    needs=(),
)  # fmt: skip
def noise_independent(ctx: Context) -> None:
    # three corruptions, four comparisons each at 5e-8: false alarm below 1e-6. Products of independent centred
    # pixels have mean 0 and are uncorrelated with each other; the sample's own mean and spread move them by 1/n
    prob, std, alpha = 0.3, 0.08, 5e-8
    for function, level in ((GAUSSIAN, std), (MASKING, prob), (SALT, prob)):
        generator, x = generator_of(ctx), torch.full(SHAPE, 0.5)
        first, second = (ctx.tensor(ctx.call(function, x, level, generator), SHAPE, function) for _ in range(2))
        # where a pixel is hit; centred and scaled by the sample, so that a wrong rate costs its own check only
        hits = {
            GAUSSIAN: lambda noisy: noisy - 0.5,
            MASKING: lambda noisy: noisy == 0,
            SALT: lambda noisy: noisy != 0.5,
        }
        a, b = (
            (h - h.mean()) / h.std(correction=0) for h in (hits[function](noisy).double() for noisy in (first, second))
        )
        pairs = {
            "of pixels side by side": (a[..., 1:], a[..., :-1]),
            "of pixels one below the other": (a[:, :, 1:], a[:, :, :-1]),
            "of successive images": (a[1:], a[:-1]), "of successive calls": (a, b),
        }  # fmt: skip
        for what, (one, other) in pairs.items():
            bound = mean_bound(1.0, one.numel(), alpha)
            correlation = float((one * other).mean())
            within(ctx, correlation, (-bound, bound), f"{function.partition('.')[2]}: the correlation {what}")


@declare(
    id="q5.noise.generator", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: fresh, from the generator given",
    asks="noise is drawn anew on every call, and from the generator if one is given",
    hint="Where do the random numbers come from when a generator is given? What do two calls in a row give?",
    needs=(),
)  # fmt: skip
def noise_generator(ctx: Context) -> None:
    x = ctx.rand(4, 1, 8, 8, low=0.3, high=0.7)
    for kind, (function, level) in KINDS.items():
        for target, args, name in (
            (function, (level,), function.partition(".")[2]),
            (CORRUPT, (kind, level), f"corrupt {kind}"),
        ):
            draws_are_fresh(ctx, target, (x, *args), name)


def draws_are_fresh(ctx: Context, target: Any, args: tuple[Any, ...], name: str, pick: int | None = None) -> None:
    """Successive draws differ, with a generator and without; the generator alone decides about them."""

    def drawn(**kwargs: Any) -> Tensor:
        value = ctx.call(target, *args, **kwargs)
        return ctx.tensor(value if pick is None else ctx.sequence(value, 2, name)[pick], None, name)

    seed = int(ctx.randint(0, 2**30, 1))
    ctx.expect(not torch.equal(drawn(), drawn()), f"{name} gives the same twice without a generator", "fresh noise")
    ctx.expect(not torch.equal(drawn(generator=Gen(seed)), drawn(generator=Gen(seed + 1))),
               f"{name} gives the same from differently seeded generators", "other noise")  # fmt: skip
    ctx.expect(torch.equal(drawn(generator=Gen(seed)), drawn(generator=Gen(seed))),
               f"{name} draws from another source than the generator given",
               "the same noise from equally seeded generators", "other noise")  # fmt: skip
    generator = generator_of(ctx)
    ctx.expect(not torch.equal(drawn(generator=generator), drawn(generator=generator)),
               f"{name} gives the same twice from one generator", "fresh noise")  # fmt: skip


@declare(
    id="q5.noise.contract", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: shapes, dtypes, ends of the range",
    asks="corruptions keep shape and dtype, leave their argument alone, do nothing at level 0 and replace all at "
    "level 1",
    hint="Does your function write into x? What does it do at a probability of exactly 0, and of exactly 1?",
    needs=(),
)  # fmt: skip
def noise_contract(ctx: Context) -> None:
    def body(seed: int, batch: int, channels: int, height: int, width: int, double: bool) -> None:
        dtype = torch.float64 if double else torch.float32
        x = random(seed, batch, channels, height, width, low=0.1, high=0.9, dtype=dtype)
        for function, level in KINDS.values():
            name = function.partition(".")[2]
            noisy = ctx.tensor(ctx.preserves(function, x, level), x.shape, name, dtype=dtype)
            ctx.expect(bool(((noisy >= 0) & (noisy <= 1)).all()), f"{name} leaves [0, 1]", "pixels in [0, 1]", noisy)
            ctx.matches(ctx.call(function, x, 0.0), x, EXACT, f"{name} at level 0")
        ctx.matches(ctx.call(MASKING, x, 1.0), torch.zeros_like(x), EXACT, "masking_noise with drop_prob=1")
        noisy = ctx.tensor(ctx.call(SALT, x, 1.0), x.shape, "salt_and_pepper_noise with prob=1", dtype=dtype)
        ctx.expect(bool(((noisy == 0) | (noisy == 1)).all()), "salt_and_pepper_noise with prob=1 leaves pixels",
                   "0 and 1 only", noisy)  # fmt: skip

    flags = sizes(0, 1).map(bool)
    ctx.forall(body, examples=12, seed=seeds(), batch=sizes(1, 3), channels=sizes(1, 2), height=sizes(1, 4),
               width=sizes(1, 4), double=flags)  # fmt: skip


@declare(
    id="q5.noise.errors", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: errors",
    asks="a negative std, and a probability outside [0, 1], is a ValueError that names the argument",
    hint="Which of the two ends do you look at?",
    needs=(),
)  # fmt: skip
def noise_errors(ctx: Context) -> None:
    x = ctx.rand(2, 1, 3, 3)
    for function, name, values in ((GAUSSIAN, "std", (-0.1,)), (MASKING, "drop_prob", (-0.1, 1.1)),
                                   (SALT, "prob", (-0.1, 1.1))):  # fmt: skip
        for value in values:
            ctx.raises(
                "ValueError", function, x, value, names=name, case=f"{function.partition('.')[2]} with {name}={value}"
            )
    ctx.tensor(
        ctx.call(GAUSSIAN, x, 1.5), x.shape, "gaussian_noise with std=1.5"
    )  # a standard deviation may be above 1


@declare(
    id="q5.corrupt.kinds", question=5, kind="statistical", points=0.5, visibility="public",
    title="corrupt: the corruption of that name",
    asks="corrupt does the corruption that is named, at the level given; another name is a ValueError",
    hint="Which function does each of the three names call, with which level? And when it is none of the three?",
    needs=(),
)  # fmt: skip
def corrupt_kinds(ctx: Context) -> None:
    # 20 000 pixels, seven comparisons at 1e-7: false alarm below 1e-6
    x = ctx.rand(*SHAPE, low=0.4, high=0.6, dtype=torch.float32)
    for (kind, (function, _)), level, judge in zip(
        KINDS.items(), (0.05, 0.2, 0.3), (noise_is_normal, pixels_are_dropped, pixels_are_replaced), strict=True
    ):
        seed = int(ctx.randint(0, 2**31, 1))
        noisy = ctx.preserves(CORRUPT, x, kind, level, generator=Gen(seed))
        own = ctx.call(function, x, level, generator=Gen(seed))
        if not (isinstance(noisy, Tensor) and isinstance(own, Tensor) and torch.equal(noisy, own)):
            try:
                judge(
                    ctx, noisy, x, level, f"corrupt with {kind}"
                )  # else it is that function, which has its own checks
            except Failure as failure:
                failure.hint = ""  # the choice is wrong, not what was chosen
                raise
    for kind in ("poisson", "", "salt"):
        ctx.raises("ValueError", CORRUPT, x[:1], kind, 0.1, names=kind, case=f"corrupt with kind={kind!r}")
    for kind, level in (("gaussian", -0.2), ("masking", 1.5), ("salt_and_pepper", -0.5)):
        ctx.raises("ValueError", CORRUPT, x[:1], kind, level, case=f"corrupt with {kind} at level {level}")


# ---- the model ----------------------------------------------------------------------------------------------------


def dae(ctx: Context, noise: str = "gaussian", level: float = 0.3) -> Handle:
    """A small float64 model in evaluation mode, for 7x7 images."""
    return ctx.new(DAE, input_dim=49, latent_dim=5, noise=noise, noise_level=level).double().eval()


def both(ctx: Context, model: Handle, x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """`(x_recon, z)` of a small model."""
    x_recon, z = ctx.sequence(ctx.call(model, x, *args, **kwargs), 2, "forward(x)")
    return ctx.tensor(x_recon, x.shape, "x_recon", dtype=x.dtype), ctx.tensor(z, (len(x), 5), "z", dtype=x.dtype)


@declare(
    id="q5.dae.shapes", question=5, kind="property", points=0.5, visibility="public",
    title="Denoising autoencoder: shapes",
    asks="encode, decode and forward of DenoisingAutoencoder agree and have the right shapes, dtypes and range",
    hint="Print the shape after every layer for a batch of three 7x7 images. What keeps the output in [0, 1]? Which "
    "names of corruptions does the constructor know?",
    needs=(),
)  # fmt: skip
def dae_shapes(ctx: Context) -> None:
    for kwargs, side, latent in (({"input_dim": 49, "latent_dim": 5}, 7, 5), ({}, 28, 32)):
        model = ctx.new(DAE, **kwargs).eval()
        for batch, dtype in ((3, torch.float32), (1, torch.float64)):
            if dtype == torch.float64:
                model.double()
            x, close = ctx.images(batch, side, dtype), FLOAT32 if dtype == torch.float32 else ACROSS
            z = ctx.tensor(model.call("encode", x), (batch, latent), "encode(x)", dtype=dtype)
            picture = ctx.tensor(model.call("decode", z), x.shape, "decode(z)", dtype=dtype)
            for args in ((), (False,)):
                x_recon, code = ctx.sequence(ctx.preserves(model, x, *args), 2, "forward(x)")
                ctx.matches(code, z, close, "the code of forward without noise, compared with encode(x),")
                ctx.matches(
                    x_recon, picture, close, "the reconstruction of forward without noise, compared with decode(z),"
                )
    model = dae(ctx)
    blown_up(ctx, model)
    x = ctx.images(16, 7, torch.float64)
    squashed(
        ctx, torch.cat([both(ctx, model, x)[0], ctx.tensor(model.call("decode", ctx.randn(16, 5)), x.shape, "decode")])
    )
    ctx.raises("ValueError", DAE, input_dim=49, latent_dim=5, noise="poisson", names="poisson",
               case="DenoisingAutoencoder with noise='poisson'")  # fmt: skip


@declare(
    id="q5.dae.modes", question=5, kind="property", points=0.75, visibility="public",
    title="Denoising autoencoder: when it corrupts",
    asks="forward corrupts in training mode only if add_noise is None, always if it is True, never if it is False; "
    "encode and decode never do",
    hint="How can you find out how well a model removes noise while it is in evaluation mode? Which of the three "
    "values of add_noise looks at the mode?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_modes(ctx: Context) -> None:
    # at level 1 these corruptions replace every pixel, so that the output depends on the image only if there is no
    # corruption. Unlike values, that shows with dropout or batch norm in training mode too
    models = [dae(ctx, noise, 1.0) for noise in ("masking", "salt_and_pepper")]
    x, z = ctx.images(4, 7, torch.float64), ctx.randn(4, 5)
    weights = [((0,), ctx.randn(*x.shape)), ((1,), ctx.randn(4, 5))]

    def depends(model: Handle, **how: Any) -> bool:
        slope = ctx.session.vjp(model, x, wrt=[0], cotangents=weights, **how).args[0]
        return slope is not None and float(slope.abs().max()) > 0

    for training in (True, False):
        mode = "training" if training else "evaluation"
        for model in models:
            model.train(training)
        for how, corrupts in (({}, training), ({"add_noise": True}, True), ({"add_noise": False}, False),
                              ({"add_noise": None}, training)):  # fmt: skip
            clean = [depends(model, **how) for model in models]
            said = f"forward(x, add_noise={how['add_noise']})" if how else "forward(x)"
            # a mistake in one of the corruptions costs its own check: one that works is enough
            ctx.expect(not all(clean) if corrupts else all(clean), f"{said} in {mode} mode is wrong",
                       "corrupted" if corrupts else "not corrupted",
                       "not corrupted" if all(clean) else "corrupted")  # fmt: skip
        for model in models:
            for method, argument, cotangent in (("encode", x, weights[1][1]), ("decode", z, weights[0][1])):
                found = ctx.session.vjp((model, method), argument, wrt=[0], cotangents=[((), cotangent)]).args[0]
                ctx.expect(found is not None and float(found.abs().max()) > 0, f"{method} corrupts in {mode} mode",
                           "never", "what comes out does not depend on what went in")  # fmt: skip
    ctx.expect(all(model.get("training") is False for model in models), "forward changes the mode of the model")


@declare(
    id="q5.dae.noise", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: which noise",
    asks="the model corrupts by the noise and at the level it was constructed with",
    hint="What becomes of the constructor's arguments? Does forward use both of them?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_noise(ctx: Context) -> None:
    def moved(noise: str, level: float, x: Tensor) -> float:
        model = dae(ctx, noise, level)
        clean = ctx.tensor(model.call("encode", x), (len(x), 5), "encode(x)")
        return float((both(ctx, model, x, add_noise=True)[1] - clean).abs().max())

    grey, black = ctx.rand(4, 1, 7, 7, low=0.3, high=0.7), torch.zeros(4, 1, 7, 7, dtype=torch.float64)
    # each kind where it cannot be mistaken: masking leaves black images alone, salt does not; a tiny Gaussian moves
    # everything a little, a tiny probability moves nothing
    for noise, level, x, moves in (("masking", 0.5, black, False), ("masking", 0.5, grey, True),
                                   ("salt_and_pepper", 0.5, black, True), ("salt_and_pepper", 1e-9, grey, False),
                                   ("gaussian", 1e-5, grey, True)):  # fmt: skip
        found = moved(noise, level, x)
        ctx.expect((found > 1e-12) == moves, f"noise={noise!r} at level {level:g} is another corruption",
                   f"{'other' if moves else 'the same'} codes of {'black' if x is black else 'grey'} images",
                   f"codes move by {found:.3g}")  # fmt: skip
    ratio = moved("gaussian", 1e-4, grey) / max(moved("gaussian", 1e-6, grey), 1e-300)
    # each is the largest of 20 numbers of one size: the ratio is 100 up to a small factor
    ctx.expect(10 < ratio < 1000, "noise_level is not the level of the noise",
               "100 times the noise for 100 times the level", f"{ratio:.3g} times")  # fmt: skip


@declare(
    id="q5.dae.fresh", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: fresh noise",
    asks="every forward pass and every image gets its own noise, drawn from the generator if one is given; the images "
    "given stay clean",
    hint="When are the random numbers drawn: once, or whenever an image comes in? Does the generator get there?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_fresh(ctx: Context) -> None:
    x = ctx.rand(1, 1, 7, 7, low=0.3, high=0.7).expand(4, 1, 7, 7).contiguous()
    for noise, (_, level) in KINDS.items():
        model = dae(ctx, noise, level)
        draws_are_fresh(ctx, model, (x, True), f"forward with {noise} noise", pick=1)
        ctx.preserves(model, x, True)
        _, codes = both(ctx, model, x, True)
        # by more than rounding, which depends on an image's place in the batch
        apart = float((codes - codes[0]).abs().max()) > 1e-4 * float(codes.abs().max())
        ctx.expect(apart, "all images of a batch get the same noise", "other noise for each image")


# ---- the loss -----------------------------------------------------------------------------------------------------


@declare(
    id="q5.loss.value", question=5, kind="property", points=0.5, visibility="public",
    title="Denoising loss: value and gradient",
    asks="denoising_loss is the squared error between the model's reconstruction from corrupted images and the clean "
    "images, summed over pixels, averaged over the batch",
    hint="What is the target: what the model was shown, or what it should restore? Who corrupts, and how often?",
    needs=(),
)  # fmt: skip
def loss_value(ctx: Context) -> None:
    x = ctx.images(3, 5, torch.float64)
    for training in (True, False):
        model = ctx.new(Probe("Denoiser")).train(training)
        found = ctx.session.vjp(LOSS, model, x, generator=Gen(71), params=[model])
        calls, seen, given = (model.get(name) for name in ("calls", "seen", "given"))
        ctx.expect(len(calls) == 1, "denoising_loss does not call the model once", "one call", f"{len(calls)} calls")
        ctx.matches(seen[0], x, EXACT, "what denoising_loss gives to the model")
        call, mode = calls[0], "training" if training else "evaluation"
        ctx.expect(call["add_noise"] is True, f"the model is not asked for noise in {mode} mode", "add_noise=True",
                   f"add_noise={call['add_noise']}", hint="How is noise made sure of, whatever the mode?")  # fmt: skip
        ctx.expect(call["seed"] == 71, "the generator does not get to the model", "the generator given", call["seed"])
        ctx.expect(
            call["training"] is training, "denoising_loss changes the mode of the model", training, call["training"]
        )
        value = ctx.tensor(found.value, (), "denoising_loss", dtype=x.dtype)
        right = (given[0] - x).square().flatten(1).sum(1).mean()
        if not alike(value, right, rtol=1e-7):
            own = student_mse(ctx, given[0], x)  # a mistake in mse_loss costs its own check in Question 4
            if own is None or not alike(value, own, rtol=1e-7):
                raise Failure("denoising_loss is wrong", show(right), show(value))
            continue
        unscaled = given[0] / 0.6
        slope = (2 * (given[0] - x) * unscaled).flatten(1).sum(1).mean()
        ctx.matches(found.params[0]["scale"], slope, FLOAT64, "the gradient of denoising_loss to the model")
    value = ctx.preserves(LOSS, ctx.new(Probe("Denoiser")), x)
    ctx.tensor(value, (), "denoising_loss without a generator", dtype=x.dtype)


def student_mse(ctx: Context, x_recon: Tensor, x: Tensor) -> Tensor | None:
    """The submission's own `mse_loss`, if it gives a number."""
    value = ctx.call("autoencoders.mse_loss", x_recon, x)
    return value if isinstance(value, Tensor) and value.shape == () and value.dtype == x.dtype else None


CHECKS: tuple[Check, ...] = (
    gaussian_moments, gaussian_clamp, masking_rate, salt_rate, noise_independent, noise_generator, noise_contract,
    noise_errors, corrupt_kinds, dae_shapes, dae_modes, dae_noise, dae_fresh, loss_value, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=5, title="Denoising", points=8.0, modules=("denoising", "autoencoders"), checks=CHECKS)
