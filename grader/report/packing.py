"""Zips whose bytes depend on what is in them alone: the same files give the same zip, whenever and wherever."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Container, Mapping

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can say


def packed(files: Mapping[str, bytes], executable: Container[str] = ()) -> bytes:
    """The bytes of a zip with these files by name, in the order given; `executable` ones can be started."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # as Unix has it, on Windows as well
            archive.writestr(entry, content)
    return out.getvalue()
