"""What an argument may be, and what is said where it is something else."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from ..assignment import QUESTION_NAMES as QUESTION_NAMES
from ..report.printable import one_line

BONUS_NUMBER = 0
LARGEST_SEED = 2**31 - 1
PLACES = 4  # digits after the point that reports show
LONGEST_COMMENT = 2000


class UsageError(Exception):
    """The arguments make no sense; exit code 2."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong and where to read on, on one line each and without control characters."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        self.exit(2, f"error: {one_line(message, 400)}\n{self.prog} --help shows what can be typed\n")


def question_number(text: str) -> int:
    """A question given by its number, or as "bonus"."""
    if text not in QUESTION_NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is no question: use one of {', '.join(QUESTION_NAMES)}")
    return BONUS_NUMBER if text == "bonus" else int(text)


def seed_number(text: str) -> int:
    """A seed that fits a generator."""
    value = whole_number(text)
    if value is None or not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no seed: a seed is a whole number from 0 to {LARGEST_SEED}; the same one draws the same "
            "cases again, and without --seed a new one is taken and printed"
        )
    return value


def job_number(text: str) -> int:
    """At least one."""
    value = whole_number(text)
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of processes: use 1 or more, or leave --jobs out to use every core"
        )
    return value


def whole_number(text: str) -> int | None:
    """Decimal digits as a number; None for anything else, also for "1_000" and numbers too long to read."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def point_number(text: str) -> float:
    """Points, as reports show them. How many a check can give is looked at once the check is known."""
    plain = text.isascii() and set(text) <= set("0123456789.-+")
    try:
        value = float(text) if plain else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} are no points: give a number from 0 on, with a decimal point: 1.5")
    if round(value, PLACES) != value:
        raise argparse.ArgumentTypeError(
            f"{text!r} has more than {PLACES} digits after the point: reports show {PLACES}"
        )
    return abs(value)  # "-0" is no other zero


def comment_text(text: str) -> str:
    """A reason that somebody can read."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: say why, the student reads it in the report")
    if len(text) > LONGEST_COMMENT:
        raise argparse.ArgumentTypeError(f"it has {len(text)} characters: reports show {LONGEST_COMMENT} at most")
    return text.strip()


def name_text(text: str) -> str:
    """Somebody's name, or whatever they go by."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty: is a variable in the command not set?")
    return text.strip()


def nonempty_path(text: str) -> Path:
    """A path; an empty text (a variable that is not set, say) is not the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty: is a variable in the command not set?")
    return Path(text)
