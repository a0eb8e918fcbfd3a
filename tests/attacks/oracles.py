"""Whether an attack has got through, judged by what can be seen from outside. An empty text: it has not.

Nothing that a submission says about itself counts, with one exception: a secret that it cannot know turns up in what it
says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

HUNG_S = 30.0  # a grader that waits so long for one check of theirs, over and above the check's own limit


@dataclass
class Seen:
    """What could be seen of an attack, from outside."""

    said: str = ""  # all that came back: answers, errors, what was printed, reports
    secrets: tuple[str, ...] = ()  # what must not turn up in it
    changed: Sequence[str] = ()  # files and settings of this machine that are not as they were
    left: Sequence[str] = ()  # processes of theirs that run on
    reached: Sequence[str] = ()  # listeners of ours that heard of them
    hurt: Sequence[str] = ()  # what has been done to another process of ours
    exceeded: Sequence[str] = ()  # limits that were passed, as measured
    waited: float = 0.0  # seconds that the grader needed for ending the check
    fault: str = ""  # what the grader said of itself: its own exception, an outcome `error`
    earned: float = 0.0
    without: float = 0.0  # what the same submission earns without the attack
    exit_code: int | None = 0  # of a class run; None: it had to be killed
    others: Mapping[str, str] = field(default_factory=dict)  # how others' rows and reports differ from what they are
    texts: Mapping[str, str] = field(default_factory=dict)  # reports and terminal output, by name


Oracle = Callable[[Seen], str]


def secret_told(seen: Seen) -> str:
    """A secret that lies outside turns up."""
    return next(("a secret turned up in what came back" for secret in seen.secrets if secret in seen.said), "")


def changed(seen: Seen) -> str:
    """Something outside is not as it was."""
    return "changed: " + ", ".join(seen.changed) if seen.changed else ""


def left_behind(seen: Seen) -> str:
    """A process runs on after the check."""
    return "runs on: " + ", ".join(seen.left) if seen.left else ""


def reached(seen: Seen) -> str:
    """A listener of ours has heard of it, or its secret has come back."""
    return "reached: " + ", ".join(seen.reached) if seen.reached else secret_told(seen)


def hurt(seen: Seen) -> str:
    """Another process is not as it was."""
    return "hurt: " + ", ".join(seen.hurt) if seen.hurt else ""


def exceeded(seen: Seen) -> str:
    """A limit did not hold."""
    return "exceeded: " + ", ".join(seen.exceeded) if seen.exceeded else ""


def hung(seen: Seen) -> str:
    """The grader waits for what will not come."""
    return f"the grader waited {seen.waited:.0f} s" if seen.waited > HUNG_S else ""


def grader_failed(seen: Seen) -> str:
    """The submission's fault was taken for one of the grader's, and its points stay unjudged."""
    return f"the grader failed: {seen.fault:.120}" if seen.fault else hung(seen)


def better_marks(seen: Seen) -> str:
    """It earns more than the same submission without the attack, or stays unjudged where that one is judged."""
    if seen.earned > seen.without:
        return f"earned {seen.earned:g} in place of {seen.without:g}"
    return grader_failed(seen)


def class_ended(seen: Seen) -> str:
    """The run has not come to its end, or somebody else's row or report is not what it is without the attack."""
    if seen.exit_code is None:
        return "the run did not end"
    if seen.others:
        return "others: " + ", ".join(f"{name}: {what}" for name, what in seen.others.items())
    if seen.exit_code not in (0,):
        return f"the run ended with exit code {seen.exit_code}"
    return grader_failed(seen)


FORMULA = re.compile(r"""(?m)(?:^|,)"?[\s\ufeff]*[=+\-@＝＋－＠](?![0-9.]+(?:,|"|$))""")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TAG = re.compile(r"<(?!/?(?:details|summary|sub|sup|br|b|i)\b)[a-zA-Z!/]")
LONGEST_LINE = 20_000


def html_of(page: str) -> Iterator[str]:
    """What a reader of Markdown takes for HTML."""
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        for part in (token, *(token.children or ())):
            if part.type in ("html_block", "html_inline"):
                yield part.content.strip()


def unescaped(seen: Seen) -> str:
    """A report holds something that a terminal, a browser or a spreadsheet would obey."""
    for name, text in seen.texts.items():
        # a coloured terminal would hold our own escape sequences: these runs are not coloured
        if found := CONTROL.search(text.replace("\r\n", "\n").replace("\n", "")):
            return f"{name} holds the control character {found[0]!r}"
        if name.endswith(".csv") and (found := FORMULA.search(text.removeprefix("\ufeff"))):
            return f"{name} holds a formula: {found[0]!r}"
        if name.endswith(".md") and (tag := next(filter(TAG.match, html_of(text)), "")):
            return f"{name} holds a tag: {tag[:60]!r}"
        if name.endswith((".md", "terminal")) and max(map(len, text.split("\n"))) > LONGEST_LINE:
            return f"{name} has a line of {max(map(len, text.splitlines()))} characters"
    return ""


def any_of(*oracles: Oracle) -> Oracle:
    """The first of several that has something to say."""

    def judge(seen: Seen) -> str:
        return next((found for oracle in oracles if (found := oracle(seen))), "")

    return judge
