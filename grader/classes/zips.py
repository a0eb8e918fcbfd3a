"""Reads a zip: its directory at once, checked against every header, and a member when it is asked for.

`zipfile` believes what the directory says of names, counts and attributes, none of which has a checksum; a member
whose name it does not like makes the whole archive unreadable; and bzip2 and LZMA are decompressed without a limit.
"""

from __future__ import annotations

import bz2
import lzma
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from .streams import BROKEN, CHUNK, DECODER_MEMORY, Decompressor, Inflate, allowance, bounded, one_stream
from .trees import MAX_DECOMPRESSED, Budget, Clock, Counter, Damaged, Entry, IngestError, TooLarge, Tree, naming

END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
CENTRAL = struct.Struct("<4s2B5H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
MAX_MEMBERS = 300_000  # with what tools have left, which is not counted otherwise
MAX_DIRECTORY = 64 << 20
MAX_COMMENT = 1 << 16
ENCRYPTED, UTF_8 = 0x1, 0x800
FULL_32 = 0xFFFFFFFF
STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
OTHERS = {9: "Deflate64", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES encryption"}
Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Member:
    """One line of a zip's directory."""

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    at: int  # its header
    stamp: int  # when it was changed, as DOS writes it: the greater, the later


def zip_tree(opener: Opener, length: int, archive: str) -> Tree:
    """The tree of a zip of `length` bytes that `opener` opens, called `archive` in errors. Raises IngestError."""
    tree, counter = Tree(), Counter()
    with opener() as file:
        for member in directory(file, length):
            data = check_header(file, member)
            kind = stat.S_IFMT(member.mode)
            if member.name.endswith(("/", "\\")):
                tree.add(member.name, None, counter)
            elif kind == stat.S_IFLNK:
                check_link(opener, member, data, archive)
                tree.add(member.name, "a link", counter)
            elif kind in (0, stat.S_IFREG):
                clock = Clock("zip", member.stamp)
                tree.add(member.name, Entry(reader(opener, member, data, archive), clock=clock), counter)
            elif member.size:
                raise Damaged("attributes of what is no file")
            else:
                tree.add(member.name, "no regular file", counter)
    return tree


def directory(file: BinaryIO, length: int) -> list[Member]:
    """The members, in the order of the directory. Raises Damaged and TooLarge."""
    count, size, start, base = ending(file, length)
    if count > MAX_MEMBERS or size > MAX_DIRECTORY:
        raise TooLarge(f"it holds more than {MAX_MEMBERS} files: hand in the .py files alone")
    file.seek(base + start)
    content = file.read(size)
    members: list[Member] = []
    at = 0
    while at < size:
        if size - at < CENTRAL.size or content[at : at + 4] != b"PK\1\2":
            raise Damaged("its directory")
        (_, _, _, _, flags, method, time, date, crc, packed, full, name_length, extra_length, comment_length, _, _,
         attributes, offset) = CENTRAL.unpack_from(content, at)  # fmt: skip
        at += CENTRAL.size
        raw = content[at : at + name_length]
        extra = content[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        full, packed, offset = widened(extra, full, packed, offset)
        name, mode = decoded(raw, flags), attributes >> 16
        members.append(Member(name, raw, flags, method, crc, packed, full, mode, base + offset,
                              date << 16 | time))  # fmt: skip
    if at != size or (len(members) != count and len(members) & 0xFFFF != count):
        raise Damaged("its directory is not complete")
    return members


def ending(file: BinaryIO, length: int) -> tuple[int, int, int, int]:
    """From the record at the end: entries, size and place of the directory, and bytes that precede the zip."""
    tail_at = max(0, length - END.size - MAX_COMMENT)
    file.seek(tail_at)
    tail = file.read(length - tail_at)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if len(tail) - at >= END.size:
            _, _, _, _, count, size, start, comment = END.unpack_from(tail, at)
            if not tail[at + END.size + comment :].strip(b"\0\r\n \t\x1a") and at + END.size + comment <= len(tail):
                break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        raise Damaged("its end is missing")
    end = tail_at + at
    if count == 0xFFFF or FULL_32 in (size, start):
        file.seek(max(0, end - 20 - END_64.size))
        record = file.read(END_64.size)
        if len(record) == END_64.size and record.startswith(b"PK\6\6"):
            *_, count, size, start = END_64.unpack(record)
            end -= 20 + END_64.size
    base = end - size - start
    file.seek(0)
    if base < 0 or (base and (not count or file.read(4) == b"PK\3\4")):  # something may precede a zip, but no zip
        raise Damaged("its directory is not where it should be")
    return count, size, start, base


def widened(extra: bytes, full: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and place, from the extra field that zips above 4 GB have, and others may."""
    values = [full, packed, offset]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
            for index, value in enumerate(values):
                if value == FULL_32 and len(wide) >= 8:
                    values[index] = int.from_bytes(wide[:8], "little")
                    wide = wide[8:]
        at += 4 + length
    return values[0], values[1], values[2]


def decoded(raw: bytes, flags: int) -> str:
    """A member's name: UTF-8 if it says so or can be, else the old code page of zips."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape") if flags & UTF_8 else raw.decode("cp437")


def check_header(file: BinaryIO, member: Member) -> int:
    """Where a member's content begins, if the header in front of it says the same as the directory. Raises Damaged."""
    file.seek(member.at)
    block = file.read(LOCAL.size + len(member.raw))
    if len(block) != LOCAL.size + len(member.raw) or not block.startswith(b"PK\3\4"):
        raise Damaged("a file's header")
    name_length: int
    extra_length: int
    _, _, flags, method, _, _, _, _, _, name_length, extra_length = LOCAL.unpack_from(block)
    name = block[LOCAL.size :]
    same = name_length == len(member.raw) and name.replace(b"\\", b"/") == member.raw.replace(b"\\", b"/")
    if not same or method != member.method or (flags ^ member.flags) & ENCRYPTED:
        raise Damaged("a file's header and the directory differ")
    return member.at + LOCAL.size + name_length + extra_length


def check_link(opener: Opener, member: Member, data: int, archive: str) -> None:
    """A link's content is a path. Raises Damaged if it is not: then what makes it a link is the damage."""
    target = reader(opener, member, data, archive)(4096, Budget())
    if len(target) > 4096 or b"\n" in target or b"\0" in target:
        raise Damaged("attributes of a file")


def reader(opener: Opener, member: Member, data: int, archive: str) -> Callable[[int, Budget], bytes]:
    """Reads a member's content, which begins at `data`."""

    def read(limit: int, budget: Budget) -> bytes:
        with naming(archive), opener() as file:
            content = unpacked(file, member, data, limit)
            budget.spend(len(content))
        return content

    return read


def unpacked(file: BinaryIO, member: Member, data: int, limit: int) -> bytes:
    """The content, whose checksum holds, or `limit` + 1 bytes of more. Raises IngestError."""
    if member.flags & ENCRYPTED:
        raise IngestError("it is locked with a password: pack the folder without one and resubmit")
    file.seek(data)
    left = member.packed

    def read(count: int) -> bytes:
        nonlocal left
        piece = file.read(min(count, left))
        left -= len(piece)
        return piece

    pieces = iter(lambda: read(CHUNK), b"") if member.method == STORED else one_stream(read, opened(member, read))
    held = bytearray()  # grows in place: bytes would be copied for every piece
    enough = min(member.size, limit + 1)
    for piece in bounded(pieces, allowance(member.packed, MAX_DECOMPRESSED)):
        held += piece
        if len(held) >= enough:
            break
    if member.size > limit and len(held) > limit:
        return bytes(held[: limit + 1])
    content = bytes(held[: member.size])
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise Damaged("a checksum is wrong")
    return content


def opened(member: Member, read: Callable[[int], bytes]) -> Decompressor:
    """What decompresses a member. Raises Damaged, and IngestError for a method that is not read."""
    if member.method == DEFLATED:
        return Inflate(-15)
    if member.method == BZIP2:
        return bz2.BZ2Decompressor()
    if member.method != LZMA:
        name = OTHERS.get(member.method, f"method {member.method}")
        raise IngestError(f"it is packed with {name}, which is not read: pack the folder as an ordinary .zip")
    head = read(9)
    if len(head) != 9 or head[2:4] != b"\5\0" or head[4] >= 225:
        raise Damaged("a file's LZMA header")
    size = min(int.from_bytes(head[5:], "little"), DECODER_MEMORY)
    lc, lp, pb = head[4] % 9, head[4] // 9 % 5, head[4] // 45
    try:
        return lzma.LZMADecompressor(
            lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": lc, "lp": lp, "pb": pb}]
        )
    except BROKEN as error:
        raise Damaged(str(error)) from error
