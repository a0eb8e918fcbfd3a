"""The author's contract: the repository keeps it, and each rule names what a copy lacks, with the remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from grader.check.declaration import Check
from grader.check.outcome import Outcome

from .bank import Mistake, apply
from .contract import RULES, Rule, __main__, banks, declared, handed_out, pages, running, words
from .contract.kit import Finding, Kit, read_kit
from .nearby import judged

KIT = read_kit()
FIRST = KIT.questions[0].checks[0]
TRAINED = next(check for check in KIT.checks if check.kind == "trained" and KIT.cuts[check.id]["digits"])
EXAMPLE = next(mistake for mistake in KIT.mistakes if mistake.edits)
MODULE = "gaussians.py"
ASKING = "rubric/q01/densities.py"


def name_of(rule: Rule) -> str:
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_nothing_is_missing(rule: Rule) -> None:
    assert [str(found) for found in rule(KIT)] == []


def test_the_rules_look_at_something() -> None:
    assert len(KIT.checks) > 200
    assert len(KIT.mistakes) > 1000
    assert sum(1 for _ in words.questions_asked(KIT.grader)) > 250
    assert sum(len(handed_out.public(KIT, module)) for module in KIT.modules) > 60


# ---- broken copies ------------------------------------------------------------------------------------------------


def checked(**changes: Any) -> Kit:
    """The kit whose first check is another."""
    question = KIT.questions[0]
    checks = (replace(FIRST, **changes), *question.checks[1:])
    return replace(KIT, questions=(replace(question, checks=checks), *KIT.questions[1:]))


def worth(points: float) -> Kit:
    """The kit whose first question declares other points."""
    return replace(KIT, questions=(replace(KIT.questions[0], points=points), *KIT.questions[1:]))


def with_text(part: str, path: str, old: str, new: str) -> Kit:
    """The kit with another text in one of its files."""
    files: Mapping[str, str] = getattr(KIT, part)
    assert old in files[path], f"{path} has no {old!r}: the test is out of date"
    broken: dict[str, Any] = {part: {**files, path: files[path].replace(old, new, 1)}}
    return replace(KIT, **broken)


def appended(text: str) -> Kit:
    """The kit whose rubric has more in it."""
    return replace(KIT, grader={**KIT.grader, ASKING: KIT.grader[ASKING] + text})


def mistaken(**changes: Any) -> Kit:
    """The kit with another example of a mistake in its bank."""
    others = tuple(mistake for mistake in KIT.mistakes if mistake is not EXAMPLE)
    return replace(KIT, mistakes=(*others, replace(EXAMPLE, **changes)))


def unbanked(part: str, keep: Callable[[Any], bool]) -> Kit:
    kept: dict[str, Any] = {part: tuple(entry for entry in getattr(KIT, part) if keep(entry))}
    return replace(KIT, **kept)


def uncut(dataset: str) -> Kit:
    return replace(KIT, cuts={**KIT.cuts, TRAINED.id: {k: v for k, v in KIT.cuts[TRAINED.id].items() if k != dataset}})


LITERAL = '\n\ndef added(ctx):\n    close = (a - b).abs() < 1e-6\n{}    expect(close, "", hint=INHERIT)\n'
FUNCTION = '\n\ndef unheard_of(x):\n    """What it is."""\n    raise NotImplementedError("Question 1: unheard_of")\n'
BARE = "\n\ndef bare(x):\n    return x\n"

# what is broken: the rule that must see it, where it must say so, what, and the remedy
BROKEN: Mapping[str, tuple[Callable[[], Kit], Rule, str, str, str]] = {
    "a question that is not listed": (lambda: replace(KIT, folders=KIT.folders[1:]), declared.listed, "grader/assignment.py", "differ in q01", "in both"),
    "an id of another question": (lambda: checked(id="q2.pmf.value"), declared.ids, "q2.pmf.value", "no id of a check of q1", "q1.part.what"),
    "an id with other letters": (lambda: checked(id="q1.PMF value"), declared.ids, "q1.PMF value", "no id", "hyphens"),
    "an id twice": (lambda: checked(id=KIT.questions[0].checks[1].id), declared.ids, KIT.questions[0].checks[1].id, "2 checks", "its own"),
    "a check in the wrong list": (lambda: checked(question=2, id="q2.pmf.value"), declared.ids, "q2.pmf.value", "declares another", "question=1"),
    "no points": (lambda: checked(points=0.0), declared.complete, FIRST.id, "gives no points", "give it some"),
    "no title": (lambda: checked(title=""), declared.complete, FIRST.id, "no title", "few words"),
    "nothing said": (lambda: checked(asks="right"), declared.complete, FIRST.id, "does not say", "asks"),
    "no hint": (lambda: checked(hint=""), declared.complete, FIRST.id, "no hint", "question into hint"),
    "a hint that tells": (lambda: checked(hint="Divide by n."), declared.complete, FIRST.id, "no hint that asks", "no answer"),
    "points that do not add up": (lambda: worth(7.0), declared.points, "q1", "6 points, its QUESTION says 7", "move points"),
    "a hundred and one": (lambda: worth(7.0), declared.points, "grader/rubric", "101 points, and not 100", "another question"),
    "a need that comes later": (lambda: checked(needs=(KIT.questions[0].checks[1].id,)), declared.needs, FIRST.id, "does not come before", "list that one first"),
    "a need elsewhere": (lambda: replace(KIT, questions=(*KIT.questions[:1], replace(
        KIT.questions[1], checks=(replace(KIT.questions[1].checks[0], needs=(FIRST.id,)),)))), declared.needs,
        KIT.questions[1].checks[0].id, "of another question", "stands in"),
    "a file that is not there": (lambda: replace(KIT, solution={}), declared.modules, MODULE, "not in solution/", "make starter"),
    "a file that is not listed": (lambda: replace(KIT, modules=KIT.modules[1:]), declared.modules, "grader/assignment.py", "gaussians", "in their order"),
    "a formula in a hint": (lambda: checked(hint="Is it x.sum(1) ** 2?"), words.hints, FIRST.id, ".sum(", "no answer"),
    "a formula in a condition's hint": (lambda: appended('\nWHY = "Is it torch.exp(x)?"\n'), words.hints, ASKING, "torch.", "notice"),
    "a condition without a question": (lambda: appended('\nexpect(True, "it is wrong")\n'), words.conditions, ASKING, "no question", "INHERIT"),
    "a tolerance without a reason": (lambda: appended("\nT = Tolerance(1e-3, 0.0, '')\n"), words.tolerances, ASKING, "no reason", "what error"),
    "a tolerance with a word": (lambda: appended("\nT = Tolerance(1e-3, 0.0, 'float32')\n"), words.tolerances, ASKING, "no reason", "3 words"),
    "a literal without a reason": (lambda: appended(LITERAL.format("")), words.tolerances, ASKING, "1e-06 decides", "comment"),
    "a question without a bank": (lambda: replace(KIT, folders=(*KIT.folders, "q11")), banks.packages, "tests/bank/q11", "not there", "hints.py"),
    "a check that cannot fail": (lambda: unbanked("mistakes", lambda m: FIRST.id not in m.fails), banks.mistakes, FIRST.id, "no mistake", "tests/bank/q01"),
    "only our way of writing": (lambda: unbanked("alternatives", lambda a: not a.whole and "kl_diagonal" not in a.append),
                                banks.alternatives, "gaussians.kl_diagonal", "no alternative", "another style"),
    "an edit that does not fit": (lambda: mistaken(edits=(("what nobody wrote", ""),)), banks.orphans, EXAMPLE.id, "does not fit", "write it anew"),
    "a function that is gone": (lambda: mistaken(edits=(), append="def forgotten(x):\n    return x"), banks.orphans, EXAMPLE.id, "nothing in", "remove it"),
    "a file that is gone": (lambda: mistaken(module="gone"), banks.orphans, EXAMPLE.id, "changes gone.py", "remove it"),
    "a check that is gone": (lambda: mistaken(fails=("q1.gone",)), banks.orphans, EXAMPLE.id, "q1.gone", "today's check"),
    "no check named": (lambda: mistaken(fails=()), banks.orphans, EXAMPLE.id, "names no check", "fails"),
    "another question's check": (lambda: mistaken(fails=(TRAINED.id,)), banks.orphans, EXAMPLE.id, "of another question", "may_fail"),
    "a question that is gone": (lambda: mistaken(question=99), banks.orphans, EXAMPLE.id, "q99", "move it"),
    "a mistake twice": (lambda: replace(KIT, mistakes=(*KIT.mistakes, EXAMPLE)), banks.orphans, EXAMPLE.id, "2 entries", "its own"),
    "a mistake without its question": (lambda: replace(KIT, hints={}), banks.questions_of_mistakes, EXAMPLE.id, "nothing says", "hints.py"),
    "a question without its mistake": (lambda: replace(KIT, hints={**KIT.hints, "gone": "?"}), banks.questions_of_mistakes, "gone", "no such mistake", "mend the id"),
    "an old starter": (lambda: with_text("starter", MODULE, "Question 1", "Question 2"), handed_out.starter, "starter/gaussians.py", "not what solution/", "make starter"),
    "a marker": (lambda: with_text("solution", MODULE, "# end solution", "# end private"), handed_out.starter, "solution/gaussians.py", "closes nothing", "marker"),
    "old names of parameters": (lambda: replace(KIT, signatures=("{}", "")), handed_out.starter, "signatures.json", "today's parameters", "make starter"),
    "a body in the starter": (lambda: replace(KIT, starter={**KIT.starter, MODULE: KIT.starter[MODULE] + BARE}), handed_out.stubs, "gaussians.bare", "gives it away", "# begin solution QN"),
    "no docstring": (lambda: replace(KIT, starter={**KIT.starter, MODULE: KIT.starter[MODULE] + BARE}), handed_out.stubs, "gaussians.bare", "says nothing", "docstring"),
    "a stub of another question": (lambda: with_text("starter", MODULE, "Question 1:", "Question 10:"), handed_out.stubs, "gaussians.", "names no question", "Question 1, Question 2"),
    "what nobody asks for": (lambda: replace(KIT, starter={**KIT.starter, MODULE: KIT.starter[MODULE] + FUNCTION}), handed_out.asked, "gaussians.unheard_of", "no check asks", "# begin private"),
    "no section in the handout": (lambda: with_text("pages", "docs/handout.md", "## Question 2 ", "## Exercise 2 "), pages.handout, "docs/handout.md", "no section on Question 2", "## Question 2 (8 points) · `gaussians.py`"),
    "other points in the handout": (lambda: with_text("pages", "docs/handout.md", "## Question 2 (8 ", "## Question 2 (9 "), pages.handout, "docs/handout.md", "other points", "(8 points)"),
    "a section too many": (lambda: with_text("pages", "docs/handout.md", "## Question 2 (", "## Question 12 ("), pages.handout, "docs/handout.md", "question 12", "remove it"),
    "no row": (lambda: with_text("pages", "docs/handout.md", "`kl_diagonal(", "`kl("), pages.handout, "docs/handout.md", "gaussians.kl_diagonal", "add a row"),
    "a row on nothing": (lambda: with_text("pages", "docs/handout.md", "`kl_diagonal(", "`kl("), pages.handout, "docs/handout.md", "a row on kl,", "write the function"),
    "old budgets": (lambda: with_text("pages", "docs/handout.md", "80 × 1437", "81 × 1437"), pages.handout, "docs/handout.md", "budgets", "grader.author.tables"),
    "an old table": (lambda: with_text("pages", "README.md", "| 2 · KL divergence |", "| 2 · KL |"), pages.readme, "README.md", "table of the rubric", "grader.author.tables"),
    "no markers": (lambda: with_text("pages", "README.md", "<!-- rubric:", "<!-- nothing:"), pages.readme, "README.md", "table of the rubric", "grader.author.tables"),
    "weights of another assignment": (lambda: with_text("pages", "README.md", "\n2 = 9\n", "\n12 = 9\n"), pages.readme, "README.md", "differ in 12, 2", "every question"),
    "weights that do not add up": (lambda: with_text("pages", "README.md", "\n2 = 9\n", "\n2 = 10\n"), pages.readme, "README.md", "add up to 101", "make them 100"),
    "no cuts": (lambda: uncut("mnist"), pages.cuts, TRAINED.id, "no cuts for mnist", "make calibrate DATASET=mnist"),
    "cuts without figures": (lambda: replace(KIT, cuts={**KIT.cuts, TRAINED.id: {**KIT.cuts[TRAINED.id], "digits": {"m": {"full": 1, "zero": 0, "lose": 0, "seeds": {}}}}}),
                             pages.cuts, TRAINED.id, "no seeds for digits", "make calibrate"),
    "cuts of nothing": (lambda: replace(KIT, cuts={**KIT.cuts, "q1.gone": {}}), pages.cuts, "thresholds.json", "q1.gone", "remove"),
    "no figures": (lambda: replace(KIT, pages={**KIT.pages, "docs/results.md": ""}), pages.results, TRAINED.id, "not in docs/results.md", "make results"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_missing_is_named_with_its_remedy(
    case: tuple[Callable[[], Kit], Rule, str, str, str],
) -> None:
    broken, rule, where, what, remedy = case
    found = rule(broken())
    assert any(where in f.where and what in f.what and remedy in f.remedy for f in found), found[:5]


def test_every_rule_is_broken_somewhere() -> None:
    assert {name_of(rule) for _, rule, *_ in BROKEN.values()} == {name_of(rule) for rule in RULES}


def test_a_literal_with_its_reason_is_no_finding() -> None:
    reasons = ("    # rounding\n", "")
    explained = LITERAL.replace("< 1e-6", "< 1e-6  # rounding")
    assert words.tolerances(appended(explained.format(""))) == []
    assert words.tolerances(appended(LITERAL.format(reasons[0]))) != [], "a comment on what follows is none"
    assert words.tolerances(appended(LITERAL.replace("1e-6", "0.5").format(""))) == [], "a half is no tolerance"


@pytest.mark.parametrize(
    "text",
    ["Try x[:, 0] first?", "Is `a + b` right?", "Is y = exp(x)?", "What about y = a * b?", "Why mean(x, 1)?",
     "Why lambda x: x?", "Is it x**2?", "f(x) / 2?"],
)  # fmt: skip
def test_code_in_a_hint(text: str) -> None:
    assert words.code_in(text)


@pytest.mark.parametrize(
    "text",
    ["What does alpha = 0 leave?", "Is it N(0, I)?", "Could one write encode(x)?", "Multiply a row of `a` by 10?",
     "In [0, 1]?", "What does freeze=False leave free?", "How is log 2 written in bits?"],
)  # fmt: skip
def test_no_code_in_a_hint(text: str) -> None:
    assert not words.code_in(text)


# ---- what must be run ---------------------------------------------------------------------------------------------


def of_question(question: int, *, checks: tuple[Check, ...] = ()) -> Kit:
    """The kit with one question only."""
    [found] = [one for one in KIT.questions if one.number == question]
    return replace(KIT, questions=(replace(found, checks=checks or found.checks),))


def test_the_starter_earns_nothing_and_a_check_that_asks_nothing_is_named() -> None:
    assert running.stubs_earn_nothing(of_question(2)) == []
    idle = replace(FIRST, id="q1.idle", run=lambda ctx: None)
    [found] = running.stubs_earn_nothing(of_question(1, checks=(idle,)))
    assert (found.where, found.remedy) == ("q1.idle", "ask something of the student's code that a stub cannot answer")


def test_a_mistake_that_passes_and_one_that_is_asked_something_else_are_named() -> None:
    mistake = next(m for m in KIT.mistakes if m.id == "q2-univariate-reversed")
    check = next(check for check in KIT.checks if check.id == mistake.fails[0])
    passed = {check.id: Outcome(check, "passed", check.points)}
    assert [(f.where, f.what) for f in running.missed(KIT, mistake, passed)] == [
        (mistake.id, f"{check.id} does not see it (passed)")
    ]
    other = {check.id: Outcome(check, "failed", 0.0, message="wrong", hint="Why?")}
    [found] = running.missed(KIT, mistake, other)
    assert "asks 'Why?'" in found.what
    assert KIT.hints[mistake.id] in found.remedy
    right = {check.id: Outcome(check, "failed", 0.0, hint=KIT.hints[mistake.id])}
    assert list(running.missed(KIT, mistake, right)) == []


@pytest.mark.parametrize(("check", "mistake"), KIT.alone.items())
def test_a_check_that_comes_too_late_to_fail_sees_a_mistake_when_it_is_asked_alone(check: str, mistake: str) -> None:
    [asked] = [one for one in KIT.checks if one.id == check]
    [wrong] = [one for one in KIT.mistakes if one.id == mistake]
    assert not any(check in one.fails for one in KIT.mistakes), f"{check} needs no entry in ALONE any more"
    assert judged(apply(KIT.sources, wrong), [asked], running.SEED)[check].status == "failed"


def test_one_question_is_run_on_its_bank() -> None:
    few = [m for m in KIT.mistakes if m.id in ("q2-univariate-reversed", "q2-full-twice")]
    blind = Mistake("blind", 2, "gaussians", "none at all", ("q2.univariate.value",), append="import math\n")
    kit = replace(KIT, mistakes=(*few, blind), hints={**KIT.hints, "blind": ""},
                  alternatives=tuple(a for a in KIT.alternatives if a.id == "q2-textbook"))  # fmt: skip
    assert running.reference_keeps_all(kit, [2]) == []
    assert list(running.alternatives_keep_all(kit, [2])) == []
    assert [(f.where, f.what) for f in running.mistakes_are_seen(kit, [2])] == [
        ("blind", "q2.univariate.value does not see it (passed)")
    ]


def test_an_alternative_that_loses_points_is_named() -> None:
    outcome = Outcome(FIRST, "failed", 0.0, message="it is wrong")
    [found] = running.lost("q1-other", {FIRST.id: outcome})
    assert str(found).startswith(f"q1-other: loses {FIRST.id} (failed): it is wrong; it is correct: widen the check")


# ---- the command --------------------------------------------------------------------------------------------------


def test_the_command_ends_with_1_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "read_kit", lambda: checked(title=""))
    assert __main__.main([]) == 1
    said = capsys.readouterr()
    assert said.out == str(Finding(FIRST.id, "has no title", "say in a few words what it is about")) + "\n"
    assert said.err == "1 to mend\n"


def test_the_command_says_what_it_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "read_kit", lambda: KIT)
    assert __main__.main([]) == 0
    assert f"nothing is missing: {len(KIT.questions)} questions, {len(KIT.checks)} checks" in capsys.readouterr().out
