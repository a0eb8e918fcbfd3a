"""class.html: what a class looks like, for instructors. Reports become plain records, which the template lays out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from ...check.declaration import Check
from ...classes.people import Owner
from ...rubric import CHECKS, QUESTIONS
from ..model import Report, Sum, question_label
from ..names import folder_name
from ..printable import one_line, printable, problems_of
from ..words import STATUS_WORDS, by_hand, points, worth
from .analysis import (
    ACCIDENTS,
    BINS,
    EVERYBODY,
    GOOD_FAIL,
    NOBODY,
    TELLS_LITTLE,
    Analysis,
    Figures,
    Misconception,
    Spread,
    analysed,
    percent_of,
    without_place,
)
from .environment import fitting, rendered
from .student import question_name

TEMPLATE = "class.html.jinja"
STYLES, SCRIPTS = ("base.css", "class.css"), ("tables.js",)
MOST_NAMES = (10_000, 60, 10)  # in a list, and fewer where the page would grow too large
MOST_ROWS = 40  # of misconceptions and of equal failures, the commonest first
MOST_ACCIDENTS = 300
LONGEST_NAME, LONGEST_TEXT = 60, 300
NOTHING = "–"
ODD = (GOOD_FAIL, NOBODY, TELLS_LITTLE)  # in the order in which somebody should look
PERSON = "report.html"


class Item(NamedTuple):
    """A row of figures: a check or a question. What is sorted by stands beside what is shown."""

    key: str
    name: str
    kind: str
    judged: int
    worth: float
    rate: str
    share: str
    told: str
    median: str
    longest: str
    order: Sequence[float | None]  # rate, share, discrimination, median, longest
    flag: str


class Who(NamedTuple):
    """Somebody in a list; `link` is empty in an anonymous page."""

    name: str
    link: str


class Group(NamedTuple):
    """What several have in common: a question that was asked, or a failure."""

    where: str
    text: str
    detail: str
    status: str
    people: Sequence[Who]
    total: int


class Row(NamedTuple):
    """A student; `marks` and `shades` go by question."""

    who: Who
    id: str
    section: str
    score: str
    order: float | None
    bonus: str
    bonus_order: float | None
    marks: Sequence[str]
    shades: Sequence[str]
    tags: Sequence[str]


class Incident(NamedTuple):
    """Checks of somebody that did not end in a verdict, points given by hand, or a submission that was not read."""

    who: Who
    status: str
    checks: str
    text: str


class Bin(NamedTuple):
    """A tenth of the marks; `height` is that of its bar in percent."""

    label: str
    size: int
    height: float


class Page(NamedTuple):
    """Everything that the page says."""

    anonymous: bool
    students: int
    tiles: Sequence[tuple[str, str]]
    bins: Sequence[Bin]
    partial: bool  # not all points were judged for everybody
    questions: Sequence[Item]
    checks: Sequence[Item]
    flagged: Sequence[Item]
    easy: Sequence[Item]  # flagged for nothing but that everybody passes
    asked: Sequence[Group]
    more_asked: int
    alike: Sequence[Group]
    more_alike: int
    accidents: Sequence[Incident]
    more_accidents: int
    by_hand: Sequence[Incident]
    unread: Sequence[Incident]
    labels: Sequence[str]
    rows: Sequence[Row]
    ids: bool
    sections: bool
    tags: Sequence[str]


def render(reports: Sequence[Report], base: str = "", aliases: Sequence[str] | None = None) -> str:
    """The page as HTML. `base` leads from it to the folder of the reports; `aliases` stand for names, in any order."""
    found = analysed(reports)

    def page(most: int) -> str:
        return rendered(TEMPLATE, STYLES, SCRIPTS, page=Course(reports, found, base, aliases, most).page())

    return fitting(page, MOST_NAMES)


class Course:
    """Reports on their way to records: whose is what, under which names."""

    def __init__(
        self, reports: Sequence[Report], found: Analysis, base: str = "", aliases: Sequence[str] | None = None,
        most_names: int = MOST_NAMES[0],
    ) -> None:  # fmt: skip
        self.reports, self.found, self.most_names = reports, found, most_names
        self.anonymous = aliases is not None
        if aliases is not None:
            self.people = [Who(alias, "") for alias in aliases]
        else:
            self.people = [Who(one_line(owner_of(one).name, LONGEST_NAME) or "(no name)", link(one, base))
                           for one in reports]  # fmt: skip
        self.order = sorted(range(len(reports)), key=lambda k: self.people[k].name.casefold())
        self.rank = {place: rank for rank, place in enumerate(self.order)}

    def page(self) -> Page:
        """All records."""
        found, reports = self.found, self.reports
        checks = [item(check.id, check.title, check.kind, check.points, found.checks[check.id]) for check in CHECKS]
        accidents = [
            Incident(self.people[one.who], STATUS_WORDS[one.status], titles([o.check for o in one.outcomes]),
                     self.own_text(one.outcomes[0].message))
            for one in sorted(found.accidents, key=lambda one: (ACCIDENTS.index(one.status), self.rank[one.who]))
        ]  # fmt: skip
        rows = [self.row(place) for place in self.order]
        return Page(
            anonymous=self.anonymous, students=len(reports), tiles=tiles(reports, found.marks), bins=bins(found.marks),
            partial=any(report.regular.judged < report.max_score for report in reports if not report.unread),
            questions=[item(str(question_label(q.number)), f"{question_name(q)} · {q.title}", "", q.points,
                            found.questions[q.number]) for q in QUESTIONS],
            checks=checks, flagged=[one for flag in ODD for one in checks if one.flag == flag],
            easy=[one for one in checks if one.flag == EVERYBODY],
            asked=list(self.asked()), more_asked=len(found.misconceptions) - len(self.common()),
            alike=list(self.alike()), more_alike=max(0, len(found.clusters) - MOST_ROWS),
            accidents=accidents[:MOST_ACCIDENTS], more_accidents=max(0, len(accidents) - MOST_ACCIDENTS),
            by_hand=[one for place in self.order for one in self.given(place)],
            unread=[Incident(self.people[k], "", "", self.own_text("; ".join(problems_of(reports[k].problems)))
                             or "it could not be read") for k in self.order if reports[k].unread],
            labels=[str(question_label(q.number)) for q in QUESTIONS], rows=rows, ids=any(row.id for row in rows),
            sections=any(row.section for row in rows),
            tags=list(dict.fromkeys(tag for row in rows for tag in row.tags)),
        )  # fmt: skip

    def own_text(self, text: str) -> str:
        """What a submission has a part in: names may stand in it, so that an anonymous page leaves it out."""
        return "" if self.anonymous else printable(text, LONGEST_TEXT)

    def listed(self, places: Sequence[int]) -> list[Who]:
        """People in the page's order, as many as are named."""
        return [self.people[place] for place in sorted(places, key=self.rank.__getitem__)[: self.most_names]]

    def common(self) -> Sequence[Misconception]:
        """What several were asked; what was asked of one is not common, unless there is nothing else."""
        several = [one for one in self.found.misconceptions if len(one.who) > 1]
        return (several or self.found.misconceptions)[:MOST_ROWS]

    def asked(self) -> Iterator[Group]:
        """The commonest questions that were asked, with those who were asked."""
        for one in self.common():
            yield Group(label_of(one.question), printable(one.hint, LONGEST_TEXT), ", ".join(one.checks), "",
                        self.listed(one.who), len(one.who))  # fmt: skip

    def alike(self) -> Iterator[Group]:
        """What fails alike."""
        for one in self.found.clusters[:MOST_ROWS]:
            check = one.example.check
            text = printable(one.example.looks, LONGEST_TEXT) or self.own_text(without_place(one.example.message))
            yield Group(label_of(check.question), check.title, text, STATUS_WORDS[one.example.status],
                        self.listed(one.who), len(one.who))  # fmt: skip

    def given(self, place: int) -> Iterator[Incident]:
        """Points that somebody was given by hand."""
        for outcome in self.reports[place].overridden:
            assert outcome.override is not None
            instead = f"{points(outcome.override.points)} instead of {worth(outcome.override.instead_of)}"
            text = instead if self.anonymous else by_hand(outcome.override)
            yield Incident(self.people[place], STATUS_WORDS[outcome.status], outcome.check.title, text)

    def row(self, place: int) -> Row:
        """A student's row."""
        report = self.reports[place]
        owner = Owner("") if self.anonymous else owner_of(report)
        sums = [report.of(question) for question in QUESTIONS]
        return Row(
            self.people[place], one_line(owner.id, LONGEST_NAME), one_line(owner.also.get("section", ""), LONGEST_NAME),
            fraction(report.score, report.regular), percent_of(report), fraction(report.bonus, report.extra),
            report.bonus if report.extra.judged else None,
            [points(one.earned) if one.judged else "" for one in sums],
            [f"s{int(4 * one.earned / one.judged + 1e-9)}" if one.judged else "" for one in sums], list(tags(report)),
        )  # fmt: skip


def fraction(earned: float, total: Sum) -> str:
    """Points, and of how many where those are not all."""
    if not total.judged:
        return NOTHING
    return points(earned) if total.judged == total.most else f"{points(earned)} / {points(total.judged)}"


def owner_of(report: Report) -> Owner:
    """Whose a report is."""
    return report.owner or Owner(report.submission)


def link(report: Report, base: str) -> str:
    """Where somebody's own page lies."""
    return f"{base}{quote(folder_name(report.submission))}/{PERSON}"


def label_of(question: int) -> str:
    """ "Q2", or "bonus"."""
    return f"Q{question}" if question else "bonus"


def titles(checks: Sequence[Check]) -> str:
    """A few titles, and how many more there are."""
    more = len(checks) - 3
    return ", ".join(check.title for check in checks[:3]) + (f" and {more} more" if more > 0 else "")


def tags(report: Report) -> Iterator[str]:
    """What is special about a submission, to filter by."""
    if report.unread:
        yield "not read"
    found = {outcome.status for outcome in report.outcomes}
    yield from (STATUS_WORDS[status].lower() for status in ACCIDENTS if status in found)
    if report.overridden:
        yield "by hand"
    if report.arrival.late:
        yield "late"


def tiles(reports: Sequence[Report], found: Spread | None) -> list[tuple[str, str]]:
    """The class in a few numbers."""
    unread = sum(report.unread for report in reports)
    told = [("submissions", str(len(reports))), ("not read", str(unread))]
    if found is not None:
        told += [("median", f"{found.median:.1f} %"), ("mean", f"{found.mean:.1f} %"),
                 ("standard deviation", f"{found.deviation:.1f}"),
                 ("lowest to highest", f"{found.least:.0f} to {found.most:.0f} %")]  # fmt: skip
    return told


def bins(found: Spread | None) -> list[Bin]:
    """The bars of the distribution."""
    if found is None:
        return []
    most, step = max(found.bins), 100 // BINS
    return [
        Bin(f"{k * step}–{(k + 1) * step}", count, round(100 * count / most, 2)) for k, count in enumerate(found.bins)
    ]


def item(key: str, name: str, kind: str, points_of: float, one: Figures) -> Item:
    """Figures as they are shown."""
    return Item(
        key, name, kind, one.judged, points_of, ratio(one.pass_rate), ratio(one.mean_share),
        decimal(one.discrimination), seconds(one.median_s), seconds(one.longest_s),
        [one.pass_rate, one.mean_share, one.discrimination, one.median_s, one.longest_s], one.flag,
    )  # fmt: skip


def ratio(value: float | None) -> str:
    """In percent; all and nothing are said of all and nothing only."""
    if value is None:
        return NOTHING
    whole = round(100 * value)
    return f"{min(99, whole) if value < 1 and whole == 100 else max(1, whole) if value > 0 else 0} %"


def decimal(value: float | None) -> str:
    """With two places."""
    return NOTHING if value is None else f"{value:.2f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A time."""
    return NOTHING if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
