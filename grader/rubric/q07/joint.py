"""The autoencoder and the classifier together: one model, two outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, Failure
from ...check.values import Probe
from ..shared.loops import asking
from .classifier import expect_affine
from .models import JOINT, LATENT, PIXELS, SIDE, off_affine, stir_head, watched

ORDER = "Which of the two values comes first, and what is each of them?"


@declare(
    id="q7.joint.model", question=7, kind="property", points=0.5, visibility="public",
    title="The joint model",
    asks="JointModel returns (x_recon, logits): the reconstruction of the autoencoder itself, and logits (B, "
    "num_classes) that are an affine function of the same code, which is computed once; of any autoencoder with "
    "encode and forward",
    hint="Whose reconstruction is the first output, and of which code are the logits made?",
    needs=(),
)  # fmt: skip
def joint_model(ctx: Context) -> None:
    autoencoder = watched(ctx)
    with asking("What does a joint model need to know of an autoencoder, besides its methods and latent_dim?"):
        model = ctx.new(JOINT, autoencoder, LATENT, num_classes=3).eval()
        x = ctx.images(60, SIDE)
        first = as_sequence(ctx.call(model, x), 2, "forward of JointModel")
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else () for part in first]
    expect(shapes != [(60, 3), (60, 1, SIDE, SIDE)], "forward of JointModel returns its two values in another order",
           "(x_recon, logits)", f"shapes {shapes[0]} and {shapes[1]}: (logits, x_recon)", hint=ORDER)  # fmt: skip
    if shapes[1] == (60, LATENT):
        raise Failure("the second output of JointModel is not the logits", f"shape {(60, 3)}: one for each class",
                      f"shape {shapes[1]}, as the code", hint="What should a classifier do with the code, and where is "
                      "it done?")  # fmt: skip
    stir_head(ctx, model, autoencoder.state())
    for turn in ("", ", after the autoencoder given has got other weights,"):
        recon, codes = autoencoder(x)
        known = len(autoencoder.get("calls"))
        found = as_sequence(preserves(ctx, model, x), 2, "forward of JointModel")
        passes = len(autoencoder.get("calls")) - known
        follows = "Whose weights does the joint model work with, when the autoencoder that it was given learns on?"
        matches(ctx, found[0], recon, FLOAT32, f"x_recon of JointModel{turn}",
                hint=follows if turn else "Whose reconstruction should the first output be?")  # fmt: skip
        expect(passes == 1, "JointModel runs the encoder more than once for its two outputs", "1 pass",
               f"{passes} passes",
               hint="A denoising encoder gives another code each time it is asked: do your two outputs come from the "
               "same one?")  # fmt: skip
        as_tensor(found[1], (60, 3), "the logits of JointModel with num_classes=3", dtype=torch.float32,
                  hint="Where does the number of logits come from?" if isinstance(found[1], Tensor)
                  and found[1].ndim == 2 else "")  # fmt: skip
        expect_affine(codes, found[1], recon, f"the logits of JointModel{turn}",
                      follows if turn else "Of which code are the logits made, and what is done to them?")  # fmt: skip
        state = autoencoder.state()
        autoencoder.load({name: 1.5 * value + 0.1 for name, value in state.items()})
    noisy = ctx.new(Probe("Watched"), PIXELS, LATENT, noise=1.0)
    joint = ctx.new(JOINT, noisy, LATENT, num_classes=3).eval()
    noisy.train()  # only the encoder is noisy: a head may have dropout
    recon, logits = as_sequence(ctx.call(joint, x), 2, "forward of JointModel")
    recon, logits = as_tensor(recon, (60, 1, SIDE, SIDE), "x_recon"), as_tensor(logits, (60, 3), "the logits")
    # float32: what least squares leave of logits that are affine in the picture; equal logits fail elsewhere
    expect(not float(logits.std(0).max()) > 1e-4 or off_affine(recon.flatten(1), logits) < 0.01,
           "the two outputs of JointModel come from different codes of a noisy encoder",
           "logits of the code that is decoded", "logits of another code", hint="A denoising encoder gives another "
           "code each time it is asked: do your two outputs come from the same one?")  # fmt: skip
    for at, (what, hint) in enumerate((("x_recon", "Should the error of the reconstruction shape the code?"),
                                       ("the logits", "Should the labels shape the code?"))):  # fmt: skip
        slope = ctx.session.vjp(model, x, wrt=(0,), cotangents=[((at,), None)]).args[0]
        expect(slope is not None and bool(slope.any()),
               f"no gradient goes from {what} of JointModel back to the encoder",
                   "a gradient from each output", "none", hint=hint)  # fmt: skip
    with asking("Which methods of an autoencoder may you count on?"):
        undecoded = ctx.new(JOINT, ctx.new(Probe("Undecoded"), watched(ctx)), LATENT)
        default = ctx.call(undecoded, ctx.images(4, SIDE))
    as_tensor(as_sequence(default, 2, "forward of JointModel")[1], (4, 10), "the logits of JointModel by default",
              hint="How many classes are there if nobody says?")  # fmt: skip
