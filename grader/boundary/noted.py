"""The form of what probes note: a note is data of a process that runs the submission, which can write what it likes.

What is of another form is the submission's violation, as everything malformed. What is of the right form may still be
forged: no check concludes anything from a note that a value does not show as well (`rubric.shared.told`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from .lending import Lends
from .log import Log
from .replies import Malformed
from .values import Handle, Probe

Fits = Callable[[Any], bool]


def is_bool(value: Any) -> bool:
    """A truth value."""
    return isinstance(value, bool)


def is_count(value: Any) -> bool:
    """A whole number, not negative."""
    return type(value) is int and value >= 0


def is_text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def is_tensor(value: Any) -> bool:
    """Numbers, of at least one dimension."""
    return isinstance(value, Tensor) and value.ndim > 0 and not value.is_complex()


def anything(value: Any) -> bool:
    """Whatever it is."""
    return True


def all_of(fits: Fits) -> Fits:
    """A list of these."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


def record(**fields: Fits) -> Fits:
    """A dict with these entries."""
    return lambda value: (
        isinstance(value, dict) and value.keys() == fields.keys() and all(fits(value[k]) for k, fits in fields.items())
    )


MODES: Mapping[str, Fits] = {"modes": all_of(is_bool), "grads": all_of(is_bool)}
NOTES: Mapping[str, Mapping[str, Fits]] = {
    "Recorder": {
        "calls": all_of(record(training=is_bool, grad=is_bool, graph=is_bool, rows=is_count, kwargs=all_of(is_text),
                               dtype=is_text, device=is_text)),
        "seen": all_of(is_tensor),
    },
    "Watched": {"calls": all_of(record(training=is_bool, grad=is_bool, rows=is_count)), "seen": all_of(is_tensor)},
    "IdentityDecoder": {**MODES, "widths": all_of(is_count)}, "TableModel": MODES, "BernoulliVAE": MODES,
    "Outputs": {"calls": all_of(all_of(lambda value: isinstance(value, Tensor)))},
    "NotingLoss": {
        "calls": all_of(record(output=is_text, outputs=all_of(is_text), batch=is_text, kind=is_text, autocast=is_bool)),
        "batches": all_of(is_tensor),
    },
    "Denoiser": {
        "calls": all_of(record(add_noise=anything, seed=anything, training=is_bool)), "seen": all_of(is_tensor),
    },
    "Clearing": {"cleared": all_of(is_bool)}, "NotingScaler": {"asked": all_of(is_text)},
}  # fmt: skip


def noted(log: Log, lends: Lends, asked: Mapping[str, Any], value: Any) -> Any:
    """What a probe notes under this name, if it is of its form; raises Malformed. Other attributes are as they are."""
    held, name = asked["on"], lends.key(asked["name"])
    made = log.made.get(held.number) if isinstance(held, Handle) else None
    if made is None or not isinstance(made.target, Probe):
        return value
    fits = is_bool if name == "training" else NOTES.get(made.target.name, {}).get(name, anything)
    if not fits(value):
        raise Malformed("what a helper of the grader has noted was changed")
    return value
