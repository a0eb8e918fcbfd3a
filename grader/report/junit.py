"""JUnit XML: one suite per question, one case per check, points as properties."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace

from ..check.outcome import Outcome
from ..rubric import QUESTIONS
from .model import Report, override_dict, question_label
from .printable import name_of, one_line
from .words import STATUS_WORDS, explanation, points, why_unread

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """The document as text."""
    root = ET.Element("testsuites", name=clean(name_of(report.submission)))
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for question in QUESTIONS:
        outcomes = [o for o in report.outcomes if o.check.question == question.number]
        if report.unread:
            outcomes = apart_or_together(outcomes, why_unread(report))
        counts = {
            "tests": len(outcomes),
            "failures": sum(element_of(o) == "failure" for o in outcomes),
            "errors": sum(element_of(o) == "error" for o in outcomes),
            "skipped": sum(element_of(o) == "skipped" for o in outcomes),
        }
        totals = {key: totals[key] + counts[key] for key in totals}
        suite = ET.SubElement(root, "testsuite", name=f"{question_label(question.number)} {question.title}",
                              time=f"{sum(o.duration_s for o in outcomes):.3f}")  # fmt: skip
        for key, count in counts.items():
            suite.set(key, str(count))
        for outcome in outcomes:
            case = ET.SubElement(suite, "testcase", classname=f"question.{question_label(question.number)}",
                                 name=outcome.check.id, time=f"{outcome.duration_s:.3f}")  # fmt: skip
            properties = ET.SubElement(case, "properties")
            for name, value in (("points", outcome.earned), ("max_points", outcome.check.points)):
                ET.SubElement(properties, "property", name=name, value=points(value))
            for name, given in (override_dict(outcome.override) or {}).items():
                ET.SubElement(properties, "property", name=f"override_{name}", value=clean(one_line(str(given))))
            kind = element_of(outcome)
            if not kind:
                continue
            element = ET.SubElement(
                case, kind, message=clean(one_line(outcome.message) or STATUS_WORDS[outcome.status])
            )
            element.text = clean(
                "\n".join(f"{label}: {text}" for label, text in explanation(outcome, for_student=False))
            )
    for key, value in totals.items():
        root.set(key, str(value))
    root.set("time", f"{sum(o.duration_s for o in report.outcomes):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def apart_or_together(outcomes: Sequence[Outcome], why: str) -> list[Outcome]:
    """Of a question of which nothing could be read: one case for all checks that were wanted, and one for each with
    points given by hand."""
    given = [outcome for outcome in outcomes if outcome.override is not None]
    others = [outcome for outcome in outcomes if outcome.override is None and outcome.status != "not_run"]
    if not others:
        return given
    points_of_all = sum(outcome.check.points for outcome in others)
    check = replace(others[0].check, id=f"{others[0].check.id.partition('.')[0]}.all", points=points_of_all)
    return [replace(others[0], check=check, message=why), *given]


def element_of(outcome: Outcome) -> str:
    """The element of a case that is no success. Points that were given by hand decide it where there are any."""
    if outcome.full:
        return ""
    if outcome.override is not None:
        return "failure"
    return {"error": "error", "skipped": "skipped", "not_run": "skipped"}.get(outcome.status, "failure")


def clean(text: str) -> str:
    """Text without the characters that XML forbids."""
    return NOT_XML.sub("\ufffd", text)
