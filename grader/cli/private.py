"""Files for the eyes of whoever types the command: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

READABLE_BY_ME_ONLY = 0o600
SECRET_BYTES = 32


def put_private(file: Path, text: str) -> None:
    """Writes a page whole or not at all, and for its owner's eyes. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READABLE_BY_ME_ONLY)
        with open(handle, "w", encoding="utf-8", newline="\n") as page:
            page.write(text)
        beside.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def kept_secret(file: Path) -> bytes:
    """A secret that is drawn once and kept in a file. Raises OSError where it can be neither read nor kept."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READABLE_BY_ME_ONLY)
        with open(handle, "wb") as new:
            new.write(secrets.token_bytes(SECRET_BYTES))
    secret = file.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise OSError(f"{file.name} is damaged")
    return secret
