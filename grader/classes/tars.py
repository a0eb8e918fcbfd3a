"""Reads a tar in one pass, compressed or not, and keeps what may be wanted of it.

`tarfile` would end quietly at a header that is damaged and never reads a compressed file to its checksum. Here every
header must add up, the end must be marked, and the compressed stream is read to its last byte. A tar that is not
compressed has checksums for its headers only: a changed byte inside a file cannot be found there.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable

from .streams import CHUNK, MAKERS, Flow, all_streams, allowance, bounded
from .trees import MAX_DECOMPRESSED, Budget, Clock, Counter, Damaged, Entry, Tree

BLOCK = 512
MAX_HEADER = 1 << 20  # of an extended header: a path, mostly
MAX_TAR = 2 << 30  # not compressed, so that there are as many bytes on disk
EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
KINDS = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.GNUTYPE_SPARSE: "a sparse file"}


def tar_tree(read: Callable[[int], bytes], packed: int, kind: str, keep: Callable[[str], int], budget: Budget) -> Tree:
    """The tree of a tar of which ``read(n)`` gives the bytes, `packed` many; `kind` is "tar" or its compression.

    ``keep(name)`` says how many bytes of a file of that name are kept; of others there is the name only. Raises
    Damaged and TooLarge.
    """
    if kind == "tar":
        flow = Flow(bounded(iter(lambda: read(CHUNK), b""), MAX_TAR))
    else:
        flow = Flow(bounded(all_streams(read, MAKERS[kind]), allowance(packed, MAX_DECOMPRESSED)))
    tree, counter = Tree(), Counter()
    name = b""
    size: int | None = None
    sparse = False
    while (block := flow.take(BLOCK)).strip(b"\0"):
        member = header(block)
        length = member.size if member.isreg() or member.type not in tarfile.SUPPORTED_TYPES else 0
        if member.type in LONG or member.type in EXTENDED:
            if member.size > MAX_HEADER:
                raise Damaged("a name in it is longer than any name")
            content = flow.take(member.size)
            flow.skip(-member.size % BLOCK)
            if member.type == tarfile.GNUTYPE_LONGNAME:
                name = content.rstrip(b"\0")
            elif member.type in EXTENDED and member.type != tarfile.XGLTYPE:
                found = records(content)
                name = found.get(b"GNU.sparse.name") or found.get(b"path") or name
                size = int(found[b"size"]) if found.get(b"size", b"").isdigit() else size
                sparse = any(key.startswith(b"GNU.sparse.") for key in found)
            continue
        if member.type == tarfile.GNUTYPE_SPARSE:
            more = bool(block[482])
            while more:
                more = bool(flow.take(BLOCK)[504])
        if size is not None and length:
            length = size
        path = name.decode("utf-8", "surrogateescape") if name else member.name
        take_member(tree, flow, path, member, length, sparse, keep, budget, counter)
        name, size, sparse = b"", None, False
    if name or size is not None or sparse:
        raise Damaged("it ends too early")
    flow.drain()
    return tree


def take_member(
    tree: Tree, flow: Flow, path: str, member: tarfile.TarInfo, length: int, sparse: bool, keep: Callable[[str], int],
    budget: Budget, counter: Counter,
) -> None:  # fmt: skip
    """Puts a member into the tree, with its content if that is wanted, and goes to the next header."""
    kept = 0
    if member.isdir():
        tree.add(path, None, counter)
    elif sparse or not member.isreg() or member.type == tarfile.GNUTYPE_SPARSE:
        tree.add(path, KINDS.get(member.type, "a sparse file" if sparse else "no regular file"), counter)
    else:
        kept = min(length, keep(path.replace("\\", "/").rpartition("/")[2]))
        budget.spend(kept)
        content = flow.take(kept)
        clock = Clock("tar", float(member.mtime))
        tree.add(path, Entry(lambda limit, _: content[: limit + 1], clock=clock), counter)
    flow.skip(length - kept + -length % BLOCK)


def header(block: bytes) -> tarfile.TarInfo:
    """A header whose checksum holds. Raises Damaged."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise Damaged(f"header: {error}") from error
    if not 0 <= member.size <= MAX_TAR:
        raise Damaged("header: impossible size")
    return member


def records(content: bytes) -> dict[bytes, bytes]:
    """The "length key=value" lines of an extended header. Raises Damaged."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content) and content[at]:
        digits, space, _ = content[at : at + 12].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = content[at : at + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or len(record) != length or not record.endswith(b"\n"):
            raise Damaged("extended header")
        found[key] = value
        at += length
    return found
