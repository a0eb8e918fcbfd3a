"""Question 4: the reference with one bug: sparsity."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"

RATES = "    mean = activations.mean(0).clamp(eps, 1 - eps)  # keeps both logarithms finite\n"

MISTAKES: tuple[Mistake, ...] = (
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
        fails=("q4.losses.gradients",),
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
    Mistake(
        "q4-l1-euclidean",
        Q,
        M,
        "the Euclidean length",
        fails=("q4.l1.value",),
        may_fail=("q4.losses.gradients",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.norm(dim=1).mean()\n"),),
    ),
    Mistake(
        "q4-l1-squares",
        Q,
        M,
        "L2",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.square().sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-l1-positive-only",
        Q,
        M,
        "negative entries are free",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.relu().sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-kl-mean-over-all",
        Q,
        M,
        "one mean activation over all units",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.mean().reshape(1)")),),
    ),
    Mistake(
        "q4-kl-rho-ignored",
        Q,
        M,
        "always 0.05",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=(("    mean = activations.mean(0)", "    rho = 0.05\n    mean = activations.mean(0)"),),
    ),
    Mistake(
        "q4-kl-default-rho",
        Q,
        M,
        "another rate where none is given",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=(
            (
                "def kl_sparsity(activations: Tensor, rho: float = 0.05)",
                "def kl_sparsity(activations: Tensor, rho: float = 0.1)",
            ),
        ),
    ),
    Mistake(
        "q4-kl-sigmoid-inside",
        Q,
        M,
        "puts the activations through a sigmoid once more",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges", "q4.losses.gradients"),
        edits=((RATES, RATES.replace("activations.mean(0)", "torch.sigmoid(activations).mean(0)")),),
    ),
    Mistake(
        "q4-kl-batch-size",
        Q,
        M,
        "divided by the batch size at the end",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=(
            (
                "    return cross_entropy - len(mean) * entropy\n",
                "    return (cross_entropy - len(mean) * entropy) / len(activations)\n",
            ),
        ),
    ),
    Mistake(
        "q4-kl-outer-half",
        Q,
        M,
        "without the term of rho itself",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges", "q4.losses.gradients"),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    return ((1 - rho) * torch.log((1 - rho) / (1 - activations.mean(0)).clamp(1e-6, 1))).sum()
""",
    ),
    Mistake(
        "q4-kl-rho-on-cpu",
        Q,
        M,
        "a tensor of rho that lies on the CPU",
        fails=("q4.losses.gradients",),
        edits=(
            (
                "-(rho * mean.log() + (1 - rho)",
                "-(torch.full((len(mean),), rho, dtype=mean.dtype) * mean.log() + (1 - rho)",
            ),
        ),
    ),
    Mistake(
        "q4-kl-mean-of-squares",
        Q,
        M,
        "the rate is the mean of the squared activations",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges",),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.square().mean(0)")),),
    ),
    Mistake(
        "q4-kl-plain-number",
        Q,
        M,
        "returns a Python float",
        fails=("q4.kl.value",),
        may_fail=("q4.kl.edges", "q4.losses.gradients"),
        edits=(
            (
                "    return cross_entropy - len(mean) * entropy\n",
                "    return float(cross_entropy - len(mean) * entropy)\n",
            ),
        ),
    ),
)
