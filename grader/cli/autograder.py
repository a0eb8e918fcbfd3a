"""Gradescope's container: grades the one submission that lies there, and writes results.json as checks finish.

``python -m grader.cli.autograder``, which ``run_autograder`` starts. Where things lie is the platform's (``source``,
``submission``, ``results``, ``submission_metadata.json``); how much is run is said by variables (`Conditions`). Quick
checks come first, trained ones after them. When the time is up, what is judged counts, and what is not is called a
fault of the grader, never a zero of the student's.

Exit codes: 0 when everything was judged, 2 for a wrong variable, 3 when the grader failed on something or had no time
for it, 4 when no box holds the submission's code: then there is no results.json, and the platform shows a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..boundary.box import NoBox
from ..check.outcome import Outcome
from ..classes.gradescope import group_of, person, time_of
from ..classes.ingest import IngestError, Submission, read_submission
from ..classes.late import localised, matched
from ..classes.people import Arrival, Owner
from ..grading.course import Course
from ..grading.graded import unread
from ..grading.plan import Plan
from ..grading.run import grade_course
from ..grading.store import Store
from ..report.lms.publishing import Rules, mark_of, results_of
from ..report.model import Report, complete
from ..report.words import summary
from ..report.write import put, to_json
from ..rubric import CHECKS, MODULES, QUESTIONS
from .arguments import BOXES, UsageError
from .boxes import BoxRefused, box_of_a_run, tested, told
from .options import question_number, seed_number
from .plan import ALL_KINDS, QUICK_KINDS, handed_out, make_plan
from .settings import Settings, read_settings

FAILED, NO_BOX = 3, 4
RESERVED = 450 << 20  # bytes that the grader and an idle worker need for themselves
LEAST = 256 << 20
LARGEST_METADATA = 1 << 20
UP = "not judged: the platform's time for one submission was up before it came to this"
# of a container, what its processes may use together: in control groups of either version
MEMORY = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class TimeUp(BaseException):
    """The time is up, whatever is going on. A BaseException: no check takes it for its own failure."""


@dataclass(frozen=True)
class Conditions:
    """What the variables say. `seconds` begins when the grader does and ends before the platform's own limit."""

    root: Path = Path("/autograder")  # A7_AUTOGRADER
    seconds: float = 540.0  # A7_SECONDS
    memory: int | None = None  # A7_MEMORY_MB, of the submission's process; None: what the container leaves
    questions: tuple[int, ...] = ()  # A7_QUESTIONS, "2 8 bonus"; none: all
    trained: bool = True  # A7_TRAINED
    dataset: str = "digits"  # A7_DATASET
    seed: int | None = None  # A7_SEED
    box: str = "auto"  # A7_BOX
    unsafe: bool = False  # A7_UNSAFE_NO_BOX

    @staticmethod
    def of(environment: Mapping[str, str]) -> Conditions:
        """The conditions in an environment. Raises UsageError, which names the variable."""

        def said(name: str, default: str) -> str:
            return environment.get(name, "").strip() or default

        def yes(name: str, default: str) -> bool:
            text = said(name, default)
            if text not in ("0", "1"):
                raise UsageError(f"{name}={text}: say 1 or 0")
            return text == "1"

        def number(name: str, default: str) -> float:
            text = said(name, default)
            if not text.replace(".", "", 1).isdecimal() or not float(text):
                raise UsageError(f"{name}={text}: say a number above 0")
            return float(text)

        try:
            questions = tuple(question_number(one) for one in said("A7_QUESTIONS", "").split())
            seed = seed_number(said("A7_SEED", "")) if said("A7_SEED", "") else None
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"A7_QUESTIONS or A7_SEED: {error}") from error
        for name, default, known in (("A7_BOX", "auto", BOXES), ("A7_DATASET", "digits", ("auto", "digits", "mnist"))):
            if said(name, default) not in known:
                raise UsageError(f"{name}={said(name, default)}: say one of {', '.join(known)}")
        own = said("A7_MEMORY_MB", "")
        memory = int(number("A7_MEMORY_MB", own)) << 20 if own else left_by_container()
        return Conditions(
            Path(said("A7_AUTOGRADER", "/autograder")), number("A7_SECONDS", "540"), memory, questions,
            yes("A7_TRAINED", "1"), said("A7_DATASET", "digits"), seed, said("A7_BOX", "auto"),
            yes("A7_UNSAFE_NO_BOX", "0"),
        )  # fmt: skip


def left_by_container(places: Sequence[str] = MEMORY) -> int | None:
    """Bytes that a submission's process may use here; None where nothing bounds them."""
    for place in places:
        try:
            text = Path(place).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < 1 << 50:
            return max(LEAST, int(text) - RESERVED)
    return None


# ---- what lies there ----------------------------------------------------------------------------------------------


def metadata_in(root: Path) -> dict[str, Any]:
    """What the platform says of the submission; nothing where it says nothing that can be read."""
    try:
        with (root / "submission_metadata.json").open("rb") as file:
            found = json.loads(file.read(LARGEST_METADATA))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def owned(submission: Submission, metadata: Mapping[str, Any], settings: Settings) -> Submission:
    """The submission with its owner and the time of its arrival: lateness never comes from the clock."""
    users = metadata.get("users")
    people = [owner for one in (users if isinstance(users, list) else ()) if (owner := person(one, submission.name))]
    owner = people[0] if len(people) == 1 else group_of(people, submission.name) if people else Owner(submission.name)
    arrival = localised(owner, Arrival(time_of(metadata.get("created_at"))), settings.zone)
    return replace(submission, owner=owner, arrival=arrival)


def submission_in(folder: Path) -> Submission:
    """What was handed in; without sources, and with the reason, where it cannot be read."""
    try:
        return read_submission(folder, MODULES, handed_out())
    except IngestError as error:
        return Submission(folder.name, {}, (str(error),))


# ---- grading ------------------------------------------------------------------------------------------------------


@dataclass
class Results:
    """The file that the platform reads, written anew with every verdict: a platform that stops us shows what is known.

    What was not asked for is not in it, and neither is, until the end, what is not judged yet.
    """

    path: Path
    plan: Plan
    submission: Submission
    settings: Settings
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """Checks are done."""
        new = {outcome.check.id: outcome for outcome in found if not outcome.left_out}
        if new:
            self.outcomes |= new
            self.write(self.report("not_run"), done=False)

    def report(self, missing: str, why: str = "") -> Report:
        """All that is known; a check that was wanted and has no verdict has this status."""
        rest = {check.id: Outcome(check, missing if self.plan.wants(check) else "not_run", 0.0,  # type: ignore[arg-type]
                                  why if self.plan.wants(check) else "") for check in CHECKS}  # fmt: skip
        outcomes = complete({**rest, **self.outcomes}, QUESTIONS)
        return Report(
            self.submission.name, tuple(self.submission.problems), outcomes, self.plan.circumstances,
            sum(outcome.duration_s for outcome in outcomes), self.submission.owner, self.submission.arrival,
            unread=not self.submission.sources,
        )  # fmt: skip

    def write(self, report: Report, *, done: bool) -> None:
        """The file as it is now, whole at every moment."""
        owner = self.submission.owner or Owner(self.submission.name)
        extensions = matched(self.settings.extensions, [owner])
        export = self.settings.export
        rules = Rules(self.settings.weights, self.settings.visibility, self.settings.policy, extensions.by_owner,
                      export.bonus == "add", export.feedback)  # fmt: skip
        mark = mark_of(report, owner, self.submission.arrival, rules, bool(self.submission.sources))
        document = results_of(report, mark, rules)
        if not done:
            wanted = sum(self.plan.wants(check) for check in CHECKS)
            so_far = (
                f"Results so far: {len(self.outcomes)} of {wanted} checks are judged; the others are not counted yet."
            )
            document["output"] = f"{so_far}\n{document['output']}"
        put(self.path, to_json(document))


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Raises TimeUp in whatever is going on when so much time has gone by."""

    def up(number: int, frame: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def grade(conditions: Conditions) -> int:
    """Grades what lies there. Raises UsageError, NoBox and BoxRefused before anything has run."""
    config = conditions.root / "source" / "course.toml"
    settings = read_settings(config) if config.is_file() else Settings()
    submission = owned(submission_in(conditions.root / "submission"), metadata_in(conditions.root), settings)
    plan = planned(conditions)
    place = conditions.root / "results" / "results.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    results = Results(place, plan, submission, settings)
    late = False
    try:
        with ended_after(conditions.seconds):
            if submission.sources:
                results.plan = plan = boxed(plan, conditions)
                run(results, plan)
            else:
                results.outcomes |= unread(submission, frozenset(check.id for check in CHECKS if plan.wants(check)))
    except TimeUp:
        late = True
    report = results.report("error", UP if late else "the grader failed, not the submission: no result came back")
    results.write(report, done=True)
    print(f"{submission.name}: {summary(report)} (seed {plan.seed}, box {plan.sandbox.backend})")
    if late:
        print(f"the time was up after {conditions.seconds:g} s: {len(report.faults)} checks are not judged")
    return FAILED if report.faults else 0


def planned(conditions: Conditions) -> Plan:
    """What is run."""
    options = argparse.Namespace(
        device="cpu", dataset=conditions.dataset, data=None, seed=conditions.seed, jobs=1,
        question=list(conditions.questions) or None,
    )  # fmt: skip
    plan = make_plan(options, ALL_KINDS if conditions.trained else QUICK_KINDS, frozenset({"public", "hidden"}))
    return replace(plan, memory=conditions.memory)


def boxed(plan: Plan, conditions: Conditions) -> Plan:
    """The plan with the strongest box that this container gives, which has been tried. Raises BoxRefused and NoBox."""
    box = box_of_a_run(conditions.box, "cpu", own=False, unsafe=conditions.unsafe)
    return replace(plan, box=box, self_test=tested(box, unsafe=conditions.unsafe))


def run(results: Results, plan: Plan) -> None:
    """Quick checks of all questions, then the trained ones: what takes longest is what a lack of time costs."""
    with Store(None) as store:
        for kinds in (plan.kinds & QUICK_KINDS, plan.kinds):
            course = Course([results.submission], replace(plan, kinds=kinds), store)
            for _, report in grade_course(course, results.note):
                results.note(0, report.outcomes)
            if kinds == plan.kinds:
                return


def main() -> int:
    """Grades under the conditions that the environment says; returns the exit code."""
    try:
        return grade(Conditions.of(os.environ))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (NoBox, BoxRefused) as refused:
        print(f"no box: {told(refused) if isinstance(refused, NoBox) else refused}", file=sys.stderr)
        return NO_BOX


if __name__ == "__main__":
    sys.exit(main())
