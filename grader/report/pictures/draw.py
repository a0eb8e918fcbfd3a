"""A report's exhibits as pictures. matplotlib is imported when there is something to draw, and not before."""

from __future__ import annotations

import functools
import io

from ...check.exhibits import Exhibit
from ...check.outcome import Outcome
from ..model import Report
from ..printable import one_line
from .values import Picture

DOTS = 110  # an inch
LONGEST = 300
KEPT = 64  # pictures of one report: it may be written more than once while a class is graded


def pictures_of(report: Report) -> list[Picture]:
    """All pictures of a report in its order; a check whose details are hidden from students shows none."""
    return [
        picture(outcome, exhibit)
        for outcome in report.outcomes if outcome.check.visibility != "hidden"
        for exhibit in outcome.exhibits
    ]  # fmt: skip


def picture(outcome: Outcome, exhibit: Exhibit) -> Picture:
    """An exhibit, drawn, or with the reason why it is not."""
    check, missing, png = outcome.check, exhibit.missing, b""
    if not missing:
        try:
            png = drawn(exhibit)
        # a store that somebody has edited, say: the report is written all the same
        except Exception as why:  # noqa: BLE001
            missing = f"it could not be drawn: {type(why).__name__}: {why}"
    title = one_line(f"{exhibit.title} · {check.title.removeprefix('Trained: ')}", LONGEST)
    says = one_line(exhibit.says, LONGEST)
    return Picture(check.question, check.id, title, f"{says[:1].upper()}{says[1:]}", png, one_line(missing, LONGEST))


@functools.lru_cache(KEPT)
def drawn(exhibit: Exhibit) -> bytes:
    """A PNG in a palette of at most 64 colours, which is a fraction of one in full colour."""
    from PIL import Image

    from .panels import FIGURES

    full, small = io.BytesIO(), io.BytesIO()
    FIGURES[exhibit.kind](exhibit).savefig(full, format="png", dpi=DOTS)
    with Image.open(full) as picture:
        picture.convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()
