"""``python -m grader watch PATH``: judges a student's own folder again whenever a file in it is saved."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from ..boundary.launch import GraderFault, WorkerDied
from ..check.outcome import Outcome
from ..classes.ingest import IngestError, Submission
from ..grading.resident import CalledOff, Resident, Version
from ..report.printable import name_of
from ..rubric import CHECKS
from .boxes import find_box
from .consoles import say
from .plan import QUICK_KINDS, make_plan
from .saves import Saves, draft, folder_to_watch
from .screen import Drawn, State, Told, shown_on, tally
from .terminal import counted

INTERRUPTED = 130


def run_watch(options: argparse.Namespace, out: Console, err: Console) -> int:
    """Until Ctrl-C. Raises UsageError and NoBox."""
    folder = folder_to_watch(options.path)
    plan = make_plan(options, QUICK_KINDS, frozenset({"public"}))
    plan = replace(plan, box=find_box(options.box).box)
    try:
        with Saves(folder) as saves, Resident(plan) as resident:
            watched = Watched(folder, resident, saves, shown_on(out), plan.seed)
            while True:
                saves.wait(watched.idle)
                watched.look()
    except KeyboardInterrupt:
        say(err, "stopped", f"{folder} is not watched any more", "yellow")
        return INTERRUPTED


class Watched:
    """What is known of the folder from one save to the next."""

    def __init__(self, folder: Path, resident: Resident, saves: Saves, screen: Drawn | Told, seed: int) -> None:
        self.resident, self.saves, self.screen = resident, saves, screen
        self.folder = folder.resolve()
        self.seed = seed
        self.text: Submission | None = None  # that was judged, or begun to be
        self.whole = False  # whether it was judged to the end
        self.before: Mapping[str, Outcome] = {}  # of the last version that was judged to the end
        self.state = State(name_of(self.folder.name))

    def idle(self) -> None:
        """Nothing happens; the terminal may have another size by now."""
        self.screen.refit(self.state)

    def look(self) -> None:
        """Reads what was saved and judges what can see it. What is saved meanwhile ends this, and is looked at next."""
        began, names = time.monotonic(), self.saves.taken()
        self.screen.begin()
        try:
            text, said = draft(self.folder, self.text)
            self.state.said = said
        except IngestError as error:
            self.state.said = [str(error)]
            return self.screen.show(self.state, final=True)
        if self.whole and self.text is not None and text.sources == self.text.sources:
            if names:
                self.state.doing = self.stamp("the results are the last ones" if said else "nothing has changed")
                self.screen.show(self.state, final=True)
            return None
        self.text, self.whole = text, False
        try:
            self.judge(self.resident.take(text, self.saves.changed.is_set), ", ".join(names), began)
        except CalledOff:
            return None
        except (GraderFault, WorkerDied) as fault:
            self.state.doing = self.stamp(f"the grader failed: {fault}")
            self.screen.show(self.state, final=True)
        return None

    def judge(self, version: Version, saved: str, began: float) -> None:
        """A version to its end. Raises CalledOff."""
        state = self.state
        state.touched, state.open = list(version.left), set(version.left)
        state.outcomes = {**state.outcomes, **version.outcomes}
        state.right, state.wrong = (), ()
        count = len(state.touched)

        def heard(outcome: Outcome) -> None:
            state.outcomes = {**state.outcomes, outcome.check.id: outcome}
            state.open = set(version.left) - version.outcomes.keys()
            state.doing = f"{saved or 'all files'}: {count - len(state.open)} of {counted(count, 'check')}"
            self.screen.show(state)

        version.judge(heard)
        report = version.report()
        state.outcomes = {outcome.check.id: outcome for outcome in report.outcomes}
        state.open = ()
        self.compare(state.outcomes)
        self.whole = True
        ran = sum(not outcome.left_out for outcome in report.outcomes)
        took = f"{count} of {counted(ran, 'check')} judged in {time.monotonic() - began:.1f} s"
        what = took if count else "no check can see the change"
        state.said = [*state.said, *(problem for problem in report.problems if "is not there" not in str(state.said))]
        state.doing = self.stamp(f"{what} · {tally(state.ran)} · seed {self.seed}")
        self.screen.show(state, final=True)
        self.resident.warm()

    def compare(self, now: Mapping[str, Outcome]) -> None:
        """What has become right since the last time, and what has become wrong."""
        both = [check.id for check in CHECKS if check.id in self.before]
        passed = {name: (self.before[name].full, now[name].full) for name in both if not now[name].left_out}
        self.state.right = [name for name, found in passed.items() if found == (False, True)]
        self.state.wrong = [name for name, found in passed.items() if found == (True, False)]
        self.before = now

    def stamp(self, text: str) -> str:
        """After the time on the wall."""
        return f"{datetime.now():%H:%M:%S} · {text}"
