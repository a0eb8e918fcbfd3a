"""Question 3, PCA: against scikit-learn, in numbers that a person can follow."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import random, seeds, sizes_apart, two_digits
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.parts import Part
from ...check.patterns import Reading, recognised
from ...check.shown import alike
from ...check.values import Handle, StudentRaised

PCA = "pca.PCA"
PCA_PART = Part(PCA, "PCA", ("q3.pca.components", "q3.pca.codes", "q3.pca.degenerate", "q3.pca.errors"))

FAR32 = Tolerance(
    0.0, 1e-3, "float32 data near 300 are rounded to 1.5e-5; some ten such roundings, and ten times as much"
)
OWN_GRAM = "Multiply components_ with its own transpose: what should come out, and what does?"
WHICH_AXIS = "The data are rows of features: over which axis is an average taken, and how many numbers does that leave?"
LARGEST = "Which of the directions that you found has the largest variance, and which comes first?"
TOWARDS = "Along which line through their mean do the points spread most, and is that your first component?"
CENTRE = "From which point must directions be seen in which the points spread, the origin or their mean?"
SCALES = "What does dividing a feature by its spread do to the direction in which the data spread most?"
ROWS_OR_COLUMNS = "Does your routine return the directions as rows or as columns, and which did you keep?"
PRECISION = "In which precision do the data come, and what turns yours into another?"
FREEDOM = "By how many do you divide, and how many degrees of freedom are left once the mean is taken away?"
SQUARED = "How far are singular values from variances? In which unit is a variance, if the data are in metres?"
ALONG = "How much does the data vary along each of your components?"
SHARES = "Do the shares of all components add up to 1, and those of a few? What do you compare them with?"
WAY_IN = "Where does the mean go on the way in? Encode the mean itself: what is its code?"
WAY_OUT = "Where does the mean go on the way out? Decode a code of zeros: which point should come out?"
WHOSE_MEAN = "Whose mean is subtracted, that of the data you fitted or that of the data you are given?"
SCALED = "Is a coordinate a length, in the unit of the data, and does decode take it back?"
BOTH_WAYS = "What is left of a point that goes in and out again, and what should be?"
NOTHING_VARIES = "Which step needs every direction to vary, and what happens to it where one does not?"
TWINS = (
    "Two directions with equal variances: is any pair of axes in their plane as good as another, and is yours a pair?"
)
DIGITS_LEFT = "How many digits are left once a large mean is squared?"
SPANNED = "How many directions can a few points span, and where do you compare that with what is asked for?"
FORGOTTEN = "What does a user see who forgets to call fit, and does it say what to do?"
OTHER_OBJECTS = "Who remembers that fit was called: this object, or something that all of them share?"
CHAINED = "Could one write PCA(2).fit(x).encode(x) with your class?"
REFITTED = "Fit an object to two sets of data, one after the other: what is left of the first?"


def cloud(seed: int, rows: int, features: int) -> Tensor:
    """Points around a mean other than 0, each direction half as wide as the one before: components are unique."""
    axes, _ = torch.linalg.qr(random(seed, features, features))
    widths = 3 * 0.5 ** torch.arange(features).double()
    points: Tensor = 2 * random(seed + 1, features) + random(seed + 2, rows, features) * widths @ axes.mT
    return two_digits(points)


class Reference:
    """PCA by the eigenvectors of the covariance, in float64; a test compares with scikit-learn, which loads slowly."""

    def __init__(self, x: Tensor, components: int) -> None:
        points = x.double()
        self.mean = points.mean(0)
        centred = points - self.mean
        variances, axes = torch.linalg.eigh(centred.mT @ centred / (len(points) - 1))  # ascending
        self.components = axes.mT.flip(0)[:components]
        self.variance = variances.flip(0)[:components].clamp(min=0)
        self.ratio = self.variance / variances.clamp(min=0).sum()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Projection onto the affine subspace."""
        found: Tensor = (x.double() - self.mean) @ self.components.mT @ self.components + self.mean
        return found


def fitted(ctx: Context, x: Tensor, components: int) -> Handle:
    """The submission's PCA, fitted."""
    pca = ctx.new(PCA, components)
    pca.call("fit", x)
    return pca


@st.composite
def fits(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Data and a number of components that they determine: k < N, k <= D; N, D and k all differ, or k = D."""
    rows, features = sizes_apart(draw, (5, 9), (3, 6))
    return cloud(draw(seeds()), rows, features), draw(st.sampled_from([2, 1, *range(3, min(rows, features + 1))]))


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
    x = cloud(ctx.seed, 9, 4)
    reading = misread_components(fitted(ctx, x, 2).get("components_"), x, 2)

    def body(x_and_k: tuple[Tensor, int]) -> None:
        x, count = x_and_k
        pca, reference = fitted(ctx, x, count), Reference(x, count)
        of_rows = Reading("the mean of each row in place of that of each feature", WHICH_AXIS)
        of_all = Reading("the mean of all numbers", WHICH_AXIS)
        mean = pca.get("mean_")
        for misread, wrong in ((of_rows, x.mean(1)), (of_rows, x.mean(1, keepdim=True)), (of_all, x.mean())):
            if alike(mean, wrong):
                matches(ctx, mean, reference.mean, FLOAT64, "mean_", hint=WHICH_AXIS, reading=misread)
        matches(ctx, mean, reference.mean, FLOAT64, "mean_", hint=WHICH_AXIS)
        value = pca.get("components_")
        if isinstance(value, Tensor) and value.shape != reference.components.shape:
            matches(ctx, value, reference.components, FLOAT64, "components_", hint=ROWS_OR_COLUMNS, reading=reading)
        found = as_tensor(value, (count, x.shape[1]), "components_", dtype=torch.float64)
        gram = found @ found.mT
        # which sign a component has is free: the answer's own
        signs = torch.sign((found * reference.components).sum(1, keepdim=True))
        wanted = reference.components * torch.where(signs == 0, 1, signs)
        hint = OWN_GRAM if not bool((gram - torch.eye(count)).abs().max() < 1e-6) else TOWARDS
        matches(ctx, found, wanted, FLOAT64, "components_ (up to the sign of each row)", hint=hint, reading=reading)
        unit = torch.eye(count, dtype=torch.float64)
        matches(ctx, gram, unit, FLOAT64, "components_ times its transpose", hint=OWN_GRAM)

    forall(ctx, body, x_and_k=fits())
    body((cloud(ctx.seed, 4, 1), 1))  # a single feature
    single = fitted(ctx, cloud(ctx.seed, 12, 4).float(), 2)
    for name, shape in (("mean_", (4,)), ("components_", (2, 4)), ("explained_variance_", (2,)),
                        ("explained_variance_ratio_", (2,))):  # fmt: skip
        as_tensor(single.get(name), shape, f"{name} of float32 data", dtype=torch.float32)


def misread_components(found: object, x: Tensor, count: int) -> Reading:
    """What known misconceptions make of the components of `x`; the sign of each row is free."""
    if not isinstance(found, Tensor) or found.ndim != 2:
        return Reading()
    centred = x - x.mean(0)
    vectors = torch.linalg.eigh(centred.mT @ centred).eigenvectors
    right = vectors.flip(1).mT[:count]
    uncentred = torch.linalg.svd(x, full_matrices=False).Vh
    widths = torch.linalg.svdvals(centred)
    wrong = {
        Reading("the directions of smallest variance, the smallest first", LARGEST): vectors.mT[:count],
        Reading("the right directions in reverse order", LARGEST): right.flip(0),
        Reading("the leading singular vectors of the data as they are, not centred", CENTRE): uncentred[:count],
        Reading("the components of data whose features have all been divided by their spread", SCALES):
            torch.linalg.svd(centred / x.std(0), full_matrices=False).Vh[:count],
        Reading("the components of data of which every row has been centred, not every feature", WHICH_AXIS):
            torch.linalg.svd(x - x.mean(1, keepdim=True), full_matrices=False).Vh[:count],
        Reading("rows of a matrix whose columns are the directions", ROWS_OR_COLUMNS): vectors.flip(1)[:count],
        Reading("the directions as columns, not as rows", ROWS_OR_COLUMNS): right.mT,
        Reading("all directions, not only n_components of them", "How many components are asked for, and how many do "
                "you keep?"): vectors.flip(1).mT,
        Reading("the right directions, each multiplied by its singular value", OWN_GRAM):
            right * widths[:count, None],
        Reading("the right directions, each multiplied by its standard deviation", OWN_GRAM):
            right * widths[:count, None] / (len(x) - 1) ** 0.5,
        Reading("the right directions, each multiplied by its variance", OWN_GRAM):
            right * widths[:count, None].square() / (len(x) - 1),
    }  # fmt: skip
    return recognised(found.abs(), right.abs(), {reading: rows.abs() for reading, rows in wrong.items()})


@declare(
    id="q3.pca.variance", question=3, kind="property", points=0.5, visibility="public",
    title="PCA: explained variance",
    asks="explained_variance_ is the variance along each component, divided by N - 1; explained_variance_ratio_ its "
    "share of the total variance of all D features",
    hint="How far are singular values from variances? Do the shares of all components add up to 1, and those of a few?",
    needs=(),
)  # fmt: skip
def pca_variance(ctx: Context) -> None:
    def body(x_and_k: tuple[Tensor, int]) -> None:
        x, count = x_and_k
        pca = fitted(ctx, x, count)
        # along the components that it has found: whether these are the right ones is asked by the check before
        found = as_tensor(pca.get("components_"), (count, x.shape[1]), "components_", dtype=torch.float64)
        centred = x - x.mean(0)
        along = centred @ (found / found.norm(dim=1, keepdim=True)).mT
        variance = along.square().sum(0) / (len(x) - 1)
        total = centred.square().sum() / (len(x) - 1)
        value = pca.get("explained_variance_")
        if alike(value, Reference(x, count).variance):
            variance = Reference(x, count).variance
        reading = recognised(value, variance, {
            Reading("divided by N in place of N - 1", FREEDOM): variance * (len(x) - 1) / len(x),
            Reading("the sum of squares, divided by nothing", FREEDOM): variance * (len(x) - 1),
            Reading("standard deviations", SQUARED): variance.sqrt(),
            Reading("singular values of the centred data", SQUARED): (variance * (len(x) - 1)).sqrt(),
            Reading("the variances of the first features", ALONG): x.var(0)[:count],
            Reading("the variances in reverse order", LARGEST): variance.flip(0),
        })  # fmt: skip
        matches(ctx, value, variance, FLOAT64, "explained_variance_", hint=ALONG, reading=reading)
        value = pca.get("explained_variance_ratio_")
        reading = recognised(value, variance / total, {
            Reading("shares of the variance of the components that were kept", SHARES): variance / variance.sum(),
            Reading("shares of the largest variance", SHARES): variance / variance.max(),
            Reading("the variances themselves", SHARES): variance,
            Reading("percentages", "What do the shares of all components add up to?"): 100 * variance / total,
            Reading("sums of the shares up to each component", "Is it each component's own share that is asked for?"):
                (variance / total).cumsum(0),
            Reading("shares of the sum of the standard deviations", SQUARED):
                variance.sqrt() / torch.linalg.svdvals(centred).sum() * (len(x) - 1) ** 0.5,
        })  # fmt: skip
        matches(ctx, value, variance / total, FLOAT64, "explained_variance_ratio_", hint=SHARES, reading=reading)

    forall(ctx, body, x_and_k=fits())


@declare(
    id="q3.pca.codes", question=3, kind="property", points=0.75, visibility="public",
    title="PCA: encode, decode, reconstruct",
    asks="encode gives coordinates relative to the mean of the training data, decode takes them back, and reconstruct "
    "is the projection onto the affine subspace, for data that were not fitted too",
    hint="Where does the mean go on the way in, and on the way out? Encode the mean itself: what is its code?",
    needs=(),
)  # fmt: skip
def pca_codes(ctx: Context) -> None:
    def body(x_and_k: tuple[Tensor, int]) -> None:
        x, count = x_and_k
        pca, unseen = fitted(ctx, x, count), two_digits(2 * random(len(x), 4, x.shape[1]) + 1)
        # in the basis that it has found: whether that is the right one is the business of the check of the components
        mean = as_tensor(pca.get("mean_"), (x.shape[1],), "mean_", dtype=torch.float64)
        basis = as_tensor(pca.get("components_"), (count, x.shape[1]), "components_", dtype=torch.float64)
        codes_are_right(ctx, pca, unseen, mean, basis)

    forall(ctx, body, x_and_k=fits())
    x = cloud(ctx.seed, 12, 4)
    pca = fitted(ctx, x, 2)
    mean, basis = as_tensor(pca.get("mean_"), (4,), "mean_"), as_tensor(pca.get("components_"), (2, 4), "components_")
    codes_are_right(ctx, pca, x[:1], mean, basis)  # a single point
    pca = fitted(ctx, x.float(), 2)
    rebuilt = ((x - mean) @ basis.mT @ basis + mean).float()
    value = pca.call("reconstruct", x.float())
    matches(ctx, value, rebuilt, FLOAT32, "reconstruct of float32 data", hint=PRECISION)


def codes_are_right(ctx: Context, pca: Handle, x: Tensor, mean: Tensor, basis: Tensor) -> None:
    """Codes, points and projections in the affine subspace through `mean` that the rows of `basis` span."""
    codes = (x - mean) @ basis.mT
    value = pca.call("encode", x)
    spread = as_tensor(pca.get("explained_variance_"), None, "explained_variance_").sqrt()
    reading = recognised(value, codes, {
        Reading("the codes of points whose mean has not been subtracted", WAY_IN): x @ basis.mT,
        Reading("codes relative to the mean of the points given", WHOSE_MEAN): (x - x.mean(0)) @ basis.mT,
        Reading("the codes of points to which the mean has been added", WAY_IN): (x + mean) @ basis.mT,
        Reading("the codes, each divided by the standard deviation along its component", SCALED): codes / spread,
        Reading("the codes with the opposite sign", "A point a little further along a component than the mean: which "
                "sign has its coordinate?"): -codes,
    } if spread.shape == basis.shape[:1] else {})  # fmt: skip
    matches(ctx, value, codes, FLOAT64, "encode(x)", hint=WAY_IN, reading=reading)
    z = two_digits(random(len(basis), 4, len(basis)))
    points = z @ basis + mean
    value = pca.call("decode", z)
    reading = recognised(
        value,
        points,
        {
            Reading("the points without the mean", WAY_OUT): z @ basis,
            Reading("the points with the mean subtracted", WAY_OUT): z @ basis - mean,
        },
    )
    matches(ctx, value, points, FLOAT64, "decode(z)", hint=WAY_OUT, reading=reading)
    matches(ctx, pca.call("reconstruct", x), codes @ basis + mean, FLOAT64, "reconstruct(x)", hint=BOTH_WAYS)


@declare(
    id="q3.pca.degenerate", question=3, kind="property", points=0.25, visibility="hidden",
    title="PCA: data that do not determine the components",
    asks="with equal variances, constant features, k = min(N, D) or data far from 0, the rows stay orthonormal, "
    "everything is finite, the reconstruction is the projection, and the data given are not changed",
    hint="Which step needs all variances to be different, or larger than 0? How many digits are left once a large "
    "mean is squared?",
    needs=("q3.pca.components", "q3.pca.codes"),
)  # fmt: skip
def pca_degenerate(ctx: Context) -> None:
    constant = cloud(ctx.seed, 9, 5)
    constant[:, [1, 3]] = 0.25
    square = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]], dtype=torch.float64)
    far = (0.1 * cloud(ctx.seed, 30, 4) + 300).float()
    cases = {
        "two directions of equal variance": (square, 2, FLOAT64, TWINS),
        "data with constant features, k = D": (constant, 5, FLOAT64, NOTHING_VARIES),
        "data with fewer rows than features, k = N": (cloud(ctx.seed, 4, 7), 4, FLOAT64, NOTHING_VARIES),
        "two rows, k = 1": (cloud(ctx.seed, 2, 3), 1, FLOAT64, NOTHING_VARIES),
        "float32 data near 300": (far, 2, FAR32, DIGITS_LEFT),
    }
    for what, (x, count, tol, hint) in cases.items():
        pca = ctx.new(PCA, count)
        preserves(ctx, (pca, "fit"), x)
        shape = (count, x.shape[1])
        found = as_tensor(pca.get("components_"), shape, f"components_ of {what}", dtype=x.dtype, hint=hint)
        unit = torch.eye(count, dtype=x.dtype)
        matches(ctx, found @ found.mT, unit, tol, f"components_ times its transpose, of {what},", hint=hint)
        ratio = pca.get("explained_variance_ratio_")
        as_tensor(ratio, (count,), f"explained_variance_ratio_ of {what}", hint=hint)
        rebuilt = preserves(ctx, (pca, "reconstruct"), x)
        expected = Reference(x, count).reconstruct(x).to(x.dtype)
        matches(ctx, rebuilt, expected, tol, f"reconstruct(x), where x is the fitted {what},", hint=hint)


@declare(
    id="q3.pca.errors", question=3, kind="property", points=0.25, visibility="public",
    title="PCA: what fit returns, and what is refused",
    asks="fit returns the object itself, in which nothing is left of an earlier fit; ValueError unless "
    "1 <= n_components <= min(N, D), at the latest in fit; RuntimeError from encode, decode and reconstruct before "
    "fit; fit mixes no devices",
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
        raises(ctx, "ValueError", (pca, "fit"), ctx.randn(rows, features), names="n_components", case=case,
                   hint=SPANNED)  # fmt: skip

    def unfitted(when: str, hint: str) -> None:
        for method, columns in (("encode", 4), ("decode", 2), ("reconstruct", 4)):
            raises(ctx, "RuntimeError", (ctx.new(PCA, 2), method), ctx.randn(3, columns), case=f"{method} {when}",
                       hint=hint, other=hint)  # fmt: skip

    unfitted("before fit", FORGOTTEN)
    for rows, features in ((6, 4), (4, 6)):
        pca = ctx.new(PCA, 4)
        same = ctx.new((pca, "fit"), ctx.randn(rows, features))
        expect(same == pca, "fit does not return the object itself", "the PCA object", f"a {same.type}", hint=CHAINED)
    unfitted("before fit, though another PCA is fitted by now,", OTHER_OBJECTS)
    first, second = cloud(ctx.seed, 11, 4), cloud(ctx.seed + 9, 13, 4)
    again, once = fitted(ctx, first, 2), fitted(ctx, second, 2)
    for method in ("encode", "reconstruct"):  # what these keep for later is of the first fit
        again.call(method, first)
    again.call("fit", second)
    # what is wrong with the projection itself is the business of other checks
    expected = as_tensor(once.call("reconstruct", second), (13, 4), "reconstruct(x)")
    value = again.call("reconstruct", second)
    matches(ctx, value, expected, FLOAT64, "reconstruct(x) after a second fit, to other data,", hint=REFITTED)
    expect_on_device(ctx, "fit of PCA", (ctx.new(PCA, 2), "fit"), cloud(ctx.seed, 9, 5))


COMPONENTS: tuple[Check, ...] = (pca_components, pca_variance, pca_codes, pca_degenerate, pca_errors)
