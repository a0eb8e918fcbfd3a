"""report.html: what a student opens. A `Report` becomes plain records here, which the template lays out."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ...check.declaration import BONUS, Question
from ...check.outcome import Outcome
from ...rubric import QUESTIONS
from ..model import Report, Sum, sum_of
from ..pictures.values import Picture
from ..printable import name_of, one_line, printable, problems_of, shortened
from ..steps import first_steps, missing_part, unmet
from ..words import STATUS_WORDS, boxed, by_hand, explanation, hands, marks, points, worth
from .environment import fitting, rendered
from .heat import Heat, heat, numbers, scale_of

TEMPLATE = "report.html.jinja"
LONGEST = (1600, 240, 40)  # characters of a text, and of fewer where the page would grow too large
MOST_INPUTS = {1600: 16, 240: 8, 40: 2}  # of a check, as long as its texts are
PICTURE_BYTES = 900_000  # of all pictures, as they stand in the page
FOLDED = ("passed", "unimplemented", "skipped", "not_run")  # many checks say the same then: a line for all of them
TONES = {"passed": "good", "partial": "part", "error": "ours", "unimplemented": "quiet", "skipped": "quiet",
         "not_run": "quiet"}  # fmt: skip

Told: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]  # what `words` says of each check, by id


class Value(NamedTuple):
    """A value as text, and as a picture of its numbers where it is a small tensor."""

    label: str
    text: str
    heat: Heat | None


class Card(NamedTuple):
    """A check that lost something, with all that there is to say of it."""

    anchor: str
    title: str
    tone: str
    status: str
    marks: str
    by_hand: str
    asked: str
    found: str
    call: str
    inputs: Sequence[Value]
    more_inputs: int
    sides: Sequence[Value]  # what was expected, what came
    looks: str
    think: str
    printed: str


class Line(NamedTuple):
    """A check in a list."""

    title: str
    note: str
    worth: str


class Fold(NamedTuple):
    """Checks of which a line says enough."""

    tone: str
    label: str
    lines: Sequence[Line]


class Bar(NamedTuple):
    """Of 100: points earned, and points that were not judged."""

    earned: float
    open: float


class Shot(NamedTuple):
    """A picture; `data` is empty where there is none, for the reason in `missing`."""

    title: str
    alt: str
    data: str
    missing: str


class Part(NamedTuple):
    """A question."""

    anchor: str
    name: str
    title: str
    marks: str
    bar: Bar
    cards: Sequence[Card]
    folds: Sequence[Fold]
    pictures: Sequence[Shot]


class Step(NamedTuple):
    """Where to go on."""

    anchor: str
    question: str
    what: str
    status: str
    think: str


class Page(NamedTuple):
    """Everything that the page says."""

    name: str
    score: str
    of: str
    bonus: str
    notes: Sequence[str]  # on what was not judged
    hands: str
    given: Sequence[tuple[str, str]]  # points given by hand: the check, what and why
    problems: Sequence[str]
    unread: bool
    steps: Sequence[Step]
    done: str
    parts: Sequence[Part]
    setting: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]


def render(report: Report, pictures: Sequence[Picture] = ()) -> str:
    """The page as HTML, of at most 2 MB whatever a submission says."""
    styles = ("base.css",) if report.unread else ("base.css", "report.css")
    shots, told = list(shown_pictures(report, pictures)), told_of(report)

    def page(limit: int) -> str:
        return rendered(TEMPLATE, styles, page=page_of(report, told, shots, limit))

    return fitting(page, LONGEST)


def told_of(report: Report) -> Told:
    """The words for all checks. What there is to say, and that it is nothing of a hidden check, is decided there."""
    return {outcome.check.id: explanation(outcome, for_student=True) for outcome in report.outcomes}


def page_of(report: Report, told: Told, shots: Sequence[tuple[int, Shot]] = (), limit: int = LONGEST[0]) -> Page:
    """A report as records, its texts shortened to so many characters."""
    under = report.circumstances
    ran = [o for o in report.outcomes if not o.left_out]
    steps = [] if report.unread else [step(question, outcome, told, limit) for question, outcome in first_steps(ran)]
    return Page(
        name=name_of(report.submission),
        score=points(report.score) if report.regular.judged else "–",
        of=out_of(report), bonus=marks(report.extra), notes=list(notes(report)), hands=hands(report),
        given=[(o.check.title, shortened(by_hand(o.override), limit)) for o in report.overridden if o.override],
        problems=problems_of(report.problems), unread=report.unread, steps=steps,
        done=nothing_left(report, ran) if not steps else "",
        parts=[part(report, question, told, shots, limit) for question in QUESTIONS],
        setting=[
            ("Dataset", f"{under.dataset} ({one_line(under.dataset_reason)})"), ("Device", under.device),
            ("Seed", str(under.seed)), ("Box", boxed(under.sandbox).removeprefix("box ")),
            ("Threads", str(under.threads)),
        ],
        versions=[(name.replace("_", " "), one_line(version)) for name, version in under.versions.items()],
    )  # fmt: skip


def out_of(report: Report) -> str:
    """Of how many points the score is."""
    total = report.regular
    if total.judged == total.most:
        return f"/ {points(total.most)} points"
    return f"of {worth(total.judged)} judged" if total.judged else "nothing was judged"


def notes(report: Report) -> Iterator[str]:
    """What the score does not count, and whose fault that is not."""
    if left := report.points("not_run"):
        yield f"{worth(left).capitalize()} {'was' if left == 1 else 'were'} not run, and are neither earned nor lost."
    if report.faults:
        unjudged = worth(report.points("error"))
        yield (
            f"The grader failed on {counted(len(report.faults))} ({unjudged}). These are not judged and have to be "
            "graded again. This is not the submission's fault."
        )


def nothing_left(report: Report, ran: Sequence[Outcome]) -> str:
    """What is said where no check asks for anything."""
    if report.unread or not ran or report.faults:
        return ""
    return "Everything that was run passed." if report.points("not_run") else "All checks passed."


def counted(count: int) -> str:
    """ "1 check", "2 checks"."""
    return f"{count} check{'s'[: count != 1]}"


def question_name(question: Question) -> str:
    """ "Question 2", or "Bonus"."""
    return "Bonus" if question.number == BONUS else f"Question {question.number}"


def question_anchor(question: Question) -> str:
    """Where a question stands in the page."""
    return f"question-{question.number or 'bonus'}"


def step(question: Question, outcome: Outcome, told: Told, limit: int) -> Step:
    """A check to read first."""
    missing = outcome.status == "unimplemented"
    think = dict(told[outcome.check.id]).get("think", "")
    what = outcome.check.title
    if missing and outcome.check.visibility == "public":
        what = f"{one_line(missing_part(outcome), 120)} is not written yet"
    return Step(question_anchor(question) if missing else outcome.check.id, question_name(question), what,
                STATUS_WORDS[outcome.status], shortened(think, limit))  # fmt: skip


def part(report: Report, question: Question, told: Told, shots: Sequence[tuple[int, Shot]], limit: int) -> Part:
    """One question. Where nothing could be read, only what was given by hand."""
    own = [o for o in report.outcomes if o.check.question == question.number]
    if report.unread:
        own = [o for o in own if o.override is not None]
    total = report.of(question)
    folded = {status: [o for o in own if o.override is None and o.status == status] for status in FOLDED}
    return Part(
        question_anchor(question), question_name(question), question.title, marks(total), bar(total),
        [card(o, told[o.check.id], limit) for o in own if o.override is not None or o.status not in FOLDED],
        list(folds(folded, own, told, limit)), [shot for number, shot in shots if number == question.number],
    )  # fmt: skip


def bar(total: Sum) -> Bar:
    """Points as parts of a hundred."""
    if not total.most:
        return Bar(0.0, 0.0)
    return Bar(round(100 * total.earned / total.most, 2), round(100 * (total.most - total.judged) / total.most, 2))


def folds(by_status: Mapping[str, Sequence[Outcome]], own: Sequence[Outcome], told: Told, limit: int) -> Iterator[Fold]:
    """A line for all checks that passed, one for all that are not written, and so on."""
    if missing := by_status["unimplemented"]:
        names = dict.fromkeys(one_line(missing_part(o), 80) for o in missing if o.check.visibility == "public")
        label = shortened(f": {', '.join(names)}" if names else "", limit)
        yield Fold("quiet", f"Not written yet{label} ({extent(missing)})", [line(o) for o in missing])
    if skipped := by_status["skipped"]:
        titles = {o.check.id: o.check.title for o in own}
        needs = dict.fromkeys(titles.get(need, need) for o in skipped for need in unmet(o, own))
        label = f", because of “{'”, “'.join(needs)}”" if needs else ""
        yield Fold("quiet", f"Skipped{label} ({extent(skipped)})", [line(o) for o in skipped])
    if passed := by_status["passed"]:
        yield Fold(
            "good", f"Passed ({extent(passed)})", [line(o, shortened(note_of(told[o.check.id]), limit)) for o in passed]
        )
    if left := by_status["not_run"]:
        yield Fold("quiet", f"Not run ({extent(left)})", [line(o) for o in left])


def extent(outcomes: Sequence[Outcome]) -> str:
    """How many checks these are, and what they are worth."""
    return f"{counted(len(outcomes))}, {worth(sum_of(outcomes).most)}"


def line(outcome: Outcome, note: str = "") -> Line:
    """A check in a list."""
    return Line(outcome.check.title, note, worth(outcome.check.points))


def note_of(lines: Sequence[tuple[str, str]]) -> str:
    """What was measured, or noted, of a check that passed."""
    return "; ".join(text for _, text in lines)


def card(outcome: Outcome, lines: Sequence[tuple[str, str]], limit: int) -> Card:
    """A check with what there is to know."""
    told = {label: shortened(text, limit) for label, text in lines}
    whole = dict(lines)
    names = [label for label, _ in lines if label.startswith("input ")]
    inputs = [value(label.removeprefix("input "), whole[label], limit) for label in names[: MOST_INPUTS[limit]]]
    of = f"{points(outcome.earned)} / {points(outcome.check.points)}"
    if outcome.left_out or outcome.fault:
        of = f"{worth(outcome.check.points)}, not judged"
    return Card(
        anchor=outcome.check.id, title=outcome.check.title, tone=TONES.get(outcome.status, "bad"),
        status=STATUS_WORDS[outcome.status], marks=of, by_hand=told.get("by hand", ""), asked=told.get("asked", ""),
        found=told.get("found", "") or told.get("measured", "") or told.get("note", ""), call=told.get("call", ""),
        inputs=inputs, more_inputs=len(names) - len(inputs), sides=sides(whole, limit),
        looks=told.get("looks like", ""), think=told.get("think", ""), printed=told.get("your code printed", ""),
    )  # fmt: skip


def value(label: str, text: str, limit: int) -> Value:
    """A value under its name."""
    found = numbers(text)
    return Value(label, shortened(text, limit), heat(found, scale_of(found)) if found is not None else None)


def sides(whole: dict[str, str], limit: int) -> list[Value]:
    """What was expected beside what came: drawn in the same colours, numbers that differ marked in the second."""
    expected, actual = (numbers(whole.get(label, "")) for label in ("expected", "actual"))
    scale = scale_of(expected, actual)
    drawn = {"expected": heat(expected, scale) if expected is not None else None,
             "actual": heat(actual, scale, expected) if actual is not None else None}  # fmt: skip
    return [Value(label, shortened(whole[label], limit), drawn[label]) for label in drawn if whole.get(label)]


def shown_pictures(report: Report, pictures: Sequence[Picture]) -> Iterator[tuple[int, Shot]]:
    """Pictures with their questions, as far as there is room; those of hidden checks are not for the student."""
    hidden = {o.check.id for o in report.outcomes if o.check.visibility == "hidden"}
    room = PICTURE_BYTES
    for picture in pictures:
        if picture.check in hidden:
            continue
        data = base64.b64encode(picture.png).decode()
        missing = one_line(picture.missing, 400) or "it was not drawn"
        if len(data) > room:
            data, missing = "", "there is no room for it in this page"
        room -= len(data)
        title, alt = (printable(text, 200) for text in (picture.title, picture.alt))
        yield picture.question, Shot(title, alt, data, "" if data else missing)
