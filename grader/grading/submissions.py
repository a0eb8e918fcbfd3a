"""Submissions as the store keeps them: who, what and when as JSON, and the digest of the text that verdicts go by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..classes.ingest import Submission
from ..classes.people import Arrival, Owner
from .store import dumped


def keys_of(submissions: Sequence[Submission]) -> list[str]:
    """What tells these submissions of one class apart, in every run of it.

    That is the number that a system has given the owner. Where there is none it is the submission's own name, which is
    unique in its class.
    """
    found: list[str] = []
    for submission in submissions:
        owner = submission.owner
        key = owner.key if owner is not None and owner.id else f"name:{submission.name}"
        if key in found:  # two with one number: no mark of one may become the other's
            key = f"{key}:{submission.name}"
        found.append(storable(key))
    return found


def storable(text: str) -> str:
    """The text without what no database takes: half a pair of surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def text_of(submission: Submission) -> dict[str, Any]:
    """Everything of a submission that can decide a verdict.

    Names by which the files may import one another count where a file says one of them: they come from the folder's
    name, and two students with the same files have the same verdicts.
    """
    everything = "\n".join(submission.sources.values())
    said = [alias for alias in submission.aliases if re.search(rf"\b{re.escape(alias)}\b", everything)]
    return {"sources": dict(sorted(submission.sources.items())), "aliases": sorted(said)}


def digest_of(text: Mapping[str, Any]) -> str:
    """Of what `text_of` returns."""
    return hashlib.sha256(dumped(text).encode()).hexdigest()


def content_of(submission: Submission) -> dict[str, Any]:
    """All of a submission but its text, as JSON."""
    return {
        "name": submission.name, "problems": list(submission.problems), "aliases": list(submission.aliases),
        "fault": submission.fault, "owner": None if submission.owner is None else owner_content(submission.owner),
        "at": None if submission.arrival.at is None else submission.arrival.at.isoformat(),
        "late": submission.arrival.late, "origin": submission.origin,
    }  # fmt: skip


def owner_content(owner: Owner) -> dict[str, Any]:
    """An owner as JSON."""
    return {**vars(owner), "also": dict(owner.also), "members": [owner_content(member) for member in owner.members]}


def owner_of(content: Mapping[str, Any]) -> Owner:
    """The owner that `owner_content` was made of."""
    return Owner(**{**content, "members": tuple(owner_of(member) for member in content["members"])})


def submission_of(content: Mapping[str, Any], text: Mapping[str, Any] | None) -> Submission:
    """The submission that `content_of` and `text_of` were made of."""
    owner, at = content["owner"], content["at"]
    return Submission(
        content["name"], text["sources"] if text is not None else {}, tuple(content["problems"]),
        tuple(content["aliases"]), content["fault"], None if owner is None else owner_of(owner),
        Arrival(None if at is None else datetime.fromisoformat(at), content["late"]), content["origin"],
    )  # fmt: skip
