"""On which device a result lies where model and inputs lie on another one than the CPU, without there being one.

What the submission makes on the CPU whatever the device (draws, masks, row numbers, constants) meets what lies
elsewhere, which PyTorch refuses, or comes back from there. See `grader/boundary/lent/elsewhere.py`.
"""

from __future__ import annotations

from typing import Any

from ..boundary.ends import StudentRaised
from ..boundary.log import Call
from ..boundary.values import Handle, Probe, Ref, Target
from .context import Context
from .failure import Failure
from .typed import typed

WHERE_MADE = (
    "On a GPU: which tensors does your code make itself, and where do they lie when those it was given lie there?"
)
WHAT_MOVES = "What does model.to(device) take along, and what of the model stays where it was made?"


def expect_on_device(
    ctx: Context, what: str, target: Target, /, *args: Any, hint: str = WHERE_MADE, **kwargs: Any
) -> None:
    """Results of the call lie where its tensors and models lie, which stay there: make models for this call alone.

    Only a mixture of devices or a result on the CPU counts. Whatever else goes wrong on a device that is none says
    nothing: the call has been made on the CPU before.
    """
    ctx.call(target, *args, **kwargs)
    function: Target = Ref(target) if isinstance(target, str) else target
    method = ""
    if isinstance(target, tuple) and isinstance(target[0], Handle):
        function, method = target[0], str(target[1])
    shown = typed(ctx.session.log, Call(target, args, kwargs))
    try:
        found = ctx.call(Probe("devices_of"), function, *args, method=method, **kwargs)
    except StudentRaised as raised:
        if "DeviceMismatch" not in raised.kinds:
            return
        frames = raised.frames[-1:]
        where = "".join(f" at {frame.file}, line {frame.line}: {frame.code}" for frame in frames)
        kept = raised.message.partition("one on another: ")[2]  # an attribute of a model that did not move with it
        raise Failure(
            f"{what} mixes devices where model and inputs lie on a GPU{where}",
            "all tensors on the device of the inputs", kept or "a tensor on the CPU meets one on the GPU",
            hint=WHAT_MOVES if kept else hint, call=shown,
        ) from None  # fmt: skip
    if isinstance(found, list) and "cpu" in found:
        which = "its result lies" if len(found) == 1 else f"result {found.index('cpu')} of {len(found)} lies"
        raise Failure(
            f"{what} leaves the device: {which} on the CPU where model and inputs lie on a GPU", "a result on the GPU",
            "on the CPU", hint=hint, call=shown,
        )  # fmt: skip
