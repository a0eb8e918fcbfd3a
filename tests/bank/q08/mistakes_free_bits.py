"""Question 8: the reference with one bug: free_bits_kl."""

from __future__ import annotations

from .. import Mistake

FLOOR = "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).clamp(min=free_bits).sum()"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-freebits-ceiling",
        8,
        "vae",
        "a ceiling in place of a floor",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, FLOOR.replace("clamp(min=", "clamp(max=")),),
    ),
    Mistake(
        "q08-freebits-per-example",
        8,
        "vae",
        "the floor comes before the batch mean",
        ("q8.freebits.value",),
        ((FLOOR, "return kl.clamp(min=free_bits).reshape(-1, latent_dim // group_size).mean(dim=0).sum()"),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-of-total",
        8,
        "vae",
        "one floor for the whole KL",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).sum().clamp(min=free_bits)"),),
    ),
    Mistake(
        "q08-freebits-batch-sum",
        8,
        "vae",
        "the floor is compared with the batch's sum",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace(".mean(dim=0)", ".sum(dim=0)")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-mean-of-groups",
        8,
        "vae",
        "averages the groups",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, FLOOR.replace(".sum()", ".mean()")),),
    ),
    Mistake(
        "q08-freebits-strided-groups",
        8,
        "vae",
        "groups every G-th dimension in place of successive ones",
        ("q8.freebits.value", "q8.freebits.gradient"),
        (
            (
                FLOOR,
                "kl = nn.functional.relu(0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
                "    return kl.reshape(group_size, -1).sum(dim=0).clamp(min=free_bits).sum()",
            ),
        ),
    ),
    Mistake(
        "q08-freebits-group-ignored",
        8,
        "vae",
        "always one dimension per group",
        ("q8.freebits.value",),
        (
            (
                FLOOR,
                "kl = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
                "    return kl.clamp(min=free_bits).sum()",
            ),
        ),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-floor-times-size",
        8,
        "vae",
        "a floor per dimension in place of one per group",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace("min=free_bits", "min=free_bits * group_size")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-added",
        8,
        "vae",
        "adds the free bits",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) + free_bits).sum()"),),
    ),
    Mistake(
        "q08-freebits-subtracted",
        8,
        "vae",
        "penalises only what exceeds the floor",
        ("q8.freebits.value",),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) - free_bits).clamp(min=0).sum()"),),
    ),
    Mistake(
        "q08-freebits-pressure-below",
        8,
        "vae",
        "a straight-through floor: dimensions below it are still pushed",
        ("q8.freebits.gradient",),
        (
            (
                FLOOR,
                "means = kl.reshape(-1, latent_dim // group_size).mean(dim=0)\n"
                "    return (means + (means.clamp(min=free_bits) - means).detach()).sum()",
            ),
        ),
    ),
    Mistake(
        "q08-no-errors-for-groups",
        8,
        "vae",
        "a group size that does not divide falls on reshape",
        ("q8.errors",),
        (("    if group_size < 1 or latent_dim % group_size:", "    if False:"),),
    ),
    Mistake(
        "q08-freebits-gradient-by-image",
        8,
        "vae",
        "no gradient for images below the floor whose group is above it",
        ("q8.freebits.gradient",),
        ((FLOOR, "kl = torch.where(kl > free_bits, kl, kl.detach())\n    " + FLOOR),),
    ),
    Mistake(
        "q08-freebits-default-group",
        8,
        "vae",
        "groups of two by default",
        ("q8.freebits.value",),
        (("free_bits: float, group_size: int = 1) -> Tensor:", "free_bits: float, group_size: int = 2) -> Tensor:"),),
    ),
    Mistake(
        "q08-freebits-hard-threshold",
        8,
        "vae",
        "groups below the floor cost nothing",
        ("q8.freebits.value",),
        (
            (
                FLOOR,
                "means = kl.reshape(-1, latent_dim // group_size).mean(dim=0)\n    return (means * (means > free_bits)).sum()",
            ),
        ),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-ignored",
        8,
        "vae",
        "there is no floor",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace(".clamp(min=free_bits)", "")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-mean-of-dimensions",
        8,
        "vae",
        "compares the floor with the mean over the dimensions of a group",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace(".mean(dim=0)", ".mean(dim=0).div(group_size)")),),
        may_fail=("q8.freebits.gradient",),
    ),
)
