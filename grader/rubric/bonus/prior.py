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
)
from ...check.failure import EXACT, FLOAT32, FLOAT64, INHERIT, Failure, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.statistics import count_bounds
from ...check.values import Gen, Handle, Probe, Slot, StudentRaised, TorchRef
from ..shared.known import Known, matches_or_says
from .parts import MASKED_PART

MASKED, PRIOR, BITS, SAMPLE = "prior.MaskedConv2d", "prior.CodePrior", "prior.bits_per_code", "prior.sample_codes"
SQUARE = [{"fn": Probe("mean_square"), "args": [Slot("out"), Slot("x")], "kwargs": {}}]
CROSS_ENTROPY = [{"fn": TorchRef("nn.functional.cross_entropy"), "args": [Slot("out"), Slot("x")], "kwargs": {}}]
FOLLOW_BACK = "Follow a later code through your layers: which of them lets it through, and why that one?"


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


def expect_reach(
    ctx: Context, layer: Handle, kind: str, size: int, channels: tuple[int, int], what: str = "", when: str = INHERIT
) -> None:
    """The output of a masked convolution depends on the visible positions of its window, and on no others."""
    height, width = 6, 8
    for row, column in ((3, 4), (0, 0), (5, 7), (2, 0), (4, 7)):
        seen = reach(ctx, layer, channels, height, width, row, column)
        down, along = torch.meshgrid(torch.arange(height) - row, torch.arange(width) - column, indexing="ij")
        window = (down.abs() <= size // 2) & (along.abs() <= size // 2)
        earlier = (down < 0) | ((down == 0) & (along < 0))
        centre = (down == 0) & (along == 0)
        allowed = window & (earlier | centre if kind == "B" else earlier)
        if torch.equal(seen, allowed):
            continue
        extra, short = seen & ~allowed, allowed & ~seen
        said = [f"{words} {[tuple(place) for place in places.nonzero().tolist()]}"
                for words, places in (("sees too much:", extra), ("does not "
                                "see:", short)) if bool(places.any())]  # fmt: skip
        hint = when
        if torch.equal(seen ^ allowed, centre):
            hint = f'Type "{kind}" and the centre of the kernel: may the output see it?'
        elif torch.equal(seen, window & ~(earlier | centre)) or torch.equal(seen, window & ~earlier):
            hint = "Which half of the kernel hides your mask: what comes before the centre, or what comes after it?"
        elif torch.equal(seen, window & ((along < 0) | ((along == 0) & (down < 0 if kind == "A" else down <= 0)))):
            hint = "In which order are the positions of a grid numbered: along the rows, or down the columns?"
        elif bool(extra.any()) and not bool((extra & (down != 0)).any()):
            hint = "Which cells of the centre's own row come after it?"
        elif bool(short.any()) and not bool(extra.any()) and not bool((short & (down >= 0)).any()):
            hint = "Which cells of the rows above come before the centre in reading order?"
        raise Failure(
            f'MaskedConv2d("{kind}", kernel_size={size}){what}, its output at (row, column) = ({row}, {column})',
            f"depends on {[tuple(place) for place in allowed.nonzero().tolist()]}", "; ".join(said), hint=hint,
        )  # fmt: skip


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
            y = preserves(ctx, layer, x)
            if isinstance(y, Tensor) and y.shape[2:] != x.shape[2:]:
                raise Failure(f"a grid of 5x7 comes out of MaskedConv2d with kernel_size={size} in another size",
                              "(2, …, 5, 7)", f"{tuple(y.shape)}", hint="Which padding keeps the size of the "
                                              "grid, for a "
                              "kernel of this size?")  # fmt: skip
            y = as_tensor(y, (2, channels[1], 5, 7), "the output of MaskedConv2d", dtype=x.dtype)
            nothing = as_tensor(layer(torch.zeros_like(x)), y.shape, "the output of MaskedConv2d")
            double = as_tensor(layer(2 * x), y.shape, "the output of MaskedConv2d")
            matches(ctx, double - y, y - nothing, FLOAT32, "MaskedConv2d is no affine map: f(2x) - f(x) against "
                            "f(x) - f(0)",
                    hint="A convolution is linear up to its bias. What else happens in yours?")  # fmt: skip
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
        once = "When is the mask applied: once, or each time the weights are used?"
        expect_reach(ctx, layer.double(), kind, 3, (2, 3), " after a few steps of an optimizer", once)
        # what is not trained may be the mask
        weights = {name for name, trained in layer.parameters().items() if trained}
        layer.load(
            {name: ctx.randn(*value.shape) if name in weights else value for name, value in layer.state().items()}
        )
        expect_reach(ctx, layer, kind, 3, (2, 3), " with weights from load_state_dict",
                     "The hidden weights came in from outside. What keeps them from being used?")  # fmt: skip


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
        single = as_tensor(preserves(ctx, model, indices), shape, "logits", dtype=torch.float32,
                           hint="Which axis do the logits of one position run along?")  # fmt: skip
        double = as_tensor(model.double()(indices), shape, "logits", dtype=torch.float64)
        normalised = alike(double.sum(1), torch.ones_like(double.sum(1))) and bool((double >= 0).all())
        expect(not normalised, "these are probabilities, not logits", "numbers of either sign", double,
                   hint="What will the loss do to these numbers before it takes their logarithm?")  # fmt: skip
        matches(ctx, single, double.float(), Tolerance(1e-3, 1e-4, "float32 through a few layers"), "logits in float32",
                hint="What of the model is not converted by .double()?")  # fmt: skip
    for name, sizes_of in (("hidden_channels", (8, 16)), ("num_layers", (1, 3))):
        other = {"hidden_channels": 8, "num_layers": 2}
        numbers = [sum(value.numel() for value in ctx.new(PRIOR, 5, **(other | {name: size})).state().values())
                   for size in sizes_of]  # fmt: skip
        expect(numbers[0] != numbers[1], f"CodePrior has as many parameters with {name}={sizes_of[0]} as with "
               f"{name}={sizes_of[1]}", "a larger model", f"{numbers[0]} and {numbers[1]} parameters",
               hint="What does this argument decide, and where does your constructor read it?")  # fmt: skip


@declare(
    id="bonus.prior.causal", question=BONUS, kind="property", points=0.5, visibility="public",
    title="CodePrior: logits depend on earlier codes only",
    asks="changing one code changes no logits at its own position or before it in raster order, and in no other image; "
    "logits do depend on codes",
    hint="Change one code. Where may the logits change? Follow it through every layer, also the first.",
    needs=("bonus.prior.shapes",), parts=(MASKED_PART,),
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
        matches(ctx, logits[:1], alone, FLOAT64, "in evaluation mode, the logits of an image next to others, "
                        "against those "
                "of the image alone,", hint="May one image of a batch know what the others hold?")  # fmt: skip
        moved = (logits[1:] - logits[:1]).abs().amax(1).flatten(1)  # (changed position, position)
        early = (moved > 1e-9) & (positions[None, :] <= positions[:, None])
        if bool(early.any()):
            raise peeking(early, layers, width)
        if not bool((moved > 1e-9).any()):
            raise Failure(f"with num_layers={layers} the logits are the same whatever the codes "
                          "are", "logits that depend "
                          "on earlier codes", "no code changes any logit", hint="Which codes go into the "
                                          "network, and do "
                          "they reach its end?")  # fmt: skip


def peeking(early: Tensor, layers: int, width: int) -> Failure:
    """The failure of logits that depend on what is not earlier; `early` (source, target)."""
    itself, total = early.diagonal(), int(early.diagonal().numel())
    later = int((early.sum(0) - itself.long()).clamp(max=1).sum())
    source, target = (int(n) for n in early.nonzero()[0])
    if later:  # a later one says more
        source, target = (int(n) for n in (early & ~torch.eye(total, dtype=torch.bool)).nonzero()[0])
    hint = FOLLOW_BACK if later else "May the logits at a position see the code that they predict?"
    if float(early.sum()) >= 0.9 * total * (total + 1) / 2:  # all pairs of which the target is not behind the source
        hint = "One code reaches every position of the grid. Which of your layers looks at all positions at once?"
    said = f"{int(itself.sum())} of {total} positions see their own code, {later} of {total} see later ones"
    return Failure(
        f"with num_layers={layers} the logits at (row, column) = {divmod(target, width)} depend on the code at "
        f"{divmod(source, width)}", "earlier codes only", said, hint=hint,
    )  # fmt: skip


@declare(
    id="bonus.bits", question=BONUS, kind="property", points=0.25, visibility="public",
    title="bits_per_code",
    asks="the mean over all positions of -log2 of the probability that the logits give the code; finite at ±1000",
    hint="How many bits does a code cost when all K are equally likely?",
    needs=(),
)  # fmt: skip
def bits(ctx: Context) -> None:
    def expect_bits(batch: int, height: int, width: int, count: int, seed: int) -> None:
        logits = 3 * random(seed, batch, count, height, width)
        indices = torch.randint(0, count, (batch, height, width), generator=torch.Generator().manual_seed(seed))
        nats = F.cross_entropy(logits, indices, reduction="none")
        wanted, bits = nats.mean() / math.log(2), nats.sum() / math.log(2)
        where = "Is it the price of one code, of one image, or of the whole batch?"
        known = [
            Known("the mean in nats: the natural logarithm", "To which base is this logarithm?", nats.mean()),
            Known("the sum over positions, averaged over images", where, bits / batch),
            Known("the sum over all positions and images", where, bits),
            Known("the expected with a minus sign", "May a code cost less than no bit at all?", -wanted),
            Known("the nats times log 2", "How many bits are a nat: more than one, or "
                            "less?", nats.mean() * math.log(2)),
            Known("minus the mean of the logits themselves, in bits", "What turns logits into probabilities?",
                  -logits.gather(1, indices[:, None]).mean() / math.log(2)),
            Known("minus the logarithm of the mean probability", "Which comes first, the logarithm or the mean?",
                  -(-nats).exp().mean().log2()),
        ]  # fmt: skip
        value = preserves(ctx, BITS, logits, indices)
        matches_or_says(ctx, value, wanted, FLOAT64, "bits_per_code(logits, indices)", known, hint=INHERIT)

    expect_bits(2, 3, 4, 5, ctx.seed)
    forall(ctx, expect_bits, batch=sizes(1, 3), height=sizes(1, 4), width=sizes(1, 5), count=sizes(1, 6), seed=seeds(),
           examples=15)  # fmt: skip
    indices = ctx.randint(0, 8, 2, 3, 5)
    matches(ctx, ctx.call(BITS, torch.zeros(2, 8, 3, 5), indices), torch.tensor(3.0), FLOAT32, "bits_per_code of "
                    "8 equal logits",
            hint="How many bits does a code cost when all K are equally likely?")  # fmt: skip
    sure = 1000 * (2 * F.one_hot(indices, 8).permute(0, 3, 1, 2).float() - 1)
    matches(ctx, ctx.call(BITS, sure, indices), torch.tensor(0.0), FLOAT32, "bits_per_code of codes that are certain",
            hint="How many bits does a code cost that cannot be another?")  # fmt: skip
    wrong = as_tensor(ctx.call(BITS, sure, (indices + 1) % 8), (), "bits of codes that logits of ±1000 exclude",
                      finite=False)  # fmt: skip
    excluded = 2000 / math.log(2)
    # 2000 nats in float32 are exact to 1e-7; a guard inside a logarithm would end far below
    expect(math.isclose(float(wrong), excluded, rel_tol=1e-3), "bits_per_code of codes that logits of ±1000 exclude is "
           "wrong", f"{excluded:.6g}", wrong, hint="What is the logarithm of a probability that is too small for "
                           "a float? "
           "Must the probability itself be formed?")  # fmt: skip
    gradient_matches(ctx, BITS, ctx.randn(2, 4, 2, 3), ctx.randint(0, 4, 2, 2, 3), what="the gradient of bits_per_code")


def chain(ctx: Context, count: int) -> tuple[Tensor, Tensor]:
    """Logits of the first code `(K,)` and of each next code `(K, K)`: no two equal, none below 4 % probability."""
    shares = 0.04 + ctx.rand(count + 1, count)
    shares = shares / shares.sum(1, keepdim=True)
    return shares[0].log(), shares[1:].log()


GRIDS = (2000, 3, 5)


def fits(counts: Tensor, shares: Tensor) -> bool:
    """Whether counts `(…, K)` may be those of draws with these probabilities."""
    rows = zip(
        counts.reshape(-1, counts.shape[-1]).tolist(), shares.reshape(-1, shares.shape[-1]).tolist(), strict=True
    )
    for row, probabilities in rows:
        for count, share in zip(row, probabilities, strict=True):
            low, high = count_bounds(sum(row), min(share, 1.0), 2e-8)
            if not low <= count <= high:
                return False
    return True


def pairs_of(codes: Tensor, count: int) -> Tensor:
    """How often each code follows each other along rows of `codes`, `(K, K)`."""
    return torch.bincount(codes[:, :-1].flatten() * count + codes[:, 1:].flatten(), minlength=count**2).reshape(
        count, count
    )


def other_draws(grids: Tensor, first: Tensor, table: Tensor) -> tuple[str, str]:
    """What the draws look like, and the question that it raises; nothing if they look like nothing known."""
    count = len(first)
    codes = grids.flatten(1)
    starts, pairs = torch.bincount(codes[:, 0], minlength=count), pairs_of(codes, count)
    down = pairs_of(grids.transpose(1, 2).flatten(1), count)
    back = pairs_of(codes.flip(1), count)
    even = torch.full((count,), 1 / count)
    if bool((codes == codes[0]).all()):
        return "every grid is the same: nothing was drawn", "Is the next code drawn, or is the likeliest one taken?"
    if fits(starts, even) and fits(pairs, even.expand(count, -1)):
        return "all codes equally likely, whatever the model says", "Which probabilities does your draw use?"
    for power in (2.0, 0.5):
        powered = [(power * logs).softmax(-1) for logs in (first, table)]
        if fits(starts, powered[0]) and fits(pairs, powered[1]):
            return (f"the model's probabilities to the power {power:g}",
                    "What happens to the logits between the model and the draw?")  # fmt: skip
    if fits(down, table.exp()):
        return "the model's chain, run column by column", "In which order does the model read the grid?"
    if fits(back, table.exp()):
        return "the model's chain, run from the last position to the first", "In which order is the grid read?"
    within = torch.stack([pairs_of(grids[:, row], count) for row in range(grids.shape[1])]).sum(0)
    begins = torch.stack([grids[:, :-1, -1].flatten(), grids[:, 1:, 0].flatten()], 1)
    if fits(within, table.exp()) and not fits(pairs_of(begins, count), table.exp()):
        return ("right within a row, but the first code of a row does not follow from the last of the row above",
                "In which order is the grid filled? What is known when a row begins?")  # fmt: skip
    for code in range(count):
        if fits(pairs, table[code].exp().expand(count, -1)):
            return (f"each code is drawn as if the one before it were {code}",
                    "When the second code is drawn, does the model already see the first?")  # fmt: skip
    return "", INHERIT


def expect_chain(ctx: Context, sampled: object, first: Tensor, table: Tensor) -> None:
    """GRIDS of codes follow a chain's logarithms of probabilities, which are normalised."""
    count, number = len(first), GRIDS[0]
    grids = as_tensor(sampled, GRIDS, f"sample_codes(model, {', '.join(map(str, GRIDS))})", dtype=torch.int64)
    codes = grids.flatten(1)
    low, high = int(codes.min()), int(codes.max())
    expect(low >= 0 and high < count, "a sampled code is outside the codebook", f"0…{count - 1}", f"{low}…{high}",
           hint="What are the numbers of the codes, if there are K of them?")  # fmt: skip
    starts, pairs = torch.bincount(codes[:, 0], minlength=count), pairs_of(codes, count)
    if fits(starts, first.exp()) and fits(pairs, table.exp()):
        return
    looks, question = other_draws(grids, first, table)
    if not fits(starts, first.exp()):
        raise Failure(f"the codes at (0, 0) of {number} grids do not have the model's probabilities for the "
                      "first position",
                      f"codes 0…{count - 1} about {[round(number * float(p)) for p in first.exp()]} times",
                      f"{starts.tolist()} times", looks=looks, hint=question)  # fmt: skip
    a = next(a for a in range(count) if not fits(pairs[a], table[a].exp()))
    total = int(pairs[a].sum())
    raise Failure(f"after code {a}, in raster order, the next codes do not have the model's probabilities given {a}",
                  f"codes 0…{count - 1} about {[round(total * float(p)) for p in table[a].exp()]} times of {total}",
                  f"{pairs[a].tolist()} times", looks=looks, hint=question)  # fmt: skip


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
            as_tensor(
                ctx.call(SAMPLE, model, 7, 3, 4, **options),
                (7, 3, 4),
                "sample_codes(model, 7, 3, 4)",
                dtype=torch.int64,
            )
            for options in ({"generator": Gen(1)}, {"generator": Gen(1)}, {"generator": Gen(2)}, {}, {})
        ]
        expect(not any(model.get("modes")), "sample_codes runs the model in training mode", "evaluation mode",
               "training mode", hint="What would dropout do to the samples?")  # fmt: skip
        expect(not any(model.get("grads")), "sample_codes runs the model with gradients "
                        "on", "no gradients", "gradients",
               hint="Who will differentiate these samples, and what does the graph of every step cost?")  # fmt: skip
        expect(model.get("training") is mode, f"a model in {'training' if mode else 'evaluation'} mode comes back from "
               "sample_codes in the other", f"training={mode}", f"training={model.get('training')}",
               hint="In which mode was the model before, and who puts it back?")  # fmt: skip
        expect(not torch.equal(draws[3], draws[4]), "two calls without a generator give the same codes", "other codes",
               "equal codes", hint="Where do the draws come from, if nobody gives a generator?")  # fmt: skip
        given = "Which draws of yours come from the generator that was given, and which from elsewhere?"
        expect(torch.equal(draws[1], draws[0]), "two generators with the same seed give different codes", "equal codes",
               "other codes", hint=given)  # fmt: skip
        # 84 codes: equal by chance with probability far below 1e-12
        expect(not torch.equal(draws[0], draws[2]), "two generators with different seeds give the same codes",
               "other codes", "equal codes", hint=given)  # fmt: skip
        strict = ctx.new(Probe("TableModel"), first, table, strict=True).train(mode)
        told = ctx.call(SAMPLE, strict, 7, 3, 4, generator=Gen(1))
        matches(ctx, told, draws[0], EXACT, "the codes of a model that gives others in training mode or with gradients "
                "on", hint="What would dropout do to the samples, and what does a graph cost?")  # fmt: skip
        leaves_gradients_on(ctx, "sample_codes")
        leaves_gradients_off(ctx, SAMPLE, model, 2, 2, 3)
