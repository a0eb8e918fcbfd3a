"""Bonus, `evaluation.py`: log-likelihoods and their bounds, against integrals and exact likelihoods."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import BONUS, Check, declare
from ...check.expectations import as_tensor, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import show
from ...check.statistics import mean_bound
from ...check.values import Gen, Handle, Probe
from ..shared.gaussians import full_log_prob
from ..shared.known import Known, matches_or_says, recognised
from .parts import BOUND_PART, PPCA_PART, WEIGHTS_PART

WEIGHTS, BOUND, IWAE = "evaluation.log_importance_weights", "evaluation.iwae_bound", "evaluation.iwae"
PPCA = "evaluation.ppca_log_likelihood"


# ---- importance-weighted bounds -----------------------------------------------------------------------------------


def normal(x: Tensor, mu: Tensor | float, sd: Tensor | float) -> Tensor:
    """log N(x; mu, sd²), element by element."""
    density: Tensor = Normal(mu, sd).log_prob(x)  # type: ignore[no-untyped-call]
    return density


def log_weights(log_px: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log p(x given z) + log p(z) - log q(z given x) by torch.distributions, `(k, B)`."""
    return log_px + normal(z, 0.0, 1.0).sum(-1) - normal(z, mu, torch.exp(logvar / 2)).sum(-1)


def other_weights(log_px: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> list[Known]:
    """What other readings of the weights give."""
    prior, q = normal(z, 0.0, 1.0), normal(z, mu, torch.exp(logvar / 2))
    which = "Let q be the prior itself: what is left of the weight?"
    density = "Which density does a sample z have under q?"
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1)
    const = 0.5 * math.log(2 * math.pi) * z.shape[-1]
    no_half = -0.5 * (z - mu).square() / logvar.exp() - logvar
    return [
        Known("log p(x given z) - log q(z given x): the prior is missing", which, log_px - q.sum(-1)),
        Known("log p(x given z) + log p(z): q is missing", which, log_px + prior.sum(-1)),
        Known("log p(x given z) + log p(z) + log q(z given x)", "What becomes of the weight of a z that q draws "
                        "twice as "
              "often?", log_px + (prior + q).sum(-1)),
        Known("log p(x given z) - log p(z) + log q(z given x): the inverse ratio", "What becomes of the weight "
                        "of a z that "
              "q draws twice as often?", log_px - (prior - q).sum(-1)),
        Known("log p(x given z) minus the KL divergence in closed form, the same for every sample", "Which of "
                        "the terms "
              "depend on the z that was drawn, and is a divergence one of them?", log_px - kl),
        Known("the expected with logvar read as log sigma", "Is logvar the logarithm of a variance, or of a deviation?",
              log_px + prior.sum(-1) - normal(z, mu, torch.exp(logvar)).sum(-1)),
        Known("the expected with the densities averaged over latent dimensions", "What does one more dimension do to a "
              "density?", log_px + (prior - q).mean(-1)),
        Known("the expected plus ½ log 2π for each dimension", density, log_px + (prior - q).sum(-1) + const),
        Known("the expected minus ½ log 2π for each dimension", density, log_px + (prior - q).sum(-1) - const),
        Known("the expected with logvar in place of ½ logvar", density,
              log_px + prior.sum(-1) - no_half.sum(-1) + const),
        Known("the expected without p(x given z)", which, (prior - q).sum(-1)),
    ]  # fmt: skip


def expect_finite(ctx: Context, value: object, wanted: Tensor, what: str, hint: str) -> None:
    """`value` is right where numbers on the way to it may be too small or too large: `hint` asks for those."""
    found = as_tensor(value, wanted.shape, what, dtype=wanted.dtype, finite=False)
    expect(bool(found.isfinite().all()), f"{what} is not finite", wanted, found, hint=hint)
    matches(ctx, found, wanted, FLOAT64, what, hint=hint)


@declare(
    id="bonus.weights", question=BONUS, kind="property", points=0.5, visibility="public",
    title="log_importance_weights",
    asks="log p(x given z) + log p(z) - log q(z given x), (k, B), summed over latent dimensions, also over hundreds",
    hint="Let q be the prior itself: what is left of the weight? And which density does a sample z have under q?",
    needs=(),
)  # fmt: skip
def weights(ctx: Context) -> None:
    def body(k: int, batch: int, latent: int, seed: int) -> None:
        log_px, z = 5 * random(seed, k, batch) - 20, 2 * random(seed + 1, k, batch, latent)
        mu, logvar = random(seed + 2, batch, latent), random(seed + 3, batch, latent)
        value = preserves(ctx, WEIGHTS, log_px, z, mu, logvar)
        matches_or_says(ctx, value, log_weights(log_px, z, mu, logvar), FLOAT64, "log_importance_weights",
                        other_weights(log_px, z, mu, logvar), hint=INHERIT)  # fmt: skip

    body(4, 2, 3, ctx.seed)
    forall(ctx, body, k=sizes(1, 5), batch=sizes(1, 4), latent=sizes(1, 3), seed=seeds(), examples=20)
    many = (ctx.randn(3, 2), ctx.randn(3, 2, 1000), ctx.randn(2, 1000), ctx.randn(2, 1000))
    expect_finite(ctx, ctx.call(WEIGHTS, *many), log_weights(*many), "log_importance_weights in 1000 dimensions",
                  "What is a density of 1000 dimensions as a number, before its logarithm is taken?")  # fmt: skip
    single = (ctx.randn(5, 3), ctx.randn(5, 3, 4), ctx.randn(3, 4), ctx.randn(3, 4))
    value = ctx.call(WEIGHTS, *(t.float() for t in single))
    matches(ctx, value, log_weights(*single).float(), FLOAT32, "log_importance_weights in float32",
            hint="Which step needs more digits than float32 has?")  # fmt: skip
    gradient_matches(
        ctx, WEIGHTS, ctx.randn(3, 2), ctx.randn(3, 2, 4), ctx.randn(2, 4), ctx.randn(2, 4), wrt=(0, 1, 2, 3),
        directions=1, what="the gradient of log_importance_weights",
    )  # fmt: skip


@declare(
    id="bonus.bound", question=BONUS, kind="property", points=0.5, visibility="public",
    title="iwae_bound",
    asks="the logarithm of the mean weight over the k samples, (B,), finite where the weights themselves under- or "
    "overflow, for every image whatever the others are",
    hint="Which comes first, the logarithm or the mean? What should k equal weights give?",
    needs=(),
)  # fmt: skip
def bound(ctx: Context) -> None:
    def body(k: int, batch: int, shift: float, seed: int) -> None:
        logs = 2 * random(seed, k, batch) + shift
        top = logs.max(0).values
        wanted = top + (logs - top).exp().mean(0).log()
        value = preserves(ctx, BOUND, logs)
        axis = "Which axis of (k, B) are the samples on, and which the images?"
        if isinstance(value, Tensor) and batch != k and value.shape == (k,):
            raise Failure(f"iwae_bound of log_weights (k, B) = {(k, batch)} has the wrong shape", f"(B,) = ({batch},)",
                          f"({k},)", looks="one bound for each sample", hint=axis)  # fmt: skip
        first = "Does this bound change when k grows? Which comes first, the logarithm or the mean?"
        equal = "What should k equal weights give?"
        known = [
            Known("the mean of the logarithms", first, logs.mean(0)),
            Known("the logarithm of the sum of the weights", equal, wanted + math.log(k)),
            Known("the largest of the log-weights", equal, top),
            Known("the sum of the log-weights", first, logs.sum(0)),
            Known("the mean weight, without its logarithm", "Is the bound a likelihood, or the logarithm of one?",
                  wanted.exp()),
            Known("the expected minus log k", equal, wanted - math.log(k)),
            Known("the expected with a minus sign", "Is a bound a loss?", -wanted),
        ]  # fmt: skip
        if isinstance(value, Tensor) and value.shape == (batch,) and shift and not bool(value.isfinite().all()):
            raise Failure(f"iwae_bound of log-weights around {shift:g} is not finite", show(wanted), show(value),
                          hint="What are these weights as numbers, before their logarithm is taken?")  # fmt: skip
        matches_or_says(ctx, value, wanted, FLOAT64, "iwae_bound(log_weights)", known, hint=INHERIT)

    shifts = (0.0, -90.0, -1e5, 1e4)
    for shift in shifts:
        body(4, 3, shift, ctx.seed)
    forall(ctx, lambda k, batch, which, seed: body(k, batch, shifts[which], seed), k=sizes(1, 6), batch=sizes(1, 4),
               which=sizes(0, 3), seed=seeds(), examples=25)  # fmt: skip
    logs = ctx.randn(4, 3)
    logs[1, 2] = -math.inf  # a sample that cannot have made the image
    matches(ctx, ctx.call(BOUND, logs), logs.exp().mean(0).log(), FLOAT64, "iwae_bound with one log-weight of -inf",
            hint="One sample cannot have made the image. What is its share of the mean?")  # fmt: skip
    matches(ctx, ctx.call(BOUND, torch.full((7, 3), -2e3)), torch.full((3,), -2e3), FLOAT32,
            "iwae_bound of seven equal log-weights of -2000", hint="What should k equal weights give?")  # fmt: skip
    apart = ctx.randn(4, 3) + torch.tensor([0.0, -2e3, 2e3], dtype=torch.float64)
    wanted = apart.logsumexp(0) - math.log(4)
    expect_finite(ctx, ctx.call(BOUND, apart), wanted, "iwae_bound of images that are 2000 nats apart",
                  "May the bound of one image depend on how likely another one is?")  # fmt: skip
    gradient_matches(ctx, BOUND, ctx.randn(4, 3), directions=1, what="the gradient of iwae_bound")


@dataclass(frozen=True)
class Case:
    """A VAE of the grader with 2 latent dimensions and 9 pixels, three images, and its integrals by quadrature."""

    model: Handle
    images: Tensor
    log_px: Tensor  # (3,) exact
    means: tuple[tuple[str, str, Tensor], ...]  # what the mean is instead, by what somebody may have done: (3,) each
    elbo: Tensor  # (3,)
    elbo_sd: Tensor  # (3,) of log w for one draw
    ratio_sd: Tensor  # (3,) of w / p(x) for one draw


def known_vae(ctx: Context) -> Case:
    """Its posterior N(A x, diag exp(logvar)) is shifted from the true one and broader, so that weights are bounded."""
    weight, bias, to_mu = 0.7 * ctx.randn(9, 2), 0.5 * ctx.randn(9), 0.25 * ctx.randn(2, 9)
    logvar = torch.tensor([0.3, 0.5], dtype=torch.float64)
    images = ctx.images(3, 3, torch.float64)
    axis = torch.linspace(-9, 9, 241, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)  # (M, 2)
    cell = float(axis[1] - axis[0]) ** 2
    rows = images.flatten(1)
    logits = z @ weight.T + bias
    # x log p + (1 - x) log(1 - p), summed over pixels, for grey x as well: (3, M)
    log_px_z = rows @ F.logsigmoid(logits).T + (1 - rows) @ F.logsigmoid(-logits).T
    log_prior = normal(z, 0.0, 1.0).sum(-1)
    log_q = normal(z, (rows @ to_mu.T)[:, None, :], torch.exp(logvar / 2)).sum(-1)
    log_px = torch.logsumexp(log_px_z + log_prior, 1) + math.log(cell)
    log_w, q = log_px_z + log_prior - log_q, log_q.exp() * cell
    elbo = (q * log_w).sum(1)
    elbo_sd = ((q * log_w.square()).sum(1) - elbo.square()).sqrt()
    ratio_sd = ((q * (2 * (log_w - log_px[:, None])).exp()).sum(1) - 1).sqrt()
    mu = rows @ to_mu.T
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
    recon = (q * log_px_z).sum(1)
    square = (q * -(rows[:, None, :] - logits.sigmoid()).square().sum(-1)).sum(1)
    prior = log_prior.exp() * cell
    at_mean = mu @ weight.T + bias
    mean_px = (rows * F.logsigmoid(at_mean) + (1 - rows) * F.logsigmoid(-at_mean)).sum(1)
    at_q = normal(mu, mu, torch.exp(logvar / 2)).sum(1)
    term = "Which three terms make the logarithm of one weight?"
    which = "Which likelihood has a pixel under the handout's model, and over what is it summed?"
    means = (
        ("the ELBO with a minus sign: a loss", "Is a bound a loss?", -elbo),
        ("the reconstruction term alone", term, recon),
        ("the ELBO with the reconstruction averaged over pixels", which, recon / rows.shape[1] - kl),
        ("the ELBO with a squared error in place of the Bernoulli likelihood", which, square - kl),
        ("the ELBO with the KL divergence subtracted twice", "Is a KL term still needed?", elbo - kl),
        ("the weight of z drawn from the prior", "Which distribution is z drawn from, and which density is it weighted "
         "by?", (prior * log_w).sum(1)),
        ("the weight of the posterior mean: nothing is drawn", "Which z is decoded: a draw, or the middle of the "
         "posterior?", mean_px + normal(mu, 0.0, 1.0).sum(1) - at_q),
    )  # fmt: skip
    model = ctx.new(Probe("BernoulliVAE"), weight, bias, to_mu, logvar)
    return Case(model, images, log_px, means, elbo, elbo_sd, ratio_sd)


def repeated(ctx: Context, case: Case, k: int, times: int, seed: int) -> Tensor:
    """`times` independent bounds for each of the three images, `(3, times)`."""
    x = case.images.repeat_interleave(times, 0)
    value = ctx.session.infer(IWAE, case.model, x, k, generator=Gen(seed))
    return as_tensor(value, (3 * times,), f"iwae(model, x, {k})", dtype=torch.float64).reshape(3, times)


def expect_many(ctx: Context) -> None:
    """64 samples of a posterior that is four times as wide as the prior, for a decoder that does not look at z.

    Then w / p(x) is a ratio of two Gaussians, (4 exp(-15/32 z²)) in each of 3 dimensions: at most 64, with the second
    moment (4 / sqrt(2 - 1/16))³. The mean of the bounds of two halves would take .18 off the mean of exp, three times
    what is allowed, and that of smaller parts .3 to .5.
    """
    size, times = 3, 2000
    bias, x = ctx.randn(4), ctx.images(1, 2, torch.float64)
    zero, wide = torch.zeros(4, size, dtype=torch.float64), torch.full((size,), math.log(16), dtype=torch.float64)
    model = ctx.new(Probe("BernoulliVAE"), zero, bias, zero.T.contiguous(), wide)
    log_px = -F.binary_cross_entropy_with_logits(bias, x.flatten(), reduction="sum")
    value = ctx.session.infer(IWAE, model, x.repeat_interleave(times, 0), 64, generator=Gen(ctx.seed + 2))
    bounds = as_tensor(value, (times,), "iwae(model, x, 64)", dtype=torch.float64)
    ratios = (bounds - log_px).exp()
    # draws that the 64 share spread eight times as far; that has its own check
    spread = max(math.sqrt(((4 / math.sqrt(2 - 1 / 16)) ** size - 1) / 64), float(ratios.std()))
    ratio, allowed = float(ratios.mean()), mean_bound(spread, times)
    expect(abs(ratio - 1) <= allowed, "the mean of exp(iwae) with k=64 is not the likelihood of an image",
               f"p(x) times 1 ± {allowed:.4f}", f"p(x) times {ratio:.4f}",
               hint="Do you take many samples in parts? How do the parts become one bound?")  # fmt: skip


@declare(
    id="bonus.iwae.law", question=BONUS, kind="statistical", points=0.75, visibility="public",
    title="iwae: unbiased weights",
    asks="one sample gives the ELBO on average; for any k the exponential of the bound has the exact likelihood as its "
    "mean: Bernoulli log-likelihood in nats summed over pixels, z drawn from the posterior",
    hint="What is the mean of the weight over draws of z? Which distribution are they drawn from, and is a KL term "
    "still needed?",
    needs=(), parts=(WEIGHTS_PART, BOUND_PART),
)  # fmt: skip
def iwae_law(ctx: Context) -> None:
    # 3 images x (k = 1, 8): means of 3000 independent bounds against integrals by quadrature, with the exact standard
    # deviations; with the one for k = 64 there are 7 comparisons at 1e-7. The posterior is broader than the prior, so
    # weights are bounded and the means of 3000 are normal to many digits.
    case = known_vae(ctx)
    times = 3000
    one = repeated(ctx, case, 1, times, ctx.seed)
    means = one.mean(1)
    for i in range(3):
        allowed = mean_bound(float(case.elbo_sd[i]), times)
        if abs(float(means[i] - case.elbo[i])) <= allowed:
            continue
        # the reading that is nearest, if it fits all three images; draws that spread too little say more
        near = [((means - other).abs().max(), words, asked) for words, asked, other in case.means]
        off, words, asked = min(near, key=lambda reading: float(reading[0]))
        fits = float(off) <= mean_bound(float(one.std(1).max()), times) + 0.02
        looks, question = (words, asked) if fits else ("", INHERIT)
        if not fits and float(one[i].std()) < 1e-6:
            looks = "all copies of one image in a batch get the same number"
            question = "For whom is one draw of z: for one image, or for all?"
        elif not fits and float((repeated(ctx, case, 8, times, ctx.seed + 1).mean(1) - means).abs().max()) <= allowed:
            looks, question = "the same mean as with k=8", "What does k decide, and where do you read it?"
        raise Failure(f"the mean of {times} values of iwae with k=1 is not the ELBO of image {i}",
                      f"{float(case.elbo[i]):.4f} ± {allowed:.4f} nats", f"{float(means[i]):.4f} nats", looks=looks,
                      hint=question)  # fmt: skip
    many = repeated(ctx, case, 8, times, ctx.seed + 1)
    for i in range(3):
        ratio = float((many[i] - case.log_px[i]).exp().mean())
        # the spread of one draw: draws that the eight share leave the mean as it is, and have their own check
        allowed = mean_bound(float(case.ratio_sd[i]), times)
        expect(abs(ratio - 1) <= allowed, f"the mean of exp(iwae) over {times} calls with k=8 is not the likelihood of "
               f"image {i}", f"p(x) times 1 ± {allowed:.4f}", f"p(x) times {ratio:.4f}", hint="Right for one "
                               "sample, but "
               "not for eight: how do eight weights become one bound?")  # fmt: skip
    different = len(set(one.flatten().tolist()))
    expect(different > 3 * times - 5, "equal images in one batch get equal bounds: they share their draws of z",
           f"{3 * times} different values", f"{different} different values for {3 * times} images",
           hint="For whom is one draw of z: for one image, or for all?")  # fmt: skip
    expect_many(ctx)


@declare(
    id="bonus.iwae.grows", question=BONUS, kind="statistical", points=0.25, visibility="hidden",
    title="iwae: tighter with k, never above the likelihood",
    asks="on average the bound rises with k towards the exact log-likelihood, and stays below it",
    hint="What happens to the bound as k grows, and where does it end?",
    needs=("bonus.iwae.law",), parts=(WEIGHTS_PART, BOUND_PART),
)  # fmt: skip
def iwae_grows(ctx: Context) -> None:
    # Means over 1500 draws at k = 1, 6, 60, each with at most the spread of k = 1. Sums of three images; 6 comparisons.
    case = known_vae(ctx)
    times = 1500
    bounds = [repeated(ctx, case, k, times, ctx.seed + k).mean(1) for k in (1, 6, 60)]
    slack = mean_bound(float(case.elbo_sd.max()), times)
    for i in range(3):
        path = [float(b[i]) for b in bounds]
        said = f"{path[0]:.4f}, {path[1]:.4f}, {path[2]:.4f} below {case.log_px[i]:.4f}"
        said = f"means of {times} bounds for k = 1, 6, 60: {said}"
        expect(path[1] >= path[0] - slack and path[2] >= path[1] - slack, "the bound falls as k grows", "rising", said,
               hint=INHERIT)  # fmt: skip
        expect(path[2] <= float(case.log_px[i]) + slack, "the bound exceeds the exact log-likelihood", "below it", said,
               hint="May a lower bound lie above what it bounds?")  # fmt: skip
        # by the delta method the gap at k = 60 is about Var(w / p) / (2 k)
        gap = float(case.ratio_sd[i]) ** 2 / 60 + slack
        still = path[2] - path[0] <= 0.2 * (float(case.log_px[i]) - path[0])
        expect(path[2] >= float(case.log_px[i]) - gap, "60 samples do not bring the bound near the likelihood",
               f"within {gap:.3f} nats", said, hint="Are the k samples of an image different from each other?"
               if still else INHERIT)  # fmt: skip


@declare(
    id="bonus.iwae.modes", question=BONUS, kind="property", points=0.25, visibility="public",
    title="iwae: shape, mode, generator",
    asks="one bound per image (B,); the model runs in evaluation mode without gradients and gets its former mode back, "
    "and what comes after has gradients as before; draws are fresh, and come from the generator if one is given",
    hint="What would dropout do to an evaluation? Does the result still carry gradients?",
    needs=(),
)  # fmt: skip
def iwae_modes(ctx: Context) -> None:
    parts = (ctx.randn(4, 3), ctx.randn(4), ctx.randn(3, 4), ctx.randn(3))
    for dtype, batch, mode in ((torch.float32, 5, True), (torch.float64, 1, False)):
        model = ctx.new(Probe("BernoulliVAE"), *(part.to(dtype) for part in parts)).train(mode)
        x = ctx.images(batch, 2, dtype)
        draws = [
            as_tensor(preserves(ctx, IWAE, model, x, 6, **options), (batch,), "iwae(model, x, 6)", dtype=dtype)
            for options in ({"generator": Gen(1)}, {"generator": Gen(1)}, {"generator": Gen(2)}, {}, {})
        ]
        expect(not any(model.get("modes")), "iwae runs the model in training mode", "evaluation mode", "training mode",
               hint="What would dropout do to an evaluation?")  # fmt: skip
        expect(not any(model.get("grads")), "iwae runs the model with gradients on", "no gradients", "gradients",
               hint="Does the result still carry gradients? What do they cost for many samples?")  # fmt: skip
        expect(model.get("training") is mode, f"a model in {'training' if mode else 'evaluation'} mode comes back from "
               "iwae in the other", f"training={mode}", f"training={model.get('training')}",
               hint="In which mode was the model before, and who puts it back?")  # fmt: skip
        expect(not torch.equal(draws[3], draws[4]), "two calls without a generator give the same bound", "fresh draws",
               "equal bounds", hint="Which z is decoded, and where does it come from if nobody gives a "
                               "generator?")  # fmt: skip
        given = "Which draws of yours come from the generator that was given, and which from elsewhere?"
        matches(ctx, draws[1], draws[0], FLOAT32, "the bound with a second generator of the same seed", hint=given)
        expect(not torch.equal(draws[0], draws[2]), "two generators with different seeds give the same "
                        "bound", "another",
               "an equal bound", hint=given)  # fmt: skip
        strict = ctx.new(Probe("BernoulliVAE"), *(part.to(dtype) for part in parts), strict=True).train(mode)
        told = ctx.call(IWAE, strict, x, 6, generator=Gen(1))
        matches(ctx, told, draws[0], FLOAT32, "the bound of a model that draws otherwise in training mode or with "
                "gradients on", hint="What would dropout do to an evaluation?")  # fmt: skip
        leaves_gradients_on(ctx, "iwae")
        leaves_gradients_off(ctx, IWAE, model, x, 2)


# ---- exact likelihoods --------------------------------------------------------------------------------------------


def exact(x: Tensor, weight: Tensor, mean: Tensor, noise_var: float) -> Tensor:
    """log N(x; mean, W Wᵀ + noise_var I)."""
    cov = weight @ weight.T + noise_var * torch.eye(len(mean), dtype=weight.dtype)
    return full_log_prob(x, mean, cov)


@declare(
    id="bonus.ppca.value", question=BONUS, kind="property", points=0.25, visibility="public",
    title="ppca_log_likelihood",
    asks="log N(x; mean, W Wᵀ + noise_var I), one number per image, for any W, also with more columns than rows",
    hint="What are the mean and covariance of W z + mean + noise? Is noise_var a variance?",
    needs=(),
)  # fmt: skip
def ppca(ctx: Context) -> None:
    def body(batch: int, dim: int, latent: int, noise: float, seed: int) -> None:
        x, weight, mean = random(seed, batch, dim), random(seed + 1, dim, latent), random(seed + 2, dim)
        value = preserves(ctx, PPCA, x, weight, mean, noise)
        wanted = exact(x, weight, mean, noise)
        eye = torch.eye(dim, dtype=torch.float64)

        def law(cov: Tensor, centre: Tensor = mean) -> Tensor:
            return full_log_prob(x, centre, cov)

        variance = "Is noise_var a variance, or a deviation?"
        covariance = "What is the covariance of W z + noise, also between two different pixels?"
        per_image = "How many numbers are asked for: one for each image, or one for all?"
        known = [
            Known("the density with noise_var squared", variance, exact(x, weight, mean, noise**2)),
            Known("the density with the root of noise_var", variance, exact(x, weight, mean, math.sqrt(noise))),
            Known("the density around 0, without the mean", "Where is the middle of W z + mean + noise?",
                  law(weight @ weight.T + noise * eye, torch.zeros_like(mean))),
            Known("the density with the diagonal of W Wᵀ alone", covariance,
                  law((weight @ weight.T).diag().diag() + noise * eye)),
            Known("the density of the noise alone, without W", covariance, law(noise * eye)),
            Known("the sum over images", per_image, wanted.sum()), Known("the mean over "
                            "images", per_image, wanted.mean()),
            Known("the expected plus D/2 log 2π", "Does your density integrate to 1?",
                  wanted + dim / 2 * math.log(2 * math.pi)),
        ]  # fmt: skip
        if isinstance(value, Tensor) and value.ndim == 0 and (summed := recognised(value, known[5:7])):
            raise Failure("ppca_log_likelihood gives one number for a batch of images", f"({batch},): {show(wanted)}",
                          show(value), looks=summed.words, hint=per_image)  # fmt: skip
        matches_or_says(ctx, value, wanted, FLOAT64, "ppca_log_likelihood", known, hint=INHERIT)

    body(3, 4, 2, 0.3, ctx.seed)
    noises = (0.1, 1.0, 3.0)
    forall(ctx, lambda which, **rest: body(noise=noises[which], **rest), batch=sizes(1, 4), dim=sizes(1, 5),
               latent=sizes(1, 6), which=sizes(0, 2), seed=seeds(), examples=20)  # fmt: skip
    x, weight, mean = ctx.randn(3, 200), ctx.randn(200, 4), ctx.randn(200)
    conditioned = Tolerance(1e-6, 1e-4, "a covariance of condition 1e5 in float64")
    value = ctx.call(PPCA, x, weight, mean, 0.01)
    matches(ctx, value, exact(x, weight, mean, 0.01), conditioned, "ppca_log_likelihood in 200 dimensions with "
                    "noise_var=0.01",
            hint="Which number of yours grows or vanishes with the dimension, before its logarithm is "
                 "taken?")  # fmt: skip
    single = (ctx.randn(3, 5), ctx.randn(5, 2), ctx.randn(5))
    value = ctx.call(PPCA, *(t.float() for t in single), 0.5)
    matches(ctx, value, exact(*single, 0.5).float(), Tolerance(1e-4, 1e-3, "float32 through a factorisation"),
            "ppca_log_likelihood in float32", hint="Which step needs more digits than float32 has?")  # fmt: skip


@declare(
    id="bonus.ppca.oracle", question=BONUS, kind="statistical", points=0.25, visibility="public",
    title="The exact likelihood is above every bound",
    asks="for a linear-Gaussian VAE with a mismatched posterior: bounds rise with k and approach, but do not exceed, "
    "ppca_log_likelihood; with the exact posterior every weight equals it",
    hint="With q equal to the true posterior, how much can log w vary from draw to draw?",
    needs=(), parts=(WEIGHTS_PART, BOUND_PART, PPCA_PART),
)  # fmt: skip
def ppca_oracle(ctx: Context) -> None:
    # W has orthogonal columns, so that the true posterior is diagonal: variance s / (s + |w|^2) in each dimension.
    latent, dim, batch, draws, noise = 2, 6, 4, 60_000, 0.5
    columns = torch.linalg.qr(ctx.randn(dim, latent)).Q * torch.tensor([0.8, 1.2], dtype=torch.float64)
    mean, x = ctx.randn(dim), ctx.randn(batch, dim)
    likelihood = matches(
        ctx,
        ctx.call(PPCA, x, columns, mean, noise),
        exact(x, columns, mean, noise),
        FLOAT64,
        "ppca_log_likelihood",
        hint=INHERIT,
    )
    norms = columns.square().sum(0)
    var = noise / (noise + norms)
    post = (x - mean) @ columns / (noise + norms)

    def bound_of(mu: Tensor, logvar: Tensor, k: int) -> Tensor:
        z = mu + torch.exp(logvar / 2) * ctx.randn(k, batch, latent)
        log_px = normal(x, z @ columns.T + mean, math.sqrt(noise)).sum(-1)
        logs = ctx.call(WEIGHTS, log_px, z, mu, logvar)
        return as_tensor(logs, (k, batch), "log_importance_weights", dtype=torch.float64)

    true = bound_of(post, var.log().expand_as(post), 5)
    matches(ctx, true, likelihood.expand_as(true).contiguous(), FLOAT64, "log_importance_weights for z of the "
                    "exact posterior",
            hint=INHERIT)  # fmt: skip
    # Mismatch: shifted by .4 and 1.5 times as wide. The groups of k of the same 60 000 weights are nested, so their
    # mean bounds rise for every outcome; at k = 5 the gap of .1 nats is 16 standard errors; all weights together are
    # within 8 standard errors of w / p(x) of the likelihood (below 1e-14 each).
    logs = bound_of(post + 0.4, (2.25 * var).log().expand_as(post), draws)
    path = []
    for k in (1, 5, 50, draws):
        groups = logs.reshape(k, draws // k, batch).reshape(k, -1)
        value = as_tensor(ctx.call(BOUND, groups), (draws // k * batch,), "iwae_bound", dtype=torch.float64)
        path.append(value.reshape(-1, batch).mean(0))
    for i in range(batch):
        values = [float(p[i]) for p in path]
        error = 8 * float((logs[:, i] - likelihood[i]).exp().std()) / math.sqrt(draws)
        said = ", ".join(f"{value:.4f}" for value in values) + f"; exact {likelihood[i]:.4f}"
        said = f"k = 1, 5, 50, {draws}: {said}"
        expect(all(b > a for a, b in zip(values[:-1], values[1:], strict=True)), "mean bounds of iwae_bound do "
                        "not rise "
               "with k", "rising", said, hint="What happens to the mean of a few logarithms as the few become "
                               "many, and to "
               "the logarithm of a mean?")  # fmt: skip
        below = values[1] < float(likelihood[i]) and abs(values[-1] - float(likelihood[i])) <= error
        expect(below, "bounds do not approach the exact likelihood from below", "below and near", said,
               hint="Which of the three knows too much or too little: the weights, their bound, or the "
                    "likelihood?")  # fmt: skip


BOUNDS: tuple[Check, ...] = (weights, bound, iwae_law, iwae_grows, iwae_modes, ppca, ppca_oracle)
