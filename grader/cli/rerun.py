"""``python -m grader rerun OUT STUDENT CHECK``: one check judged again with what is stored, for an appeal."""

from __future__ import annotations

import argparse

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..check.outcome import Outcome
from ..grading.again import Stored, judged_again, plan_of, same_code, stored
from ..grading.graded import Graded
from ..grading.plan import Plan
from ..grading.store import Store
from ..report.printable import name_of, one_line
from ..report.words import STATUS_WORDS, boxed, points, verdict, worth
from ..rubric import CHECKS
from .boxes import box_of_a_run, tested
from .consoles import say
from .finding import find_check
from .layout import details
from .options import UsageError
from .plan import known_right
from .show import found
from .stored import find

SAME, OTHER, FAULT = 0, 1, 3
FACTS = ("found", "call", "expected", "actual", "looks like", "measured", "note")


def run_rerun(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0 if status and points are what they were, 1 if not, 3 if the grader failed. Nothing is stored.

    Raises UsageError, StoreError and BoxRefused.
    """
    with Store(options.out) as store:
        one = find(store, options.student)
        before = stored(store, one, find_check(options.check, CHECKS))
    refuse_impossible(one, before)
    plan = make_plan(options, before, err)
    print_before(err, one, before, plan)
    with err.status("judging"):
        after = judged_again(before, one, plan)
    same = (after.status, after.earned) == (before.outcome.status, before.outcome.earned)
    out.print(beside(before.outcome, after))
    out.print(details(more_of(after), "dim"))
    print_after(out, one, before, same=same)
    if after.status == "error":
        say(err, "the grader failed", one_line(after.message), "magenta")
        return FAULT
    return SAME if same else OTHER


def refuse_impossible(one: Graded, before: Stored) -> None:
    """What cannot be judged on this machine, or by anything that is stored. Raises UsageError."""
    under, name = before.circumstances, name_of(one.report.submission)
    if not one.submission.sources:
        why = one_line(one.submission.problems[0]) if one.submission.problems else "the submission is empty"
        raise UsageError(f"nothing of {name} is stored that could be judged: {why}")
    if before.check.kind != "trained":
        return
    if under.dataset == "none":
        raise UsageError(
            f"{before.check.id} is a trained check, and none was asked for when {name} was graded: no dataset is stored"
        )
    if under.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError(f"{before.check.id} was judged on a CUDA device, and PyTorch finds none here")


def make_plan(options: argparse.Namespace, before: Stored, err: Console) -> Plan:
    """What judges it as it was judged, in a box of the same kind. Raises BoxRefused."""
    sandbox = before.circumstances.sandbox
    own = sandbox.self_test is None  # a folder of the user's own: for any other the box is tried first
    wanted = options.box or sandbox.backend
    box = box_of_a_run(wanted, before.circumstances.device, own=own, unsafe=options.unsafe_no_box)
    seen = None
    if not own:
        with err.status("trying the box"):
            seen = tested(box, unsafe=options.unsafe_no_box)
    return plan_of(before, box, options.data, known_right(), seen)


def print_before(err: Console, one: Graded, before: Stored, plan: Plan) -> None:
    """What is about to happen, and what is taken as stored."""
    data = f"dataset {plan.dataset} · device {plan.device} · " if before.check.kind == "trained" else ""
    err.print(Text(f"judging {before.check.id} of {name_of(one.report.submission)} again · {data}seed {plan.seed} · "
                   f"{boxed(plan.sandbox)}"))  # fmt: skip
    files = ", ".join(f"{name}.py" for name in one.submission.sources)
    err.print(Text(f"its text as it is stored: {one_line(files)}", "dim"))
    under = dict(before.kept.under) if before.kept is not None else {}
    needs = {name: before.known[name] for name in before.check.needs if name in before.known} | under
    if needs:
        taken = ", ".join(f"{name} ({STATUS_WORDS.get(status, status)})" for name, status in needs.items())
        err.print(Text(f"taken as stored: {taken}", "dim"))
    if before.kept is None:
        err.print(Text("it was not run then: there is nothing to compare with", "yellow"))
    elif same_code(before, plan):
        err.print(Text("code, versions and box are those of then: the same is to be expected", "dim"))
    else:
        now, then = plan.circumstances, before.circumstances
        names = [name for name in now.versions.keys() | then.versions.keys()
                 if now.versions.get(name) != then.versions.get(name)]  # fmt: skip
        names += ["box"] if now.sandbox.backend != then.sandbox.backend else []
        changed = ", ".join(sorted(names)) or "what judges it"
        err.print(Text(f"not as it was then: {changed}; another outcome may come of that alone", "yellow"))


def beside(before: Outcome, after: Outcome) -> RenderableType:
    """Two outcomes side by side."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("stored", overflow="fold", ratio=1)
    table.add_column("now", overflow="fold", ratio=1)
    old, new = facts(before), facts(after)
    for label in dict.fromkeys([*old, *new]):
        style = "" if old.get(label) == new.get(label) else "bold"
        table.add_row(label, Text(old.get(label, "")), Text(new.get(label, ""), style))
    return table


def facts(outcome: Outcome) -> dict[str, str]:
    """What there is to compare of an outcome."""
    lines = verdict(outcome, for_student=False)
    told = {label: text for label, text in lines if label in FACTS or label.startswith("input ")}
    return {"status": STATUS_WORDS[outcome.status],
            "points": f"{points(outcome.earned)} of {points(outcome.check.points)}", **told}  # fmt: skip


def more_of(after: Outcome) -> list[tuple[str, str]]:
    """What else there is to know of the new outcome: all that the code printed, what it was called by, and how long."""
    lines = [(label, text) for label, text in found(after) if label not in FACTS and not label.startswith("input ")]
    called = one_line(", ".join(sorted(after.asked)))
    more = [("asks", after.check.asks), ("looked up", called), ("took", f"{after.duration_s:.2f} s")]
    return [*lines, *((label, text) for label, text in more if text)]


def print_after(out: Console, one: Graded, before: Stored, *, same: bool) -> None:
    """Whether that is what it was, and what counts."""
    out.print(Text("the same status and points" if same else "another outcome", "green" if same else "yellow"))
    override = next(o.override for o in one.report.outcomes if o.check is before.check)
    if override is not None:
        out.print(Text(f"{worth(override.points)} given by hand, which count whatever a verdict says"))
    elif not same:
        out.print(Text("nothing is stored: override gives other points, with the reason"))
