"""Runs checks and turns what happens into outcomes: the only place where a status is decided."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..boundary import ends
from ..boundary.ends import Crashed, OutOfMemory, SessionEnded, StudentRaised, TimedOut, Violation
from ..boundary.hosts import Host
from ..boundary.launch import GraderFault, WorkerDied
from ..boundary.lending import HAS_PARTS
from ..boundary.patience import USUAL_S, Patience
from ..boundary.session import Limits
from ..check.context import Context, Drawn, derive
from ..check.datasets import Dataset
from ..check.declaration import OPTIMIZERS, Check
from ..check.failure import Failure, Unimplemented, failure_of
from ..check.forall import Apart
from ..check.outcome import HARMLESS, Outcome, Status
from ..check.parts import FOLLOW_THROUGH, Part
from ..check.threads import THREADS
from ..check.thresholds import Thresholds
from ..classes.ingest import Submission
from ..rubric import QUESTIONS
from ..rubric.shared.borrowed import BORROWED
from .pool import Pool

# how a session can end in place of an answer, and the question that this raises
ENDS: Mapping[type[SessionEnded], tuple[Status, str]] = {
    TimedOut: ("timeout", "What does your code do in all that time: does a loop of it ever end, does it wait for "
                          "something, or does it start more than this call needs?"),
    OutOfMemory: ("memory", "What grows in there, and how large does it get for an input of this size?"),
    ends.CpuTimeUsedUp: ("timeout", "What does your code compute in all that time, and does this call need it?"),
    ends.TooManyProcesses: ("limit", "How many processes or threads does your code start, and does each of them end?"),
    ends.TooManyFiles: ("limit", "Which files does your code open, and where does it close them?"),
    ends.DiskFull: ("limit", "What does your code write to files, and who would read it?"),
    ends.FileTooLarge: ("limit", "What does your code write to a file of that size, and who would read it?"),
    ends.PrintedTooMuch: ("limit", "Which line of your code prints so often, and who would read it?"),
    Crashed: ("crashed", "Which of your lines can end the whole program, and not only its function?"),
    Violation: ("violation", "What does your code write to, besides what it returns and prints?"),
}  # fmt: skip
LOADS = {question.number: question.loads for question in QUESTIONS}
USABLE = "real numbers, in shapes and types that stay the same from call to call and are those of the handout"
MOST_SAID = 300  # characters of what Python says about values that cannot be used
PATIENCE = 6  # a model that falls short is trained again, so many times as long
QUICK = Limits(request_s=USUAL_S, check_s=40.0, memory=3 << 30, threads=THREADS)
TRAINED = Limits(request_s=600.0, check_s=900.0, memory=8 << 30, threads=THREADS, answer=64 << 20, parameters=512 << 20)
PRELOADABLE = ("sklearn.decomposition", "sklearn.linear_model", "sklearn.neighbors", "scipy.linalg", "torchvision",
               "torch.distributions", "einops")  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What is the same for all checks of a run."""

    seed: int
    device: str = "cpu"
    data: Dataset | None = None
    thresholds: Thresholds | None = None
    together: bool = True  # whether the cases of a property are asked together; the same marks and reports either way
    tolerance: float = 1.0  # factor on every tolerance: the audit's, 1 in grading
    patience: int = 1  # factor on the epochs of a model of the submission
    quick: Limits = QUICK
    trained: Limits = TRAINED
    control: Bench | None = None  # work that is known to be right: see `tripped`
    drawn: Drawn = field(default_factory=dict, compare=False)  # what was drawn for the submissions so far


class Bench:
    """A submission on a warm worker; replaces the worker if a check has managed to end it.

    Its workers come from `pool`, which lanes share among the submissions that they do one after the other.
    """

    def __init__(self, submission: Submission, pool: Pool | None = None) -> None:
        self.submission = submission
        self.pool = pool or Pool()
        self.loaded: list[str] = []
        # what checks have looked up in the submission, and which others must have found something: until it is cleared
        self.entered: set[str] = set()
        self.excused: set[str] = set()
        self.patience = Patience()  # with this submission, whichever worker it is on
        self._worker: Host | None = None

    @property
    def worker(self) -> Host:
        """The running worker, started on first use, and again after a check has killed it."""
        if self._worker is not None and not self._worker.alive:
            self.close()
        if self._worker is None:
            self._worker = self.pool.take([*libraries(self.submission), *self.loaded])
            try:
                self._worker.submit(self.submission.sources, self.submission.aliases)
                self._worker.patience = self.patience
            except WorkerDied as died:
                self.close()
                raise GraderFault(f"a worker could not be started: {died}") from died
        return self._worker

    def turn_to(self, submission: Submission, called_off: Callable[[], bool]) -> None:
        """Its author's next version, on the worker that is there: nothing of the last one has run in that itself."""
        changed, self.submission, self.patience = submission != self.submission, submission, Patience(called_off)
        if self._worker is not None and self._worker.alive:
            try:
                if changed:
                    self._worker.submit(submission.sources, submission.aliases)
                self._worker.patience = self.patience
            except WorkerDied:
                self.close()

    def load(self, modules: Sequence[str]) -> None:
        """Has these modules imported before the next process is forked."""
        if new := [name for name in modules if name not in self.loaded]:
            self.loaded += new
            if self._worker is not None and self._worker.alive:
                self._worker.preload(new)

    def renew_patience(self) -> None:
        """Another question begins: what hung in the last one may be called again."""
        self.patience.renew()

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def libraries(submission: Submission) -> list[str]:
    """Known libraries that a submission mentions: loaded once, not in every check."""
    text = "\n".join(submission.sources.values())
    return [name for name in PRELOADABLE if name.partition(".")[0] != "torch" and name.partition(".")[0] in text]


def judge(
    check: Check, bench: Bench, setting: Setting, stand_ins: Sequence[Part] = (), *, repeat: bool = True
) -> Outcome:
    """Runs one check. What a trained one measures costs points only if it is trained again, longer, and falls short.

    A model that misses a cut may have had bad luck, or an architecture that needs more time than the reference: it is
    trained once or twice more, with other seeds and PATIENCE times as long, and the median of the three counts. What no
    training decides (an exception, a shape, a missing part) is not repeated, nor is what two trainings agree on.
    """
    first, measured = once(check, bench, setting, stand_ins)
    if not repeat or not measured or first.earned == check.points:
        return first
    found = [first]
    for attempt in (1, 2):
        longer = replace(setting, seed=derive(setting.seed, f"again {attempt}"), patience=PATIENCE * setting.patience)
        found.append(once(check, bench, longer, stand_ins)[0])
        if found[-1].status not in ("passed", "partial", "failed"):
            return found[-1] if found[-1].status == "error" else first  # a training that ended early says nothing new
        if found[0].earned == found[1].earned:
            break  # whatever the third would be, this is the median
    median = sorted(found, key=lambda one: one.earned)[1]
    shown = " and ".join(f"{one.earned:g}" for one in found[1:])
    first_time = f"the first training earned {first.earned:g} of {check.points:g} points"
    longer_now = f"trained again with other seeds, a model of yours {PATIENCE} times as long"
    note = f"{longer_now}, because {first_time}; then it earned {shown}, and the median counts"
    message = f"{median.message} ({note})" if median.message else note
    return replace(median, message=message, duration_s=sum(one.duration_s for one in found))


def hollow(outcome: Outcome, stand_ins: Sequence[Part]) -> bool:
    """Whether all that was asked about is the grader's own: then nothing of the submission has earned anything."""
    return outcome.asked <= {part.name for part in stand_ins}


def follow_through(
    check: Check, parts: Sequence[Part], lent: Sequence[Part], bench: Bench, setting: Setting
) -> Outcome | None:
    """A trained check with the grader's parts in place of failed ones, for a share of its points; None if it fails.

    `lent` are parts of other questions, which cost nothing here.
    """
    outcome = judge(check, bench, setting, [*lent, *parts])
    if not outcome.earned or hollow(outcome, [*lent, *parts]):
        return None
    names = " and ".join(part.name for part in parts)
    message = f"with the grader's {names} in place of yours, for {FOLLOW_THROUGH:.0%} of the points: {outcome.message}"
    return replace(outcome, status="partial", earned=round(FOLLOW_THROUGH * outcome.earned, 4), message=message,
                   hint=outcome.hint or check.hint)  # fmt: skip


def borrowed(check: Check, status: Mapping[str, Status]) -> dict[int, tuple[Part, ...]]:
    """What the check's question may have from others; for training, which takes time, from those that lost something.

    Nothing in a student's copy of the kit, which has no such parts: a check that borrows fails there until the owner's
    checks pass.
    """
    if not HAS_PARTS:
        return {}
    lost = {name.partition(".")[0] for name, found in status.items() if found not in HARMLESS}
    return {
        owner: parts for owner, parts in BORROWED.get(check.question, {}).items()
        if check.kind != "trained" or f"q{owner}" in lost
    }  # fmt: skip


def second_look(
    check: Check, outcome: Outcome, elsewhere: Mapping[int, tuple[Part, ...]], bench: Bench, setting: Setting,
    *, repeat: bool = True,
) -> Outcome:  # fmt: skip
    """The outcome with the grader's version of what belongs to other questions, if that is better."""
    missing = any(f"Question {owner}:" in outcome.message for owner in elsewhere)
    if outcome.earned == check.points or not (outcome.status in ("failed", "partial") or missing):
        return outcome
    parts = [part for parts in elsewhere.values() for part in parts]
    again = judge(check, bench, setting, parts, repeat=repeat)
    if again.earned > outcome.earned and not hollow(again, parts):
        names = " and ".join(part.name for part in parts)
        message = f"with the grader's {names} in place of yours, which is graded elsewhere"
        return replace(again, message=f"{message}: {again.message}" if again.message else message)
    return outcome


def replaces(parts: Sequence[Part], needs: Sequence[str], status: Mapping[str, Status]) -> bool:
    """Whether the grader's parts stand for all that the needed checks have found wrong."""
    covered = {name for part in parts for name in part.checks}
    return all(need in covered for need in needs if status.get(need) not in ("passed", "not_run"))


def paid_once(
    check: Check, outcome: Outcome, parts: Sequence[Part], elsewhere: Mapping[int, tuple[Part, ...]], bench: Bench,
    setting: Setting,
) -> Outcome:  # fmt: skip
    """The outcome with the grader's version of parts that have lost their own points before, if that is better."""
    if not HAS_PARTS or outcome.earned == check.points or outcome.status in ("error", "unimplemented"):
        return outcome
    lent = [part for owned in elsewhere.values() for part in owned]
    again = judge(check, bench, setting, [*lent, *parts])
    if again.earned <= outcome.earned or hollow(again, [*lent, *parts]):
        return outcome
    names = " and ".join(part.name for part in parts)
    owners = ", ".join(dict.fromkeys(name for part in parts for name in part.checks))
    message = f"with the grader's {names} in place of yours, which lost its points in {owners}"
    return replace(again, message=f"{message}: {again.message}" if again.message else message)


def once(check: Check, bench: Bench, setting: Setting, stand_ins: Sequence[Part]) -> tuple[Outcome, bool]:
    """Runs one check. Every way it can end is an outcome; only our own faults become `error`.

    The second value says whether what training led to has cost points: another training may end elsewhere. What is
    asked of many cases is asked together; where that fails, everything runs once more, step by step (`check.forall`).
    """
    if check.kind != "trained" and setting.together and not bench.patience.weary:
        with contextlib.suppress(Apart):
            return run(check, bench, setting, stand_ins, together=True)
    return run(check, bench, setting, stand_ins, together=False)


def run(
    check: Check, bench: Bench, setting: Setting, stand_ins: Sequence[Part], *, together: bool
) -> tuple[Outcome, bool]:  # fmt: skip
    """`once`, one way or the other. Raises Apart."""
    began = time.monotonic()
    context: Context | None = None
    survived = False
    try:
        limits = setting.trained if check.kind == "trained" else setting.quick
        # training: nothing may pass from the process that trains to those that are asked later, not even by an import
        device = setting.device if check.kind == "trained" else "cpu"
        context = Context(check.id, bench.worker, setting.seed, limits, device, setting.data, setting.thresholds,
                          stand_ins, setting.tolerance, setting.patience,
                          imports_afresh=check.kind == "trained", together=together,
                          drawn=setting.drawn)  # fmt: skip
        outcome = attempt(check, context)
        survived = context.asides and context.worker.alive
        context.ask_aside()
    except WorkerDied:
        outcome = killed(check)
    except GraderFault as fault:
        if context is not None:
            context.close()  # while there is somebody to end its processes
        bench.close()
        outcome = Outcome(check, "error", 0.0, f"the grader failed, not the submission: {fault}")
    # a bug in a check is ours as well: it must not end a class run, and must not look like the student's
    except Exception as bug:  # noqa: BLE001
        outcome = tripped(check, setting, stand_ins, context, bug)
    finally:
        if context is not None:
            bench.entered |= context.entered
            bench.excused |= {context.excused} - {""}
            context.close()
    if context is not None and not context.worker.alive and not survived and outcome.status != "error":
        outcome = killed(check)  # charged to the check that did it, not to the next, and to none for a picture's sake
    printed = context.printed.decode(errors="replace") if context is not None else ""
    measured = dict(context.credit.measured) if context is not None else {}
    fell_short = context is not None and context.credit.fell_short
    asked = context.asked if context is not None else frozenset()
    excused = context.excused if context is not None else ""
    exhibits = context.exhibits.all() if context is not None else ()
    took = time.monotonic() - began
    judged = replace(outcome, printed=printed, measured=measured, duration_s=took, asked=asked, excused=excused,
                     exhibits=exhibits)  # fmt: skip
    return judged, fell_short


def tripped(
    check: Check, setting: Setting, stand_ins: Sequence[Part], context: Context | None, bug: Exception
) -> Outcome:  # fmt: skip
    """Outcome of a check whose own code could not go on. Whose doing that is, a control decides.

    The same check with the same draws is asked of work that is known to be right. If it comes to a verdict there, it is
    what the submission has returned that it could not work with: a shape that changes from call to call, say. If it
    does not, the fault is the grader's. Where there is no such work, what no check can work with decides.
    """
    said = f"{type(bug).__name__}: {bug}"
    odd = context.odd if context is not None else ""
    if setting.control is not None and context is not None:
        context.close()
        outcome, _ = run(check, setting.control, replace(setting, control=None), stand_ins, together=False)
        odd = (odd or said) if outcome.status in ("passed", "partial", "failed") else ""
    if odd:
        return failed(check, Failure("your code returned what cannot be used", USABLE, odd[:MOST_SAID]))
    return Outcome(check, "error", 0.0, f"the grader failed, not the submission: {said}")


def killed(check: Check) -> Outcome:
    """Outcome of a check whose code ended the worker's parent."""
    return Outcome(check, "crashed", 0.0, "the code killed the process that runs it", check.hint)


def attempt(check: Check, context: Context) -> Outcome:
    """The check's own verdict, or what the submission did instead of letting it come to one."""
    try:
        check.run(context)
    except Unimplemented as missing:
        return Outcome(check, "unimplemented", 0.0, f"not implemented yet ({missing})", check.hint)
    except StudentRaised as raised:
        try:
            return replace(failed(check, failure_of(raised, {})), call=context.typed())
        except Unimplemented as missing:
            return Outcome(check, "unimplemented", 0.0, f"not implemented yet ({missing})", check.hint)
    except Failure as failure:
        looks, question = context.reading(failure)
        hint = failure.hint or f"{check.hint} {question}".strip()
        return replace(failed(check, failure), looks=looks, hint=hint, call=failure.call or context.typed())
    except SessionEnded as ended:
        found = next((found for kind, found in ENDS.items() if isinstance(ended, kind)), None)
        if found is None:
            raise GraderFault(f"unknown end of a session: {ended!r}") from ended
        status, question = found
        return Outcome(check, status, 0.0, f"stopped: {ended}", question, call=context.typed())
    credit = context.credit
    if credit.shortfall is not None:
        earned = round(check.points * credit.share, 4)
        return replace(failed(check, credit.shortfall), status="partial" if earned else "failed", earned=earned)
    return Outcome(check, "passed", check.points, credit.summary())


def failed(check: Check, failure: Failure) -> Outcome:
    """Outcome of a failure."""
    return Outcome(check, "failed", 0.0, failure.message, failure.hint or check.hint, failure.expected, failure.actual,
                   dict(failure.counterexample), call=failure.call)  # fmt: skip


def judge_all(
    checks: Sequence[Check], bench: Bench, setting: Setting, wanted: Callable[[Check], bool],
    known: Mapping[str, Status] = MappingProxyType({}),
    held: Callable[[Check, Mapping[str, Status]], Status | None] = lambda check, status: None,
) -> Iterator[Outcome]:  # fmt: skip
    """Outcomes of all `checks` in order: judged if `wanted`, skipped after a failed need, else not run.

    `known` holds the statuses of checks that were judged elsewhere. `held` is asked, with all statuses so far, whether
    an earlier verdict of a check still holds: such a check has that status and gives no outcome.

    A need that was not run does not block. A mistake in what another question grades costs nothing here. A part of the
    same question that has lost its own points costs them once: what builds on it is judged again with the grader's
    part, a trained check for its share of the points.
    """
    status: dict[str, Status] = dict(known)
    question = None
    for check in checks:
        if check.question != question:
            question = check.question
            bench.renew_patience()
        if (before := held(check, status)) is not None:
            status[check.id] = before
            continue
        blocked = next((need for need in check.needs if status.get(need) not in ("passed", "not_run")), None)
        parts = [
            part for part in check.parts if any(status.get(name, "not_run") not in HARMLESS for name in part.checks)
        ]
        if blocked is not None and check.kind != "trained" and HAS_PARTS and replaces(parts, check.needs, status):
            blocked = None
        if not wanted(check):
            outcome = Outcome(check, "not_run", 0.0)
        elif blocked is not None and status.get(blocked) == "error":  # our fault must not cost what builds on it
            outcome = Outcome(check, "error", 0.0, f"not judged: the grader failed on {blocked}, which this needs")
        elif blocked is not None:
            outcome = Outcome(check, "skipped", 0.0, f"needs {blocked}, which did not pass", check.hint)
        else:
            bench.load(OPTIMIZERS if check.kind == "trained" else LOADS[check.question])
            # trainings are repeated once only, with everything that the grader has to put in the place of others' parts
            elsewhere = borrowed(check, status)
            outcome = judge(check, bench, setting, repeat=not (parts or elsewhere))
            if elsewhere:
                outcome = second_look(check, outcome, elsewhere, bench, setting, repeat=not parts)
            if parts and check.kind != "trained":
                outcome = paid_once(check, outcome, parts, elsewhere, bench, setting)
        if outcome.earned and outcome.excused and status.get(outcome.excused) == "passed":
            outcome = failed(check, Failure("what it learns was not looked at, as old gradients seemed to pile up, "
                                            f"which {outcome.excused} has not found", "the same in both"))  # fmt: skip
        trained = check.kind == "trained" and wanted(check) and outcome.status != "error"
        if parts and trained and outcome.earned < FOLLOW_THROUGH * check.points:
            lent = [part for owned in borrowed(check, status).values() for part in owned]
            outcome = follow_through(check, parts, lent, bench, setting) or outcome
        elif parts and trained and outcome.earned < check.points:
            lent = [part for owned in borrowed(check, status).values() for part in owned]
            outcome = max(outcome, judge(check, bench, setting, lent), key=lambda one: one.earned)
        status[check.id] = outcome.status
        yield outcome
