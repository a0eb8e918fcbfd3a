"""What a check function works with: sessions on the submission, random draws, and expectations that fail as data."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import hypothesis
import torch
from hypothesis import Phase
from hypothesis import strategies as st
from torch import Tensor

from ..boundary.launch import GraderFault, Worker
from ..boundary.session import Handle, Limits, Probe, Ref, Session, SessionEnded, StudentRaised, Target, TorchRef
from .cases import drawn_cases
from .datasets import Dataset
from .declaration import DIFFERENCES, Check, Failure, Part, Tolerance
from .patterns import Pair, Reading, describe, describe_shape, sizes_of
from .shown import kind_of, mentions, show, unchanged
from .thresholds import UNCALIBRATED, Thresholds

SHRINK_CALLS = 150
PROBES = 10
# not the refusal of an argument: the function is not there, or its file cannot be imported
UNUSABLE = frozenset({"NotImplementedError", "MissingName", "SyntaxError", "ImportError", "SystemExit"})
SLACK = 0.1
NOTHING_BACK = "nothing flows back: autograd sees no path from the result to it"
FINITE_DIFFERENCE_STEP = 1e-5


class Unimplemented(SessionEnded):
    """The student has not written this part yet. A BaseException: there is nothing to shrink."""


class _Enough(BaseException):
    """Shrinking has had its share of calls."""


def derive(seed: int, label: str) -> int:
    """A seed for one purpose, from the run's seed: stable across processes and Python versions."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{label}".encode()).digest()[:4], "big") >> 1


class Measurement(NamedTuple):
    """A number that a trained check compares with a cut, on which side of it is good, and what its cuts come from.

    `slack` is the share of the reference's value by which a correct answer of another architecture may be worse;
    `trivial` is what a model that has learned nothing reaches in the same run.
    """

    value: float
    below: bool
    slack: float
    trivial: float


class Context:
    """One check's view of one submission."""

    def __init__(
        self, check: Check, worker: Worker, run_seed: int, limits: Limits, device: str = "cpu",
        data: Dataset | None = None, thresholds: Thresholds | None = None, stand_ins: Sequence[Part] = (),
        tolerance: float = 1.0,
    ) -> None:  # fmt: skip
        self.check, self.worker, self.limits, self.device = check, worker, limits, device
        self.stand_ins, self.tolerance = stand_ins, tolerance
        self.seed = derive(run_seed, check.id)
        self.rng = torch.Generator().manual_seed(self.seed)
        self._data, self._thresholds = data, thresholds
        self._sessions: list[Session] = []
        self.measured: dict[str, Measurement] = {}
        self.credit, self.shortfall = 1.0, Failure("")  # share of the points, and why it is not all of them
        self.close_call = False
        self._said: list[str] = []
        self._case: Mapping[str, Any] = {}  # what `forall` has drawn
        self._wrong: defaultdict[str, list[Pair]] = defaultdict(list)  # numbers that were wrong, by what they are

    # ---- sessions ---------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The check's process, started on first use."""
        return self._sessions[0] if self._sessions else self.fresh()

    def fresh(self) -> Session:
        """Another process, which has seen nothing of what happened in the first."""
        session = Session(self.worker, derive(self.seed, f"session {len(self._sessions)}"), self.limits)
        self._sessions.append(session)
        if self.check.kind == "trained" and self.device != "cpu":
            session.use_device(self.device)
        for part in self.stand_ins:
            session.stand_in(part.name, Probe(part.probe))
        return session

    def close(self) -> None:
        """Ends all processes of the check."""
        for session in self._sessions:
            session.close()

    @property
    def printed(self) -> bytes:
        """The last lines that the student's code printed in the first process."""
        return self._sessions[0].printed if self._sessions else b""

    @property
    def odd(self) -> str:
        """A value that the student's code returned and with which no check can go on."""
        return next((session.odd for session in self._sessions if session.odd), "")

    def call(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """`Session.call` on the check's process."""
        return self.session.call(target, *args, **kwargs)

    def new(self, target: Target, /, *args: Any, **kwargs: Any) -> Handle:
        """`Session.new` on the check's process."""
        return self.session.new(target, *args, **kwargs)

    # ---- data of trained checks -------------------------------------------------------------------------------

    @property
    def data(self) -> Dataset:
        """The dataset of a trained check."""
        assert self._data is not None, "only trained checks have data"
        return self._data

    @property
    def thresholds(self) -> Thresholds:
        """The measured cuts of a trained check."""
        assert self._thresholds is not None, "only trained checks have thresholds"
        return self._thresholds

    def at_most(
        self, metric: str, value: float, what: str, digits: int = 5, *, trivial: float, slack: float = SLACK
    ) -> None:
        """`value` earns full credit up to the cut measured for it, none from `trivial` on. NaN and infinity never do.

        The check's credit is that of its worst metric.
        """
        self._against_cut(metric, Measurement(value, True, slack, trivial), what, digits)

    def at_least(
        self, metric: str, value: float, what: str, digits: int = 4, *, trivial: float, slack: float = SLACK
    ) -> None:
        """`value` earns full credit from the cut measured for it on, none down to `trivial`."""
        self._against_cut(metric, Measurement(value, False, slack, trivial), what, digits)

    def _against_cut(self, metric: str, found: Measurement, what: str, digits: int) -> None:
        self.measured[metric] = found
        value, side = found.value, "at most" if found.below else "at least"
        cut = self.thresholds.cut(self.check.id, metric)
        if cut is None:
            if self.thresholds is UNCALIBRATED:
                return
            raise GraderFault(f"{self.check.id} has no cut for {metric} on {self.data.name}: run make calibrate")
        if (cut.full < cut.zero) != found.below:
            raise GraderFault(f"the cuts of {self.check.id} for {metric} on {self.data.name} contradict each other")
        self.close_call |= cut.close(value)
        credit = cut.credit(value)
        bound = f"{side} {cut.full:.{digits}g}"
        if credit < self.credit:
            wanted = f"{bound} for all points; {cut.zero:.{digits}g}, a model that has learned nothing, earns none"
            miss = Failure(f"{what} on {self.data.name} misses the threshold", wanted, f"{value:.{digits}g}")
            if not credit:
                raise miss
            self.credit, self.shortfall = credit, miss
        self._said.append(f"{what} {value:.{digits}g} ({bound})")

    def summary(self) -> str:
        """What was measured against which cut, for a check that passed."""
        return "; ".join(self._said)

    # ---- draws --------------------------------------------------------------------------------------------------

    def randn(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """N(0, 1) numbers from the check's own stream."""
        return torch.randn(shape, generator=self.rng, dtype=dtype)

    def rand(self, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform numbers in [low, high)."""
        return low + (high - low) * torch.rand(shape, generator=self.rng, dtype=dtype)

    def randint(self, low: int, high: int, *shape: int) -> Tensor:
        """Uniform integers in low, …, high - 1."""
        return torch.randint(low, high, shape, generator=self.rng)

    def images(self, batch: int, side: int = 28, dtype: torch.dtype = torch.float32) -> Tensor:
        """Images `(batch, 1, side, side)` of uniform noise in [0, 1]."""
        return self.rand(batch, 1, side, side, dtype=dtype)

    def forall(self, body: Callable[..., None], *, examples: int = 25, **strategies: st.SearchStrategy[Any]) -> None:
        """Runs `body` on many drawn cases; on a failure shrinks it and raises that of the smallest case.

        The draws depend on the run's seed alone. Shrinking stops after a fixed number of calls, not after a time, so
        that the same run gives the same report. What is wrong in a small case may have several causes: a few more cases
        as they were drawn tell them apart (see `reading`).
        """
        smallest: list[Failure] = []
        calls_left = [SHRINK_CALLS]

        def run(**drawn: Any) -> None:
            if smallest:
                calls_left[0] -= 1
                if not calls_left[0]:
                    raise _Enough
            self._case = drawn
            try:
                self.guard(lambda: body(**drawn), drawn)
            except Failure as failure:
                smallest[:] = [failure]
                raise

        def probe(**drawn: Any) -> None:
            self._case = drawn
            with contextlib.suppress(Failure, StudentRaised):
                body(**drawn)

        try:
            drawn_cases(run, self.seed, examples, strategies, (Phase.generate, Phase.shrink))
        # a submission that draws may pass on replay: it failed once
        except (Failure, _Enough, hypothesis.errors.Flaky):
            with contextlib.suppress(SessionEnded):
                drawn_cases(probe, self.seed + 1, PROBES, strategies, (Phase.generate,))
            raise smallest[-1] from None
        except SessionEnded:
            if smallest:  # shrinking ran into a hang or a crash: what failed before it says more
                raise smallest[-1] from None
            raise
        finally:
            self._case = {}

    @staticmethod
    def guard(body: Callable[[], Any], case: Mapping[str, Any]) -> Any:
        """Runs `body`; an exception of the student's code, or a failure, comes back with the case that caused it."""
        try:
            return body()
        except (StudentRaised, Failure) as fault:
            shown = {name: show(value) for name, value in case.items()}
            if isinstance(fault, StudentRaised):
                raise failure_of(fault, shown) from None
            fault.counterexample = {**shown, **fault.counterexample}
            raise

    # ---- expectations -------------------------------------------------------------------------------------------

    @staticmethod
    def tensor(value: Any, shape: Sequence[int] | None, what: str, *, dtype: torch.dtype | None = None,
               finite: bool = True) -> Tensor:  # fmt: skip
        """`value` as a tensor of this shape and dtype, all finite; fails with the difference otherwise."""
        if not isinstance(value, Tensor):
            wanted = "a torch tensor" + (f" of shape {tuple(shape)}" if shape is not None else "")
            raise Failure(f"{what} is not a tensor", wanted, kind_of(value))
        if value.is_complex():
            raise Failure(f"{what} is complex", "real numbers", str(value.dtype))
        if shape is not None and tuple(value.shape) != tuple(shape):
            raise Failure(f"{what} has the wrong shape", f"shape {tuple(shape)}", f"shape {tuple(value.shape)}",
                          looks=describe_shape(value.shape, shape))  # fmt: skip
        if dtype is not None and value.dtype != dtype:
            raise Failure(f"{what} has the wrong dtype", str(dtype), str(value.dtype))
        if finite and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            shown = f"{bad} of {value.numel()} are NaN or infinite: {show(value)}"
            raise Failure(f"{what} is not finite", "finite numbers only", shown)
        return value

    @staticmethod
    def sequence(value: Any, length: int, what: str) -> list[Any]:
        """`value` as a tuple or list of this length."""
        if not isinstance(value, list | tuple) or len(value) != length:
            raise Failure(f"{what} does not return {length} values", f"a tuple of {length}", kind_of(value))
        return list(value)

    @staticmethod
    def handle(value: Any, kind: str, what: str) -> Handle:
        """`value` as an object of the submission that stays in its process; `kind` says what it should be."""
        if not isinstance(value, Handle):
            raise Failure(f"{what} does not return {kind}", kind, kind_of(value))
        return value

    @staticmethod
    def number(value: Any, what: str) -> float:
        """`value` as a finite Python number (a 0-dimensional tensor counts)."""
        if isinstance(value, Tensor) and value.ndim == 0:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Failure(f"{what} is not a number", "a number", kind_of(value))
        if not abs(value) < float("inf"):
            raise Failure(f"{what} is not finite", "a finite number", show(value))
        return float(value)

    def matches(self, value: Any, expected: Tensor | float, tol: Tolerance, what: str, *, hint: str = "") -> Tensor:
        """`value` is a tensor of the expected shape, dtype and numbers. NaN never passes."""
        if not isinstance(expected, Tensor):
            actual = torch.tensor(self.number(value, what), dtype=torch.float64)
            wanted = torch.tensor(expected, dtype=torch.float64)
        else:
            actual, wanted = self.tensor(value, expected.shape, what, dtype=expected.dtype), expected
        error = (actual.double() - wanted.double()).abs()
        allowed = self.tolerance * (tol.atol + tol.rtol * wanted.double().abs())
        if not bool((error <= allowed).all()):
            worst = float(error.max())
            self._wrong[what].append(Pair(actual, wanted, sizes_of(self._case)))
            raise Failure(
                f"{what} is wrong", show(wanted), f"{show(actual)} (off by up to {worst:.3g})", hint=hint, about=what
            )
        return actual

    def reading(self, failure: Failure) -> Reading:
        """What all wrong values of the kind that failed have in common, if that is something known."""
        return Reading(failure.looks) if failure.looks else describe(self._wrong.get(failure.about, ()))

    @staticmethod
    def expect(condition: bool, message: str, expected: Any = "", actual: Any = "", *, hint: str = "",
               case: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        """`condition` is true. It must be a comparison that NaN makes false."""
        if not condition:
            shown = {name: show(value) for name, value in (case or {}).items()}
            raise Failure(message, show(expected), show(actual), shown, hint)

    def raises(self, kind: str, target: Target, /, *args: Any, names: str = "", case: str = "", **kwargs: Any) -> None:
        """The call raises `kind`, with a message that names the argument `names`."""
        where = case or f"{target if isinstance(target, str) else 'the call'} with a bad {names}"
        try:
            value = self.call(target, *args, **kwargs)
        except StudentRaised as raised:
            if UNUSABLE & set(raised.kinds):
                raise
            got = f"{raised.kinds[0]}: {raised.message}"
            if kind not in raised.kinds:
                raise Failure(f"{where} must raise {kind}", kind, got) from None
            if names and not mentions(raised.message, names):
                raise Failure(
                    f"{where}: the message does not name the argument", f"{kind} naming {names!r}", got
                ) from None
            return
        raise Failure(f"{where} must raise {kind}", kind, f"returned {show(value)}")

    def preserves(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """The call leaves its arguments as they were, tensors and objects in lists too. Returns its value."""
        value, after, after_named = self.session.effects(target, *args, **kwargs)
        pairs = [*zip(args, after, strict=True), *((v, after_named[k]) for k, v in kwargs.items())]
        for before, now in pairs:
            if not unchanged(before, now):
                raise Failure("an argument was modified in place", show(before), show(now))
        return value

    def leaves_gradients_on(self, what: str) -> None:
        """What was called before has not switched gradients off for everything that comes after it."""
        on = self.call(TorchRef("is_grad_enabled"))
        self.expect(on is True, f"after {what} nothing has gradients any more", "gradients as before", "switched off",
                    hint="For how long are gradients switched off, and who switches them on again?")  # fmt: skip

    def leaves_gradients_off(self, target: str, /, *args: Any, **kwargs: Any) -> None:
        """A call of "module.name" does not switch gradients on for a caller who has switched them off."""
        name = target.partition(".")[2]
        on = self.call(Probe("grad_left"), Ref(target), *args, **kwargs)
        self.expect(on is False, f"after {name} gradients are on, which its caller had switched off", "as before", "on",
                    hint="Were gradients on when your function was called? What does it leave behind?")  # fmt: skip

    def gradient(
        self, target: Target, /, *args: Any, wrt: Sequence[int | str] = (0,), path: Sequence[int | str] = (),
        params: Sequence[Handle] = (), directions: int = 3, tol: Tolerance = DIFFERENCES, what: str = "the gradient",
        step: float = FINITE_DIFFERENCE_STEP, within: Callable[[Tensor], Tensor] = lambda along: along, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Autograd's gradient of a random weighting of the output against central differences of its values.

        All tensors must be float64 and away from kinks. Differences run along random directions of the arguments at
        `wrt` and, separately, of the parameters of `params`: `directions` of each. Where an argument must stay in some
        space, `within` projects its directions (symmetric matrices for a covariance).
        """

        def pick(value: Any) -> Tensor:
            for key in path:
                value = value[key]
            found = self.tensor(value, None, what)
            if not found.is_floating_point():
                raise Failure(f"{what}: the value has none", "floating-point numbers", str(found.dtype))
            return found

        value = pick(self.call(target, *args, **kwargs))
        weights = self.randn(*value.shape, dtype=value.dtype)
        found = self.session.vjp(target, *args, wrt=wrt, params=params, cotangents=[(path, weights)], **kwargs)

        def weighted(at_args: Sequence[Any], at_kwargs: Mapping[str, Any]) -> float:
            return float((pick(self.call(target, *at_args, **at_kwargs)) * weights).sum())

        for where in wrt:
            point: Tensor = args[where] if isinstance(where, int) else kwargs[where]
            got = found.args[where]
            if got is None:
                raise Failure(
                    f"{what}: no gradient reaches argument {where!r}", "a gradient", "None", looks=NOTHING_BACK
                )
            slopes = []
            for _ in range(directions):
                along = within(self.randn(*point.shape))
                sides = []
                for sign in (1, -1):
                    moved = point + sign * step * along
                    at_args = [moved if i == where else a for i, a in enumerate(args)]
                    at_kwargs = {k: moved if k == where else v for k, v in kwargs.items()}
                    sides.append(weighted(at_args, at_kwargs))
                slopes.append((float((got * along).sum()), *sides))
            self._compare(slopes, step, tol, f"{what} to argument {where!r}")
        for handle, grads in zip(params, found.params, strict=True):
            state = handle.state()
            missing = [name for name, grad in grads.items() if grad is None]
            if missing:
                raise Failure(
                    f"{what}: no gradient reaches some parameters", "a gradient each", ", ".join(missing)[:200],
                    looks=NOTHING_BACK,
                )  # fmt: skip
            slopes = []
            for _ in range(directions):
                along_all = {name: self.randn(*state[name].shape) for name in grads}
                sides = []
                for sign in (1, -1):
                    handle.load({k: v + sign * step * along_all[k] if k in along_all else v for k, v in state.items()})
                    sides.append(weighted(args, kwargs))
                handle.load(state)
                slope = sum(float((g * along_all[n]).sum()) for n, g in grads.items() if g is not None)
                slopes.append((slope, *sides))
            self._compare(slopes, step, tol, f"{what} to the parameters")

    def _compare(self, slopes: Sequence[tuple[float, ...]], step: float, tol: Tolerance, what: str) -> None:
        """Slopes that autograd found, each with the values a step ahead and a step behind."""
        found, ahead, behind = torch.tensor(slopes, dtype=torch.float64).T
        numeric = (ahead - behind) / (2 * step)
        # cancellation in the difference grows with the values subtracted
        spread = torch.maximum(ahead.abs(), behind.abs())
        right = (numeric - found).abs() <= self.tolerance * (tol.atol + tol.rtol * numeric.abs() + 1e-9 * spread)
        if not bool(right.all()):
            worst = int(right.int().argmin())
            self._wrong[what].append(Pair(found, numeric, sizes_of(self._case)))
            raise Failure(f"{what} is wrong", f"{numeric[worst]:.7g} along a random direction (central differences)",
                          f"{found[worst]:.7g} (autograd)", about=what)  # fmt: skip


def failure_of(raised: StudentRaised, counterexample: Mapping[str, str]) -> Failure:
    """The failure that an exception of the student's code means. Raises Unimplemented for a part not yet written."""
    kinds = raised.kinds
    if "NotImplementedError" in kinds:
        raise Unimplemented(raised.message or "not implemented")
    where = ""
    with contextlib.suppress(IndexError):
        frame = raised.frames[-1]
        where = f" at {frame.file}, line {frame.line}: {frame.code}"
    if "MissingName" in kinds:
        return Failure(raised.message, actual="missing")
    if "SystemExit" in kinds:
        return Failure(f"your code ended the program{where}", "a return value", "sys.exit or exit was called")
    if "SyntaxError" in kinds:
        return Failure(f"the file cannot be read by Python{where}", "valid Python", f"{kinds[0]}: {raised.message}")
    name = kinds[0] if kinds else "an exception"
    return Failure(f"your code raised {name}{where}", "no exception", f"{name}: {raised.message}", counterexample)
