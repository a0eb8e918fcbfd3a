"""Archives of which a byte has changed: read as they were, or refused as damaged. Never other text, never a file missing.

A tar that is not compressed has checksums for its headers only: there a changed byte inside a file cannot be found.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.classes.ingest import IngestError, read_submission
from grader.classes.trees import Damaged, TooLarge

from .conftest import ROOT

MODULES = ("gaussians", "pca", "vae")
SOURCES = {name: (ROOT / "solution" / f"{name}.py").read_text()[:3000] for name in MODULES}
METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
TRIES = 60


def zip_bytes(method: int, *, stream: bool = False) -> bytes:
    buffer = io.BytesIO()
    target = Unseekable(buffer) if stream else buffer
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, text in SOURCES.items():
            archive.writestr(f"a7/{name}.py", text)
        archive.writestr("a7/notes.txt", "nothing")
    return buffer.getvalue()


class Unseekable(io.RawIOBase):
    """A pipe: the zip then says sizes after the content, not before."""

    def __init__(self, inner: io.BytesIO) -> None:
        self.inner = inner

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.inner.write(data)  # type: ignore[arg-type]


def tar_bytes(format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, text in SOURCES.items():
            info = tarfile.TarInfo(f"José/{name}.py")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    **{f"{name}.zip": (lambda method=method: zip_bytes(method)) for name, method in METHODS.items()},  # type: ignore[misc]
    "streamed.zip": lambda: zip_bytes(zipfile.ZIP_DEFLATED, stream=True),
    "s.tar.gz": lambda: gzip.compress(tar_bytes()),
    "s.tar.bz2": lambda: bz2.compress(tar_bytes()),
    "s.tar.xz": lambda: lzma.compress(tar_bytes()),
    "twice.tar.gz": lambda: gzip.compress(tar_bytes()[:5000]) + gzip.compress(tar_bytes()[5000:]),
    "twice.tar.bz2": lambda: bz2.compress(tar_bytes()[:5000]) + bz2.compress(tar_bytes()[5000:]),
}  # fmt: skip


def outcome(path: Path) -> str:
    """What reading a damaged archive comes to; anything else is an error of this test."""
    try:
        found = read_submission(path, MODULES)
    except Damaged as error:
        assert path.name in str(error)
        assert "is damaged" in str(error)
        assert "resubmit" in str(error)
        return "damaged"
    assert found.sources == SOURCES
    return "whole"


@pytest.mark.parametrize("name", WHOLE)
def test_a_changed_byte_is_found_or_harmless(name: str, tmp_path: Path) -> None:
    data = WHOLE[name]()
    rng = random.Random(name)
    path = tmp_path / name
    path.write_bytes(data)
    assert outcome(path) == "whole"
    seen = set()
    for at in rng.sample(range(len(data)), TRIES) + list(range(40)) + list(range(len(data) - 40, len(data))):
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
        path.write_bytes(changed)
        seen.add(outcome(path))
    assert "damaged" in seen


@pytest.mark.parametrize("name", ["deflate.zip", "stored.zip"])
def test_every_byte_of_a_zips_directory(name: str, tmp_path: Path) -> None:
    """Names, counts, attributes and places have no checksum; the headers in front of the files say the same."""
    data = WHOLE[name]()
    path = tmp_path / name
    for at in range(data.index(b"PK\1\2"), len(data)):
        for change in (1 << (at * 5 % 8), 0xFF):
            changed = bytearray(data)
            changed[at] ^= change
            path.write_bytes(changed)
            outcome(path)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_every_byte_of_a_tars_headers(format: int, tmp_path: Path) -> None:
    data = tar_bytes(format)
    headers = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    path = tmp_path / "s.tar"
    assert len(headers) == len(MODULES)
    for start in headers:
        for at in range(start + format % 2, start + 512, 2):
            changed = bytearray(data)
            changed[at] ^= 1 << (at * 3 % 8)
            path.write_bytes(changed)
            outcome(path)


@pytest.mark.parametrize("name", [*WHOLE, "s.tar"])
def test_an_archive_that_is_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    data = WHOLE[name]() if name in WHOLE else tar_bytes()
    end = data.rstrip(b"\0") if name == "s.tar" else data
    path = tmp_path / name
    for share in (0.02, 0.2, 0.5, 0.9, 0.999):
        path.write_bytes(end[: int(share * len(end))])
        assert outcome(path) == "damaged"
    path.write_bytes(end[:-1])
    assert outcome(path) == "damaged"


@pytest.mark.parametrize("name", ["s.tar.gz", "s.tar.bz2", "s.tar.xz", "deflate.zip"])
def test_what_follows_an_archive(name: str, tmp_path: Path) -> None:
    """Zeros fill up the end of a tape or a block; anything else does not belong there."""
    path = tmp_path / name
    path.write_bytes(WHOLE[name]() + bytes(1024))
    assert outcome(path) == "whole"
    path.write_bytes(WHOLE[name]() + b"<html>not found</html>")
    assert outcome(path) == "damaged"


def test_a_zip_whose_end_is_wiped_is_not_an_empty_one(tmp_path: Path) -> None:
    data = WHOLE["deflate.zip"]()
    path = tmp_path / "s.zip"
    path.write_bytes(data[:-18] + bytes(18))
    assert outcome(path) == "damaged"


def test_a_zip_behind_something_else_and_with_a_comment_is_read(tmp_path: Path) -> None:
    """As self-extracting archives and browsers make them."""
    path = tmp_path / "s.zip"
    path.write_bytes(b"#!/bin/sh\nexit 1\n" + zip_bytes(zipfile.ZIP_DEFLATED))
    assert outcome(path) == "whole"
    path.write_bytes(zip_bytes(zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\5\6 handed in by " + b"a" * 5000
    assert outcome(path) == "whole"


def test_a_zip_with_the_large_records_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(Unseekable(buffer), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in SOURCES.items():
            with archive.open(zipfile.ZipInfo(f"{name}.py"), "w", force_zip64=True) as file:
                file.write(text.encode())
    path = tmp_path / "s.zip"
    path.write_bytes(buffer.getvalue())
    assert outcome(path) == "whole"
    data = buffer.getvalue()
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack_from("<H2L", data, end + 10)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    small = struct.pack("<4s4H2LH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(data[:end] + large + small)
    assert outcome(path) == "whole"


def test_names_do_not_decide_what_an_archive_is(tmp_path: Path) -> None:
    """Renamed by a browser or by hand."""
    for name, made in (
        ("s.zip", "s.tar.gz"),
        ("s.tar", "deflate.zip"),
        ("s.tgz", "s.tar.xz"),
        ("s.TAR.GZ", "s.tar.gz"),
    ):
        (tmp_path / name).write_bytes(WHOLE[made]())
        assert outcome(tmp_path / name) == "whole"


def test_a_locked_zip_and_a_method_that_is_not_read_say_so(tmp_path: Path) -> None:
    data = bytearray(zip_bytes(zipfile.ZIP_DEFLATED))
    path = tmp_path / "s.zip"
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            data[start + at] |= 1
    path.write_bytes(data)
    with pytest.raises(IngestError, match=r"s\.zip was not read: it is locked with a password"):
        read_submission(path, MODULES)
    data = bytearray(zip_bytes(zipfile.ZIP_DEFLATED))
    for signature, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            data[start + at] = 9
    path.write_bytes(data)
    with pytest.raises(IngestError, match="Deflate64, which is not read"):
        read_submission(path, MODULES)


# bombs: what they would unpack to is never unpacked, which the counts of decompressed bytes show


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_in_a_zip_is_a_file_that_is_too_large(
    method: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("vae.py", bytes(60 << 20))
        archive.writestr("gaussians.py", "a = 1\n")
    count = counted(monkeypatch, "grader.classes.zips.one_stream")
    found = read_submission(path, MODULES)
    assert found.sources == {"gaussians": "a = 1\n"}
    assert any("vae.py is larger than 400000 bytes" in problem for problem in found.problems)
    assert sum(count) < 3 << 20


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_in_a_zip_that_grows_out_of_proportion_is_not_opened(
    method: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """190 bytes cost 13 seconds: each piece was put behind a copy of all before it."""
    with zipfile.ZipFile(tmp_path / "s.zip", "w", method) as archive:
        archive.writestr("inner.zip", bytes(63 << 20))
        archive.writestr("gaussians.py", "a = 1\n")
    count = counted(monkeypatch, "grader.classes.zips.one_stream")
    found = read_submission(tmp_path / "s.zip", MODULES)
    assert found.sources == {"gaussians": "a = 1\n"}
    assert any("it unpacks to more than" in problem for problem in found.problems)
    assert sum(count) < 100 << 20


@pytest.mark.parametrize(
    ("name", "pack"), [("s.tar.gz", gzip.compress), ("s.tar.bz2", bz2.compress), ("s.tar.xz", lzma.compress)]
)
def test_a_bomb_in_a_tar_is_stopped(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("big.bin")
        info.size = 100 << 20
        archive.addfile(info, io.BytesIO(bytes(100 << 20)))
    (tmp_path / name).write_bytes(
        pack(buffer.getvalue()) if name != "s.tar.xz" else lzma.compress(buffer.getvalue(), preset=0)
    )
    count = counted(monkeypatch, "grader.classes.streams.one_stream")
    with pytest.raises(TooLarge, match=r"s\.tar\.\w+ was not read: it unpacks to more than \d+ MB"):
        read_submission(tmp_path / name, MODULES)
    assert sum(count) < 64 << 20


def counted(monkeypatch: pytest.MonkeyPatch, where: str) -> list[int]:
    """Lengths of the pieces that are decompressed from here on."""
    from grader.classes.streams import one_stream

    lengths: list[int] = []

    def counting(*arguments: object) -> object:
        for piece in one_stream(*arguments):  # type: ignore[arg-type]
            lengths.append(len(piece))
            yield piece

    monkeypatch.setattr(where, counting)
    return lengths


def test_headers_that_would_keep_a_reader_busy(tmp_path: Path) -> None:
    """Sizes beyond the end, negative ones, chains and sizes of extended headers, and a record that overlaps the next."""
    path = tmp_path / "s.tar"
    huge = tarfile.TarInfo("vae.py")
    for size in (8 << 40, 1 << 62):
        huge.size = size
        path.write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        assert outcome(path) == "damaged"
    raw = bytearray(tarfile.TarInfo("vae.py").tobuf())
    raw[124:136] = (-512).to_bytes(12, "big", signed=True)
    raw[148:156] = b"%06o\0 " % (sum(raw[:148]) + 8 * 32 + sum(raw[156:512]))
    path.write_bytes(bytes(raw) + bytes(1024))
    assert outcome(path) == "damaged"
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 5
    path.write_bytes((long.tobuf() + b"abcd\0" + bytes(507)) * 5000 + bytes(1024))
    assert outcome(path) == "damaged"
    long.size = 64 << 20
    path.write_bytes(long.tobuf() + b"a" * 4096)
    assert outcome(path) == "damaged"
    pax = tarfile.TarInfo("pax")
    pax.type = tarfile.XHDTYPE
    content = b"2 " * 30000 + b"="
    pax.size = len(content)
    path.write_bytes(
        pax.tobuf() + content + bytes(-len(content) % 512) + tarfile.TarInfo("vae.py").tobuf() + bytes(1024)
    )
    assert outcome(path) == "damaged"


def test_sizes_of_a_zip_are_not_believed(tmp_path: Path) -> None:
    """What a directory says of a file's length decides neither whether it is read nor what is read of it."""
    data = bytearray(zip_bytes(zipfile.ZIP_DEFLATED))
    path = tmp_path / "s.zip"
    at = data.index(b"PK\1\2") + 24
    for size in (0, 1, 399_999, 1 << 31):
        data[at : at + 4] = struct.pack("<L", size)
        path.write_bytes(data)
        assert outcome(path) == "damaged"


def test_a_checksum_is_checked_to_the_last_byte(tmp_path: Path) -> None:
    """A gzip whose content was exchanged for another of the same length."""
    tar = tar_bytes()
    other = tar.replace(b"from __future__", b"from __futurE__", 1)
    packer = zlib.compressobj(wbits=-15)
    head = gzip.compress(tar)[:10]
    body = packer.compress(other) + packer.flush()
    path = tmp_path / "s.tar.gz"
    path.write_bytes(head + body + struct.pack("<2L", zlib.crc32(tar), len(tar)))
    assert outcome(path) == "damaged"
