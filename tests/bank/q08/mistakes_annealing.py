"""Question 8: the reference with one bug: kl_annealing."""

from __future__ import annotations

from .. import Mistake

SCHEDULE = "return float(beta_max) if step >= warmup_steps else beta_max * step / warmup_steps"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-annealing-unbounded",
        8,
        "vae",
        "the weight goes on rising",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * step / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-restarts",
        8,
        "vae",
        "the weight restarts after the warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * (step % warmup_steps) / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-off-by-one",
        8,
        "vae",
        "starts above 0",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1.0, (step + 1) / warmup_steps) if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-stops-at-one",
        8,
        "vae",
        "caps at 1 in place of beta_max",
        ("q8.annealing",),
        ((SCHEDULE, "return min(1.0, beta_max * step / warmup_steps) if warmup_steps else 1.0"),),
        may_fail=("q8.annealing.edges",),
    ),
    Mistake(
        "q08-annealing-no-warmup",
        8,
        "vae",
        "divides by warmup_steps = 0",
        ("q8.annealing.edges",),
        ((SCHEDULE, "return beta_max * min(1.0, step / warmup_steps)"),),
    ),
    Mistake(
        "q08-annealing-zero-at-zero",
        8,
        "vae",
        "0 at step 0 even without warm-up",
        ("q8.annealing.edges",),
        ((SCHEDULE, "return 0.0 if step == 0 else beta_max * min(1.0, step / max(1, warmup_steps))"),),
    ),
    Mistake(
        "q08-annealing-sigmoid",
        8,
        "vae",
        "another curve than a line",
        ("q8.annealing",),
        (
            (
                SCHEDULE,
                "t = 1.0 if step >= warmup_steps else step / warmup_steps\n    return beta_max * t * t * (3 - 2 * t)",
            ),
        ),
    ),
    Mistake(
        "q08-no-errors-for-schedule",
        8,
        "vae",
        "negative arguments of the schedule pass",
        ("q8.errors",),
        (("        if value < 0:\n", "        if False:\n"),),
    ),
    Mistake(
        "q08-no-warmup-no-checks",
        8,
        "vae",
        "returns beta_max without warm-up before it looks at the other arguments",
        ("q8.errors",),
        (
            (
                '    for name, value in (("step", step)',
                '    if warmup_steps == 0:\n        return float(beta_max)\n    for name, value in (("step", step)',
            ),
        ),
    ),
    Mistake(
        "q08-annealing-refuses-zero",
        8,
        "vae",
        "refuses beta_max = 0, which is not negative",
        ("q8.annealing.edges",),
        (
            (
                '        if value < 0:\n            raise ValueError(f"{name}',
                '        if value < 0 or (name == "beta_max" and value == 0):\n            raise ValueError(f"{name}',
            ),
        ),
    ),
    Mistake(
        "q08-annealing-one-step-late",
        8,
        "vae",
        "reaches the end one step after the warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1.0, step / (warmup_steps + 1)) if warmup_steps else float(beta_max)"),),
        may_fail=("q8.annealing.edges",),
    ),
    Mistake(
        "q08-annealing-whole-steps",
        8,
        "vae",
        "divides whole numbers",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1, step // warmup_steps) if warmup_steps else float(beta_max)"),),
        may_fail=("q8.annealing.edges",),
    ),
    Mistake(
        "q08-annealing-default-weight",
        8,
        "vae",
        "a weight of at most 0.5 by default",
        ("q8.annealing.edges",),
        (
            (
                "warmup_steps: int, beta_max: float = 1.0) -> float:",
                "warmup_steps: int, beta_max: float = 0.5) -> float:",
            ),
        ),
    ),
    Mistake(
        "q08-annealing-downwards",
        8,
        "vae",
        "from beta_max to 0",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * (1 - min(1.0, step / warmup_steps)) if warmup_steps else float(beta_max)"),),
        may_fail=("q8.annealing.edges",),
    ),
    Mistake(
        "q08-annealing-tensor",
        8,
        "vae",
        "returns a tensor",
        ("q8.annealing",),
        (
            (
                SCHEDULE,
                "return torch.tensor(float(beta_max) if step >= warmup_steps else beta_max * step / warmup_steps)",
            ),
        ),
        may_fail=("q8.annealing.edges",),
    ),
)
