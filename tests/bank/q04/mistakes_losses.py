"""Question 4: the reference with one bug: losses."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"

MSE = "    return (x_recon - x).square().sum() / len(x)\n"

BCE = '    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)\n'

LOGITS = '    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)\n'

CHECK_MSE = f'    _check_same_shape("x_recon", x_recon, x)\n{MSE}'

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q4-mse-mean",
        Q,
        M,
        "mean over all elements",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).square().mean()\n"),),
    ),
    Mistake(
        "q4-mse-sum",
        Q,
        M,
        "summed over the batch",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).square().sum()\n"),),
    ),
    Mistake(
        "q4-mse-norm",
        Q,
        M,
        "the norm instead of its square",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return (x_recon - x).flatten(1).norm(dim=1).mean()\n"),),
    ),
    Mistake(
        "q4-mse-root-then-square",
        Q,
        M,
        "a root is taken and squared again: the gradient is NaN at an exact reconstruction",
        fails=("q4.losses.gradients",),
        edits=(
            (
                MSE,
                """    distance = torch.sqrt(((x_recon - x) ** 2).reshape(len(x), -1).sum(1))
    return (distance**2).mean()
""",
            ),
        ),
    ),
    Mistake(
        "q4-mse-absolute",
        Q,
        M,
        "absolute error",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).abs().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-half",
        Q,
        M,
        "a factor of one half",
        fails=("q4.mse.value",),
        edits=((MSE, "    return 0.5 * (x_recon - x).square().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-in-place",
        Q,
        M,
        "subtracts in place",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return x_recon.sub_(x).square().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-broadcasts",
        Q,
        M,
        "no look at the shapes: (B, 1) against (B,) broadcasts",
        fails=("q4.losses.shapes",),
        edits=((CHECK_MSE, MSE),),
    ),
    Mistake(
        "q4-mse-compares-counts",
        Q,
        M,
        "compares the numbers of elements, flattens and goes on",
        fails=("q4.losses.shapes",),
        append="""def mse_loss(x_recon, x):
    if x_recon.numel() != x.numel():
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ")
    return (x_recon.flatten() - x.flatten()).square().sum() / len(x)
""",
    ),
    Mistake(
        "q4-mse-assert",
        Q,
        M,
        "an assertion instead of a ValueError",
        fails=("q4.losses.shapes",),
        append="""def mse_loss(x_recon, x):
    assert x_recon.shape == x.shape
    return (x_recon - x).square().sum() / len(x)
""",
    ),
    Mistake(
        "q4-mse-detached",
        Q,
        M,
        "returns a number without a graph",
        fails=("q4.losses.gradients",),
        edits=((MSE, MSE.replace("(x_recon - x)", "(x_recon - x).detach()")),),
    ),
    Mistake(
        "q4-bce-mean",
        Q,
        M,
        "the default reduction, mean over elements",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=((BCE, "    return nn.functional.binary_cross_entropy(x_recon, x)\n"),),
    ),
    Mistake(
        "q4-bce-arguments-swapped",
        Q,
        M,
        "the target inside the logarithm",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges", "q4.losses.gradients"),
        edits=((BCE, BCE.replace("(x_recon, x,", "(x, x_recon,")),),
    ),
    Mistake(
        "q4-bce-bits",
        Q,
        M,
        "base 2",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("len(x)", "len(x) / math.log(2)")),),
    ),
    Mistake(
        "q4-bce-half",
        Q,
        M,
        "without the term of the dark pixels",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges", "q4.losses.gradients"),
        edits=((BCE, "    return -(x * x_recon.clamp(1e-7).log()).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-takes-logits",
        Q,
        M,
        "applies a sigmoid to probabilities",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("binary_cross_entropy(", "binary_cross_entropy_with_logits(")),),
    ),
    Mistake(
        "q4-bce-binarizes",
        Q,
        M,
        "rounds grey targets",
        fails=("q4.bce.value",),
        may_fail=("q4.losses.gradients", "q4.bce.edges"),
        edits=((BCE, BCE.replace("(x_recon, x,", "(x_recon, x.round(),")),),
    ),
    Mistake(
        "q4-bce-log-zero",
        Q,
        M,
        "no guard: NaN at 0 and 1",
        fails=("q4.bce.edges",),
        edits=((BCE, "    return -(x * x_recon.log() + (1 - x) * (1 - x_recon).log()).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-guard-vanishes",
        Q,
        M,
        "a guard of 1e-12, which 1 - 1e-12 does not survive in float32",
        fails=("q4.bce.edges",),
        edits=(
            (
                BCE,
                """    p = x_recon.clamp(1e-12, 1 - 1e-12)
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
""",
            ),
        ),
    ),
    Mistake(
        "q4-bce-nan-to-num",
        Q,
        M,
        "hides the NaN of the value, not that of the gradient",
        fails=("q4.bce.edges",),
        edits=(
            (
                BCE,
                """    terms = x * x_recon.log().clamp(min=-100) + (1 - x) * (1 - x_recon).log().clamp(min=-100)
    return -terms.sum() / len(x)
""",
            ),
        ),
    ),
    Mistake(
        "q4-bce-clamps-in-place",
        Q,
        M,
        "clamps the reconstruction in place",
        fails=("q4.bce.edges",),
        append="""def bce_loss(x_recon, x):
    _check_same_shape("x_recon", x_recon, x)
    with torch.no_grad():
        x_recon.clamp_(1e-6, 1 - 1e-6)
    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)
""",
    ),
    Mistake(
        "q4-logits-mean",
        Q,
        M,
        "the default reduction",
        fails=("q4.logits.value",),
        may_fail=("q4.logits.edges",),
        edits=((LOGITS, "    return nn.functional.binary_cross_entropy_with_logits(logits, x)\n"),),
    ),
    Mistake(
        "q4-logits-naive",
        Q,
        M,
        "sigmoid, then logarithms",
        fails=("q4.logits.edges",),
        edits=(
            (
                LOGITS,
                """    p = torch.sigmoid(logits)
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
""",
            ),
        ),
    ),
    Mistake(
        "q4-logits-through-probabilities",
        Q,
        M,
        "sigmoid, then the guarded loss: finite, but 100 for 1000 and no gradient",
        fails=("q4.logits.edges",),
        edits=((LOGITS, "    return bce_loss(torch.sigmoid(logits), x)\n"),),
    ),
    Mistake(
        "q4-logits-exp-overflow",
        Q,
        M,
        "log(1 + exp(l)) overflows",
        fails=("q4.logits.edges",),
        edits=((LOGITS, "    return (torch.log1p(torch.exp(logits)) - x * logits).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-logits-sign",
        Q,
        M,
        "the target's sign is lost",
        fails=("q4.logits.value",),
        may_fail=("q4.logits.edges",),
        edits=((LOGITS, "    return (nn.functional.softplus(logits) + x * logits).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-sum-over-channels",
        Q,
        M,
        "summed over dimension 1, averaged over all others",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).square().sum(1).mean()\n"),),
    ),
    Mistake(
        "q4-mse-errors-cancel",
        Q,
        M,
        "errors are summed before they are squared",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return (x_recon - x).flatten(1).sum(1).square().mean()\n"),),
    ),
    Mistake(
        "q4-mse-root",
        Q,
        M,
        "the root of the mean squared error",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return (x_recon - x).square().mean().sqrt()\n"),),
    ),
    Mistake(
        "q4-bce-only-dark",
        Q,
        M,
        "without the term of the bright pixels",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges", "q4.losses.gradients"),
        edits=((BCE, "    return -((1 - x) * (1 - x_recon).clamp(1e-7).log()).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-sign",
        Q,
        M,
        "the minus sign is missing",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("return nn", "return -nn")),),
    ),
    Mistake(
        "q4-bce-excess",
        Q,
        M,
        "less the entropy of the target: 0 for a perfect grey image",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=(
            (
                BCE,
                BCE.replace(
                    "len(x)\n", "len(x) - nn.functional.binary_cross_entropy(x, x, reduction='sum') / len(x)\n"
                ),
            ),
        ),
    ),
    Mistake(
        "q4-bce-large-guard",
        Q,
        M,
        "a guard of 1e-3 in the logarithms",
        fails=("q4.bce.value",),
        may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("(x_recon, x,", "(x_recon.clamp(1e-3, 0.999) * 0.998 + 1e-3, x,")),),
    ),
    Mistake(
        "q4-logits-taken-for-probabilities",
        Q,
        M,
        "no sigmoid: logits are clamped to [0, 1]",
        fails=("q4.logits.value",),
        may_fail=("q4.logits.edges", "q4.losses.gradients"),
        edits=((LOGITS, "    return bce_loss(logits.clamp(1e-7, 1 - 1e-7), x)\n"),),
    ),
    Mistake(
        "q4-logits-sigmoid-twice",
        Q,
        M,
        "a sigmoid before the function that applies one",
        fails=("q4.logits.value",),
        may_fail=("q4.logits.edges",),
        edits=((LOGITS, LOGITS.replace("(logits, x,", "(torch.sigmoid(logits), x,")),),
    ),
    Mistake(
        "q4-logits-no-target",
        Q,
        M,
        "softplus of the logits, whatever the target is",
        fails=("q4.logits.value",),
        may_fail=("q4.logits.edges",),
        edits=((LOGITS, "    return nn.functional.softplus(logits).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-through-cpu",
        Q,
        M,
        "a guard that is a tensor on the CPU",
        fails=("q4.losses.gradients",),
        edits=(
            (BCE, BCE.replace("(x_recon, x,", "(torch.maximum(x_recon, torch.full((1,), 1e-12, dtype=x.dtype)), x,")),
        ),
    ),
    Mistake(
        "q4-mse-clamped",
        Q,
        M,
        "the reconstruction is cut off at 0 and 1 first",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, MSE.replace("(x_recon - x)", "(x_recon.clamp(0, 1) - x)")),),
    ),
    Mistake(
        "q4-mse-times-784",
        Q,
        M,
        "the mean, times the pixels of a 28x28 image whatever the size",
        fails=("q4.mse.value",),
        edits=((MSE, "    return 784 * (x_recon - x).square().mean()\n"),),
    ),
    Mistake(
        "q4-mse-per-image",
        Q,
        M,
        "one number for each image",
        fails=("q4.mse.value",),
        may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return (x_recon - x).square().flatten(1).sum(1)\n"),),
    ),
)
