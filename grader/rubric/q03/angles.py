"""Question 3, principal angles: between spaces whose angles are known beforehand."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from torch import Tensor, nn

from ...check.cases import covariance, random, seeds, sizes_apart, two_digits
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import Tolerance
from ...check.forall import forall
from ...check.patterns import Reading, recognised

ANGLES = "pca.principal_angles"

ANGLE = Tolerance(0.0, 1e-6, "an angle from its cosine: rounding of 1e-15 near cosine 1 is 4e-8 in the angle")
ANGLE32 = Tolerance(0.0, 5e-3, "the same in float32: rounding of 1e-6 near cosine 1 is 1.4e-3 in the angle")
SHORT = Tolerance(0.0, 2e-2, "a guard of 1e-8 in a norm is correct work: in two rows of 3e-6 it changes the cosine by "
                  ".6 %, and an angle of .5 by .013")  # fmt: skip
BASES = (
    "Multiply a row of `a` by 10, or add one row to another: does the space change, and does your result? Which bases "
    "make a product of two matrices a table of cosines?"
)
EACH_OF_THEM = "How many angles are there between two spaces of dimension k, also if some are 0?"
ROUNDED = "How large can a cosine come out by rounding, and what does the inverse cosine make of that?"
FLAT = "How does the inverse cosine change near 1, and what does a rounding error of the cosine become there?"
UPRIGHT = "What is the cosine of a right angle, and what does your code make of it?"
HOW_SHORT = "Does the length of a row say anything about its direction, and from when on do you take one for nothing?"


def known_spaces(seed: int, features: int, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Bases, not orthonormal, of two spaces with these principal angles (in the order given)."""
    count = len(angles)
    axes = torch.linalg.qr(random(seed, features, features))[0].mT
    first, second = axes[:count], axes[count : 2 * count]
    other = angles.cos().unsqueeze(1) * first + angles.sin().unsqueeze(1) * second
    return covariance(seed, count) @ first, covariance(seed + 7, count) @ other.flip(0)


def of_angles(a: Tensor, b: Tensor, angles: Tensor) -> dict[Reading, Tensor]:
    """What known misconceptions make of the principal angles of the row spaces of `a` and `b`."""

    def from_cosines(product: Tensor) -> Tensor:
        angles: Tensor = torch.linalg.svdvals(product).clamp(-1, 1).acos()
        return angles

    def rows(m: Tensor) -> Tensor:
        return nn.functional.normalize(m, dim=1)

    basis_a, basis_b = (torch.linalg.qr(m.mT)[0] for m in (a, b))
    one_by_one = (basis_a * basis_b).sum(0).abs().clamp(max=1).acos()
    return {
        Reading("degrees", "In which unit is a right angle 1.57?"): torch.rad2deg(angles),
        Reading("the angles in descending order",
                "Does the smallest angle belong to the smallest or to the largest cosine?"): angles.flip(0),
        Reading("the cosines of the angles", "Are these angles, or their cosines?"): angles.cos(),
        Reading("the cosines of the angles, ascending", "Are these angles, or their cosines?"): angles.cos().flip(0),
        Reading("the sines of the angles", "Are these angles, or their sines?"): angles.sin(),
        Reading("what the inverse cosine makes of products of the rows as they are given, which need not be "
                "orthonormal", BASES): from_cosines(a @ b.mT),
        Reading("what the inverse cosine makes of products of the rows as they are given, in descending order",
                BASES): from_cosines(a @ b.mT).flip(0),
        Reading("the angles that rows of length 1 would have if they were orthogonal",
                "Is it enough that the rows of a basis have length 1?"): from_cosines(rows(a) @ rows(b).mT),
        Reading("the angles between vectors of one basis and of the other, pair by pair",
                "Another basis of the same space: would your pairs of vectors make the same angles?"):
            one_by_one.sort().values,
        Reading("0, as between the column spaces, which are everything here",
                "Do the spaces lie in the rows or in the columns of what you factor?"): torch.zeros_like(angles),
        Reading("pi / 2 minus the angles", "Which of sine and cosine is 1 for spaces that agree?"):
            (torch.pi / 2 - angles).flip(0),
    }  # fmt: skip


@declare(
    id="q3.angles.value", question=3, kind="property", points=0.75, visibility="public",
    title="Principal angles",
    asks="principal_angles(a, b) gives the k angles between two row spaces in radians, ascending, whichever bases "
    "span them",
    hint=BASES, needs=(),
)  # fmt: skip
def angles_value(ctx: Context) -> None:
    known = torch.tensor([0.3, 0.7, 1.2], dtype=torch.float64)
    a, b = known_spaces(ctx.seed, 7, known)
    value = ctx.call(ANGLES, a, b)
    if isinstance(value, Tensor):  # an inverse cosine leaves 1e-8 of a 0
        value = torch.where(value.abs() < 1e-6, 0, value)
    reading = recognised(value, known, of_angles(a, b, known))

    @st.composite
    def spaces(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        count, room = sizes_apart(draw, (2, 3), (1, 4))
        # 0 is a check of its own: an inverse cosine may leave its domain there
        angles = sorted(draw(st.lists(st.floats(0.01, 1.57), min_size=count, max_size=count)))
        expected = torch.tensor(angles, dtype=torch.float64)
        return (*known_spaces(draw(seeds()), 2 * count + room - 1, expected), expected)

    def body(a_b_angles: tuple[Tensor, Tensor, Tensor], what: str = "principal_angles(a, b)") -> None:
        a, b, angles = a_b_angles
        matches(ctx, ctx.call(ANGLES, a, b), angles, ANGLE, what, hint=BASES, reading=reading)

    forall(ctx, body, a_b_angles=spaces())
    half = torch.tensor([0.5], dtype=torch.float64)
    body((*known_spaces(ctx.seed, 3, half), half), "principal_angles of two lines")
    a, b = two_digits(ctx.randn(3, 4)), two_digits(ctx.randn(3, 4))  # two spaces of dimension 3 in 4 share a plane
    expected = torch.from_numpy(subspace_angles(a.mT.numpy(), b.mT.numpy())).flip(0).clone()
    # the two angles 0 are the next check's business
    what = "principal_angles of spaces that share a plane"
    found = as_tensor(ctx.call(ANGLES, a, b), (3,), what, finite=False, hint=EACH_OF_THEM)
    matches(ctx, found[2:], expected[2:], ANGLE, f"the largest of {what}", hint=BASES)
    angles = torch.tensor([0.5, 1.2], dtype=torch.float64)
    short = [1e-5 * basis for basis in known_spaces(ctx.seed + 1, 5, angles)]
    what = "principal_angles of rows whose length is some 1e-5"
    found = as_tensor(ctx.call(ANGLES, *short), (2,), what, hint=HOW_SHORT)
    matches(ctx, found, angles, SHORT, what, hint=HOW_SHORT)


@declare(
    id="q3.angles.equal", question=3, kind="property", points=0.25, visibility="public",
    title="Principal angles of equal and of orthogonal spaces",
    asks="angles between equal spaces are 0 up to rounding, never NaN, in float32 too; between orthogonal spaces "
    "pi / 2; arguments stay as they are, and the angles lie on their device",
    hint=ROUNDED, needs=("q3.angles.value",),
)  # fmt: skip
def angles_equal(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, ANGLE), (torch.float32, ANGLE32)):
        kind = str(dtype).removeprefix("torch.")
        for draw in range(10):  # rounding falls to either side of 1
            seed = ctx.seed + 10 * draw
            a = two_digits(random(seed, 3, 8)).to(dtype)
            mixed = covariance(seed, 3, dtype=dtype) @ a
            nothing, what = torch.zeros(3, dtype=dtype), f"the angles of a space to itself, in {kind},"
            found = as_tensor(preserves(ctx, ANGLES, a, mixed), (3,), what, dtype=dtype, finite=False)
            expect(bool(found.isfinite().all()), f"{what} are not finite", nothing, found, hint=ROUNDED)
            matches(ctx, found, nothing, tol, what, hint=FLAT)
        axes = torch.linalg.qr(ctx.randn(7, 7))[0].to(dtype)
        right = torch.full((3,), torch.pi / 2, dtype=dtype)
        value = ctx.call(ANGLES, axes[:3], axes[4:])
        matches(ctx, value, right, tol, f"the angles of orthogonal spaces, in {kind},", hint=UPRIGHT)
    expect_on_device(ctx, "principal_angles", ANGLES, two_digits(ctx.randn(2, 5)), two_digits(ctx.randn(2, 5)))


SUBSPACES: tuple[Check, ...] = (angles_value, angles_equal)
