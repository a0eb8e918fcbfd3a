"""The denoising autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import Failure
from ...check.parts import Part
from ...check.values import Gen, Handle, TorchRef
from ..q04.models import (
    ACROSS,
    BATCH_OF_ONE,
    TWO_THINGS,
    WHICH_SIZES,
    WHOSE_DTYPE,
    blown_up,
    encoded,
    picture_of,
    squashed,
    unbounded,
)
from ..shared.latents import stir
from ..shared.readings import asking
from .draws import DRAWS, draws_are_fresh
from .noise import CORRUPT, GAUSSIAN, KINDS, MASKING, SALT

LOSS, DAE = "denoising.denoising_loss", "denoising.DenoisingAutoencoder"
T_BOUND = 9.0  # two-sided 3e-8 of Student's t with 19 degrees of freedom, the least that Welch's test can have
SMALL: dict[str, Any] = {"input_dim": 49, "latent_dim": 5}
# a corruption that has lost its own points costs the model nothing
DRAWN = ("q5.noise.independent", "q5.noise.generator", "q5.noise.contract", "q5.noise.errors")
CORRUPTIONS = (
    Part("denoising.corrupt", "corrupt", ("q5.gaussian.moments", "q5.gaussian.clamp", "q5.masking.rate", "q5.salt.rate",
                                          *DRAWN, "q5.corrupt.kinds")),
    Part(GAUSSIAN, "gaussian_noise", ("q5.gaussian.moments", "q5.gaussian.clamp", *DRAWN)),
    Part(MASKING, "masking_noise", ("q5.masking.rate", *DRAWN)),
    Part(SALT, "salt_and_pepper_noise", ("q5.salt.rate", *DRAWN)),
)  # fmt: skip


def made(noise: str, level: float) -> str:
    """How a model was made, as one reads it."""
    return f"DenoisingAutoencoder(noise={noise!r}, noise_level={level:g})"


def dae(ctx: Context, noise: str = "gaussian", level: float = 0.3) -> Handle:
    """A small float64 model in evaluation mode, for 7x7 images, whose code and reconstruction depend on their inputs.

    Its parameters are random: a head may start at zero, and in one draw all units of a layer may be off. Of several
    draws it gets those with which most units of the code see a difference: behind a ReLU that is rarely all of them.
    """
    model = ctx.new(DAE, **SMALL, noise=noise, noise_level=level).double().eval()
    x, z = ctx.images(2, 7, torch.float64), ctx.randn(2, 5)
    most, kept = 0, dict[str, Tensor]()
    for _ in range(12):
        stir(ctx, model, 1.0)
        codes, pictures = model.call("encode", x), model.call("decode", z)
        if all(isinstance(found, Tensor) and not torch.equal(found[0], found[1]) for found in (codes, pictures)):
            awake = int((codes[0] != codes[1]).sum())
            if awake == codes[0].numel():
                return model
            if awake > most:
                most, kept = awake, model.state()
    if not most:
        raise Failure(
            f"{made(noise, level)}: whatever its weights are, two images have the same code, or two codes the same "
            "reconstruction", "other codes for other images", show_both_ends(codes, pictures),
            hint="Do the units between image and code, and between code and image, ever differ from 0?",
        )  # fmt: skip
    model.load(kept)
    return model


def show_both_ends(codes: Any, pictures: Any) -> str:
    """Which of the two does not vary."""
    same = [name for name, found in (("encode", codes), ("decode", pictures))
            if isinstance(found, Tensor) and torch.equal(found[0], found[1])]  # fmt: skip
    return f"the same from {' and '.join(same)}"


def both(ctx: Context, model: Handle, x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """`(x_recon, z)` of a small model."""
    x_recon, z = as_sequence(ctx.call(model, x, *args, **kwargs), 2, "forward(x)", hint=TWO_THINGS)
    return as_tensor(x_recon, x.shape, "x_recon", dtype=x.dtype), as_tensor(z, (len(x), 5), "z", dtype=x.dtype)


@declare(
    id="q5.dae.shapes", question=5, kind="property", points=0.25, visibility="public",
    title="Denoising autoencoder: shapes",
    asks="encode, decode and forward of DenoisingAutoencoder have the right shapes and dtypes",
    hint="Print the shape after every layer for a batch of three 7x7 images. What are the two things that forward "
    "returns?",
    needs=(), parts=CORRUPTIONS,
)  # fmt: skip
def dae_shapes(ctx: Context) -> None:
    for kwargs, side, latent in ((SMALL, 7, 5), ({}, 28, 32)):
        model = ctx.new(DAE, **kwargs).eval()
        for batch, dtype in ((3, torch.float32), (1, torch.float64)):
            if dtype == torch.float64:
                model.double()
            x = ctx.images(batch, side, dtype)
            with asking(WHICH_SIZES if batch == 3 else WHOSE_DTYPE):
                z, _ = encoded(ctx, model, x, latent, False, BATCH_OF_ONE if batch == 1 else "", WHOSE_DTYPE)
                picture_of(model.call("decode", z), x, "the picture that decode gives for the code", WHICH_SIZES)
                for args in ((), (False,), (True,)):
                    said = f"forward(x{''.join(f', add_noise={arg}' for arg in args)})"
                    x_recon, code = as_sequence(preserves(ctx, model, x, *args), 2, said, hint=TWO_THINGS)
                    if isinstance(code, Tensor) and code.shape == x.shape:
                        first = isinstance(x_recon, Tensor) and x_recon.shape == z.shape
                        raise Failure(f"the second output of {said} is no code", "(x_recon, z)",
                                      "(z, x_recon)" if first else "(x_recon, images)",
                                      hint="Which two things does forward return, and in which order?")  # fmt: skip
                    as_tensor(code, z.shape, f"the second output of {said}", dtype=dtype)
                    picture_of(x_recon, x, f"the first output of {said}", WHICH_SIZES)


@declare(
    id="q5.dae.range", question=5, kind="property", points=0.25, visibility="public",
    title="Denoising autoencoder: unbounded codes, squashed outputs, errors",
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other; an unknown "
    "noise, and an input_dim that is no square, is a ValueError at construction",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder? Which arguments does "
    "the constructor look at?",
    needs=("q5.dae.shapes",), parts=CORRUPTIONS,
)  # fmt: skip
def dae_range(ctx: Context) -> None:
    model, codes, pictures = ctx.new(DAE, **SMALL).double().eval(), [], []
    for _ in range(10):  # 50 units of a code: all of one sign by chance with probability 2^-49
        blown_up(ctx, model)
        x_recon, z = both(ctx, model, ctx.images(4, 7, torch.float64))
        codes.append(z)
        pictures.append(x_recon)
    pictures.append(as_tensor(model.call("decode", ctx.randn(4, 5)), (4, 1, 7, 7), "decode(z)"))
    unbounded(torch.cat(codes))
    squashed(torch.cat(pictures))
    raises(ctx, "ValueError", DAE, **SMALL, noise="poisson", names="poisson",
           case="DenoisingAutoencoder(noise='poisson')",
           hint="When does a caller hear of a noise that does not exist: when a model is made, or later?")  # fmt: skip
    raises(ctx, "ValueError", DAE, input_dim=50, latent_dim=5, names="input_dim",
           case="DenoisingAutoencoder(input_dim=50), which is no square number,",
           hint="How many rows and columns has a square image of 50 pixels?")  # fmt: skip


# ---- when it corrupts ----------------------------------------------------------------------------------------------

NOBODY_SAYS = "What does the model do in {mode} mode when nobody says anything about noise?"
ON_WHAT = "On what does the corruption work: on what goes into the model, or on what comes out of it?"
QUESTIONS: Mapping[bool | None, str] = {
    True: "How can somebody find out in evaluation mode how well the model removes noise?",
    False: "What does a False do that None does not: who has the last word, add_noise or the mode?",
}


@declare(
    id="q5.dae.modes", question=5, kind="property", points=0.75, visibility="public",
    title="Denoising autoencoder: when it corrupts",
    asks="forward corrupts in training mode only if add_noise is None, always if it is True, never if it is False, "
    "with gradients and without; encode and decode never do",
    hint="How can you find out how well a model removes noise while it is in evaluation mode? Which of the three "
    "values of add_noise looks at the mode?",
    needs=("q5.dae.shapes",), parts=CORRUPTIONS,
)  # fmt: skip
def dae_modes(ctx: Context) -> None:
    # at level 1 these corruptions replace every pixel, so that the output depends on the image only if there is no
    # corruption. Unlike values, that shows with dropout or batch norm in training mode too
    models = [dae(ctx, noise, 1.0) for noise in ("masking", "salt_and_pepper")]
    x, z = ctx.images(4, 7, torch.float64), ctx.randn(4, 5)
    weights = [((0,), ctx.randn(*x.shape)), ((1,), ctx.randn(4, 5))]

    def depends(model: Handle, which: Sequence[int] = (0, 1), **how: Any) -> bool:
        slope = ctx.session.vjp(model, x, wrt=[0], cotangents=[weights[k] for k in which], **how).args[0]
        return slope is not None and float(slope.abs().max()) > 0

    encode_and_decode_are_clean(ctx, models, x, z)
    clean: dict[tuple[bool, bool | None], list[bool]] = {}
    calls: dict[tuple[bool, bool | None], str] = {}
    for training in (True, False):
        for add_noise in (None, True, False):
            for model in models:
                model.train(training)
                how: dict[str, Any] = {} if add_noise is None else {"add_noise": add_noise}
                clean.setdefault((training, add_noise), []).append(depends(model, **how))
                calls[training, add_noise] = ctx.typed()
                now = model.get("training")
                expect(now is training, f"forward(x, add_noise={add_noise}) changes the mode of the model",
                       f"training = {training}, as before", f"training = {now}",
                       hint="Whose mode is it, and who expects it to stay?")  # fmt: skip
    for (training, add_noise), found in clean.items():
        corrupts = training if add_noise is None else add_noise
        # a mistake in one of the corruptions costs its own check: one that works is enough
        if all(found) if corrupts else not all(found):
            said, mode = f"forward(x{'' if add_noise is None else f', add_noise={add_noise}'})", mode_name(training)
            if corrupts and corrupts_otherwise(ctx, models, x, training, add_noise):
                continue  # something else is done to the image: another check asks what
            late = corrupts and all(depends(model.train(training), (1,), add_noise=True) and not
                                    depends(model, (0,), add_noise=True) for model in models)  # fmt: skip
            raise Failure(
                f"{said} in {mode} mode {'does not corrupt' if corrupts else 'corrupts'} the images",
                f"{'corrupted' if corrupts else 'clean'} images in {mode} mode", summary(clean),
                looks="x_recon is corrupted, and the code is that of the clean images" if late else "",
                hint=ON_WHAT if late else QUESTIONS.get(add_noise, NOBODY_SAYS.format(mode=mode)),
                call=calls[training, add_noise],
            )  # fmt: skip
    explicit = all(depends(model.train(), add_noise=None) for model in models)
    expect(explicit == all(clean[True, None]), "forward(x, add_noise=None) is not forward(x)", "the same",
           "other images", hint="Which default has add_noise?")  # fmt: skip
    forward_is_both(ctx, models, x)
    corrupts_without_gradients(ctx, models, x)


def mode_name(training: bool) -> str:
    """The mode as one speaks of it."""
    return "training" if training else "evaluation"


def summary(clean: Mapping[tuple[bool, bool | None], Sequence[bool]]) -> str:
    """When a model corrupted, for a reader."""
    parts = []
    for training in (True, False):
        said = [f"{add_noise}: {'clean' if all(clean[training, add_noise]) else 'corrupted'}"
                for add_noise in (None, True, False)]  # fmt: skip
        parts.append(f"in {mode_name(training)} mode with add_noise {', '.join(said)}")
    return "; ".join(parts)


def encode_and_decode_are_clean(ctx: Context, models: Sequence[Handle], x: Tensor, z: Tensor) -> None:
    """In both modes what encode and decode give depends on what goes in."""
    for training in (True, False):
        for model in models:
            model.train(training)
            for method, argument, shape in (("encode", x, (4, 5)), ("decode", z, x.shape)):
                weights = ctx.randn(*shape)
                found = ctx.session.vjp((model, method), argument, wrt=[0], cotangents=[((), weights)]).args[0]
                expect(found is not None and float(found.abs().max()) > 0,
                       f"{method} corrupts in {mode_name(training)} mode", "never: only forward does",
                       "with every pixel replaced, what comes out does not depend on what goes in",
                       hint=f"Who is to decide about noise: forward, or {method} as well?")  # fmt: skip


def outputs(ctx: Context, model: Handle, x: Tensor, **how: bool) -> Tensor:
    """Reconstruction and code with the same global numbers behind each call: dropout makes no difference."""
    ctx.call(TorchRef("manual_seed"), 17)
    x_recon, z = as_sequence(ctx.session.infer(model, x, **how), 2, "forward(x)", hint=TWO_THINGS)
    parts = as_tensor(x_recon, x.shape, "x_recon"), as_tensor(z, (len(x), 5), "z")
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def corrupts_otherwise(
    ctx: Context, models: Sequence[Handle], x: Tensor, training: bool, add_noise: bool | None
) -> bool:
    """Whether the code is another than without noise, though it depends on the image: another corruption."""
    how = {} if add_noise is None else {"add_noise": add_noise}

    def codes(model: Handle, **how: bool) -> Tensor:
        return outputs(ctx, model.train(training), x, **how)[:, -5:]

    return any(not torch.equal(codes(model, **how), codes(model, add_noise=False)) for model in models)


def forward_is_both(ctx: Context, models: Sequence[Handle], x: Tensor) -> None:
    """In evaluation mode forward without noise is decode of encode."""
    for model in models:
        model.eval()
        for how in ({}, {"add_noise": False}):
            x_recon, code = both(ctx, model, x, **how)
            said = "forward(x, add_noise=False)" if how else "forward(x)"
            z = as_tensor(model.call("encode", x), (len(x), 5), "encode(x)")
            matches(ctx, code, z, ACROSS, f"the code of {said} in evaluation mode, compared with encode(x),",
                    hint="What happens to clean images between forward and encode?")  # fmt: skip
            picture = as_tensor(model.call("decode", z), x.shape, "decode(z)")
            what = f"x_recon of {said} in evaluation mode, compared with decode(encode(x)),"
            matches(ctx, x_recon, picture, ACROSS, what,
                    hint="What does forward do besides encoding and decoding?")  # fmt: skip


def corrupts_without_gradients(ctx: Context, models: Sequence[Handle], x: Tensor) -> None:
    """Under no_grad too: what forward gives is not what it gives for clean images."""
    for how in ({}, {"add_noise": True}):
        said = f"forward(x{', add_noise=True' if how else ''})"
        clean = [torch.equal(outputs(ctx, model.train(), x, **how), outputs(ctx, model, x, add_noise=False))
                 for model in models]  # fmt: skip
        expect(not all(clean), f"under torch.no_grad() {said} in training mode does not corrupt", "corrupted images",
               "what it gives for clean images; with gradients it corrupts",
               hint="Is a model that records no gradients still in training mode?")  # fmt: skip


# ---- which noise ---------------------------------------------------------------------------------------------------


@declare(
    id="q5.dae.noise", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: which noise",
    asks="a model corrupts as corrupt does, by the noise and at the level it was constructed with, level 0 and other "
    "models beside it or not; without them by Gaussian noise of 0.3",
    hint="What becomes of the constructor's arguments? Does forward use both of them, whatever they are, and are they "
    "still those of this model when there is a second one?",
    needs=("q5.dae.shapes",), parts=CORRUPTIONS,
)  # fmt: skip
def dae_noise(ctx: Context) -> None:
    grey, black = ctx.rand(4, 1, 7, 7, low=0.3, high=0.7), torch.zeros(4, 1, 7, 7, dtype=torch.float64)
    kind = "From where does forward know which corruption to use?"
    level = "From where does forward know how strong the corruption is to be?"
    zero = "Does a noise_level of 0 arrive where it is used, as 0?"
    # each kind where it cannot be mistaken: masking leaves black images alone, salt does not; a tiny Gaussian moves
    # everything a little, a tiny probability moves nothing
    cases = (("masking", 0.5, grey, True, kind), ("masking", 0.5, black, False, kind),
             ("salt_and_pepper", 0.5, black, True, kind), ("salt_and_pepper", 1e-9, grey, False, level),
             ("masking", 1e-9, grey, False, level), ("gaussian", 1e-5, grey, True, kind),
             ("gaussian", 0.0, grey, False, zero), ("masking", 0.0, grey, False, zero))  # fmt: skip
    kept = []
    for noise, at, x, moves, hint in cases:
        model = dae(ctx, noise, at)
        corrupts_as_asked(ctx, model, noise, at, x, moves, hint)
        kept.append((model, noise, at, x, moves))
    level_is_used(ctx, grey)
    same_as_corrupt(ctx)
    # once more, after all the others have been made
    for model, noise, at, x, moves in kept:
        lives = "Where do noise and level live: in the model or in its class?"
        corrupts_as_asked(ctx, model, noise, at, x, moves, lives, " after other models were made")
    defaults(ctx, grey)


def corrupts_as_asked(
    ctx: Context, model: Handle, noise: str, level: float, x: Tensor, moves: bool, hint: str, after: str = ""
) -> None:
    """Whether the codes of `x` move by the corruption. One of many draws is enough."""
    images = "grey" if bool(x.any()) else "black"
    what = f"{made(noise, level)} with add_noise=True on {images} images{after}"
    clean = as_tensor(model.call("encode", x), (len(x), 5), "encode(x)")
    far, noisy = 0.0, clean
    for _ in range(DRAWS if moves else 1):
        noisy = both(ctx, model, x, add_noise=True)[1]
        far = float((noisy - clean).abs().max())
        if far > 1e-12:
            break
    kept = (noisy == 0) | (noisy == clean.clamp(0, 1)) | (noisy == clean)
    # equal up to rounding, or any noise at all
    on_code = not after and far > 1e-12 and noise == "masking" and bool(kept.all())
    expect(not on_code, f"{what} corrupts the code", "the code of corrupted images",
           "the code of the clean images, with numbers of it set to 0",
           hint="On which of the two does the corruption work: on images or on codes?")  # fmt: skip
    alone = "leaves them as they are" if not moves else "changes them"
    # as above
    expect((far > 1e-12) == moves, f"{what} is another corruption",
           f"{'other codes than' if moves else 'the same codes as'} without noise, since {noise} {alone}",
           f"codes that differ by up to {far:.3g}" if far > 1e-12 else "the same codes", hint=hint)  # fmt: skip


def level_is_used(ctx: Context, grey: Tensor) -> None:
    """A smaller level moves codes less, as much less as the student's own gaussian_noise does."""
    levels = (1e-3, 1e-7)
    weights: dict[str, Tensor] = {}
    moved = []
    for level in levels:  # one after the other: where a second model changes the first has a question of its own
        model = dae(ctx, "gaussian", level)
        if weights:
            model.load(weights)  # as sensitive as the one before
        weights = model.state()
        clean = as_tensor(model.call("encode", grey), (len(grey), 5), "encode(x)")
        moved.append(float((both(ctx, model, grey, add_noise=True)[1] - clean).abs().max()))
    louder, softer = moved
    ratio = louder / max(softer, 1e-300)
    # a wrong gaussian_noise costs its own checks: this one asks how large the student's own becomes
    first, second = (as_tensor(ctx.call(GAUSSIAN, grey, level), grey.shape, "gaussian_noise") for level in levels)
    own = float((first - grey).abs().mean()) / max(float((second - grey).abs().mean()), 1e-300)
    # each move is the largest of 20 numbers of one size, of equal models: the ratio is right up to a small factor
    expect(0.03 < ratio / own < 30, "noise_level is not the level of the noise",
           f"{own:.3g} times the noise for {levels[0] / levels[1]:g} times the noise_level, as gaussian_noise gives",
           f"{ratio:.3g} times", hint="From where does forward know how strong the corruption is to be?")  # fmt: skip


def same_as_corrupt(ctx: Context) -> None:
    """The codes of forward with noise are distributed as those that encode gives for the student's own corrupt(x, …).

    Means and spreads over each call's images, of 20 calls each, by Welch's t: 30 comparisons at 3e-8.
    """
    image = torch.where(ctx.rand(1, 1, 7, 7) < 0.5, 0.0, ctx.rand(1, 1, 7, 7, low=0.2, high=0.9))
    x = image.expand(64, 1, 7, 7).contiguous()
    for noise, level in (("gaussian", 0.5), ("masking", 0.3), ("salt_and_pepper", 0.3)):
        model = dae(ctx, noise, level)
        own, theirs = [], []
        for _ in range(20):
            noisy = as_tensor(ctx.call(CORRUPT, x, noise, level), x.shape, f"corrupt(x, {noise!r}, {level})")
            own.append(as_tensor(model.call("encode", noisy), (len(x), 5), "encode(x)"))
            theirs.append(both(ctx, model, x, add_noise=True)[1])
        before, after = torch.stack(own), torch.stack(theirs)
        shared = float(after.std(1).max()) < 1e-9 * float(after.abs().max()) or torch.equal(after[0], after[1])
        if shared:  # by the images of a batch, or by all calls: `q5.dae.fresh` says so
            continue
        for what, a, b in (("mean", before.mean(1), after.mean(1)), ("spread", before.std(1), after.std(1))):
            gap, scale = (a.mean(0) - b.mean(0)).abs(), ((a.var(0) + b.var(0)) / len(a)).sqrt()
            unit = int((gap / scale.clamp(min=1e-300)).argmax())
            # 1e-9: rounding, where a unit does not vary at all
            expect(
                bool((gap <= T_BOUND * scale + 1e-9).all()),
                f"{made(noise, level)}: forward(x, add_noise=True) corrupts otherwise than corrupt(x, {noise!r}, "
                f"{level})",
                f"code {unit} has a {what} of {float(a.mean(0)[unit]):.3g} over noisy images, by encode(corrupt(x, …))",
                f"it has one of {float(b.mean(0)[unit]):.3g}",
                hint="Which of your functions makes the noise in forward, with which level, and how often?",
            )


def defaults(ctx: Context, grey: Tensor) -> None:
    """A model made without noise and level does what one does that is made with "gaussian" and 0.3."""
    plain, said = ctx.new(DAE, **SMALL).double().eval(), dae(ctx, "gaussian", 0.3)
    plain.load(said.state())
    codes = []
    for model in (plain, said):
        ctx.call(TorchRef("manual_seed"), 17)
        codes.append(both(ctx, model, grey, add_noise=True, generator=Gen(18))[1])
    matches(ctx, codes[0], codes[1], ACROSS,
            "with equal weights and equal generators the code of a model made without noise and noise_level, compared "
            "with that of one made with 'gaussian' and 0.3,",
            hint="Which noise, and how much of it, has a model when nobody says?")  # fmt: skip


@declare(
    id="q5.dae.fresh", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: fresh noise",
    asks="every forward pass and every image gets its own noise, drawn from the generator if one is given; the images "
    "given stay clean; everything stays on the device of model and images",
    hint="When are the random numbers drawn: once, or whenever an image comes in? Does the generator get there?",
    needs=("q5.dae.shapes",), parts=CORRUPTIONS,
)  # fmt: skip
def dae_fresh(ctx: Context) -> None:
    x = ctx.rand(1, 1, 7, 7, low=0.3, high=0.7).expand(4, 1, 7, 7).contiguous()
    for noise, (_, level) in KINDS.items():
        model = dae(ctx, noise, level)
        draws_are_fresh(ctx, model, (x, True), f"{made(noise, level)}: z of forward(x, add_noise=True)", pick=1)
        preserves(ctx, model, x, True)
        drawn = (both(ctx, model, x, True)[1] for _ in range(DRAWS))
        # by more than rounding, which depends on an image's place in the batch
        apart = any(float((codes - codes[0]).abs().max()) > 1e-4 * float(codes.abs().max()) for codes in drawn)
        expect(apart, f"{made(noise, level)}: all images of a batch get the same noise",
               "other codes for four equal images", "the same code for all four",
               hint="Does every image of a batch get random numbers of its own?")  # fmt: skip
        for training in (True, False):
            expect_on_device(ctx, f"{made(noise, level)} in {mode_name(training)} mode", ctx.new(
                DAE, **SMALL, noise=noise, noise_level=level).double().train(training), x, add_noise=True)  # fmt: skip
