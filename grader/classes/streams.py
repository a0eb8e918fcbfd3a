"""Decompression with a limit on every step, and damage found whatever its kind: shared by the readers of archives."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from .trees import Damaged, TooLarge

CHUNK = 1 << 16
DECODER_MEMORY = 256 << 20  # dictionary of an LZMA stream; xz -9 takes 65 MB
FREE, RATIO = 32 << 20, 200  # a stream may grow to so many bytes, and to so many times its own size
BROKEN = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, MemoryError)


class Decompressor(Protocol):
    """What bz2, lzma and `Inflate` have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to come of what was given."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next bytes."""


class Inflate:
    """zlib with the face of the others; `wbits` 31 is gzip with its checksum, -15 a zip's bare stream."""

    def __init__(self, wbits: int) -> None:
        self.inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        return self.inner.eof

    @property
    def needs_input(self) -> bool:
        """Whether all that was given has been looked at."""
        return not self.inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the end."""
        return self.inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next bytes."""
        return self.inner.decompress(self.inner.unconsumed_tail + data, max_length)


MAKERS: dict[str, Callable[[], Decompressor]] = {
    "gzip": lambda: Inflate(31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY),
}


def one_stream(read: Callable[[int], bytes], decompressor: Decompressor, first: bytes = b"") -> Iterator[bytes]:
    """Pieces of one stream to its end. Raises Damaged if it is wrong or ends too early."""
    data = first
    while not decompressor.eof:
        ended = False
        if not data and decompressor.needs_input:
            data = read(CHUNK)
            ended = not data
        try:
            piece = decompressor.decompress(data, CHUNK)
        except BROKEN as error:
            raise Damaged(str(error) or type(error).__name__) from error
        data = b""
        if ended and not piece and not decompressor.eof:
            raise Damaged("it ends too early")
        if piece:
            yield piece


def all_streams(read: Callable[[int], bytes], make: Callable[[], Decompressor]) -> Iterator[bytes]:
    """Pieces of streams that follow one another, as gzip, bzip2 and xz allow; zeros may fill up the end."""
    rest = b""
    while True:
        decompressor = make()
        yield from one_stream(read, decompressor, rest)
        rest = decompressor.unused_data.lstrip(b"\0")
        while not rest:
            more = read(CHUNK)
            if not more:
                return
            rest = more.lstrip(b"\0")


def bounded(pieces: Iterator[bytes], allowed: int) -> Iterator[bytes]:
    """The pieces as long as they do not grow out of proportion. Raises TooLarge."""
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > allowed:
            raise TooLarge(f"it unpacks to more than {allowed >> 20} MB: hand in the .py files alone")
        yield piece


def allowance(packed: int, most: int) -> int:
    """What a stream of `packed` bytes may unpack to."""
    return min(most, FREE + RATIO * packed)


class Flow:
    """Bytes read one after the other."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.buffer = b""
        self.at = 0

    def more(self) -> bool:
        """Fetches a piece once the last one is used up; False at the end."""
        while self.at >= len(self.buffer):
            piece = next(self.pieces, None)
            if piece is None:
                return False
            self.buffer, self.at = piece, 0
        return True

    def take(self, count: int) -> bytes:
        """So many bytes. Raises Damaged if there are fewer."""
        parts = []
        while count:
            if not self.more():
                raise Damaged("it ends too early")
            part = self.buffer[self.at : self.at + count]
            self.at += len(part)
            count -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Leaves so many bytes out. Raises Damaged if there are fewer."""
        while count:
            if not self.more():
                raise Damaged("it ends too early")
            step = min(count, len(self.buffer) - self.at)
            self.at += step
            count -= step

    def drain(self) -> None:
        """Reads to the end, where the checksums are."""
        self.at = len(self.buffer)
        while self.more():
            self.at = len(self.buffer)
