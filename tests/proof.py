"""From the results of `prove` to ``docs/proof.md``: totals on top, then which checks catch which mistake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from grader.author.starter import ROOT
from grader.checks import BONUS
from grader.report.write import put
from grader.rubric import CHECKS, QUESTIONS

from .bank import Mistake
from .test_bank import ALTERNATIVES, BY_ID, MISTAKES

PAGE = ROOT / "docs" / "proof.md"
FALSE_ALARM = 1e-6  # stated at each statistical check
Record = Mapping[str, Any]
BY_NAME = {mistake.id: mistake for mistake in MISTAKES}


def caught(record: Record) -> set[str]:
    """Checks that judged and did not pass (skipped ones only follow)."""
    return {name for name, lost in record["lost"].items() if lost["status"] != "skipped"}


def of(records: Sequence[Record], kind: str) -> list[Record]:
    """Records of one kind."""
    return [record for record in records if record["task"]["kind"] == kind]


def name_of(record: Record) -> str:
    """The variant of a record with one."""
    return str(record["task"]["names"][0])


def expected_hint(mistake: Mistake) -> str:
    """The hint that a student with this mistake must see."""
    return mistake.hint or BY_ID[mistake.fails[0]].hint


def quick_fails(mistake: Mistake) -> set[str]:
    """Declared checks that are not trained."""
    return {name for name in mistake.fails if BY_ID[name].kind != "trained"}


class Proof:
    """What the results show, and what speaks against it."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.mistakes, self.alternatives = of(records, "mistake"), of(records, "alternative")
        self.reference, self.combinations = of(records, "reference"), of(records, "combination")
        self.first = {name_of(r): r for r in self.mistakes if r["task"]["seed"] == 1}
        self.against: list[str] = []

    def mistakes_lose(self) -> str:
        """1."""
        judged = [r for r in self.mistakes if quick_fails(BY_NAME[name_of(r)])]
        missed = [r for r in judged if not quick_fails(BY_NAME[name_of(r)]) <= set(r["lost"])]
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: not caught by "
                         f"{sorted(quick_fails(BY_NAME[name_of(r)]) - set(r['lost']))}" for r in missed]  # fmt: skip
        names, seeds = {name_of(r) for r in judged}, len(judged)
        return (f"{len(names)} of {len(MISTAKES)} mistakes in {seeds} runs: {len(judged) - len(missed)} lose points in every "
                f"check that they name, {len(missed)} do not")  # fmt: skip

    def alternatives_keep(self) -> str:
        """2."""
        missed = [r for r in self.alternatives if r["lost"]]
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: loses {sorted(r['lost'])}" for r in missed]
        names = {name_of(r) for r in self.alternatives}
        return (f"{len(names)} of {len(ALTERNATIVES)} alternatives in {len(self.alternatives)} runs: "
                f"{len(self.alternatives) - len(missed)} keep full marks, {len(missed)} do not")  # fmt: skip

    def hints_appear(self) -> str:
        """3."""
        judged = [r for name, r in self.first.items() if quick_fails(BY_NAME[name])]
        missed = [r for r in judged
                  if not any(expected_hint(BY_NAME[name_of(r)]) in lost["hint"] for lost in r["lost"].values())]  # fmt: skip
        self.against += [f"{name_of(r)}: the expected hint is not shown" for r in missed]
        share = 1 - len(missed) / max(1, len(judged))
        return f"the expected hint is shown for {share:.1%} of {len(judged)} mistakes"

    def reference_passes(self) -> str:
        """4."""
        missed = [r for r in self.reference if r["lost"]]
        self.against += [f"the reference, seed {r['task']['seed']}: loses {sorted(r['lost'])}" for r in missed]
        count = sum(check.kind == "statistical" for check in CHECKS)
        return (f"the reference in {len(self.reference)} runs with fresh seeds: {len(missed)} lose anything. "
                f"{count} statistical checks at {FALSE_ALARM:g} each: a false alarm in one run with probability at most "
                f"{count * FALSE_ALARM:.1e}")  # fmt: skip

    def reports_repeat(self) -> str:
        """5."""
        pairs = [(r, self.first[name_of(r)]) for r in of(self.records, "again") if name_of(r) in self.first]
        differ = [name_of(a) for a, b in pairs if a["digest"] != b["digest"]]
        self.against += [f"{name}: two runs with one seed differ" for name in differ]
        marks: dict[str, set[frozenset[str]]] = defaultdict(set)
        for record in self.mistakes:
            marks[name_of(record)].add(frozenset(record["lost"]))
        moving = [name for name, sets in marks.items() if len(sets) > 1]
        self.against += [f"{name}: marks depend on the seed ({sorted(frozenset.union(*marks[name]) - frozenset.intersection(*marks[name]))})"
                         for name in moving]  # fmt: skip
        return (f"{len(pairs)} mistakes judged twice with one seed: {len(differ)} reports differ; marks depend on the seed for "
                f"{len(moving)} of {len(marks)} mistakes")  # fmt: skip

    def parts_add_up(self) -> str:
        """Combinations."""
        known = [r for r in self.combinations if all(name in self.first for name in r["task"]["names"])]
        wrong = []
        for record in known:
            alone = set().union(*(self.first[name]["lost"] for name in record["task"]["names"]))
            questions = {BY_NAME[name].question for name in record["task"]["names"]}
            together = {name for name in record["lost"] if BY_ID[name].question in questions}
            if together != alone:
                wrong.append(record)
                self.against.append(f"{' + '.join(record['task']['names'])}: {sorted(together ^ alone)}")
        return (
            f"{len(known)} pairs and triples of mistakes: {len(known) - len(wrong)} lose exactly what their parts lose"
        )

    def tolerances(self) -> str:
        """6."""
        halved = of(self.records, "halved")
        fails = sorted({name for r in halved for name in r["lost"]})
        doubled = [r for r in of(self.records, "doubled") if name_of(r) in self.first]
        freed = [(name_of(r), sorted(set(self.first[name_of(r)]["lost"]) - set(r["lost"]))) for r in doubled]
        freed = [(name, checks) for name, checks in freed if checks]
        self.against += [f"with halved tolerances the reference loses {name}" for name in fails]
        self.against += [
            f"with doubled tolerances {name} is no longer caught by {', '.join(checks)}" for name, checks in freed
        ]
        return (f"tolerances halved: the reference loses {len(fails)} checks in {len(halved)} runs; doubled: {len(freed)} of "
                f"{len(doubled)} mistakes escape a check")  # fmt: skip

    def alone(self) -> dict[str, list[str]]:
        """7: mistakes that one check alone catches, by check."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, record in sorted(self.first.items()):
            if len(caught(record)) == 1:
                found[min(caught(record))].append(name)
        return found

    def checks_needed(self) -> str:
        """7."""
        quick = [check for check in CHECKS if check.kind != "trained"]
        alone = self.alone()
        idle = [check.id for check in quick if check.id not in alone]
        self.against += [f"{name}: no mistake of the bank is caught by it alone" for name in idle]
        return f"{len(quick) - len(idle)} of {len(quick)} checks that are not trained are the only one to catch some mistake"

    def page(self) -> str:
        """The whole page."""
        points = [self.mistakes_lose(), self.alternatives_keep(), self.hints_appear(), self.reference_passes(),
                  self.reports_repeat(), self.parts_add_up(), self.tolerances(), self.checks_needed()]  # fmt: skip
        lines = ["# Is the grader right?", "",
                 "Made by `make prove`, which goes on where it stopped: what has not been run is missing from the counts.",
                 "", *(f"{i}. {point}." for i, point in enumerate(points, 1)), ""]  # fmt: skip
        lines += ["## What speaks against it, or needs a reason", "", *(f"- {entry}" for entry in self.against), ""]
        for question in QUESTIONS:
            label = f"Question {question.number}" if question.number != BONUS else "Bonus"
            lines += [f"## {label}: mistakes and the checks that catch them", "", "| mistake | what is wrong | caught by |",
                      "|---|---|---|"]  # fmt: skip
            for name, record in sorted(self.first.items()):
                if BY_NAME[name].question == question.number:
                    ids = ", ".join(f"`{check.partition('.')[2]}`" for check in sorted(caught(record)))
                    lines.append(f"| {name} | {BY_NAME[name].story.replace('|', '∣')} | {ids} |")
            lines.append("")
        return "\n".join(lines)


def write(records: Sequence[Record], console: Console) -> int:
    """Writes the page and prints its totals."""
    page = Proof(records).page()
    put(PAGE, page)
    console.print(page.partition("## Question")[0], highlight=False)
    return 0
