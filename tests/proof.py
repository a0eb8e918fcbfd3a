"""From the results of `prove` to ``docs/proof.md``: totals on top, then which checks catch which mistake."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from grader.author.starter import ROOT
from grader.check.declaration import BONUS
from grader.report.write import put
from grader.rubric import CHECKS, QUESTIONS

from .bank import Mistake
from .bank.whole import ALTERNATIVES, HINTS, MISTAKES
from .stays import STAYS
from .test_bank import BY_ID

PAGE = ROOT / "docs" / "proof.md"
FALSE_ALARM = 1e-6  # stated at each statistical check
Record = Mapping[str, Any]
BY_NAME = {mistake.id: mistake for mistake in MISTAKES}
ALTERNATIVE = {alternative.id for alternative in ALTERNATIVES}


def caught(record: Record) -> set[str]:
    """Checks that judged and did not pass (skipped ones only follow)."""
    return {name for name, lost in record["lost"].items() if lost["status"] != "skipped"}


def of(records: Sequence[Record], kind: str) -> list[Record]:
    """Records of one kind."""
    return [record for record in records if record["task"]["kind"] == kind]


def name_of(record: Record) -> str:
    """The variant of a record with one."""
    return str(record["task"]["names"][0])


def key_of(record: Record) -> tuple[Any, ...]:
    """What a record was judged from."""
    task = record["task"]
    return tuple(task["names"]), task["seed"], task["question"]


def expected_hint(mistake: Mistake) -> str:
    """The hint that a student with this mistake must see."""
    return HINTS.get(mistake.id, "") or next(
        BY_ID[name].hint for name in mistake.fails if BY_ID[name].kind != "trained"
    )


def quick_fails(mistake: Mistake) -> set[str]:
    """Declared checks that are not trained."""
    return {name for name in mistake.fails if BY_ID[name].kind != "trained"}


class Proof:
    """What the results show, and what speaks against it."""

    def __init__(self, records: Sequence[Record], missing: int) -> None:
        self.records, self.missing = records, missing
        self.mistakes, self.alternatives = of(records, "mistake"), of(records, "alternative")
        self.reference, self.combinations = of(records, "reference"), of(records, "combination")
        self.first = {name_of(r): r for r in self.mistakes if r["task"]["seed"] == 1}
        self.reasons = {
            name: reasons for r in of(records, "touched") for name, reasons in r["tolerances"].items()
            if reasons and r["task"]["question"] is None
        }  # fmt: skip
        self.edges: dict[str, tuple[bool, list[str]]] = {}
        self.against: list[str] = []

    def mistakes_lose(self) -> str:
        """1."""
        judged = [r for r in self.mistakes if quick_fails(BY_NAME[name_of(r)])]
        trained = [r for r in of(self.records, "trained") if name_of(r) in BY_NAME]
        unseen = [r for r in trained if not set(BY_NAME[name_of(r)].fails) <= caught(r)]
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: not seen in training" for r in unseen]
        missed = [r for r in judged if not quick_fails(BY_NAME[name_of(r)]) <= set(r["lost"])]
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: not caught by "
                         f"{sorted(quick_fails(BY_NAME[name_of(r)]) - set(r['lost']))}" for r in missed]  # fmt: skip
        elsewhere = [(r, sorted(n for n in r["lost"] if BY_ID[n].question != BY_NAME[name_of(r)].question
                                and n not in BY_NAME[name_of(r)].may_fail)) for r in judged]  # fmt: skip
        shared = {m.id for m in MISTAKES if any(BY_ID[name].question != m.question for name in m.may_fail)}
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: loses points of another question: {names}"
                         for r, names in elsewhere if names]  # fmt: skip
        return (f"{len({name_of(r) for r in judged})} of {len(MISTAKES)} mistakes in {len(judged)} runs: "
                f"{len(judged) - len(missed)} lose points in every check that they name, {len(missed)} do not; "
                f"{sum(bool(names) for _, names in elsewhere)} lose points of a question that they do not touch ({len(shared)} "
                f"are in a helper that two questions share, and say so). {len({name_of(r) for r in trained})} more are seen in training "
                f"only: {len(trained)} runs, {len(trained) - len(unseen)} lose points. {self.faults()} "
                f"{self.selection()}")  # fmt: skip

    def faults(self) -> str:
        """Checks that could not judge: never a verdict, and always ours."""
        found = [(r, name) for r in self.records for name, lost in r["lost"].items() if lost["status"] == "error"]
        self.against += [
            f"{r['task']['names']}, seed {r['task']['seed']}: the grader fails on {name}" for r, name in found
        ]
        strange = sum(r["task"]["kind"] == "strange" for r, _ in found)
        return (f"The grader itself failed in {len(found)} judgements, {strange} of them in the "
                f"{len(of(self.records, 'strange'))} runs in which one function returned something strange.")  # fmt: skip

    def selection(self) -> str:
        """That checks which run nothing of what a mistake changes need not be run."""
        whole = [r for r in of(self.records, "whole") if name_of(r) in self.first]
        wrong = [r for r in whole if set(r["lost"]) != set(self.first[name_of(r)]["lost"])]
        self.against += [f"{name_of(r)}: all checks find {sorted(r['lost'])}, the selected ones do not" for r in wrong]
        ran = sum(r["ran"] for r in self.first.values()) / max(1, len(self.first))
        return (f"A mistake is run on the checks of all questions that run a function it changes, {ran:.1f} on average; "
                f"{len(whole)} were run on all of them: {len(whole) - len(wrong)} with the same outcome")  # fmt: skip

    def alternatives_keep(self) -> str:
        """2."""
        missed = [r for r in self.alternatives if r["lost"]]
        self.against += [f"{name_of(r)}, seed {r['task']['seed']}: loses {sorted(r['lost'])}" for r in missed]
        names = {name_of(r) for r in self.alternatives}
        trained = [r for r in of(self.records, "trained") if name_of(r) in ALTERNATIVE and r["ran"]]
        worse = [r for r in trained if r["lost"]]
        self.against += [
            f"{name_of(r)}, trained with seed {r['task']['seed']}: loses {sorted(r['lost'])}" for r in worse
        ]
        tried = len([r for r in of(self.records, "trained") if name_of(r) in ALTERNATIVE])
        return (f"{len(names)} of {len(ALTERNATIVES)} alternatives in {len(self.alternatives)} runs: "
                f"{len(self.alternatives) - len(missed)} keep full marks, {len(missed)} do not. {tried} were tried in training as "
                f"well, of which {len(trained)} change what is trained: {sum(r['ran'] for r in trained)} trained checks on digits with one seed each, "
                f"{sum(len(r['lost']) for r in worse)} of which lose something")  # fmt: skip

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
        runs = Counter(r["task"]["question"] for r in self.reference)
        fewest = min(runs.get(question.number, 0) for question in QUESTIONS)
        count = sum(check.kind == "statistical" for check in CHECKS)
        return (f"the reference in {fewest} runs of every question with fresh seeds: {len(missed)} lose anything. "
                f"{count} statistical checks at {FALSE_ALARM:g} each: a false alarm in one run with probability at most "
                f"{count * FALSE_ALARM:.1e}")  # fmt: skip

    def reports_repeat(self) -> str:
        """5."""
        first = {key_of(r): r for r in [*self.mistakes, *self.reference]}
        pairs = [(r, first[key_of(r)]) for r in of(self.records, "again") if key_of(r) in first]
        differ = [key_of(a) for a, b in pairs if a["digest"] != b["digest"]]
        self.against += [f"{name}: two runs with one seed differ" for name in differ]
        marks: dict[str, set[frozenset[str]]] = defaultdict(set)
        for record in self.mistakes:
            marks[name_of(record)].add(frozenset(record["lost"]))
        moving = [name for name, sets in marks.items() if len(sets) > 1]
        self.against += [f"{name}: marks depend on the seed ({sorted(frozenset.union(*marks[name]) - frozenset.intersection(*marks[name]))})"
                         for name in moving]  # fmt: skip
        return (f"{len(pairs)} mistakes and questions of the reference judged twice with one seed, in the prover's own process and "
                f"in a process for each check, as in grading: {len(differ)} reports differ; marks depend on the seed for "
                f"{len(moving)} of {len(marks)} mistakes")  # fmt: skip

    def parts_add_up(self) -> str:
        """Combinations."""
        known = [r for r in self.combinations if all(name in self.first for name in r["task"]["names"])]
        wrong = []
        for record in known:
            alone = set().union(*(self.first[name]["lost"] for name in record["task"]["names"]))
            together = set(record["lost"])
            if together != alone:
                wrong.append(record)
                self.against.append(f"{' + '.join(record['task']['names'])}: {sorted(together ^ alone)}")
        return (
            f"{len(known)} pairs and triples of mistakes: {len(known) - len(wrong)} lose exactly what their parts lose"
        )

    def tolerances(self) -> str:
        """6."""
        tight = of(self.records, "tightened")
        loose = [r for r in of(self.records, "loosened") if name_of(r) in self.first]
        near = {f: sorted({n for r in tight if r["task"]["tolerance"] == f for n in r["lost"]}) for f in (0.5, 0.01)}
        freed: dict[float, dict[str, list[str]]] = {2.0: defaultdict(list), 100.0: defaultdict(list)}
        for record in loose:
            named = quick_fails(BY_NAME[name_of(record)])
            for name in named & set(self.first[name_of(record)]["lost"]) - set(record["lost"]):
                freed[record["task"]["tolerance"]][name].append(name_of(record))
        self.against += [f"with halved tolerances the reference loses {name}" for name in near[0.5]]
        self.against += [f"with doubled tolerances {name} no longer catches {', '.join(mistakes)}"
                         for name, mistakes in sorted(freed[2.0].items())]  # fmt: skip
        self.edges = {name: (name in near[0.01], sorted(freed[100.0].get(name, []))) for name in self.reasons}
        far = [name for name, (below, above) in self.edges.items() if not below or not above]
        self.against += [f"{name}: a tolerance without a reason" for name in far if not all(self.reasons[name])]
        return (f"tolerances halved: the reference loses {len(near[0.5])} checks; doubled: {len(freed[2.0])} checks no longer "
                f"catch a mistake that names them. {len(far)} of {len(self.reasons)} checks that compare with a tolerance are "
                f"further than a factor 100 from the reference's error or from the nearest mistake: the reasons are below "
                f"({len(loose)} runs)")  # fmt: skip

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
        self.against += [f"{name}: no mistake of the bank is caught by it alone" for name in idle if name not in STAYS]
        return (f"{len(quick) - len(idle)} of {len(quick)} checks that are not trained are the only one to catch some mistake; "
                f"{sum(name in STAYS for name in idle)} stay for a reason that is written below")  # fmt: skip

    def verdict(self, point: Callable[[], str]) -> str:
        """What the point found, after whether it holds for all that was run."""
        known = len(self.against)
        found = point()
        return f"**{'Holds' if len(self.against) == known else 'Does not hold'}:** {found}"

    def page(self) -> str:
        """The whole page."""
        points = [lambda: f"{self.mistakes_lose()}. {self.parts_add_up()}", self.alternatives_keep, self.hints_appear,
                  self.reference_passes, self.reports_repeat, self.tolerances, self.checks_needed]  # fmt: skip
        lines = ["# Is the grader right?", "",
                 f"Made by `make prove`, which goes on where it stopped, and `make prove TRAINING=1`. {len(self.records)} tasks have "
                 f"been run, {self.missing} are missing from the counts.", "",
                 *(f"{number}. {self.verdict(point)}." for number, point in enumerate(points, 1)), ""]  # fmt: skip
        lines += ["## What speaks against it", "", *(f"- {entry}" for entry in self.against or ["nothing"]), ""]
        lines += ["## Checks that stay although others catch the same mistakes", ""]
        lines += [f"- `{name}`: {reason}" for name, reason in STAYS.items() if name not in self.alone()]
        lines += ["", "## How near the tolerances are", "",
                  "A hundredth of the tolerance fails the reference: the lower edge is near. A hundredfold tolerance lets a "
                  "mistake pass: the upper edge is near.", "",
                  "| check | lower edge near | mistakes at the upper edge | why this tolerance |", "|---|---|---|---|"]  # fmt: skip
        lines += [f"| `{name}` | {'yes' if below else 'no'} | {', '.join(above) or 'none'} | {'; '.join(self.reasons[name])} |"
                  for name, (below, above) in sorted(self.edges.items())]  # fmt: skip
        lines += [""]
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


def write(records: Sequence[Record], missing: int, console: Console) -> int:
    """Writes the page and prints its totals. Returns 1 if anything speaks against the grader, or is not run yet."""
    proof = Proof(records, missing)
    page = proof.page()
    put(PAGE, page)
    console.print(page.partition("## Checks that stay")[0], highlight=False)
    return int(bool(proof.against) or missing)
