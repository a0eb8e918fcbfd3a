"""Times as Moodle's worksheet writes them: in words, in the language of whoever downloaded it, and without a time zone.

``Monday, 30 November 2026, 4:30 PM``, ``Montag, 30. November 2026, 16:30``, ``lundi 30 novembre 2026, 16:30``,
``2026年11月30日 16:30``. What is not understood for certain is no time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
)
NUMBER: Mapping[str, int] = {word: at for names in MONTHS for at, word in enumerate(names.split(), 1)}
CLOCK = re.compile(r"\b(\d{1,2}):(\d\d)(?::(\d\d))?\s*([ap]\.?m\b\.?)?", re.IGNORECASE)
YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
DAY = re.compile(r"\b(\d{1,2})\b")
NUMERIC = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
WORD = re.compile(r"[^\W\d_]+")


def moment_in(text: str) -> datetime | None:
    """The time that a text says, with a zone only if that says one; None where it says none or may say two."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    clocks = list(CLOCK.finditer(text))
    if len(clocks) != 1:
        return None
    [clock] = clocks
    day = day_in(f"{text[: clock.start()]} {text[clock.end() :]}")
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if clock[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (clock[4][0] in "pP")
    try:
        return datetime(*day, hour, minute, second) if day is not None else None
    except ValueError:  # no such day or hour
        return None


def day_in(text: str) -> tuple[int, int, int] | None:
    """Year, month and day."""
    if numeric := NUMERIC.search(text):
        return int(numeric[1]), int(numeric[2]), int(numeric[3])
    years, days = YEAR.findall(text), DAY.findall(text)
    months = {NUMBER[word] for word in WORD.findall(text.casefold()) if word in NUMBER}
    if len(years) != 1 or len(days) != 1 or len(months) != 1:
        return None
    return int(years[0]), months.pop(), int(days[0])
