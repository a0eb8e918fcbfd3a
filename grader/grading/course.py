"""A class in the store: what was handed in goes in, verdicts as they are made, and the reports come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..check.outcome import Outcome
from ..classes.ingest import Submission
from ..report.model import Report
from ..rubric import CHECKS
from .graded import report_of, unread
from .plan import Plan
from .sight import sees_the_same
from .store import Given, Kept, Store
from .submissions import content_of, digest_of, keys_of, text_of
from .verdicts import circumstances_content, circumstances_of
from .verdicts import content_of as outcome_content
from .works import BY_ID, Verdict, Work

# how a check ended whose end says nothing of time, memory or a process that died: a change elsewhere has no say in it
SETTLED = frozenset({"passed", "partial", "failed", "unimplemented", "skipped"})


@dataclass
class Counted:
    """Verdicts of a run, each distinct text counted once."""

    verdicts: int = 0  # that the reports are about
    reused: int = 0  # of these, from the store
    older: int = 0  # of these, of checks that this run is not about, and made by other code or in another box
    dropped: int = 0  # that no longer hold, of checks that this run is not about: they are not in the reports

    def add(self, work: Work) -> None:
        """A text is done."""
        self.verdicts += len(work.wanted | work.rest.keys())
        self.reused += len(work.reused)
        self.older += work.older
        self.dropped += work.dropped


class Course:
    """The submissions of a run, on their way through the store."""

    def __init__(
        self, submissions: Sequence[Submission], plan: Plan, store: Store, keys: Sequence[str] = (), again: str = ""
    ) -> None:
        """`keys` tell the submissions apart, in other runs as well; `again` is a time from before which no verdict is
        reused. Raises StoreError."""
        self.submissions, self.plan, self.store, self.again = submissions, plan, store, again
        self.keys = list(keys) or keys_of(submissions)
        self.counted = Counted()
        self._read: dict[str, dict[str, Any]] = {}
        texts = [text_of(submission) if submission.sources else None for submission in submissions]
        self.texts = [digest_of(text) if text is not None else None for text in texts]
        self.unread = [index for index, text in enumerate(texts) if text is None]
        self.wanted = frozenset(check.id for check in CHECKS if plan.wants(check))
        self.decided = {check.id: plan.decided(check) for check in CHECKS}
        store.put_submissions(
            Given(key, place, content_of(submission), digest, text)
            for place, (key, submission, digest, text) in enumerate(
                zip(self.keys, submissions, self.texts, texts, strict=True)
            )
        )
        self.circumstances = store.put_circumstances(circumstances_content(plan.circumstances))

    @property
    def duplicates(self) -> int:
        """Submissions with a text that another one has."""
        counts = Counter(text for text in self.texts if text is not None)
        return sum(count for count in counts.values() if count > 1)

    def works(self) -> Iterator[Work]:
        """Every distinct text, with what the store knows of it."""
        places: dict[str, list[int]] = {}
        for place, text in enumerate(self.texts):
            if text is not None:
                places.setdefault(text, []).append(place)
        for text, found in places.items():
            yield self.work(text, found)

    def work(self, text: str, places: list[int]) -> Work:
        """One text: which of its verdicts may be reused, and which stay though this run is not about them."""
        work = Work(text, self.submissions[places[0]], places, self.wanted)
        candidates: dict[str, Kept] = {}
        rest: dict[str, Kept] = {}
        for kept in self.store.verdicts(text):
            if kept.decided == self.decided.get(kept.check) and kept.status != "error":
                if kept.check not in self.wanted:
                    rest[kept.check] = kept
                elif kept.at >= self.again:
                    candidates[kept.check] = kept
        lost: set[str] = set()
        for kept in (kept for place in places for kept in self.store.marks(self.keys[place]).values()):
            if kept.check not in BY_ID or kept.check in candidates:
                continue
            if kept.check in self.wanted:
                if not self.again and kept.text != text and self.holds(kept, text):
                    candidates[kept.check] = kept
            elif self.stays(kept, text):
                rest[kept.check] = kept
            else:
                lost.add(kept.check)
        work.candidates, work.rest = candidates, rest
        work.older = sum(kept.decided != self.decided[kept.check] for kept in rest.values())
        work.dropped = len(lost - rest.keys())
        return work

    def holds(self, kept: Kept, text: str) -> bool:
        """Whether a verdict on an earlier text is one on this text as well."""
        same = kept.decided == self.decided[kept.check] and kept.status in SETTLED
        return same and sees_the_same(self.sources(kept.text), self.sources(text), kept)

    def stays(self, kept: Kept, text: str) -> bool:
        """Whether a verdict stays in the report of a text though the run is not about its check."""
        if self.store.circumstances(kept.circumstances)["seed"] != self.plan.seed:
            return False
        if kept.text == text:
            return True
        return kept.status in SETTLED and sees_the_same(self.sources(kept.text), self.sources(text), kept)

    def sources(self, text: str) -> dict[str, Any]:
        """What a text's digest stands for; hundreds of verdicts in a row ask about the same two."""
        if text not in self._read:
            self._read = {**dict([*self._read.items()][-1:]), text: self.store.sources(text)}
        return self._read[text]

    def keep(self, work: Work, verdict: Verdict) -> None:
        """A verdict is made: it is in the store when this returns."""
        outcome = verdict.outcome
        kept = Kept(outcome.check.id, self.decided[outcome.check.id], outcome.status, outcome_content(outcome),
                    verdict.seen, verdict.under, self.circumstances)  # fmt: skip
        work.outcomes[kept.check] = outcome
        [work.marks[kept.check]] = self.store.put_verdicts(work.text, [kept])

    def settle(self, work: Work, visible: Mapping[str, bool] | None) -> list[Kept]:
        """`Work.settle`; a verdict on an earlier text becomes one on this."""
        found = work.settle(visible)
        moved = [kept for kept in found if kept.text != work.text]
        work.marks |= {kept.check: kept.id for kept in found}
        if moved:
            numbers = self.store.put_verdicts(work.text, moved)
            work.marks |= {kept.check: number for kept, number in zip(moved, numbers, strict=True)}
        return found

    def report(self, index: int, work: Work | None = None) -> Report:
        """The report of a submission, in the store when this returns; without work, of one that could not be read."""
        submission, key = self.submissions[index], self.keys[index]
        if work is None:
            asked = self.asked_before(key) | self.wanted
            outcomes: Mapping[str, Outcome] = unread(submission, asked)
            marks, number = {}, self.circumstances
        else:
            asked = work.wanted | work.rest.keys()
            outcomes, marks, number = work.outcomes, work.marks, self.circumstances_of(work)
        self.store.put_marks(key, marks, [check.id for check in CHECKS if check.id in asked], number)
        return report_of(self.store, key, submission, outcomes, circumstances_of(self.store.circumstances(number)))

    def asked_before(self, key: str) -> frozenset[str]:
        """What earlier reports of a submission were about."""
        return frozenset(name for row in self.store.submissions() if row.key == key for name in row.asked)

    def circumstances_of(self, work: Work) -> int:
        """Those of the run. One that trains nothing leaves in the report what was trained before, and on which data."""
        trained = [kept for kept in work.rest.values() if BY_ID[kept.check].kind == "trained"]
        if self.plan.dataset != "none" or not trained:
            return self.circumstances
        before = circumstances_of(self.store.circumstances(trained[-1].circumstances))
        merged = replace(self.plan.circumstances, dataset=before.dataset, dataset_reason=before.dataset_reason,
                         device=before.device)  # fmt: skip
        return self.store.put_circumstances(circumstances_content(merged))
