"""The tables and keys that the configuration may have, with their types, and words for what is of another type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails

from ..report.printable import one_line

Points = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Shown = Literal["public", "hidden"]


class Table(BaseModel):
    """A table of the file: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Late(Table):
    """[late]"""

    per_day: Points
    unit: Literal["percent", "points"] = "percent"
    of: Literal["maximum", "earned"] = "maximum"
    cap: Points | None = None
    grace_minutes: Annotated[float, Field(ge=0, le=60 * 24 * 30, allow_inf_nan=False)] = 0.0
    extensions: str | None = None


class Deadline(Table):
    """[deadline]"""

    due: datetime
    timezone: str | None = None


class Columns(Table):
    """[export.columns]"""

    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    number: str | None = None
    group: str | None = None
    grade: str | None = None
    maximum: str | None = None
    changeable: str | None = None
    scale: str | None = None
    feedback: str | None = None


class Exporting(Table):
    """[export]"""

    feedback: Literal["short", "full", "none"] = "short"
    bonus: Literal["add", "none"] = "add"
    scale: bool = False
    replace: bool = False
    assignment: Any = ""  # Canvas writes a number behind the title: either will do
    columns: Columns = Columns()


class File(Table):
    """The whole file."""

    deadline: Deadline | None = None
    late: Late | None = None
    weights: dict[str, Points] = {}
    visibility: dict[str, Shown] = {}
    export: Exporting = Exporting()


def told(found: ErrorDetails, content: Mapping[str, Any]) -> str:
    """What is wrong and what to do, in our words."""
    place = ".".join(str(key) for key in found["loc"] if key not in ("str", "int"))
    value, context = one_line(repr(found["input"]), 80), found.get("ctx", {})
    kind = found["type"]
    if kind == "extra_forbidden":
        known = keys_at(found["loc"][:-1])
        return f"there is no {place}{near(str(found['loc'][-1]), known)}"
    if kind == "missing":
        return f"{place} is missing: add it"
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", '"')
        return f"{place} is {value}: use {choices}"
    if kind in ("greater_than_equal", "less_than_equal", "finite_number"):
        low, high = context.get("ge", 0), context.get("le")
        return f"{place} is {value}: give a number from {low:g}" + (f" to {high:g}" if high else " on")
    wanted = {
        "float_type": "a number, without quotes and percent signs", "bool_type": "true or false, without quotes",
        "string_type": "a text in quotes", "int_type": "a whole number",
        "datetime_type": "a time without quotes, like 2026-11-30T23:59:00-07:00",
        "dict_type": "a table, with [brackets] around its name",
        "model_type": "a table, with [brackets] around its name",
    }.get(kind, found["msg"])  # fmt: skip
    return f"{place} is {value}: give {wanted}"


def keys_at(place: tuple[str | int, ...]) -> list[str]:
    """The keys that a table may have."""
    model: type[BaseModel] = File
    for key in place:
        kinds = [model.model_fields[str(key)].annotation, *get_args(model.model_fields[str(key)].annotation)]
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return [*model.model_fields]


def near(name: str, known: Sequence[str]) -> str:
    """What was probably meant, and otherwise what there is."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; use {', '.join(known)}" if len(known) <= 12 else ""
