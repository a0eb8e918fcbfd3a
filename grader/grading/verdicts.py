"""Outcomes and circumstances as JSON, and back without a difference: reports of the store are those of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..boundary.box import Observation, Sandbox
from ..check.credit import Measurement
from ..check.declaration import Check
from ..check.exhibits import exhibit_of
from ..check.outcome import Outcome, Override
from ..report.model import Circumstances
from .store import ByHand

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Outcome)}
APART = frozenset({"check", "override"})  # stored beside a verdict


def content_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON, without its check and what was decided by hand; what is as always is left out."""
    content = {name: value for name, value in vars(outcome).items() if name not in APART and value != DEFAULTS[name]}
    content["counterexample"] = dict(outcome.counterexample)
    content["measured"] = {name: list(measurement) for name, measurement in outcome.measured.items()}
    content["asked"] = sorted(outcome.asked)
    content["exhibits"] = [exhibit.content() for exhibit in outcome.exhibits]
    return {name: value for name, value in content.items() if value not in ({}, [])}


def outcome_of(check: Check, content: Mapping[str, Any]) -> Outcome:
    """The outcome that `content_of` was made of."""
    measured = {name: Measurement(*values) for name, values in content.get("measured", {}).items()}
    exhibits = tuple(map(exhibit_of, content.get("exhibits", ())))
    asked = frozenset(content.get("asked", ()))
    return Outcome(check, **{**content, "measured": measured, "asked": asked, "exhibits": exhibits})


def circumstances_content(circumstances: Circumstances) -> dict[str, Any]:
    """Circumstances as JSON."""
    return dataclasses.asdict(circumstances)


def circumstances_of(content: Mapping[str, Any]) -> Circumstances:
    """The circumstances that `circumstances_content` was made of."""
    box = content["sandbox"]
    seen = None if box["self_test"] is None else tuple(Observation(**one) for one in box["self_test"])
    sandbox = Sandbox(box["backend"], tuple(box["layers"]), tuple(box["missing"]), seen)
    return Circumstances(**{**content, "sandbox": sandbox})


def override_of(found: ByHand) -> Override:
    """Points given by hand, as outcomes know them."""
    return Override(found.points, found.comment, found.author, found.at, of_earlier=found.of_earlier)
