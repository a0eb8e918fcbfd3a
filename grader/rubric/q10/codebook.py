"""Question 10, shared: a student's quantizer with a codebook of the grader, and how its results are read.

A check reads what belongs to other checks as leniently as it can: which codes were chosen, from whatever shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import as_sequence, as_tensor
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure, Tolerance
from ...check.parts import Part
from ...check.shown import alike
from ...check.values import Handle, Slot, StudentRaised

VQ, EMA = "vqvae.VectorQuantizer", "vqvae.EMAVectorQuantizer"
QUANTIZER_LOSS = {"use": Slot("out", 1)}  # of what a quantizer returns, and a VQVAE
PART = Part(VQ, "VectorQuantizer", (
    "q10.vq.codebook", "q10.vq.nearest", "q10.vq.codes", "q10.vq.lookup", "q10.vq.loss", "q10.vq.straight-through",
    "q10.vq.reconstruction", "q10.vq.codebook-loss", "q10.vq.commitment", "q10.vq.contract", "q10.dtypes", "q10.start",
))  # fmt: skip
EMA_PART = Part(EMA, "EMAVectorQuantizer", (
    "q10.ema.buffer", "q10.ema.codes", "q10.ema.forward", "q10.ema.modes", "q10.ema.update", "q10.ema.smoothing",
    "q10.ema.steady", "q10.ema.converges", "q10.vq.contract", "q10.dtypes", "q10.start",
))  # fmt: skip
SAVED = "What would be left of the codes after saving the model and loading it again?"
READ_FROM = "Other codes were loaded. Which tensor of yours holds them now, and which one do you read?"


@dataclass(frozen=True)
class Quantizer:
    """A student's quantizer, its codebook `(K, D)`, and the entries of its `state_dict` that hold that."""

    handle: Handle
    codebook: Tensor
    entries: tuple[str, ...]

    @property
    def tol(self) -> Tolerance:
        """Of results in the precision of the codebook."""
        return tolerance(self.codebook.dtype)


def tolerance(dtype: torch.dtype) -> Tolerance:
    """Of results in this precision."""
    return FLOAT64 if dtype == torch.float64 else FLOAT32


def codebook_of(ctx: Context, handle: Handle, shape: tuple[int, int] | None = None) -> Tensor:
    """The attribute `codebook`."""
    return as_tensor(handle.get("codebook"), shape, "the attribute codebook")


def as_codebook(held: Tensor, shape: Sequence[int]) -> Tensor:
    """An entry of the state as `(K, D)`: one of `(D, K)` is the transpose."""
    return held.T if held.ndim == 2 and tuple(held.shape) == tuple(shape)[::-1] else held.reshape(tuple(shape))


def as_entry(codebook: Tensor, shape: Sequence[int]) -> Tensor:
    """A codebook `(K, D)` in the shape of an entry of the state."""
    return codebook.T.contiguous() if tuple(shape) == tuple(codebook.shape)[::-1] else codebook.reshape(tuple(shape))


def entries(state: Mapping[str, Tensor], codebook: Tensor) -> tuple[str, ...]:
    """Entries of a state that hold the values of `codebook`, in whatever shape."""
    return tuple(name for name, held in state.items() if held.numel() == codebook.numel()
                 and torch.equal(as_codebook(held, codebook.shape), codebook))  # fmt: skip


def own(ctx: Context, kind: str, num_embeddings: int, embedding_dim: int, *args: float, **options: float) -> Quantizer:
    """A quantizer with the codebook that the student's code gives it."""
    handle = ctx.new(kind, num_embeddings, embedding_dim, *args, **options)
    codebook = codebook_of(ctx, handle, (num_embeddings, embedding_dim))
    return Quantizer(handle, codebook, entries(handle.state(), codebook))


def loaded(ctx: Context, kind: str, codebook: Tensor, *args: float, **options: float) -> Quantizer:
    """A quantizer in evaluation mode with this codebook, in its dtype; with its own where none can be loaded."""
    num_embeddings, embedding_dim = codebook.shape
    handle = own(ctx, kind, num_embeddings, embedding_dim, *args, **options).handle.eval()
    if codebook.dtype == torch.float64:
        handle.double()
    return put(ctx, handle, codebook)


def put(ctx: Context, handle: Handle, codebook: Tensor) -> Quantizer:
    """Replaces the codebook of a quantizer, as far as it can be done: what cannot has its own check.

    What an EMA quantizer keeps beside its codebook, and in which form, is the student's own: sums that hold the same
    values are set together, others stay. Where averages move, the quantizer must have its own codes (`wide`).
    """
    state = handle.state()
    held = entries(state, codebook_of(ctx, handle, (len(codebook), codebook.shape[1])))
    handle.load(state | {name: as_entry(codebook, state[name].shape) for name in held})
    return Quantizer(handle, codebook_of(ctx, handle, (len(codebook), codebook.shape[1])), held)


def expect_loads(ctx: Context, kind: str, num_embeddings: int, embedding_dim: int) -> None:
    """The codebook is in the `state_dict`, and one that is loaded is the one that is used."""
    made = own(ctx, kind, num_embeddings, embedding_dim)
    if not made.entries:
        raise Failure(
            "the codebook is not in the state_dict", "an entry with the values of codebook",
            "entries " + (", ".join(made.handle.state()) or "none"), hint=SAVED,
        )  # fmt: skip
    codebook = ctx.randn(num_embeddings, embedding_dim, dtype=torch.float32)
    now = put(ctx, made.handle, codebook).codebook
    if not torch.equal(now, codebook):
        unmoved = "the codes from before" if torch.equal(now, made.codebook) else "other codes"
        raise Failure("after load_state_dict the attribute codebook does not show the codes that were loaded",
                      "the codes loaded", unmoved, hint=READ_FROM)  # fmt: skip


def precision(ctx: Context, *kinds: str) -> torch.dtype:
    """float64; float32 where a quantizer does not work in float64, which has its own check."""
    for kind in kinds:
        try:
            handle = ctx.new(kind, 3, 2).double()
            z_e = ctx.randn(1, 2, 2, 3)
            for mode in (False, True):
                z_q, loss, _ = as_sequence(handle.train(mode)(z_e), 3, "forward")
                as_tensor(z_q, None, "z_q", dtype=torch.float64)
                as_tensor(loss, None, "vq_loss", dtype=torch.float64)
        except (StudentRaised, Failure):
            return torch.float32
    return torch.float64


WIDE = 256


def wide(ctx: Context, num_embeddings: int, **options: float) -> Quantizer:
    """An EMA quantizer in training mode with the codes that the student's code gives it, in WIDE dimensions.

    So many random numbers are nearly at right angles and equally long: near one of these codes every measure of
    distance agrees, also a wrong one, which has its own check.
    """
    made = own_apart(ctx, num_embeddings, WIDE, **options)
    made.handle.train()
    return made


def own_apart(ctx: Context, num_embeddings: int, embedding_dim: int, **options: float) -> Quantizer:
    """An EMA quantizer with its own codes, or with others if its own are not all different: that has its own check."""
    made = own(ctx, EMA, num_embeddings, embedding_dim, **options)
    if distinct(made.codebook) == num_embeddings:
        return made
    return put(ctx, made.handle, 0.3 * ctx.randn(num_embeddings, embedding_dim, dtype=torch.float32))


def pixels(z: Tensor) -> Tensor:
    """`(B, D, H, W)` -> `(B, H, W, D)`: the vector of each pixel."""
    return z.permute(0, 2, 3, 1)


def codes_at(codebook: Tensor, indices: Tensor) -> Tensor:
    """Codes of `(B, H, W)` indices as `(B, D, H, W)`."""
    return codebook[indices].permute(0, 3, 1, 2)


def distinct(rows: Tensor) -> int:
    """How many different rows."""
    return len({tuple(row) for row in rows.tolist()})


def distances(z_e: Tensor, codebook: Tensor) -> Tensor:
    """Squared distances `(B, H, W, K)`, in float64."""
    return (pixels(z_e.double()).unsqueeze(-2) - codebook.double()).square().sum(-1)


# ---- what a quantizer returns -------------------------------------------------------------------------------------


def z_q_of(value: object, z_e: Tensor, hint: str = INHERIT) -> Tensor:
    """The first result; its dtype has its own check."""
    z_q, _, _ = as_sequence(value, 3, "the quantizer's forward")
    return as_tensor(z_q, z_e.shape, "z_q", hint=hint).to(z_e.dtype)


def loss_of(value: object, z_e: Tensor, hint: str = INHERIT) -> Tensor:
    """The second."""
    _, loss, _ = as_sequence(value, 3, "the quantizer's forward")
    return as_tensor(loss, (), "vq_loss", hint=hint).to(z_e.dtype)


def indices_of(value: object, z_e: Tensor, num_embeddings: int) -> Tensor:
    """The third, int64 `(B, H, W)`, all of them code numbers."""
    *_, indices = as_sequence(value, 3, "the quantizer's forward")
    batch, _, height, width = z_e.shape
    indices = as_tensor(
        indices, None, "indices", dtype=torch.int64, hint="Of which type are numbers that pick rows of a table?"
    )
    if tuple(indices.shape) != (batch, height, width):
        raise Failure(f"indices of z_e {tuple(z_e.shape)} has the wrong shape", f"(B, H, W) = {(batch, height, width)}",
                      f"{tuple(indices.shape)}", hint="For z_e of shape (B, D, H, W): how many codes are chosen, and "
                      "where on the grid does each of them belong?")  # fmt: skip
    outside = indices[(indices < 0) | (indices >= num_embeddings)]
    if len(outside):
        raise Failure("an index is outside the codebook", f"0…{num_embeddings - 1}", str(outside.tolist()[:9]),
                      hint="With K codes, what is the number of the first, and what that of the last?")  # fmt: skip
    return indices


def chosen(value: object, z_e: Tensor, codebook: Tensor) -> Tensor:
    """Numbers `(B, H, W)` of the codes that were chosen, from whatever result shows it; the nearest if none does."""
    batch, _, height, width = z_e.shape
    nearest = distances(z_e, codebook).argmin(-1)
    z_q, _, indices = as_sequence(value, 3, "the quantizer's forward")
    numbers = None
    if isinstance(indices, Tensor) and indices.dtype == torch.int64 and indices.numel() == nearest.numel():
        inside = 0 <= int(indices.min()) <= int(indices.max()) < len(codebook)
        numbers = indices.reshape(batch, height, width) if inside else None
    if not isinstance(z_q, Tensor) or z_q.shape != z_e.shape or z_q.is_complex():
        return nearest if numbers is None else numbers
    z_q = z_q.to(codebook.dtype)
    if numbers is not None and alike(z_q, codes_at(codebook, numbers), 1e-4, 1e-5):
        return numbers
    seen = distances(z_q, codebook).argmin(-1)
    if alike(z_q, codes_at(codebook, seen), 1e-4, 1e-5):
        return seen
    return nearest if numbers is None else numbers


def fixed_case(ctx: Context, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A codebook `(6, 3)` with one code that no pixel is near, and `z_e` `(2, 3, 4, 5)`."""
    codebook = torch.cat([ctx.randn(5, 3), torch.full((1, 3), 9.0, dtype=torch.float64)])
    return codebook.to(dtype), ctx.randn(2, 3, 4, 5).to(dtype)


def settled(ctx: Context, held: Quantizer, z_e: Tensor) -> Tensor:
    """`z_e` as a call of the quantizer in evaluation mode leaves it: that it stays as it is has its own check."""
    _, (after,), _ = ctx.session.effects(held.handle.eval(), z_e)
    usable = isinstance(after, Tensor) and after.shape == z_e.shape and bool(after.isfinite().all())
    return after.to(z_e.dtype) if usable else z_e


def expect_steps(ctx: Context, model: Handle, x: Tensor, objective: Sequence[Mapping[str, Any]], what: str) -> None:
    """The model can be trained step after step: nothing of one step's graph is left when the next is differentiated."""

    def step() -> None:
        ctx.session.train(model, {"x": x}, objective, epochs=1, batch_size=len(x), lr=1e-3, seed=0)

    step()
    try:
        step()
    except StudentRaised as raised:
        said = raised.message.partition(".")[0]  # torch goes on about what retain_graph is for
        raise Failure(
            f"a second training step of {what} fails", "step after step", f"{raised.kinds[0]}: {said}",
            hint="What of the first step's graph do your running averages still hold in the second?",
        ) from None  # fmt: skip


def expect_flows(got: Tensor | None, wanted: Tensor, what: str, hint: str) -> Tensor:
    """`got`; None stands for zeros, and is no gradient where there should be one."""
    if got is None and bool(wanted.any()):
        raise Failure(f"{what} is None: autograd sees no path", f"a gradient {tuple(wanted.shape)}", "None", hint=hint)
    return torch.zeros_like(wanted) if got is None else got
