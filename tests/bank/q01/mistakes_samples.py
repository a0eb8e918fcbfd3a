"""Question 1, samples: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 1, "gaussians"


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q1-sample-cov-as-factor",
        Q,
        M,
        "multiplies with cov instead of its root",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps @ cov"),),
    ),
    Mistake(
        "q1-sample-wrong-side",
        Q,
        M,
        "L on the wrong side: L^T L instead of L L^T",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps @ factor"),),
    ),
    Mistake(
        "q1-sample-diagonal",
        Q,
        M,
        "no correlations",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps * cov.diagonal().sqrt()"),),
    ),
    Mistake(
        "q1-sample-uniform",
        Q,
        M,
        "uniform noise of variance 1: right moments, wrong distribution",
        fails=("q1.sample.moments",),
        edits=(
            (
                "    eps = torch.randn(num_samples, len(mu), generator=generator, device=mu.device, dtype=mu.dtype)",
                "    eps = math.sqrt(12) * (torch.rand(num_samples, len(mu), generator=generator).to(mu) - 0.5)",
            ),
        ),
    ),
    Mistake(
        "q1-sample-generator-ignored",
        Q,
        M,
        "draws from the global stream",
        fails=("q1.sample.generator",),
        edits=(("len(mu), generator=generator, device", "len(mu), device"),),
    ),
    Mistake(
        "q1-sample-reseeded",
        Q,
        M,
        "reseeds inside: every call gives the same samples",
        fails=("q1.sample.generator",),
        edits=(
            (
                "    eps = torch.randn(num_samples, len(mu), generator=generator, device=mu.device, dtype=mu.dtype)",
                "    seed = generator.initial_seed() if generator is not None else 0\n"
                "    generator = torch.Generator().manual_seed(seed)\n"
                "    eps = torch.randn(num_samples, len(mu), generator=generator, dtype=mu.dtype)",
            ),
        ),
    ),
    Mistake(
        "q1-sample-float32",
        Q,
        M,
        "samples are float32 whatever mu is",
        fails=("q1.sample.generator",),
        edits=(("    return mu + eps @ factor.mT", "    return (mu + eps @ factor.mT).float()"),),
    ),
    Mistake(
        "q1-sample-antithetic",
        Q,
        M,
        "every draw comes with its mirror image",
        fails=("q1.sample.moments",),
        edits=(
            ("torch.randn(num_samples, len(mu), gen", "torch.randn((num_samples + 1) // 2, len(mu), gen"),
            ("    return mu + eps @ factor.mT", "    return mu + torch.cat([eps, -eps])[:num_samples] @ factor.mT"),
        ),
    ),
    Mistake(
        "q1-sample-stratified",
        Q,
        M,
        "one draw of each coordinate in each of n strata: the mean of a call hardly varies",
        fails=("q1.sample.moments",),
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    factor = _cholesky(cov)
    strata = torch.stack([torch.randperm(num_samples, generator=generator) for _ in mu], 1)
    share = (strata.to(mu) + torch.rand(num_samples, len(mu), generator=generator).to(mu)) / num_samples
    return mu + torch.special.ndtri(share) @ factor.mT
""",
    ),
    Mistake(
        "q1-sample-unit-spread",
        Q,
        M,
        "divides the noise by its own standard deviation: right for many draws, not for few",
        fails=("q1.sample.moments",),
        edits=(
            (
                "    return mu + eps @ factor.mT",
                "    return mu + eps / (eps.std(0) if num_samples > 1 else 1) @ factor.mT",
            ),
        ),
    ),
    Mistake(
        "q1-sample-drawn-on-cpu",
        Q,
        M,
        "the noise is drawn on the CPU whatever the device",
        fails=("q1.sample.generator",),
        edits=(("generator=generator, device=mu.device, dtype=mu.dtype)", "generator=generator, dtype=mu.dtype)"),),
    ),
    Mistake(
        "q1-sample-no-mean",
        Q,
        M,
        "the mean is forgotten",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return eps @ factor.mT"),),
    ),
    Mistake(
        "q1-sample-shared-noise",
        Q,
        M,
        "one number of noise for all coordinates",
        fails=("q1.sample.moments",),
        edits=(
            ("torch.randn(num_samples, len(mu), gen", "torch.randn(num_samples, 1, gen"),
            ("    return mu + eps @ factor.mT", "    return mu + eps.expand(-1, len(mu)) @ factor.mT"),
        ),
    ),
    Mistake(
        "q1-sample-variance-as-deviation",
        Q,
        M,
        "multiplies with variances, and nothing correlates",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps * cov.diagonal()"),),
    ),
    Mistake(
        "q1-sample-one-row",
        Q,
        M,
        "one sample, repeated",
        fails=("q1.sample.moments",),
        may_fail=("q1.sample.generator",),
        edits=(
            ("torch.randn(num_samples, len(mu), gen", "torch.randn(1, len(mu), gen"),
            ("    return mu + eps @ factor.mT", "    return (mu + eps @ factor.mT).repeat(num_samples, 1)"),
        ),
    ),
    Mistake(
        "q1-sample-transposed",
        Q,
        M,
        "one draw per column",
        fails=("q1.sample.moments",),
        may_fail=("q1.sample.generator",),
        edits=(("    return mu + eps @ factor.mT", "    return (mu + eps @ factor.mT).mT"),),
    ),
)
