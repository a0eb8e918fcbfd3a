"""Question 1, discrete variables: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 1, "gaussians"


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q1-expectation-alone",
        Q,
        M,
        "the mean of x p where the sum belongs; the variance is written out and right",
        fails=("q1.pmf.expectation",),
        append="""def pmf_expectation(values, probs):
    _check_pmf("probs", probs, probs.sum(-1))
    return (values * probs).mean(-1)
def pmf_variance(values, probs):
    _check_pmf("probs", probs, probs.sum(-1))
    centred = values - (values * probs).sum(-1, keepdim=True)
    return (centred**2 * probs).sum(-1)
""",
    ),
    Mistake(
        "q1-expectation-unweighted",
        Q,
        M,
        "the mean of the values, whatever their probabilities",
        fails=("q1.pmf.expectation",),
        may_fail=("q1.pmf.variance",),
        edits=(("    return (probs * values).sum(-1)\n", "    return values.mean() + 0 * probs.sum(-1)\n"),),
    ),
    Mistake(
        "q1-expectation-summed-over-batch",
        Q,
        M,
        "sums over all axes: one number for a batch of pmfs",
        fails=("q1.pmf.expectation",),
        may_fail=("q1.pmf.variance", "q1.pmf.errors"),
        edits=(("    return (probs * values).sum(-1)\n", "    return (probs * values).sum()\n"),),
    ),
    Mistake(
        "q1-variance-cancels",
        Q,
        M,
        "E[X^2] - E[X]^2 comes out negative by rounding",
        fails=("q1.pmf.variance",),
        append="""def pmf_variance(values, probs):
    mean = pmf_expectation(values, probs)
    return pmf_expectation(values**2, probs) - mean**2
""",
    ),
    Mistake(
        "q1-variance-standard-deviation",
        Q,
        M,
        "returns the square root",
        fails=("q1.pmf.variance",),
        edits=(("(probs * deviation.square()).sum(-1)", "(probs * deviation.square()).sum(-1).sqrt()"),),
    ),
    Mistake(
        "q1-variance-unweighted",
        Q,
        M,
        "averages the squared distances without the probabilities",
        fails=("q1.pmf.variance",),
        edits=(("    return (probs * deviation.square()).sum(-1)", "    return deviation.square().mean(-1)"),),
    ),
    Mistake(
        "q1-pmf-negative-accepted",
        Q,
        M,
        "looks at the sum only",
        fails=("q1.pmf.errors",),
        may_fail=("q1.chain.rare",),
        edits=(("    if not (probs >= 0).all():", "    if False:"),),
    ),
    Mistake(
        "q1-pmf-sum-accepted",
        Q,
        M,
        "looks at the signs only",
        fails=("q1.pmf.errors",),
        may_fail=("q1.chain.rare",),
        edits=(("    if not ((total - 1).abs() <= _PMF_TOLERANCE).all():", "    if False:"),),
    ),
    Mistake(
        "q1-pmf-sum-exact",
        Q,
        M,
        "demands a sum of exactly 1",
        fails=("q1.pmf.errors",),
        may_fail=(
            "q1.pmf.expectation",
            "q1.pmf.variance",
            "q1.chain.value",
            "q1.chain.rare",
            "q1.inputs",
            "q1.gradients",
        ),
        edits=(("_PMF_TOLERANCE = 1e-5 ", "_PMF_TOLERANCE = 0 "),),
    ),
    Mistake(
        "q1-pmf-average-sum",
        Q,
        M,
        "one test for the average sum of all rows",
        fails=("q1.pmf.errors",),
        edits=(("probs, probs.sum(-1))", "probs, probs.sum(-1).mean())"),),
    ),
    Mistake(
        "q1-chain-joint-marginals",
        Q,
        M,
        "marginals without the division",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    return [joint.sum(tuple(range(i + 1, joint.ndim))) if i + 1 < joint.ndim else joint for i in range(joint.ndim)]
""",
    ),
    Mistake(
        "q1-chain-wrong-axis",
        Q,
        M,
        "normalises over the first axis, not over the last",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    marginals = [joint.sum(tuple(range(i + 1, joint.ndim))) if i + 1 < joint.ndim else joint for i in range(joint.ndim)]
    return [m / torch.where(m.sum(0) > 0, m.sum(0), 1) for m in marginals]
""",
    ),
    Mistake(
        "q1-chain-reversed",
        Q,
        M,
        "factorises from the last variable to the first",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""_right_chain_rule = chain_rule
def chain_rule(joint):
    return [t.permute(*reversed(range(t.ndim))) for t in _right_chain_rule(joint.permute(*reversed(range(joint.ndim))))]
""",
    ),
    Mistake(
        "q1-chain-nan",
        Q,
        M,
        "0 / 0 where a condition is impossible",
        fails=("q1.chain.rare",),
        may_fail=("q1.inputs",),
        edits=(("torch.where(condition > 0, condition, 1).unsq", "condition.unsq"),),
    ),
    Mistake(
        "q1-chain-epsilon",
        Q,
        M,
        "an epsilon in the denominator swamps rare conditions",
        fails=("q1.chain.rare",),
        edits=(("torch.where(condition > 0, condition, 1).unsq", "(condition + 1e-12).unsq"),),
    ),
    Mistake(
        "q1-chain-unchecked",
        Q,
        M,
        "a joint that is no pmf passes",
        fails=("q1.pmf.errors",),
        edits=(('    _check_pmf("joint", joint, joint.sum())\n', ""),),
    ),
    Mistake(
        "q1-chain-in-place",
        Q,
        M,
        "zero probabilities are overwritten in the caller's joint",
        fails=("q1.chain.rare", "q1.inputs"),
        edits=(("    marginals = [joint]\n", "    joint[joint == 0] = 1e-300\n    marginals = [joint]\n"),),
    ),
    Mistake(
        "q1-pmf-sum-machine-epsilon",
        Q,
        M,
        "forgives one unit in the last place: a float32 softmax over many values is refused",
        fails=("q1.pmf.errors",),
        may_fail=("q1.pmf.expectation", "q1.pmf.variance", "q1.chain.value", "q1.chain.rare", "q1.gradients"),
        edits=(("(total - 1).abs() <= _PMF_TOLERANCE)", "(total - 1).abs() <= torch.finfo(probs.dtype).eps)"),),
    ),
    Mistake(
        "q1-variance-centres-in-place",
        Q,
        M,
        "values -= mean where probs is one pmf: the caller's values are shifted",
        fails=("q1.inputs",),
        edits=(
            (
                "    deviation = values - pmf_expectation(values, probs).unsqueeze(-1)\n",
                "    mean = pmf_expectation(values, probs).unsqueeze(-1)\n"
                "    deviation = values.sub_(mean) if probs.ndim == 1 else values - mean\n",
            ),
        ),
    ),
    Mistake(
        "q1-pmf-small-negatives",
        Q,
        M,
        "what is forgiven a sum is forgiven a sign, too: -0.005 passes",
        fails=("q1.pmf.errors",),
        edits=(("    if not (probs >= 0).all():", "    if not (probs > -0.01).all():"),),
    ),
    Mistake(
        "q1-pmf-tolerance-grows",
        Q,
        M,
        "the tolerance grows with the number of entries, over the whole batch",
        fails=("q1.pmf.errors",),
        edits=(("(total - 1).abs() <= _PMF_TOLERANCE)", "(total - 1).abs() <= 1e-4 * max(probs.numel(), 10))"),),
    ),
    Mistake(
        "q1-chain-normalises-in-place",
        Q,
        M,
        "divides the rounding of the sum away in the caller's joint",
        fails=("q1.inputs",),
        edits=(
            (
                '    _check_pmf("joint", joint, joint.sum())\n',
                '    _check_pmf("joint", joint, joint.sum())\n    joint /= joint.sum()\n',
            ),
        ),
    ),
    Mistake(
        "q1-expectation-normalises-in-place",
        Q,
        M,
        "divides the rounding of the sums away in the caller's probs",
        fails=("q1.inputs",),
        edits=(
            (
                "    return (probs * values).sum(-1)\n",
                "    probs /= probs.sum(-1, keepdim=True)\n    return (probs * values).sum(-1)\n",
            ),
        ),
    ),
    Mistake(
        "q1-variance-sample-correction",
        Q,
        M,
        "K / (K - 1), as for a sample",
        fails=("q1.pmf.variance",),
        edits=(
            (
                "    return (probs * deviation.square()).sum(-1)",
                "    return (probs * deviation.square()).sum(-1) * (len(values) / max(len(values) - 1, 1))",
            ),
        ),
    ),
    Mistake(
        "q1-variance-about-zero",
        Q,
        M,
        "E[X^2]: the mean is forgotten",
        fails=("q1.pmf.variance",),
        edits=(
            (
                "    return (probs * deviation.square()).sum(-1)",
                "    return (probs * values.square()).sum(-1) + 0 * deviation.sum(-1)",
            ),
        ),
    ),
    Mistake(
        "q1-variance-absolute-distance",
        Q,
        M,
        "the expected distance, not squared",
        fails=("q1.pmf.variance",),
        edits=(("    return (probs * deviation.square()).sum(-1)", "    return (probs * deviation.abs()).sum(-1)"),),
    ),
    Mistake(
        "q1-expectation-mode",
        Q,
        M,
        "the most likely value",
        fails=("q1.pmf.expectation",),
        may_fail=("q1.gradients",),
        edits=(("    return (probs * values).sum(-1)\n", "    return values[probs.argmax(-1)]\n"),),
    ),
    Mistake(
        "q1-chain-own-marginals",
        Q,
        M,
        "the distribution of each variable, whatever the others are",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    n = joint.ndim
    alone = [joint.sum(tuple(j for j in range(n) if j != i)) if n > 1 else joint for i in range(n)]
    return [p.expand(joint.shape[: i + 1]) for i, p in enumerate(alone)]
""",
    ),
    Mistake(
        "q1-chain-squeezed",
        Q,
        M,
        "drops axes of variables that have one value",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare", "q1.inputs"),
        append="""_right_chain_rule = chain_rule
def chain_rule(joint):
    return [table.squeeze() for table in _right_chain_rule(joint)]
""",
    ),
    Mistake(
        "q1-chain-ones-on-cpu",
        Q,
        M,
        "what stands for impossible conditions lies on the CPU",
        fails=("q1.inputs",),
        edits=(
            (
                "torch.where(condition > 0, condition, 1).unsq",
                "torch.where(condition > 0, condition, torch.ones(condition.shape, dtype=joint.dtype)).unsq",
            ),
        ),
    ),
    Mistake(
        "q1-chain-uniform-if-impossible",
        Q,
        M,
        "what cannot happen is followed by anything with equal probability",
        fails=("q1.chain.rare",),
        append="""_right_chain_rule = chain_rule
def chain_rule(joint):
    tables = _right_chain_rule(joint)
    return [torch.where(t.sum(-1, keepdim=True) > 0, t, 1 / t.shape[-1]) for t in tables]
""",
    ),
)
