"""Names as others wrote them: made printable, and told apart from names of people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

LONGEST = 80  # characters of a name or path in a sentence
LONGEST_NAME = 120  # of a submission
# what students call the folders of one assignment; a name made of these words alone is nobody's
ORDINARY_WORDS = (
    "ai answer answers assignment assignments autoencoder autoencoders attempt backup backups bak build "
    "checkpoint checkpoints class cmput code codes copy course data dataset datasets deep denoising dist docs "
    "document documents draft experiment experiments fig figs figure figures files final from generative "
    "generated gan graph graphs hand handin handout homework hw image images img imgs in kit lab latest learning "
    "lib log logs main misc mnist model models module modules my network new notebook notebooks notes of old "
    "older orig original out output outputs package part parts pic pics pictures plot plots project projects pt "
    "py python question questions release report reports result results run runs sample samples save saved script "
    "scripts skeleton solution solutions source sources src starter submission submit submitted submissions task "
    "temp template test tests the tmp to todo train training trained try turnin unzipped upload uploads use vae "
    "vaes ver version versions weights wip with work working workspace your zip "
)
ORDINARY = frozenset(ORDINARY_WORDS.split())
SHORT = re.compile(r"(?<![^\W\d_])[aqv](?=[\s_.-]?\d)")  # of a7, q3, v2
DATE = re.compile(r"20\d\d(0\d|1[0-2])[0-3]\d")


def readable(name: str) -> str:
    """A name as text that any file can hold: bytes that are no UTF-8 are taken for Latin-1, accents are composed."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "replace")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def printable(name: str, longest: int = LONGEST) -> str:
    """A name for a sentence: one line, nothing that a terminal obeys, the middle of a long one left out."""
    if len(name) > 2 * longest:
        name = f"{name[:longest]}…{name[-longest:]}"
    text = "".join(c if c.isprintable() else escaped(c) for c in readable(name))
    if len(text) <= longest:
        return text
    tail = longest // 2
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def display(name: str) -> str:
    """A submission's name as it is shown everywhere. Blanks at its ends are shown: without them it may be another's."""
    shown = printable(name, LONGEST_NAME)
    bare = shown.strip()
    ahead, _, behind = shown.partition(bare)
    return "".join((*map(escaped, ahead), bare, *map(escaped, behind))) if bare else "submission"


def escaped(character: str) -> str:
    """Its number, as Python writes it."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def ordinary(name: str, also: Collection[str] = ()) -> bool:
    """Whether a folder's or archive's name says nothing about a person: "a7", "solution (2)", "final version".

    `also` are words that say nothing here. A long number is somebody's, unless it is a date.
    """
    folded = SHORT.sub(" ", name.casefold())
    numbers = [number for number in re.findall(r"\d+", folded) if len(number) > 4 and not DATE.fullmatch(number)]
    words = re.findall(r"[^\W\d_]+", folded)
    if not words and folded == name.casefold():
        return name.casefold() in also or (not numbers and len(name) < 3)
    return not numbers and all(word in ORDINARY or word in also for word in words)


def words_of(name: str) -> set[str]:
    """The words of a name."""
    return set(re.findall(r"[^\W\d_]+", name.casefold()))


def folded(name: str) -> str:
    """What two names share that a reader would take for one: case, width and the kind of accents do not count."""
    return " ".join(unicodedata.normalize("NFKC", readable(name)).casefold().split())
