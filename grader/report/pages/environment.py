"""What all pages share: templates that escape whatever they are given, and what a browser may do with the result."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..printable import name_of

Limit = TypeVar("Limit")

HERE = Path(__file__).parent
MOST_BYTES = 2_000_000  # of a page: it is to open on a phone, and to go through a mail system


@functools.cache
def environment() -> Environment:
    """The templates of this folder: texts are escaped, and a name that is not given is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters.update(name=name_of, percent=percent)
    return made


def percent(ratio: float) -> str:
    """In whole percent, rounded down: 100 is everything."""
    return f"{int(ratio * 100 + 1e-9)} %"


def rendered(template: str, styles: tuple[str, ...], scripts: tuple[str, ...] = (), **content: object) -> str:
    """A page with our own style and script in it, which are all that its policy lets a browser obey."""
    style, script = own(styles), own(scripts)
    found = environment().get_template(template)
    return found.render(style=style, script=script, policy=policy(style, script), **content)


@functools.cache
def own(names: tuple[str, ...]) -> Markup:
    """Files of this folder as they stand: not for anything that a submission has written."""
    return Markup("").join(Markup((HERE / name).read_text(encoding="utf-8")) for name in names)


@functools.cache
def policy(style: str, script: str) -> str:
    """A Content-Security-Policy: nothing from anywhere, and of this file only its own style, script and pictures."""
    allowed = {"default-src": "'none'", "style-src": digest(style), "script-src": digest(script), "img-src": "data:",
               "base-uri": "'none'", "form-action": "'none'"}  # fmt: skip
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def digest(text: str) -> str:
    """What a policy calls a text by; nothing where there is none."""
    if not text:
        return "'none'"
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def fitting(render: Callable[[Limit], str], limits: tuple[Limit, ...]) -> str:
    """The first page that is not too large, from the most generous limit to the narrowest, which is taken anyway."""
    for limit in limits[:-1]:
        page = render(limit)
        if len(page.encode()) <= MOST_BYTES:
            return page
    return render(limits[-1])
