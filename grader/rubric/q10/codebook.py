"""Question 10, shared: a student's quantizer with a codebook of the grader, and what its results must look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import random, seeds
from ...check.context import Context
from ...check.expectations import as_sequence, as_tensor, expect, matches
from ...check.failure import EXACT, FLOAT64, Failure
from ...check.values import Handle, Slot, StudentRaised

VQ, EMA = "vqvae.VectorQuantizer", "vqvae.EMAVectorQuantizer"
QUANTIZER_LOSS = {"use": Slot("out", 1)}  # of what a quantizer returns, and a VQVAE


@dataclass(frozen=True)
class Quantizer:
    """A student's quantizer, its codebook `(K, D)`, and the entry of its `state_dict` that holds it."""

    handle: Handle
    codebook: Tensor
    name: str


def codebook_of(ctx: Context, handle: Handle, shape: tuple[int, int] | None = None) -> Tensor:
    """The attribute `codebook`."""
    return as_tensor(handle.get("codebook"), shape, "the attribute codebook")


def entries(state: dict[str, Tensor], codebook: Tensor) -> list[str]:
    """Entries of a state that hold the values of `codebook`, in whatever shape but not transposed."""
    return [name for name, held in state.items()
            if held.numel() == codebook.numel() and torch.equal(held.reshape(codebook.shape), codebook)]  # fmt: skip


def own(ctx: Context, kind: str, num_embeddings: int, embedding_dim: int, *args: float, **options: float) -> Quantizer:
    """A quantizer with the codebook that the student's code gives it."""
    handle = ctx.new(kind, num_embeddings, embedding_dim, *args, **options)
    codebook = codebook_of(ctx, handle, (num_embeddings, embedding_dim))
    held = entries(handle.state(), codebook)
    if not held:
        raise Failure(
            "the codebook is not in the state_dict", "an entry with the values of codebook",
            "entries " + (", ".join(handle.state()) or "none"),
            hint="What would be left of the codes after saving the model and loading it again?",
        )  # fmt: skip
    return Quantizer(handle, codebook, held[0])


def loaded(ctx: Context, kind: str, codebook: Tensor, *args: float, **options: float) -> Quantizer:
    """A quantizer in evaluation mode with this codebook, in its dtype."""
    num_embeddings, embedding_dim = codebook.shape
    made = own(ctx, kind, num_embeddings, embedding_dim, *args, **options)
    handle = made.handle.eval()
    if codebook.dtype == torch.float64:
        handle.double()
    return Quantizer(handle, codebook, put(ctx, handle, made.codebook, codebook))


def put(ctx: Context, handle: Handle, present: Tensor, codebook: Tensor) -> str:
    """Replaces the codebook `present` of a quantizer; returns the entry of its state that holds it."""
    state = handle.state()
    # What an EMA quantizer keeps beside its codebook, and in which form, is the student's own: sums that hold the same
    # values are set together, others stay. Where averages move, the quantizer must have its own codes (`wide`).
    held = entries(state, present.to(codebook.dtype))
    if not held:
        raise Failure("the codebook in the state_dict does not follow .double()", str(codebook.dtype), "another dtype")
    handle.load(state | {name: codebook.reshape(state[name].shape) for name in held})
    matches(ctx, handle.get("codebook"), codebook, EXACT, "codebook after load_state_dict")
    return held[0]


WIDE = 256


def wide(ctx: Context, num_embeddings: int, **options: float) -> Quantizer:
    """An EMA quantizer in training mode with the codes that the student's code gives it, in WIDE dimensions.

    So many random numbers are nearly at right angles and equally long: near one of these codes every measure of
    distance agrees, also a wrong one, which has its own check.
    """
    made = own(ctx, EMA, num_embeddings, WIDE, **options)
    made.handle.train()
    return made


def pixels(z: Tensor) -> Tensor:
    """`(B, D, H, W)` -> `(B, H, W, D)`: the vector of each pixel."""
    return z.permute(0, 2, 3, 1)


def codes_at(codebook: Tensor, indices: Tensor) -> Tensor:
    """Codes of `(B, H, W)` indices as `(B, D, H, W)`."""
    return codebook[indices].permute(0, 3, 1, 2)


def distinct(rows: Tensor) -> int:
    """How many different rows."""
    return len({tuple(row) for row in rows.tolist()})


def quantized(ctx: Context, value: object, z_e: Tensor, num_embeddings: int) -> tuple[Tensor, Tensor, Tensor]:
    """The three results of a quantizer, checked for shape, dtype and range."""
    z_q, loss, indices = as_sequence(value, 3, "the quantizer's forward")
    batch, _, height, width = z_e.shape
    indices = as_tensor(indices, (batch, height, width), "indices", dtype=torch.int64)
    outside = indices[(indices < 0) | (indices >= num_embeddings)]
    expect(not len(outside), "an index is outside the codebook", f"0…{num_embeddings - 1}", outside)
    z_q = as_tensor(z_q, z_e.shape, "z_q", dtype=z_e.dtype)
    return z_q, as_tensor(loss, (), "vq_loss", dtype=z_e.dtype), indices


def expect_nearest(ctx: Context, z_e: Tensor, codebook: Tensor, indices: Tensor) -> None:
    """No code is nearer than the chosen one. Ties, and what rounding makes a tie, go either way."""
    distances = (pixels(z_e.double()).unsqueeze(-2) - codebook.double()).square().sum(-1)
    chosen = distances.gather(-1, indices.unsqueeze(-1)).squeeze(-1)
    # |z|^2 - 2 z.e + |e|^2 loses about eps times the largest square to cancellation; 1e3 for sums and a margin
    rounding = 1e3 * torch.finfo(z_e.dtype).eps * float(distances.max() + z_e.square().max() + codebook.square().max())
    wrong = int((chosen > distances.min(-1).values + rounding).sum())
    expect(
        wrong == 0, f"{wrong} of {indices.numel()} pixels do not get their nearest code", distances.argmin(-1), indices,
        hint="Feed an image whose every pixel is one of the codes: which index should each pixel get? And which "
        "numbers of (B, D, H, W) form the vector of one pixel?", case={"codebook": codebook, "z_e": z_e},
    )  # fmt: skip


@st.composite
def grids(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """A codebook `(K, D)` and a `z_e` `(B, D, H, W)` around it, all sizes drawn."""
    num_embeddings, dim = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    batch, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    seed, shift = draw(seeds()), draw(st.sampled_from([0.0, 1.0, 5.0]))
    codebook = random(seed, num_embeddings, dim) + shift
    return codebook, random(seed + 1, batch, dim, height, width) + shift


def fixed_case(ctx: Context) -> tuple[Tensor, Tensor]:
    """A codebook `(6, 3)` with one code that no pixel is near, and `z_e` `(2, 3, 4, 5)`."""
    codebook = torch.cat([ctx.randn(5, 3), torch.full((1, 3), 50.0, dtype=torch.float64)])
    return codebook, ctx.randn(2, 3, 4, 5)


def expect_follows(ctx: Context, kind: str) -> None:
    """In evaluation mode, codes that are replaced between two calls are no longer those that are compared."""
    lengths = torch.arange(1.0, 10.0, dtype=torch.float64)[:, None]
    first = lengths * F.normalize(ctx.randn(9, 4), dim=1)
    second = lengths.flip(0) * F.normalize(ctx.randn(9, 4), dim=1)  # the longest has become the shortest
    held = loaded(ctx, kind, first)
    numbers = torch.arange(9).repeat(2)[torch.randperm(18, generator=ctx.rng)].reshape(2, 3, 3)
    held.handle(codes_at(first, numbers))
    put(ctx, held.handle, first, second)
    z_e = codes_at(second, numbers)
    *_, indices = quantized(ctx, held.handle(z_e), z_e, 9)
    expect(torch.equal(indices, numbers), "after other codes are loaded, a vector that is a code gets another one",
               numbers, indices, hint="The codes changed between two calls. What do you still remember of the old "
               "ones?")  # fmt: skip


def expect_steps(ctx: Context, model: Handle, x: Tensor, objective: Sequence[Mapping[str, Any]], what: str) -> None:
    """The model can be trained step after step: nothing of one step's graph is left when the next is differentiated."""

    def step() -> None:
        ctx.session.train(model, {"x": x}, objective, epochs=1, batch_size=len(x), lr=1e-3, seed=0)

    step()
    try:
        step()
    except StudentRaised as raised:
        raise Failure(f"a second training step of {what} fails", "step after step", f"{raised.kinds[0]}: "
                      f"{raised.message}", hint="What of the first step's graph do your running averages still hold in "
                      "the second?") from None  # fmt: skip


def expect_gradient(ctx: Context, got: Tensor | None, wanted: Tensor, what: str, hint: str = "") -> None:
    """`got` is `wanted`; None stands for zeros."""
    if got is None and bool(wanted.any()):
        raise Failure(f"{what} is None: nothing flows", f"a gradient {tuple(wanted.shape)}", "None", hint=hint)
    matches(ctx, torch.zeros_like(wanted) if got is None else got, wanted, FLOAT64, what, hint=hint)
