"""Parts of a page that are made: what stands between ``<!-- name: … -->`` and ``<!-- end name -->``."""

from __future__ import annotations

import re

PLACE = r"(<!-- {0}: .* -->\n).*(<!-- end {0} -->)"


def between(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of `name`. Raises ValueError if they are gone."""
    place = re.compile(PLACE.format(name), re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no '<!-- {name}: … -->' and '<!-- end {name} -->' markers")
    return place.sub(lambda match: match[1] + text + match[2], page)
