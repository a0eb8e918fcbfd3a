"""Question 4: the reference with one bug: concat_skip and output sizes, losses, sparsity."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"


# where a model is not constructed or shaped as asked, what builds on it is skipped
MODELS = ("q4.models.gradients", "q4.models.pure")


ON_UNET = ("q4.unet.range", "q4.unet.influence", "q4.unet.join", "q4.trained.unet", *MODELS)


MSE = "    return (x_recon - x).square().sum() / len(x)\n"


BCE = '    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)\n'


LOGITS = '    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)\n'


RATES = "    mean = activations.mean(0).clamp(eps, 1 - eps)  # keeps both logarithms finite\n"


CHECK_MSE = f'    _check_same_shape("x_recon", x_recon, x)\n{MSE}'


MISTAKES: tuple[Mistake, ...] = (
    # ---- concat_skip and output sizes
    Mistake(
        "q4-concat-order",
        Q,
        M,
        "skip first",
        fails=("q4.concat-skip.value",),
        may_fail=("q4.concat-skip.errors",),
        edits=(
            ("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([skip, upsampled], dim=1)\n"),
        ),
    ),
    Mistake(
        "q4-concat-along-rows",
        Q,
        M,
        "concatenates along the height",
        fails=("q4.concat-skip.value", "q4.unet.shapes"),
        may_fail=("q4.concat-skip.errors", *ON_UNET),
        edits=(
            ("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([upsampled, skip], dim=2)\n"),
        ),
    ),
    Mistake(
        "q4-concat-no-check",
        Q,
        M,
        "leaves the error to torch.cat",
        fails=("q4.concat-skip.errors", "q4.unet.join"),
        append="def concat_skip(upsampled, skip):\n    return torch.cat([upsampled, skip], dim=1)\n",
    ),
    Mistake(
        "q4-concat-batch-unchecked",
        Q,
        M,
        "compares height and width only, and lets a batch of one broadcast",
        fails=("q4.concat-skip.errors", "q4.unet.join"),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[2:] != skip.shape[2:]:
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled, skip.expand(len(upsampled), -1, -1, -1)], dim=1)
""",
    ),
    Mistake(
        "q4-concat-crops",
        Q,
        M,
        "cuts the larger of the two instead of refusing",
        fails=("q4.concat-skip.errors",),
        may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    h, w = min(upsampled.shape[2], skip.shape[2]), min(upsampled.shape[3], skip.shape[3])
    if len(upsampled) != len(skip):
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled[:, :, :h, :w], skip[:, :, :h, :w]], dim=1)
""",
    ),
    Mistake(
        "q4-concat-silent-message",
        Q,
        M,
        "the message names no shape",
        fails=("q4.concat-skip.errors",),
        may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[:1] + upsampled.shape[2:] != skip.shape[:1] + skip.shape[2:]:
        raise ValueError("upsampled and skip do not fit")
    return torch.cat([upsampled, skip], dim=1)
""",
    ),
    Mistake(
        "q4-size-true-division",
        Q,
        M,
        "true division: 13.5 pixels",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + 2 * padding - extent) / stride + 1"),),
    ),
    Mistake(
        "q4-size-truncated",
        Q,
        M,
        "int() rounds towards zero: a kernel that does not fit once is said to fit",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "int((size + 2 * padding - extent) / stride) + 1"),),
    ),
    Mistake(
        "q4-size-rounded",
        Q,
        M,
        "rounds half a step up",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "-(-(size + 2 * padding - extent) // stride) + 1"),),
    ),
    Mistake(
        "q4-size-padding-once",
        Q,
        M,
        "padding on one side only",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + padding - extent) // stride + 1"),),
    ),
    Mistake(
        "q4-size-no-dilation",
        Q,
        M,
        "dilation times kernel instead of the taps' distance",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * kernel_size) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-nothing-left",
        Q,
        M,
        "a size of 0 is returned",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    return max((size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1, 0)
""",
    ),
    Mistake(
        "q4-size-arguments-unchecked",
        Q,
        M,
        "looks at the result only: a negative padding passes",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-zero-division",
        Q,
        M,
        "a stride of 0 ends in a ZeroDivisionError",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-transpose-no-output-padding",
        Q,
        M,
        "output_padding is forgotten: 13 for 14",
        fails=("q4.sizes.transpose",),
        edits=(("- 2 * padding + extent + output_padding\n", "- 2 * padding + extent\n"),),
    ),
    Mistake(
        "q4-transpose-tested-early",
        Q,
        M,
        "looks for a size below 1 before output_padding is added",
        fails=("q4.sizes.transpose",),
        edits=(
            (
                """- 2 * padding + extent + output_padding
    _check_at_least(1, output_size=output_size)
    return output_size
""",
                """- 2 * padding + extent
    _check_at_least(1, output_size=output_size)
    return output_size + output_padding
""",
            ),
        ),
    ),
    Mistake(
        "q4-transpose-size-times-stride",
        Q,
        M,
        "size times stride instead of the distance of the last input",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "size * stride - 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-padding-added",
        Q,
        M,
        "padding makes the output larger",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "(size - 1) * stride + 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-negative-output-padding",
        Q,
        M,
        "a negative output_padding passes",
        fails=("q4.sizes.errors",),
        edits=(
            (
                "_check_at_least(0, padding=padding, output_padding=output_padding)",
                "_check_at_least(0, padding=padding)",
            ),
        ),
    ),
    # ---- losses
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
    # ---- sparsity
    Mistake(
        "q4-l1-signed",
        Q,
        M,
        "mean of z: a negative penalty",
        fails=("q4.l1.value",),
        may_fail=("q4.losses.gradients",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-l1-mean",
        Q,
        M,
        "averaged over the code as well",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.abs().mean()\n"),),
    ),
    Mistake(
        "q4-l1-sum",
        Q,
        M,
        "summed over the batch",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.abs().sum()\n"),),
    ),
    Mistake(
        "q4-l1-root-of-square",
        Q,
        M,
        "the absolute value as a root: the gradient is NaN for a code that is 0",
        fails=("q4.losses.gradients",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.square().sqrt().sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-l1-mean-first",
        Q,
        M,
        "absolute value of the batch mean: signs cancel",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.mean(0).abs().sum()\n"),),
    ),
    Mistake(
        "q4-kl-reversed",
        Q,
        M,
        "KL of the unit's rate to rho",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    r = activations.mean(0).clamp(1e-7, 1 - 1e-7)
    return (r * torch.log(r / rho) + (1 - r) * torch.log((1 - r) / (1 - rho))).sum()
""",
    ),
    Mistake(
        "q4-kl-counted",
        Q,
        M,
        "the rate is the share of positive activations, through which no gradient goes",
        fails=("q4.kl.value",),
        may_fail=("q4.losses.gradients", "q4.kl.edges"),
        edits=((RATES, RATES.replace("activations.mean(0)", "(activations > 0).to(activations.dtype).mean(0)")),),
    ),
    Mistake(
        "q4-kl-detached-rate",
        Q,
        M,
        "the rate is detached",
        fails=("q4.losses.gradients", "q4.kl.edges"),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.detach().mean(0)")),),
    ),
    Mistake(
        "q4-kl-mean-over-units",
        Q,
        M,
        "averaged over units",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=(
            ("    return cross_entropy - len(mean) * entropy\n", "    return cross_entropy / len(mean) - entropy\n"),
        ),
    ),
    Mistake(
        "q4-kl-mean-over-code",
        Q,
        M,
        "the mean runs over the code, not over the batch",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.mean(1)")),),
    ),
    Mistake(
        "q4-kl-per-example",
        Q,
        M,
        "the divergence of every activation, then the mean over the batch",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    r = activations.clamp(1e-6, 1 - 1e-6)
    return (rho * torch.log(rho / r) + (1 - rho) * torch.log((1 - rho) / (1 - r))).sum(1).mean()
""",
    ),
    Mistake(
        "q4-kl-half",
        Q,
        M,
        "without the term of the inactive share",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges", "q4.losses.gradients"),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    return (rho * torch.log(rho / activations.mean(0).clamp(1e-6, 1))).sum()
""",
    ),
    Mistake(
        "q4-kl-cross-entropy",
        Q,
        M,
        "cross-entropy instead of divergence: not 0 at the target rate",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=(("    return cross_entropy - len(mean) * entropy\n", "    return cross_entropy\n"),),
    ),
    Mistake(
        "q4-kl-log-zero",
        Q,
        M,
        "no guard: infinite when a unit never fires",
        fails=("q4.kl.edges",),
        edits=((RATES, "    mean = activations.mean(0)\n"),),
    ),
    Mistake(
        "q4-kl-guard-vanishes",
        Q,
        M,
        "a guard of 1e-8, which 1 - 1e-8 does not survive in float32",
        fails=("q4.kl.edges",),
        edits=((RATES, "    mean = activations.mean(0).clamp(1e-8, 1 - 1e-8)\n"),),
    ),
    Mistake(
        "q4-kl-rho-unchecked",
        Q,
        M,
        "rho of 0 and 1 pass",
        fails=("q4.kl.errors",),
        edits=(
            ("    if not 0 < rho < 1:\n", "    if not 0 <= rho <= 1:\n"),
            (
                "    entropy = -(rho * math.log(rho) + (1 - rho) * math.log1p(-rho))\n",
                "    entropy = -(rho * math.log(max(rho, 1e-9)) + (1 - rho) * math.log(max(1 - rho, 1e-9)))\n",
            ),
        ),
    ),
    Mistake(
        "q4-kl-nan-rho",
        Q,
        M,
        "the test lets NaN through",
        fails=("q4.kl.errors",),
        edits=(("    if not 0 < rho < 1:\n", "    if rho <= 0 or rho >= 1:\n"),),
    ),
)
