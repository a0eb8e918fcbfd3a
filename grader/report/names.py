"""Names of the folders that reports go to: safe everywhere, and one for each submission."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

FOLDER_BYTES = 100  # file systems allow 255; a temporary file's name is made from this one
DIGEST = 8
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file can have these on Windows
# a run's own files lie beside the submissions' folders: no submission is called like one of them
OURS = (".csv", ".json", ".jsonl", ".html", ".md", ".xml", ".db", ".sqlite", ".lock", ".zip")


def folder_name(submission: str) -> str:
    """A submission's name as a folder name that is safe everywhere; of a long name, its beginning and a digest."""
    name = re.sub(r"[^\w. -]", "_", unicodedata.normalize("NFC", submission)).strip(" .") or "submission"
    if RESERVED.fullmatch(name) or name.casefold().endswith(OURS):
        name += "_"
    if len(name.encode()) > FOLDER_BYTES:
        digest = hashlib.sha256(submission.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
        name = name.encode()[: FOLDER_BYTES - DIGEST - 1].decode(errors="ignore").strip(" .") + f"-{digest}"
    return name


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, later ones numbered where their folders would be the same, also to a system that ignores case."""
    seen: set[str] = set()
    last: dict[str, int] = {}
    unique = []
    for name in names:
        candidate, count = name, last.get(name, 1)
        while folder_key(candidate) in seen:
            count += 1
            candidate = f"{name}-{count}"
        last[name] = count
        seen.add(folder_key(candidate))
        unique.append(candidate)
    return unique


def folder_key(name: str) -> str:
    """What two names share if their folders are one to a system that ignores case."""
    return unicodedata.normalize("NFKC", folder_name(name)).casefold()
