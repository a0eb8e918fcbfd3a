"""Question 3, PCA and principal angles: against scikit-learn and angles known beforehand."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from torch import Tensor

from ...check.cases import covariance, random, seeds, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.shown import alike
from ...check.values import Handle, StudentRaised

PCA, ANGLES = "pca.PCA", "pca.principal_angles"

ANGLE = Tolerance(0.0, 1e-6, "an angle from its cosine: rounding of 1e-15 near cosine 1 is 4e-8 in the angle")
ANGLE32 = Tolerance(0.0, 5e-3, "the same in float32: rounding of 1e-6 near cosine 1 is 1.4e-3 in the angle")
SHORT = Tolerance(0.0, 2e-2, "a guard of 1e-8 in a norm is correct work: in two rows of 3e-6 it changes the cosine by "
                  ".6 %, and an angle of .5 by .013")  # fmt: skip
FAR32 = Tolerance(
    0.0, 1e-3, "float32 data near 300 are rounded to 1.5e-5; some ten such roundings, and ten times as much"
)


def cloud(seed: int, rows: int, features: int) -> Tensor:
    """Points around a mean other than 0, each direction half as wide as the one before: components are unique."""
    axes, _ = torch.linalg.qr(random(seed, features, features))
    widths = 3 * 0.5 ** torch.arange(features).double()
    points: Tensor = 2 * random(seed + 1, features) + random(seed + 2, rows, features) * widths @ axes.mT
    return points


class Reference:
    """scikit-learn's PCA as tensors."""

    def __init__(self, x: Tensor, components: int) -> None:
        from sklearn import decomposition

        # the covariance's eigenvectors where there are many rows: hundreds of times faster, and precise in float64
        solver = "covariance_eigh" if len(x) > 1000 else "full"
        fitted = decomposition.PCA(components, svd_solver=solver).fit(x.double().numpy())  # type: ignore[no-untyped-call]
        self.mean, self.components = torch.from_numpy(fitted.mean_), torch.from_numpy(fitted.components_)
        self.variance = torch.from_numpy(fitted.explained_variance_)
        self.ratio = torch.from_numpy(fitted.explained_variance_ratio_)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Projection onto the affine subspace."""
        return (x.double() - self.mean) @ self.components.mT @ self.components + self.mean


def fitted(ctx: Context, x: Tensor, components: int) -> Handle:
    """The submission's PCA, fitted."""
    pca = ctx.new(PCA, components)
    pca.call("fit", x)
    return pca


@st.composite
def fits(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Seed, N, D and a number of components that the centred data determine: k < N, k <= D."""
    rows, features = draw(sizes(2, 9)), draw(sizes(1, 6))
    return draw(seeds()), rows, features, draw(sizes(1, min(rows - 1, features)))


# ---- PCA ------------------------------------------------------------------------------------------------------------


@declare(
    id="q3.pca.components", question=3, kind="property", points=0.75, visibility="public",
    title="PCA: mean and components",
    asks="fit finds the mean and orthonormal rows, the direction of largest variance first, the same as "
    "scikit-learn's up to sign",
    hint="Multiply components_ with its own transpose: what should come out? Which axis of the data is averaged?",
    needs=(),
)  # fmt: skip
def pca_components(ctx: Context) -> None:
    def body(seed_n_d_k: tuple[int, int, int, int]) -> None:
        seed, rows, features, count = seed_n_d_k
        x = cloud(seed, rows, features)
        pca, reference = fitted(ctx, x, count), Reference(x, count)
        matches(ctx, pca.get("mean_"), reference.mean, FLOAT64, "mean_")
        found = as_tensor(pca.get("components_"), (count, features), "components_", dtype=torch.float64)
        gram = found @ found.mT
        matches(ctx, gram, torch.eye(count, dtype=torch.float64), FLOAT64, "components_ times its transpose")
        overlap = (found * reference.components).sum(1).abs()
        backwards = (found * reference.components.flip(0)).sum(1).abs()
        hint = "Which of the directions that you found has the largest variance, and which comes first?"
        hint = hint if count > 1 and bool((backwards > 1 - 1e-6).all()) else ""
        matches(
            ctx, overlap, torch.ones_like(overlap), FLOAT64, "abs(cosine) of each component with its axis", hint=hint
        )

    forall(ctx, body, seed_n_d_k=fits())
    single = fitted(ctx, cloud(ctx.seed, 12, 4).float(), 2)
    for name, shape in (("mean_", (4,)), ("components_", (2, 4)), ("explained_variance_", (2,)),
                        ("explained_variance_ratio_", (2,))):  # fmt: skip
        as_tensor(single.get(name), shape, f"{name} of float32 data", dtype=torch.float32)


@declare(
    id="q3.pca.variance", question=3, kind="property", points=0.5, visibility="public",
    title="PCA: explained variance",
    asks="explained_variance_ is the variance along each component, divided by N - 1; explained_variance_ratio_ its "
    "share of the total variance of all D features",
    hint="How far are singular values from variances? Do the shares of all components add up to 1, and those of a few?",
    needs=(),
)  # fmt: skip
def pca_variance(ctx: Context) -> None:
    def body(seed_n_d_k: tuple[int, int, int, int]) -> None:
        seed, rows, features, count = seed_n_d_k
        x = cloud(seed, rows, features)
        pca, reference = fitted(ctx, x, count), Reference(x, count)
        found = as_tensor(pca.get("explained_variance_"), (count,), "explained_variance_", dtype=torch.float64)
        hint = ""
        if rows > 2 and alike(found, reference.variance * (rows - 1) / rows):
            hint = "By how many do you divide, and how many degrees of freedom are left once the mean is taken away?"
        elif alike(found, reference.variance.sqrt()):
            hint = "In which unit is a variance, if the data are in metres?"
        matches(ctx, found, reference.variance, FLOAT64, "explained_variance_", hint=hint)
        ratio = as_tensor(pca.get("explained_variance_ratio_"), (count,), "explained_variance_ratio_")
        shares = count < min(rows - 1, features) and abs(float(ratio.sum()) - 1) < 1e-9
        hint = "Can a few components explain everything? What do you compare them with?" if shares else ""
        matches(ctx, ratio, reference.ratio, FLOAT64, "explained_variance_ratio_", hint=hint)

    forall(ctx, body, seed_n_d_k=fits())


@declare(
    id="q3.pca.codes", question=3, kind="property", points=0.75, visibility="public",
    title="PCA: encode, decode, reconstruct",
    asks="encode gives coordinates relative to the mean of the training data, decode takes them back, and reconstruct "
    "is the projection onto the affine subspace, for data that were not fitted too",
    hint="Where does the mean go on the way in, and on the way out? Encode the mean itself: what is its code?",
    needs=("q3.pca.components",),
)  # fmt: skip
def pca_codes(ctx: Context) -> None:
    def body(seed_n_d_k: tuple[int, int, int, int]) -> None:
        seed, rows, features, count = seed_n_d_k
        x, unseen = cloud(seed, rows, features), 2 * random(seed + 3, 5, features) + 1
        pca, reference = fitted(ctx, x, count), Reference(x, count)
        # the sign of each component is free: take it from the answer, everything else from the reference
        found = as_tensor(pca.get("components_"), (count, features), "components_", dtype=torch.float64)
        signs = torch.sign((found * reference.components).sum(1))
        codes = (unseen - reference.mean) @ reference.components.mT * signs
        matches(ctx, pca.call("encode", unseen), codes, FLOAT64, "encode(x)")
        z = random(seed + 4, 4, count)
        points = z * signs @ reference.components + reference.mean
        matches(ctx, pca.call("decode", z), points, FLOAT64, "decode(z)")
        matches(ctx, pca.call("reconstruct", unseen), reference.reconstruct(unseen), FLOAT64, "reconstruct(x)")

    forall(ctx, body, seed_n_d_k=fits())
    x = cloud(ctx.seed, 12, 4).float()
    pca = fitted(ctx, x, 2)
    matches(ctx, pca.call("reconstruct", x), Reference(x, 2).reconstruct(x).float(), FLOAT32, "reconstruct in float32")


@declare(
    id="q3.pca.degenerate", question=3, kind="property", points=0.25, visibility="hidden",
    title="PCA: data that do not determine the components",
    asks="with equal variances, constant features, k = min(N, D) or data far from 0, the rows stay orthonormal, "
    "everything is finite, the reconstruction is the projection, and the data given are not changed",
    hint="Which step needs all variances to be different, or larger than 0? How many digits are left once a large "
    "mean is squared?",
    needs=("q3.pca.codes",),
)  # fmt: skip
def pca_degenerate(ctx: Context) -> None:
    constant = cloud(ctx.seed, 9, 5)
    constant[:, [1, 3]] = 0.25
    square = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]], dtype=torch.float64)
    far = (0.1 * cloud(ctx.seed, 30, 4) + 300).float()
    cases = {
        "two directions of equal variance": (square, 2, FLOAT64),
        "constant features, k = D": (constant, 5, FLOAT64),
        "fewer rows than features, k = N": (cloud(ctx.seed, 4, 7), 4, FLOAT64),
        "two rows, k = 1": (cloud(ctx.seed, 2, 3), 1, FLOAT64),
        "float32 data far from 0": (far, 2, FAR32),
    }
    for what, (x, count, tol) in cases.items():
        pca = ctx.new(PCA, count)
        preserves(ctx, (pca, "fit"), x)
        found = as_tensor(pca.get("components_"), (count, x.shape[1]), f"components_ of {what}", dtype=x.dtype)
        matches(ctx, found @ found.mT, torch.eye(count, dtype=x.dtype), tol, f"components_ times its transpose: {what}")
        as_tensor(pca.get("explained_variance_ratio_"), (count,), f"explained_variance_ratio_ of {what}")
        rebuilt = preserves(ctx, (pca, "reconstruct"), x)
        matches(ctx, rebuilt, Reference(x, count).reconstruct(x).to(x.dtype), tol, f"reconstruct: {what}")


@declare(
    id="q3.pca.errors", question=3, kind="property", points=0.25, visibility="public",
    title="PCA: what fit returns, and what is refused",
    asks="fit returns the object itself, in which nothing is left of an earlier fit; ValueError unless "
    "1 <= n_components <= min(N, D), at the latest in fit; RuntimeError from encode, decode and reconstruct before fit",
    hint="How many directions can a few points span? What does a user see who forgets to call fit?",
    needs=(),
)  # fmt: skip
def pca_errors(ctx: Context) -> None:
    for rows, features, count in ((6, 4, 5), (4, 6, 5), (6, 4, 0), (6, 4, -1)):
        case = f"PCA({count}) on data of shape ({rows}, {features})"
        try:
            pca = ctx.new(PCA, count)
        except StudentRaised as raised:  # an early refusal is fine where the data could not help
            if "ValueError" in raised.kinds and count < 1:
                continue
            raise
        raises(ctx, "ValueError", (pca, "fit"), ctx.randn(rows, features), names="n_components", case=case)

    def unfitted(when: str) -> None:
        for method, columns in (("encode", 4), ("decode", 2), ("reconstruct", 4)):
            raises(ctx, "RuntimeError", (ctx.new(PCA, 2), method), ctx.randn(5, columns), case=f"{method} {when}")

    unfitted("before fit")
    for rows, features in ((6, 4), (4, 6)):
        pca = ctx.new(PCA, 4)
        same = ctx.new((pca, "fit"), ctx.randn(rows, features))
        expect(same == pca, "fit does not return the object itself", "the PCA object", f"a {same.type}",
                   hint="Could one write PCA(2).fit(x).encode(x) with your class?")  # fmt: skip
    unfitted("before fit, though another PCA is fitted by now")
    first, second = cloud(ctx.seed, 11, 4), cloud(ctx.seed + 9, 13, 4)
    again, once = fitted(ctx, first, 2), fitted(ctx, second, 2)
    for method in ("encode", "reconstruct"):  # what these keep for later is of the first fit
        again.call(method, first)
    again.call("fit", second)
    # what is wrong with the projection itself is the business of other checks
    expected = as_tensor(once.call("reconstruct", second), (13, 4), "reconstruct(x)")
    matches(ctx, again.call("reconstruct", second), expected, FLOAT64, "reconstruct(x) after a fit to other data",
                hint="Fit an object to two sets of data, one after the other: what is left of the first?")  # fmt: skip


# ---- subspaces ------------------------------------------------------------------------------------------------------


@declare(
    id="q3.angles.value", question=3, kind="property", points=0.75, visibility="public",
    title="Principal angles",
    asks="principal_angles(a, b) gives the k angles between two row spaces in radians, ascending, whichever bases "
    "span them",
    hint="Multiply a row of `a` by 10, or add one row to another: does the space change, and does your result? Which "
    "bases make a product of two matrices a table of cosines?",
    needs=(),
)  # fmt: skip
def angles_value(ctx: Context) -> None:
    @st.composite
    def spaces(draw: st.DrawFn) -> tuple[int, int, list[float]]:
        count = draw(sizes(1, 3))
        # 0 is a check of its own: an inverse cosine may leave its domain there
        angles = draw(st.lists(st.floats(0.01, 1.57), min_size=count, max_size=count))
        return draw(seeds()), draw(sizes(2 * count, 2 * count + 3)), angles

    def body(seed_d_angles: tuple[int, int, list[float]]) -> None:
        seed, features, drawn = seed_d_angles
        count, angles = len(drawn), torch.tensor(drawn, dtype=torch.float64)
        axes = torch.linalg.qr(random(seed, features, features))[0].mT
        first, second = axes[:count], axes[count : 2 * count]
        other = angles.cos().unsqueeze(1) * first + angles.sin().unsqueeze(1) * second
        a, b = covariance(seed, count) @ first, covariance(seed + 7, count) @ other.flip(0)
        expected = angles.sort().values
        hint = ""
        value = ctx.call(ANGLES, a, b)
        if isinstance(value, Tensor) and value.shape == expected.shape:
            if alike(value, torch.rad2deg(expected), atol=1e-4):
                hint = "In which unit is a right angle 1.57?"
            elif alike(value, expected.flip(0), atol=1e-6):
                hint = "Does the smallest angle belong to the smallest or to the largest cosine?"
            elif alike(value.sort().values, expected.cos().flip(0), atol=1e-6):
                hint = "Are these angles, or their cosines?"
        matches(ctx, value, expected, ANGLE, "principal_angles(a, b)", hint=hint)

    forall(ctx, body, seed_d_angles=spaces())
    a, b = ctx.randn(3, 4), ctx.randn(3, 4)  # two spaces of dimension 3 in 4 share a plane
    expected = torch.from_numpy(subspace_angles(a.mT.numpy(), b.mT.numpy())).flip(0).clone()
    # the two angles 0 are the next check's business
    found = as_tensor(ctx.call(ANGLES, a, b), (3,), "principal_angles of spaces that share a plane", finite=False)
    matches(ctx, found[2:], expected[2:], ANGLE, "the largest principal angle of two spaces that share a plane")
    axes, angles = torch.linalg.qr(ctx.randn(5, 5))[0].mT, torch.tensor([0.5, 1.2], dtype=torch.float64)
    other = angles.cos().unsqueeze(1) * axes[:2] + angles.sin().unsqueeze(1) * axes[2:4]
    short = [1e-5 * covariance(ctx.seed + k, 2) @ basis for k, basis in enumerate((axes[:2], other))]
    matches(ctx, ctx.call(ANGLES, *short), angles, SHORT, "principal_angles of rows whose length is some 1e-5")


@declare(
    id="q3.angles.equal", question=3, kind="property", points=0.25, visibility="public",
    title="Principal angles of equal and of orthogonal spaces",
    asks="angles between equal spaces are 0 up to rounding, never NaN, in float32 too; between orthogonal spaces "
    "pi / 2",
    hint="How large can a cosine come out by rounding, and what does the inverse cosine make of that?",
    needs=("q3.angles.value",),
)  # fmt: skip
def angles_equal(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, ANGLE), (torch.float32, ANGLE32)):
        for draw in range(10):  # rounding falls to either side of 1
            seed = ctx.seed + 10 * draw
            a = random(seed, 3, 8, dtype=dtype)
            mixed = covariance(seed, 3, dtype=dtype) @ a
            matches(
                ctx,
                preserves(ctx, ANGLES, a, mixed),
                torch.zeros(3, dtype=dtype),
                tol,
                "the angles of a space to itself",
            )
        axes = torch.linalg.qr(ctx.randn(7, 7))[0].to(dtype)
        right = torch.full((3,), torch.pi / 2, dtype=dtype)
        matches(ctx, ctx.call(ANGLES, axes[:3], axes[4:]), right, tol, "the angles of orthogonal spaces")


COMPONENTS: tuple[Check, ...] = (
    pca_components, pca_variance, pca_codes, pca_degenerate, pca_errors, angles_value, angles_equal,
)  # fmt: skip
