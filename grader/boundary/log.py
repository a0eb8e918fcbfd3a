"""What a session was asked, as far as somebody who reads of a failure wants to know it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from .values import Handle, Probe, Ref, Target, TorchRef


class Call(NamedTuple):
    """A call of the submission, as the check made it."""

    target: Target
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Log:
    """What a session was asked of the submission, as far as a reader of a failure wants to know it."""

    def __init__(self) -> None:
        self.last: Call | None = None
        self.names: set[str] = set()  # "module.name" of all that has been asked of the submission
        self.entered: set[str] = set()  # "module.name" of all that was looked up: nothing else is seen of it first
        self.when = 0.0
        self.made: dict[int, Call] = {}  # what constructed an object, by handle
        self.set: dict[int, dict[str, str]] = {}  # mode and precision that it was put into

    def note(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A call is about to be made."""
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Ref | Handle)]
        self.names |= {self.name(value) for value in (target, *given)} - {""}
        if isinstance(target, TorchRef) or self.is_ours(target):
            return
        if isinstance(target, tuple) and isinstance(target[0], Handle) and target[1] in ("train", "double", "to"):
            now = self.set.setdefault(target[0].number, {})
            if target[1] == "train":
                now["mode"] = ".train()" if args in ((), (True,)) else ".eval()"
            elif target[1] == "double":
                now["dtype"] = ".double()"
            return
        self.last, self.when = Call(target, args, kwargs), time.monotonic()

    def enter(self, value: object) -> None:
        """A request is about to be sent, whose fields are this: what it looks up in the submission is written down."""
        match value:
            case Ref():
                self.entered.add(value.name)
            case dict():
                for part in value.values():
                    self.enter(part)
            case tuple() | list():
                for part in value:
                    self.enter(part)

    def is_ours(self, target: object) -> bool:
        """Whether an object is called that is the grader's, with nothing of the submission in it."""
        match target:
            case Handle(number=number) | (Handle(number=number), _) if number in self.made:
                made = self.made[number]
                given = (*made.args, *made.kwargs.values())
                return isinstance(made.target, Probe | TorchRef) and not any(isinstance(g, Handle | Ref) for g in given)
        return False

    def name(self, target: object) -> str:
        """What of the submission is called: "module.name" of the function, or of the class of the object."""
        match target:
            case str():
                return target
            case Ref():
                return target.name
            case Handle(number=number) | (Handle(number=number), _):
                return self.name(self.made[number].target) if number in self.made else ""
        return ""
