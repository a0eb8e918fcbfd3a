"""Bytes of a .py file to text, as Python reads them, and syntax that is newer than the Python that grades."""

from __future__ import annotations

import codecs
import io
import keyword
import re
import sys
import tokenize

# a byte-order mark decides; the longer ones first, because UTF-32's begins with UTF-16's
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# without a mark, where the zeros are: source begins with characters of ASCII
ZEROS: dict[tuple[bool, ...], str] = {
    (True, False, False, False): "utf-32-le", (False, False, False, True): "utf-32-be",
    (True, False, True, False): "utf-16-le", (False, True, False, True): "utf-16-be",
}  # fmt: skip
# encodings of host names and literals, which no editor writes; some take quadratic time
REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
MAX_LINE = 2000  # a longer line is no one's handwriting, and costs a tokenizer too much
TYPED = r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w+[ \t]*\[|^[ \t]*type[ \t]+\w+[ \t]*[\[=]"
FORMATTED = "|".join(
    rf"\b(?:[fF][rR]?|[rR][fF])(?:{q * 3}|{q}[^{q}\n]*\{{[^}}{q}\n]*[{q}\\#])" for q in ('"', "'")
)  # fmt: skip
SUSPECT = re.compile(f"{TYPED}|{FORMATTED}", re.MULTILINE)
STRING = re.compile(r"(?is)^([rfbu]*)('{3}|\"{3}|'|\")(.*)\2$")


class Undecodable(Exception):
    """No text that Python would take: says why and what to do."""


def decode(data: bytes) -> str:
    """The text of a .py file, lines ended by a line feed. Raises Undecodable."""
    name = next((name for mark, name in MARKS if data.startswith(mark)), "") or ZEROS.get(
        tuple(map(bool, data[:4])), ""
    )
    if not name:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        name = declared(data)
    try:
        text = data.decode(name).replace("\r\n", "\n").replace("\r", "\n")
        text.encode()  # half characters, as UTF-7 can have them, are no text
    except LookupError as error:
        raise Undecodable(f"declares {name}, which is no encoding of text: save it as UTF-8") from error
    except ValueError as error:
        if b"\0" in data:
            raise Undecodable("contains null bytes: no Python file does, save it as UTF-8 text") from error
        said = "UTF-8" if name.startswith("utf-8") else name
        raise Undecodable(f"is not {said} text: save it as UTF-8") from error
    if "\0" in text:
        raise Undecodable("contains null bytes: no Python file does, save it as UTF-8 text")
    return text


def declared(data: bytes) -> str:
    """The encoding that the first lines name (PEP 263), or UTF-8. Raises Undecodable."""
    try:
        name, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        known = codecs.lookup(name)
    except (SyntaxError, LookupError) as error:
        detail = str(error)
        if "encoding problem" in detail:
            raise Undecodable("declares another encoding than its byte-order mark: save it as UTF-8") from error
        if "unknown encoding" in detail:
            raise Undecodable("declares an encoding that Python does not know: save it as UTF-8") from error
        return "utf-8"  # and decoding says what is wrong
    if known.name.replace("-", "_") in REFUSED:
        raise Undecodable(f"declares the encoding {known.name}: save it as UTF-8")
    return name


def newer_syntax(text: str) -> str:
    """Where a text uses what Python 3.12 brought, if this one is older: an error for it. Empty where there is none.

    Only what is certainly an error in Python 3.11 is named, so that a file that runs is never suspected.
    """
    if sys.version_info >= (3, 12) or not SUSPECT.search(text):
        return ""
    if any(len(line) > MAX_LINE for line in text.split("\n")):
        return ""
    return first_newer(text)


def first_newer(text: str) -> str:
    """The first use of 3.12's syntax, in words."""
    line: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                continue
            if token.type == tokenize.NEWLINE:
                line = []
                continue
            line.append(token)
            where = f"line {token.start[0]}"
            if token.type == tokenize.STRING and newer_string(token.string):
                return f"{where}: an f-string with its own quotes, a backslash or a comment inside braces"
            words = [t.string for t in line if t.string != "async"]
            if len(line) > 4:
                continue
            if len(words) == 3 and words[0] in ("def", "class") and words[2] == "[":
                return f"{where}: type parameters, {words[0]} {words[1]}[…]"
            if words[:-1] == ["type"] and token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                return f"{where}: the statement type {words[1]}"
    except (tokenize.TokenError, SyntaxError):
        pass  # what is wrong is said by Python itself when it is imported
    return ""


def newer_string(literal: str) -> bool:
    """Whether an f-string, as Python 3.11 takes it apart, needs the grammar of 3.12."""
    match = STRING.match(literal)
    if match is None or "f" not in match[1].lower():
        return False
    depth, brackets, at, text = 0, 0, 0, match[3]
    spec, quote = False, ""
    while at < len(text):
        c = text[at]
        if quote and c != "\\":
            ends = text.startswith(quote, at)
            at += len(quote) if ends else 1
            quote = "" if ends else quote
            continue
        if not depth and text[at : at + 2] in ("{{", "}}"):
            at += 2
            continue
        if not depth and c == "\\" and text[at : at + 3] == "\\N{":  # a character by its name
            at = text.find("}", at) + 1 or len(text)
            continue
        if depth and not spec and c in "\\#":
            return True
        if depth and not spec and c in "'\"":
            quote = c * 3 if text.startswith(c * 3, at) else c
            at += len(quote)
            continue
        if c == "{":
            depth, spec = depth + 1, False
        elif c == "}":
            depth -= 1
            spec = depth > 0
        elif depth and c in "[(":
            brackets += 1
        elif depth and c in "])":
            brackets -= 1
        elif depth and c == ":" and not brackets:
            spec = True
        at += 1
    return depth > 0
