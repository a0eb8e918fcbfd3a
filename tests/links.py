"""Links of Markdown pages: what they lead to in this repository, and the anchors that a page has on GitHub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ANCHOR = re.compile(r"<a\s+(?:name|id)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")  # https:, mailto:


def prose(text: str) -> str:
    """A page without its code, which may look like a link."""
    return FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Targets of a page's links into this repository."""
    shown = re.sub(r"`[^`\n]*`", "code", prose(text))
    found = [*LINK.findall(shown), *REFERENCE.findall(shown)]
    return [target for target in found if not ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """What can stand behind # in a link to this page."""
    found, times = set(ANCHOR.findall(text)), Counter[str]()
    for heading in HEADING.findall(prose(text)):
        slug = slug_of(heading)
        found.add(f"{slug}-{times[slug]}" if times[slug] else slug)
        times[slug] += 1
    return found


def slug_of(heading: str) -> str:
    """The anchor of a heading: small letters, no punctuation, a hyphen for each space."""
    bare = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")


def broken(page: Path) -> Iterator[str]:
    """What links of a page lead nowhere, and why."""
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = unquote(target).partition("#")
        place = page.parent / path if path else page
        if not place.exists():
            yield f"{page.name}: {target}: there is no such file"
        elif anchor and (place.suffix != ".md" or anchor not in anchors(place.read_text(encoding="utf-8"))):
            yield f"{page.name}: {target}: there is no such heading"
