"""What both quantizers must do alike: codes at the start, arguments, precision, devices."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, preserves, raises
from ...check.failure import INHERIT, Failure
from ...check.shown import show
from ...check.values import StudentRaised
from .codebook import EMA, VQ, codes_at, distinct, loaded, own, precision, put

KINDS = (VQ, EMA)
RESTART, MODEL = "vqvae.restart_dead_codes", "vqvae.VQVAE"
OWN_NUMBERS = "In which precision are the numbers that your code makes, and in which are those that it was given?"


@declare(
    id="q10.start", question=10, kind="property", points=0.25, visibility="public",
    title="Quantizers: codes at the start",
    asks="the codes that a new quantizer has differ from each other",
    hint="Two codes are equal from the start. Which of them does a pixel choose, and what becomes of the other?",
    needs=(),
)  # fmt: skip
def start(ctx: Context) -> None:
    for kind in KINDS:
        made = own(ctx, kind, 6, 4)
        count = distinct(made.codebook)
        rows = {tuple(row) for row in made.codebook.tolist()}
        shown = f": all are {show(made.codebook[0], 3)}" if len(rows) == 1 else ""
        expect(count == 6, f"the codes of a new {kind.removeprefix('vqvae.')}(6, 4) are not all different",
               "6 different codes", f"{count} different codes{shown}", hint=INHERIT)  # fmt: skip


@declare(
    id="q10.vq.contract", question=10, kind="property", points=0.25, visibility="hidden",
    title="Quantizers: arguments",
    asks="both quantizers leave z_e as it is, and refuse a z_e with other than D channels",
    hint="What comes first in (B, D, H, W)? What should happen to an input with its channels last?",
    needs=(),
)  # fmt: skip
def contract(ctx: Context) -> None:
    dtype = precision(ctx, *KINDS)
    for kind in KINDS:
        name = kind.removeprefix("vqvae.")
        held = loaded(ctx, kind, ctx.randn(6, 4).to(dtype))
        for mode in (False, True):
            preserves(ctx, held.handle.train(mode), 3 * ctx.randn(2, 4, 3, 5).to(held.codebook.dtype))
        # 4 channels are asked for; the second has as many elements as would be right, in the wrong place
        for shape in ((2, 3, 5, 5), (2, 5, 3, 4), (2, 8, 3, 5)):
            raises(ctx, "ValueError", held.handle, ctx.randn(*shape).to(held.codebook.dtype), names="z_e",
                   case=f"{name} with embedding_dim=4, given z_e of shape {shape},",
                   hint="How many channels does this z_e have, and how many has a code?")  # fmt: skip


@declare(
    id="q10.dtypes", question=10, kind="property", points=0.25, visibility="public",
    title="Quantizers: float32 and float64",
    asks="both quantizers work in float32 and float64: z_q and vq_loss have the dtype of z_e, in both modes",
    hint=OWN_NUMBERS,
    needs=(),
)  # fmt: skip
def dtypes(ctx: Context) -> None:
    for kind in KINDS:
        name = kind.removeprefix("vqvae.")
        if not saved(ctx, kind):
            continue
        for dtype in (torch.float32, torch.float64):
            handle = ctx.new(kind, 6, 4)
            if dtype == torch.float64:
                handle.double()
            words = str(dtype).removeprefix("torch.")
            z_e = ctx.randn(2, 4, 3, 5).to(dtype)
            for mode in (False, True):
                where = f"{name} in {words} and {'training' if mode else 'evaluation'} mode"
                handle.train(mode)
                try:
                    value = handle(z_e)
                except StudentRaised as raised:
                    if dtype == torch.float32 or "dtype" not in raised.message.lower().replace("scalar type", "dtype"):
                        raise
                    line = f" at {raised.frames[-1].file}, line {raised.frames[-1].line}: {raised.frames[-1].code}"
                    raise Failure(f"{where} fails{line if raised.frames else ''}", f"results in {words}",
                                  f"{raised.kinds[0]}: {raised.message}", hint=OWN_NUMBERS) from None  # fmt: skip
                z_q, loss, _ = as_sequence(value, 3, "forward")
                as_tensor(z_q, z_e.shape, f"z_q of {where}", dtype=dtype)
                as_tensor(loss, (), f"vq_loss of {where}", dtype=dtype)
                looked = handle.call("lookup", ctx.randint(0, 6, 2, 3, 5))
                as_tensor(looked, z_e.shape, f"lookup(indices) of {where}", dtype=dtype)


def saved(ctx: Context, kind: str) -> bool:
    """Whether the codebook belongs to the module; if not, it does not go where that goes, which has its own check."""
    codebook = ctx.randn(6, 4, dtype=torch.float32)
    return torch.equal(put(ctx, ctx.new(kind, 6, 4), codebook).codebook, codebook)


def placed(ctx: Context, kind: str) -> tuple[Tensor, Tensor]:
    """A z_e `(2, 4, 3, 5)` and the usage of six codes of which three are dead."""
    codebook = own(ctx, kind, 6, 4).codebook
    return codes_at(codebook, ctx.randint(0, 6, 2, 3, 5)), torch.tensor([3, 0, 2, 0, 0, 9])


@declare(
    id="q10.devices", question=10, kind="property", points=0.25, visibility="public",
    title="Question 10 on a GPU",
    asks="quantizers, restart_dead_codes and VQVAE work where their tensors lie, and leave their results there",
    hint="On which device does a tensor begin that your code makes itself?",
    needs=(),
)  # fmt: skip
def devices(ctx: Context) -> None:
    for kind in KINDS:
        name = kind.removeprefix("vqvae.")
        z_e, usage = placed(ctx, kind)
        if not saved(ctx, kind):
            continue
        for mode in (False, True):
            expect_alone(ctx, f"{name} in {'training' if mode else 'evaluation'} mode",
                         ctx.new(kind, 6, 4).train(mode), z_e)  # fmt: skip
        expect_alone(ctx, f"restart_dead_codes of a {name}", RESTART, ctx.new(kind, 6, 4), z_e, usage)
        model = ctx.new(MODEL, 6, 4, ema=kind == EMA)
        expect_alone(ctx, f"VQVAE(ema={kind == EMA})", model, ctx.images(2))


def expect_alone(ctx: Context, what: str, target: object, *args: object) -> None:
    """`expect_on_device`, unless the call does not work on the CPU either, which has its own check."""
    try:
        expect_on_device(ctx, what, target, *args)  # type: ignore[arg-type]
    except StudentRaised as raised:
        if "NotImplementedError" in raised.kinds:
            raise
