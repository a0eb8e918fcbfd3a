"""Bonus: the prior over codes; the bounds and features of `evaluation.py` and the trained checks stand beside it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import BONUS, declare
from ...check.expectations import (
    as_tensor,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    matches,
    preserves,
    raises,
)
from ...check.failure import EXACT, FLOAT32, FLOAT64, Failure, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.statistics import count_bounds
from ...check.values import Gen, Handle, Probe, Slot, StudentRaised, TorchRef

MASKED, PRIOR, BITS, SAMPLE = "prior.MaskedConv2d", "prior.CodePrior", "prior.bits_per_code", "prior.sample_codes"
SQUARE = [{"fn": Probe("mean_square"), "args": [Slot("out"), Slot("x")], "kwargs": {}}]
CROSS_ENTROPY = [{"fn": TorchRef("nn.functional.cross_entropy"), "args": [Slot("out"), Slot("x")], "kwargs": {}}]
PEEKS = "At the left edge of a row, which positions come earlier? May the first layer see what it has to predict?"


def reach(
    ctx: Context, layer: Handle, channels: tuple[int, int], height: int, width: int, row: int, column: int
) -> Tensor:
    """Which positions `(H, W)` of the input move the output at one position, by its gradient."""
    weights = torch.zeros(1, channels[1], height, width, dtype=torch.float64)
    weights[0, :, row, column] = ctx.randn(channels[1])
    x = ctx.randn(1, channels[0], height, width)
    found = ctx.session.vjp(layer, x, wrt=[0], cotangents=[((), weights)])
    as_tensor(found.value, weights.shape, "the output of MaskedConv2d", dtype=torch.float64)
    grad = found.args[0]
    return torch.zeros(height, width, dtype=torch.bool) if grad is None else (grad != 0).any(1)[0]


def expect_reach(ctx: Context, layer: Handle, kind: str, size: int, channels: tuple[int, int]) -> None:
    """The output of a masked convolution depends on the visible positions of its window, and on no others."""
    height, width = 6, 8
    for row, column in ((3, 4), (0, 0), (5, 7), (2, 0), (4, 7)):
        seen = reach(ctx, layer, channels, height, width, row, column)
        down, along = torch.meshgrid(torch.arange(height) - row, torch.arange(width) - column, indexing="ij")
        window = (down.abs() <= size // 2) & (along.abs() <= size // 2)
        earlier = (down < 0) | ((down == 0) & (along < 0))
        centre = (down == 0) & (along == 0)
        allowed = window & (earlier | centre if kind == "B" else earlier)
        what = f'mask "{kind}" of size {size}: what the output at ({row}, {column}) depends on'
        expect(bool((seen == allowed).all()), what, allowed.nonzero().tolist(), seen.nonzero().tolist(),
                   hint=f'Type "{kind}" and the centre of the kernel: may the output see it?'
                   if torch.equal(seen ^ allowed, centre) else "")  # fmt: skip


@declare(
    id="bonus.masked.reach", question=BONUS, kind="gradient", points=0.5, visibility="public",
    title="MaskedConv2d: what it sees",
    asks='"A" sees what comes before the centre in raster order, "B" the centre as well; both use all of that, in '
    "every channel; the size of the grid stays",
    hint="Number the cells of a 3x3 kernel in reading order. Which may be seen from the middle?",
    needs=(),
)  # fmt: skip
def masked_reach(ctx: Context) -> None:
    for kind in ("A", "B"):
        for size, channels in ((3, (2, 3)), (5, (3, 2)), (1, (2, 2))):
            layer = ctx.new(MASKED, kind, channels[0], channels[1], size)
            x = ctx.randn(2, channels[0], 5, 7, dtype=torch.float32)
            y = as_tensor(preserves(ctx, layer, x), (2, channels[1], 5, 7), "the output of MaskedConv2d", dtype=x.dtype)
            nothing = as_tensor(layer(torch.zeros_like(x)), y.shape, "the output of MaskedConv2d")
            double = as_tensor(layer(2 * x), y.shape, "the output of MaskedConv2d")
            matches(
                ctx, double - y, y - nothing, FLOAT32, "MaskedConv2d is no affine map: f(2x) - f(x) against f(x) - f(0)"
            )
            expect_reach(ctx, layer.double(), kind, size, channels)


@declare(
    id="bonus.masked.trained", question=BONUS, kind="gradient", points=0.25, visibility="hidden",
    title="MaskedConv2d: the mask outlives training",
    asks="after steps of an optimizer, and with whatever weights are loaded, the hidden weights have no effect",
    hint="When is the mask applied: once, or each time the weights are used?",
    needs=("bonus.masked.reach",),
)  # fmt: skip
def masked_trained(ctx: Context) -> None:
    for kind in ("A", "B"):
        layer = ctx.new(MASKED, kind, 2, 3, 3)
        data = {"x": ctx.randn(12, 2, 5, 5, dtype=torch.float32)}
        ctx.session.train(layer, data, SQUARE, epochs=2, batch_size=4, lr=0.01, seed=0)
        expect_reach(ctx, layer.double(), kind, 3, (2, 3))
        # what is not trained may be the mask
        weights = {name for name, trained in layer.parameters().items() if trained}
        layer.load(
            {name: ctx.randn(*value.shape) if name in weights else value for name, value in layer.state().items()}
        )
        expect_reach(ctx, layer, kind, 3, (2, 3))


def trained_prior(ctx: Context, num_embeddings: int, **options: int) -> Handle:
    """A CodePrior after a few steps on random codes, in evaluation mode and float64: no weight is as it began."""
    model = ctx.new(PRIOR, num_embeddings, **options)
    codes = {"x": ctx.randint(0, num_embeddings, 16, 4, 5)}
    ctx.session.train(model, codes, CROSS_ENTROPY, epochs=3, batch_size=4, lr=0.01, seed=0)
    return model.eval().double()


@declare(
    id="bonus.prior.shapes", question=BONUS, kind="property", points=0.25, visibility="public",
    title="CodePrior: shapes and dtypes",
    asks="forward(indices) gives logits (B, K, H, W) for any grid and number of layers, in the dtype of the model",
    hint="Which axis do the logits of one position run along?",
    needs=(),
)  # fmt: skip
def prior_shapes(ctx: Context) -> None:
    cases: tuple[tuple[int, tuple[int, int, int], dict[str, int]], ...] = (
        (128, (1, 7, 7), {}), (5, (3, 4, 6), {"hidden_channels": 8, "num_layers": 2}),
        (9, (2, 5, 3), {"hidden_channels": 12, "num_layers": 1}),
    )  # fmt: skip
    for count, grid, options in cases:
        model = ctx.new(PRIOR, count, **options).eval()
        indices = ctx.randint(0, count, *grid)
        shape = (grid[0], count, *grid[1:])
        single = as_tensor(preserves(ctx, model, indices), shape, "logits", dtype=torch.float32)
        double = as_tensor(model.double()(indices), shape, "logits", dtype=torch.float64)
        normalised = alike(double.sum(1), torch.ones_like(double.sum(1))) and bool((double >= 0).all())
        expect(not normalised, "these are probabilities, not logits", "numbers of either sign", double,
                   hint="What will the loss do to these numbers before it takes their logarithm?")  # fmt: skip
        matches(ctx, single, double.float(), Tolerance(1e-3, 1e-4, "float32 through a few layers"), "logits in float32")


@declare(
    id="bonus.prior.causal", question=BONUS, kind="property", points=0.75, visibility="public",
    title="CodePrior: logits depend on earlier codes only",
    asks="changing one code changes no logits at its own position or before it in raster order, in no other image, and "
    "does change some after it",
    hint="Change one code. Where may the logits change? Follow it through every layer, also the first.",
    needs=("bonus.prior.shapes",),
)  # fmt: skip
def prior_causal(ctx: Context) -> None:
    height, width, count = 4, 6, 5
    for layers in (3, 1):
        model = trained_prior(ctx, count, hidden_channels=16, num_layers=layers)
        base = ctx.randint(0, count, 1, height, width)
        changed = base.repeat(height * width, 1, 1)
        positions = torch.arange(height * width)
        changed.view(-1, height * width)[positions, positions] += ctx.randint(1, count, height * width)
        changed %= count
        want = (height * width + 1, count, height, width)
        logits = as_tensor(model(torch.cat([base, changed])), want, "logits", dtype=torch.float64)
        alone = as_tensor(model(base), (1, *want[1:]), "logits", dtype=torch.float64)
        matches(ctx, logits[:1], alone, FLOAT64, "the logits of an image next to other images")
        moved = (logits[1:] - logits[:1]).abs().amax(1).flatten(1)  # (changed position, position)
        early = (moved > 1e-9) & (positions[None, :] <= positions[:, None])
        if bool(early.any()):
            source, target = (int(n) for n in early.nonzero()[0])
            itself = source == target
            hint = "May the logits at a position see the code that they predict?" if itself else PEEKS
            expect(False, f"{layers} layers: the logits at {divmod(target, width)} depend on the code at "
                       f"{divmod(source, width)}", "earlier codes only", "the code itself" if itself else "a later one",
                       hint=hint)  # fmt: skip
        unused = [divmod(p, width) for p in range(height * width - 1) if not bool((moved[p] > 1e-9).any())]
        expect(not unused, f"{layers} layers: some codes change no later logits", "every code but the last is used",
                   f"unused: {unused}")  # fmt: skip


@declare(
    id="bonus.bits", question=BONUS, kind="property", points=0.25, visibility="public",
    title="bits_per_code",
    asks="the mean over all positions of -log2 of the probability that the logits give the code; finite at ±1000",
    hint="How many bits does a code cost when all K are equally likely?",
    needs=(),
)  # fmt: skip
def bits(ctx: Context) -> None:
    def body(batch: int, height: int, width: int, count: int, seed: int) -> None:
        logits = 3 * random(seed, batch, count, height, width)
        indices = torch.randint(0, count, (batch, height, width), generator=torch.Generator().manual_seed(seed))
        wanted = F.cross_entropy(logits, indices) / math.log(2)
        value = preserves(ctx, BITS, logits, indices)
        nats = isinstance(value, Tensor) and value.ndim == 0 and math.isclose(value, F.cross_entropy(logits, indices))
        matches(ctx, value, wanted, FLOAT64, "bits_per_code(logits, indices)",
                    hint="To which base is this logarithm?" if nats and count > 1 else "")  # fmt: skip

    forall(
        ctx,
        body,
        batch=sizes(1, 3),
        height=sizes(1, 4),
        width=sizes(1, 5),
        count=sizes(1, 6),
        seed=seeds(),
        examples=15,
    )
    indices = ctx.randint(0, 8, 2, 3, 5)
    matches(ctx, ctx.call(BITS, torch.zeros(2, 8, 3, 5), indices), torch.tensor(3.0), FLOAT32, "bits of 8 equal logits")
    sure = 1000 * (2 * F.one_hot(indices, 8).permute(0, 3, 1, 2).float() - 1)
    matches(ctx, ctx.call(BITS, sure, indices), torch.tensor(0.0), FLOAT32, "bits of certain codes")
    wrong = ctx.call(BITS, sure, (indices + 1) % 8)
    matches(ctx, wrong, torch.tensor(2000 / math.log(2)), FLOAT32, "bits of codes that logits of ±1000 exclude")
    gradient_matches(ctx, BITS, ctx.randn(2, 4, 2, 3), ctx.randint(0, 4, 2, 2, 3), what="the gradient of bits_per_code")


def chain(ctx: Context, count: int) -> tuple[Tensor, Tensor]:
    """Logits of the first code `(K,)` and of each next code `(K, K)`: no two equal, none below 4 % probability."""
    shares = 0.04 + ctx.rand(count + 1, count)
    shares = shares / shares.sum(1, keepdim=True)
    return shares[0].log(), shares[1:].log()


GRIDS = (2000, 3, 5)


def expect_chain(ctx: Context, sampled: object, first: Tensor, table: Tensor) -> None:
    """GRIDS of codes follow a chain's logarithms of probabilities, which are normalised."""
    count, number = len(first), GRIDS[0]
    codes = as_tensor(sampled, GRIDS, "sample_codes", dtype=torch.int64).flatten(1)
    expect(int(codes.min()) >= 0 and int(codes.max()) < count, "a sampled code is outside the codebook",
               f"0…{count - 1}", codes)  # fmt: skip
    starts = torch.bincount(codes[:, 0], minlength=count)
    for k in range(count):
        low, high = count_bounds(number, float(first[k].exp()), 2e-8)
        expect(low <= int(starts[k]) <= high, f"the first position is {k} too often or too seldom",
                   f"{low} to {high} of {number}", int(starts[k]))  # fmt: skip
    pairs = torch.bincount(codes[:, :-1].flatten() * count + codes[:, 1:].flatten(), minlength=count**2)
    pairs = pairs.reshape(count, count)
    for a in range(count):
        total = int(pairs[a].sum())
        for b in range(count):
            low, high = count_bounds(total, float(table[a, b].exp()), 2e-8)
            expect(low <= int(pairs[a, b]) <= high, f"in raster order, {b} follows {a} too often or too seldom",
                       f"{low} to {high} of {total}", int(pairs[a, b]))  # fmt: skip


@declare(
    id="bonus.sample.law", question=BONUS, kind="statistical", points=0.75, visibility="public",
    title="sample_codes: ancestral sampling",
    asks="codes are drawn in raster order, each from the model's distribution given the codes drawn before it, also "
    "where all logits of a position are very large or very small",
    hint="When the second code is drawn, does the model already see the first? In which order is the grid filled?",
    needs=(),
)  # fmt: skip
def sample_law(ctx: Context) -> None:
    # The grader's model is a Markov chain in raster order over 4 codes. 2000 grids of 3 x 5: 4 counts of the first
    # code, 16 counts of transitions given how often their first code occurs (exact binomials), twice:
    # 2 x 20 x 2e-8 = 8e-7. A transition occurs in at least 4 % of about 7000 cases; uniform codes miss by hundreds.
    first, table = chain(ctx, 4)
    expect_chain(ctx, ctx.call(SAMPLE, ctx.new(Probe("TableModel"), first, table), *GRIDS), first, table)
    # what is added to all logits of a position changes no probability
    shifted = ctx.new(Probe("TableModel"), first + 1e3, table - 1e3)
    try:
        expect_chain(ctx, ctx.call(SAMPLE, shifted, *GRIDS), first, table)
    except (Failure, StudentRaised) as wrong:
        raised = f"{wrong.kinds[0]}: {wrong.message}" if isinstance(wrong, StudentRaised) else wrong.message
        raise Failure("logits that are all large, or all small, give other codes", "the same as after adding a number "
                      "to all of them", raised, hint="What happens to exp of these logits? Which probabilities do they "
                      "stand for?") from None  # fmt: skip


@declare(
    id="bonus.sample.modes", question=BONUS, kind="property", points=0.5, visibility="public",
    title="sample_codes: mode, gradients, generator",
    asks="the model runs in evaluation mode without gradients and gets its former mode back, and what comes after has "
    "gradients as before; draws are fresh, and come from the generator if one is given",
    hint="What would dropout do to the samples? And two calls with the same generator seed?",
    needs=(),
)  # fmt: skip
def sample_modes(ctx: Context) -> None:
    first, table = chain(ctx, 5)
    for mode in (True, False):
        model = ctx.new(Probe("TableModel"), first, table).train(mode)
        draws = [
            as_tensor(ctx.call(SAMPLE, model, 7, 3, 4, **options), (7, 3, 4), "sample_codes", dtype=torch.int64)
            for options in ({"generator": Gen(1)}, {"generator": Gen(1)}, {"generator": Gen(2)}, {}, {})
        ]
        expect(not any(model.get("modes")), "the model runs in training mode while it samples", "evaluation mode",
                   "training mode")  # fmt: skip
        expect(not any(model.get("grads")), "gradients are on while it samples", "no gradients", "gradients")
        expect(model.get("training") is mode, "the model does not get its former mode back", f"training={mode}",
                   f"training={model.get('training')}")  # fmt: skip
        matches(ctx, draws[1], draws[0], EXACT, "a second draw with an equal generator")
        # 84 codes: equal by chance with probability far below 1e-12
        expect(not torch.equal(draws[0], draws[2]), "two generators give the same codes", "other codes", draws[2])
        expect(not torch.equal(draws[3], draws[4]), "two calls give the same codes", "other codes", draws[4])
        leaves_gradients_on(ctx, "sample_codes")
        leaves_gradients_off(ctx, SAMPLE, model, 2, 2, 3)


@declare(
    id="bonus.errors", question=BONUS, kind="property", points=0.25, visibility="hidden",
    title="Bonus: bad arguments",
    asks="arguments that make no sense are ValueErrors that name them: mask types and kernel sizes, k of IWAE and of "
    "the neighbours, a noise variance of 0, statistics of a single row, features of pictures of different shapes",
    hint="What does the docstring say about each argument's range?",
    needs=(),
)  # fmt: skip
def errors(ctx: Context) -> None:
    for kind in ("C", "a", "AB"):
        raises(
            ctx, "ValueError", MASKED, kind, 2, 3, 3, names="mask_type", case=f"MaskedConv2d with mask type {kind!r}"
        )
    for size in (2, 4):
        raises(
            ctx,
            "ValueError",
            MASKED,
            "B",
            2,
            3,
            size,
            names="kernel_size",
            case=f"MaskedConv2d with kernel size {size}",
        )
    codes, labels = ctx.randn(4, 3), torch.tensor([0, 1, 1, 0])
    for k in (0, 5):
        raises(
            ctx,
            "ValueError",
            "evaluation.knn_predict",
            codes,
            labels,
            codes,
            k,
            names="k",
            case=f"knn_predict, N=4, k={k}",
        )
    model = ctx.new(Probe("BernoulliVAE"), ctx.randn(4, 2), ctx.randn(4), ctx.randn(2, 4), ctx.randn(2))
    raises(
        ctx, "ValueError", "evaluation.iwae", model, ctx.images(3, 2, torch.float64), 0, names="k", case="iwae with k=0"
    )
    for noise in (0.0, -1.0):
        x, weight, mean = ctx.randn(2, 4), ctx.randn(4, 2), ctx.randn(4)
        raises(ctx, "ValueError", "evaluation.ppca_log_likelihood", x, weight, mean, noise, names="noise_var",
                   case=f"ppca_log_likelihood with noise_var={noise}")  # fmt: skip
    raises(ctx, "ValueError", "evaluation.feature_statistics", ctx.randn(1, 4), names="features")
    raises(ctx, "ValueError", "evaluation.perceptual_loss", ctx.new(TorchRef("nn.Flatten")), ctx.images(3, 4),
               ctx.images(1, 4), names="x", case="perceptual_loss on 3 pictures and 1")  # fmt: skip
