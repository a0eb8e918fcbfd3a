"""Question 3: principal components and the linear autoencoder, against scikit-learn, known angles and real data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from torch import Tensor

from .. import trained
from ..boundary import Handle, Probe, StudentRaised
from ..cases import covariance, random, seeds, sizes
from ..checks import EXACT, FLOAT32, FLOAT64, Check, Failure, Question, Tolerance, declare
from ..context import Context, alike, kind_of
from ..datasets import to_float
from ..trained import Budget, Recipe

PCA, ANGLES, COMPARE = "pca.PCA", "pca.principal_angles", "pca.compare_with_pca"
LINEAR = "autoencoders.LinearAutoencoder"

ANGLE = Tolerance(0.0, 1e-6, "an angle from its cosine: rounding of 1e-15 near cosine 1 is 4e-8 in the angle")
ANGLE32 = Tolerance(0.0, 5e-3, "the same in float32: rounding of 1e-6 near cosine 1 is 1.4e-3 in the angle")
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
        ctx.matches(pca.get("mean_"), reference.mean, FLOAT64, "mean_")
        found = ctx.tensor(pca.get("components_"), (count, features), "components_", dtype=torch.float64)
        gram = found @ found.mT
        ctx.matches(gram, torch.eye(count, dtype=torch.float64), FLOAT64, "components_ times its transpose")
        overlap = (found * reference.components).sum(1).abs()
        backwards = (found * reference.components.flip(0)).sum(1).abs()
        hint = "Which of the directions that you found has the largest variance, and which comes first?"
        hint = hint if count > 1 and bool((backwards > 1 - 1e-6).all()) else ""
        ctx.matches(
            overlap, torch.ones_like(overlap), FLOAT64, "abs(cosine) of each component with its axis", hint=hint
        )

    ctx.forall(body, seed_n_d_k=fits())
    single = fitted(ctx, cloud(ctx.seed, 12, 4).float(), 2)
    for name, shape in (("mean_", (4,)), ("components_", (2, 4)), ("explained_variance_", (2,)),
                        ("explained_variance_ratio_", (2,))):  # fmt: skip
        ctx.tensor(single.get(name), shape, f"{name} of float32 data", dtype=torch.float32)


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
        found = ctx.tensor(pca.get("explained_variance_"), (count,), "explained_variance_", dtype=torch.float64)
        hint = ""
        if rows > 2 and alike(found, reference.variance * (rows - 1) / rows):
            hint = "By how many do you divide, and how many degrees of freedom are left once the mean is taken away?"
        elif alike(found, reference.variance.sqrt()):
            hint = "In which unit is a variance, if the data are in metres?"
        ctx.matches(found, reference.variance, FLOAT64, "explained_variance_", hint=hint)
        ratio = ctx.tensor(pca.get("explained_variance_ratio_"), (count,), "explained_variance_ratio_")
        shares = count < min(rows - 1, features) and abs(float(ratio.sum()) - 1) < 1e-9
        hint = "Can a few components explain everything? What do you compare them with?" if shares else ""
        ctx.matches(ratio, reference.ratio, FLOAT64, "explained_variance_ratio_", hint=hint)

    ctx.forall(body, seed_n_d_k=fits())


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
        found = ctx.tensor(pca.get("components_"), (count, features), "components_", dtype=torch.float64)
        signs = torch.sign((found * reference.components).sum(1))
        codes = (unseen - reference.mean) @ reference.components.mT * signs
        ctx.matches(pca.call("encode", unseen), codes, FLOAT64, "encode(x)")
        z = random(seed + 4, 4, count)
        points = z * signs @ reference.components + reference.mean
        ctx.matches(pca.call("decode", z), points, FLOAT64, "decode(z)")
        ctx.matches(pca.call("reconstruct", unseen), reference.reconstruct(unseen), FLOAT64, "reconstruct(x)")

    ctx.forall(body, seed_n_d_k=fits())
    x = cloud(ctx.seed, 12, 4).float()
    pca = fitted(ctx, x, 2)
    ctx.matches(pca.call("reconstruct", x), Reference(x, 2).reconstruct(x).float(), FLOAT32, "reconstruct in float32")


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
        ctx.preserves((pca, "fit"), x)
        found = ctx.tensor(pca.get("components_"), (count, x.shape[1]), f"components_ of {what}", dtype=x.dtype)
        ctx.matches(found @ found.mT, torch.eye(count, dtype=x.dtype), tol, f"components_ times its transpose: {what}")
        ctx.tensor(pca.get("explained_variance_ratio_"), (count,), f"explained_variance_ratio_ of {what}")
        rebuilt = ctx.preserves((pca, "reconstruct"), x)
        ctx.matches(rebuilt, Reference(x, count).reconstruct(x).to(x.dtype), tol, f"reconstruct: {what}")


@declare(
    id="q3.pca.errors", question=3, kind="property", points=0.25, visibility="public",
    title="PCA: what fit returns, and what is refused",
    asks="fit returns the object itself; ValueError unless 1 <= n_components <= min(N, D), at the latest in fit; "
    "RuntimeError from encode, decode and reconstruct before fit",
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
        ctx.raises("ValueError", (pca, "fit"), ctx.randn(rows, features), names="n_components", case=case)
    for method, columns in (("encode", 4), ("decode", 2), ("reconstruct", 4)):
        ctx.raises("RuntimeError", (ctx.new(PCA, 2), method), ctx.randn(5, columns), case=f"{method} before fit")
    for rows, features in ((6, 4), (4, 6)):
        pca = ctx.new(PCA, 4)
        same = ctx.new((pca, "fit"), ctx.randn(rows, features))
        ctx.expect(same == pca, "fit does not return the object itself", "the PCA object", f"a {same.type}",
                   hint="Could one write PCA(2).fit(x).encode(x) with your class?")  # fmt: skip


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
        ctx.matches(value, expected, ANGLE, "principal_angles(a, b)", hint=hint)

    ctx.forall(body, seed_d_angles=spaces())
    a, b = ctx.randn(3, 4), ctx.randn(3, 4)  # two spaces of dimension 3 in 4 share a plane
    expected = torch.from_numpy(subspace_angles(a.mT.numpy(), b.mT.numpy())).flip(0).clone()
    # the two angles 0 are the next check's business
    found = ctx.tensor(ctx.call(ANGLES, a, b), (3,), "principal_angles of spaces that share a plane", finite=False)
    ctx.matches(found[2:], expected[2:], ANGLE, "the largest principal angle of two spaces that share a plane")


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
            ctx.matches(
                ctx.preserves(ANGLES, a, mixed), torch.zeros(3, dtype=dtype), tol, "the angles of a space to itself"
            )
        axes = torch.linalg.qr(ctx.randn(7, 7))[0].to(dtype)
        right = torch.full((3,), torch.pi / 2, dtype=dtype)
        ctx.matches(ctx.call(ANGLES, axes[:3], axes[4:]), right, tol, "the angles of orthogonal spaces")


# ---- comparison -----------------------------------------------------------------------------------------------------


def opponent(ctx: Context) -> tuple[Handle, Handle]:
    """A nonlinear autoencoder on 4x4 images whose training mode shows, and the recorder that wraps it."""
    inner = ctx.new(Probe("Autoencoder"), [16, 6, 3], batch_norm=True, drop_prob=0.5)
    model = ctx.new(Probe("Recorder"), inner)
    model.double()
    return model, inner


@declare(
    id="q3.compare.value", question=3, kind="property", points=0.5, visibility="public",
    title="Comparison with PCA: the two errors",
    asks='compare_with_pca returns {"pca_mse", "ae_mse"}, both per pixel on the test images; PCA has seen the training '
    "images only",
    hint="Which split chose the axes? Over what is the squared error averaged?",
    needs=("q3.pca.codes",),
)  # fmt: skip
def compare_value(ctx: Context) -> None:
    train, test = ctx.images(20, 4, torch.float64), 0.5 * ctx.images(9, 4, torch.float64) + 0.4
    model, inner = opponent(ctx)
    answer = ctx.preserves(COMPARE, model, train, test, 3)
    if not isinstance(answer, Mapping) or not {"pca_mse", "ae_mse"} <= set(answer):
        found = f"the keys {sorted(map(str, answer))}" if isinstance(answer, Mapping) else kind_of(answer)
        raise Failure("compare_with_pca does not return both errors", 'a dict with "pca_mse" and "ae_mse"', found)

    def error(fit_on: Tensor, judged: Tensor) -> float:
        flat = judged.flatten(1)
        return float((Reference(fit_on.flatten(1), 3).reconstruct(flat) - flat).square().mean())

    inner.eval()
    recon = ctx.session.infer(inner, test)[0]
    right = {"pca_mse": error(train, test), "ae_mse": float((recon - test).square().mean())}
    wrong = {
        "Which split chose the axes?": error(test, test),
        "On which images are the two judged?": error(train, train),
        "Is your error per pixel, or per image?": 16 * right["pca_mse"],
        "Is your error an average, or a sum over all pixels of all images?": test.numel() * right["pca_mse"],
        "In which unit is a squared error?": right["pca_mse"] ** 0.5,
        "Do the images still have their mean when they come back?": error(train - train.mean(0), test),
    }
    value = ctx.number(answer["pca_mse"], 'the entry "pca_mse"')
    close = [hint for hint, candidate in wrong.items() if abs(value - candidate) <= 1e-9 * candidate]
    ctx.matches(value, right["pca_mse"], FLOAT64, "pca_mse", hint=close[0] if len(close) == 1 else "")
    ctx.matches(answer["ae_mse"], right["ae_mse"], FLOAT64, "ae_mse")


@declare(
    id="q3.compare.mode", question=3, kind="property", points=0.5, visibility="hidden",
    title="Comparison with PCA: the model is only asked",
    asks="compare_with_pca runs the model in evaluation mode without gradients, changes nothing in it, and gives its "
    "mode back",
    hint="In which mode was the model before, and who says that it was training?",
    needs=(),
)  # fmt: skip
def compare_mode(ctx: Context) -> None:
    train, test = ctx.images(20, 4, torch.float64), ctx.images(9, 4, torch.float64)
    model, inner = opponent(ctx)
    before = inner.state()
    for mode in (True, False):
        model.train(mode)
        ctx.call(COMPARE, model, train, test, 3)
        name = "training" if mode else "evaluation"
        for handle in (model, inner):
            ctx.expect(handle.get("training") is mode, f"a model in {name} mode comes back in the other mode",
                       f"training = {mode}", f"training = {not mode}")  # fmt: skip
    calls = model.get("calls")
    ctx.expect(len(calls) > 0, "the model is never called", "model(x)", "no call")
    ctx.expect(not any(call["training"] for call in calls), "the model runs in training mode", "evaluation mode",
               hint="What do dropout and batch statistics do to an error that is to be compared?")  # fmt: skip
    ctx.expect(not any(call["grad"] for call in calls), "the model runs with gradients", "no gradients",
               hint="Does anything here need a backward pass? What does keeping one cost?")  # fmt: skip
    for name, value in inner.state().items():
        ctx.matches(value, before[name], EXACT, f"{name} of the model after the comparison")


# ---- the linear autoencoder -----------------------------------------------------------------------------------------


@declare(
    id="q3.linear.shapes", question=3, kind="property", points=0.5, visibility="public",
    title="Linear autoencoder: shapes",
    asks="LinearAutoencoder(input_dim, latent_dim) maps images to codes and back; forward returns (x_recon, z), which "
    "are decode(encode(x)) and encode(x)",
    hint="Print the shapes before and after each layer. Which shape has an image, and which does your layer want?",
    needs=(),
)  # fmt: skip
def linear_shapes(ctx: Context) -> None:
    for arguments, side, latent in (((), 28, 32), ((784, 10), 28, 10), ((25, 4), 5, 4), ((9, 1), 3, 1)):
        model = ctx.new(LINEAR, *arguments)
        model.eval()
        for dtype in (torch.float32, torch.float64):
            if dtype == torch.float64:
                model.double()
            for batch in (1, 3, 6):
                x = ctx.images(batch, side, dtype)
                what = f"of LinearAutoencoder{arguments} for {batch} {str(dtype).removeprefix('torch.')} images"
                recon, z = ctx.sequence(ctx.preserves(model, x), 2, f"forward {what}")
                code = ctx.tensor(model.call("encode", x), (batch, latent), f"encode(x) {what}", dtype=dtype)
                picture = ctx.tensor(model.call("decode", code), x.shape, f"decode(z) {what}", dtype=dtype)
                tol = FLOAT64 if dtype == torch.float64 else FLOAT32
                ctx.matches(recon, picture, tol, f"x_recon {what}")
                ctx.matches(z, code, tol, f"z {what}")


@declare(
    id="q3.linear.affine", question=3, kind="property", points=0.75, visibility="public",
    title="Linear autoencoder: affine, with full rank and an offset",
    asks="encoder and decoder are affine, also for large and negative numbers; every entry of the code counts, and the "
    "decoder's offset can be learned",
    hint="Look at what lies between input and output, and at its end: is there anything that bends? If the code is 0, "
    "which picture should come out, and can training change it?",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def linear_affine(ctx: Context) -> None:
    model = ctx.new(LINEAR, 16, 5)
    model.double().eval()

    def body(seed_and_t: tuple[int, float]) -> None:
        seed, t = seed_and_t
        for method, shape in (("encode", (3, 1, 4, 4)), ("decode", (3, 5))):
            one, other = 20 * random(seed, *shape), 20 * random(seed + 1, *shape)
            ends = [ctx.tensor(model.call(method, point), None, f"{method} of a point") for point in (one, other)]
            straight = (1 - t) * ends[0] + t * ends[1]
            value = model.call(method, (1 - t) * one + t * other)
            ctx.matches(value, straight, FLOAT64, f"{method} of a point on a line")

    ctx.forall(body, examples=10, seed_and_t=st.tuples(seeds(), st.floats(-2.0, 3.0)))
    for method, size, shape in (("encode", 16, (16, 1, 4, 4)), ("decode", 5, (5, 5))):
        units = torch.eye(size, dtype=torch.float64).reshape(shape)
        origin = ctx.tensor(model.call(method, 0 * units), None, f"{method}(0)")
        slopes = (ctx.tensor(model.call(method, units), None, method) - origin).flatten(1)
        rank = int(torch.linalg.matrix_rank(slopes, rtol=1e-8))
        ctx.expect(rank == 5, f"the rank of {method} is not the size of the code", 5, rank,
                   hint="Do all entries of the code carry something of their own?")  # fmt: skip
    grads = ctx.session.vjp((model, "decode"), torch.zeros(1, 5, dtype=torch.float64), params=[model]).params[0]
    learns = any(grad is not None and bool((grad != 0).any()) for grad in grads.values())
    ctx.expect(learns, "what decode makes of the code 0 cannot be learned", "a parameter that moves it", "none",
               hint="PCA adds the mean. What plays its part in your decoder?")  # fmt: skip


@declare(
    id="q3.linear.gradient", question=3, kind="gradient", points=0.25, visibility="public",
    title="Linear autoencoder: gradients",
    asks="gradients of reconstruction and code reach the images and all parameters",
    hint="Is there a step in between that autograd cannot follow, or a parameter that forward never uses?",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def linear_gradient(ctx: Context) -> None:
    model = ctx.new(LINEAR, 9, 2)
    model.double().eval()
    x = ctx.images(3, 3, torch.float64)
    ctx.gradient(model, x, path=(0,), params=[model], what="the gradient of x_recon")
    ctx.gradient(model, x, path=(1,), what="the gradient of z")


# ---- trained --------------------------------------------------------------------------------------------------------

# Where the next variance is much smaller (by a factor of .70 and .75): else the last direction is hardly determined.
LATENTS = {"digits": 10, "mnist": 6}
BUDGETS = {
    "digits": Budget(epochs=40, batch_size=32, lr=1e-2),
    "mnist": Budget(epochs=8, batch_size=64, lr=1e-2, train_size=10_000),
}
PCA_ROWS = 4000


@declare(
    id="q3.trained.pca", question=3, kind="trained", points=0.5, visibility="public",
    title="PCA on images",
    asks="PCA fitted on training images reconstructs held-out images as well as scikit-learn's does",
    hint="Some pixels never change. Does any step divide by their spread, or need them to vary?",
    needs=("q3.pca.codes",),
)  # fmt: skip
def trained_pca(ctx: Context) -> None:
    train, test = to_float(ctx.data.train_x[:PCA_ROWS]).flatten(1), trained.test_images(ctx, 1000)
    pca = fitted(ctx, train, 32)
    rebuilt = ctx.tensor(pca.call("reconstruct", test.flatten(1)), (len(test), 784), "reconstruct(test)")
    found = trained.mse(rebuilt, test.flatten(1))
    yardstick = trained.pca_mse(ctx, 32, PCA_ROWS, test)
    # float32 rounding of a projection: some 1e-6 of the pixels, whose square is far below the error itself
    ctx.expect(abs(found - yardstick) <= 1e-3 * yardstick, "the error of PCA-32 on held-out images is wrong",
               f"{yardstick:.5g} (scikit-learn)", f"{found:.5g}")  # fmt: skip


@declare(
    id="q3.trained.linear", question=3, kind="trained", points=1.5, visibility="public",
    title="A trained linear autoencoder finds the subspace of PCA",
    asks="trained on squared error, the linear autoencoder comes near the error of PCA on held-out images, and its "
    "decoder spans the same subspace",
    hint="Which offsets can your decoder learn, and which directions can its code express? Compare with what PCA "
    "subtracts and adds.",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def trained_linear(ctx: Context) -> None:
    budget, latent = BUDGETS[ctx.data.name], LATENTS[ctx.data.name]
    objective = [{"fn": Probe("mse_of_first"), "args": [trained.out(), trained.X]}]
    recipe = Recipe(LINEAR, {"input_dim": 784, "latent_dim": latent}, objective)
    state = trained.fit(ctx, recipe, budget)
    test = trained.test_images(ctx)
    _, rebuilt = trained.encode_then_decode(ctx, recipe, state, test, (latent,))
    yardstick = trained.pca_mse(ctx, latent, budget.train_size, test)
    mean = trained.mean_image_mse(ctx, test) / yardstick
    ctx.at_most("ratio to PCA", trained.mse(rebuilt, test) / yardstick, f"test error relative to PCA-{latent}",
                trivial=mean, slack=0.05)  # fmt: skip

    fresh = ctx.fresh()
    codes = torch.cat([torch.zeros(1, latent), torch.eye(latent)])
    spanned = fresh.infer((recipe.build(fresh, state), "decode"), codes)
    flat = ctx.tensor(spanned, (latent + 1, 1, 28, 28), "decode(z)").flatten(1).double()
    reference = Reference(to_float(ctx.data.train_x[: budget.train_size]).flatten(1), latent)
    angles = torch.from_numpy(subspace_angles((flat[1:] - flat[0]).mT.numpy(), reference.components.mT.numpy()))
    shared = float(angles.cos().square().mean())
    # a random subspace shares latent/784 of its directions with any other
    ctx.at_least("shared subspace", shared, "mean squared cosine of the angles to PCA's subspace",
                 trivial=latent / 784, slack=0.1)  # fmt: skip


CHECKS: tuple[Check, ...] = (
    pca_components, pca_variance, pca_codes, pca_degenerate, pca_errors, angles_value, angles_equal, compare_value,
    compare_mode, linear_shapes, linear_affine, linear_gradient, trained_pca, trained_linear,
)  # fmt: skip

QUESTION = Question(
    number=3, title="PCA and the linear autoencoder", points=8.0, modules=("pca", "autoencoders"), checks=CHECKS
)
