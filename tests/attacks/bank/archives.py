"""What is handed in, and how: archives, links, devices, sizes, and files beside the submission."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..attack import Attack, Member
from ..oracles import any_of, changed, class_ended, exceeded, secret_told
from .ending import GAUSSIANS

TEXT = GAUSSIANS.encode()
MOST = 600 << 20  # what the grader may take for the whole class, beyond what it has anyway
MARK = "import os; open({folder!r} + '/a7-note-ran', 'w').write('ran')\n"
Put = Callable[[Path, Mapping[str, Any]], None]


def archive(
    name: str, says: str, put: Put, naive: Literal["unpack", "obey"] = "unpack", *, sample: bool = False
) -> Attack:
    """An attack of this kind: nothing outside is read or changed, the class goes on, and the grader stays small."""
    judged = any_of(secret_told, changed, class_ended, exceeded)
    return Attack(name, "archives", says, judged, Member(put, naive, MOST), sample=sample)


def tar(name: str, says: str, fill: Callable[[tarfile.TarFile, Mapping[str, Any]], None], mode: str = "w", *,
        sample: bool = False) -> Attack:  # fmt: skip
    """A tar that `fill` writes."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        with tarfile.open(folder / f"{name}.tar", mode) as made:  # type: ignore[call-overload]
            fill(made, bait)

    return archive(name, says, put, sample=sample)


def zipped(name: str, says: str, fill: Callable[[zipfile.ZipFile, Mapping[str, Any]], None]) -> Attack:
    """A zip that `fill` writes."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as made:
            fill(made, bait)

    return archive(name, says, put)


def folder(name: str, says: str, fill: Callable[[Path, Mapping[str, Any]], None], naive: Literal["unpack", "obey"] = "unpack",
           *, sample: bool = False) -> Attack:  # fmt: skip
    """A folder that `fill` writes."""

    def put(inside: Path, bait: Mapping[str, Any]) -> None:
        place = inside / name
        place.mkdir()
        fill(place, bait)

    return archive(name, says, put, naive, sample=sample)


def member(
    made: tarfile.TarFile, name: str, data: bytes = TEXT, kind: bytes = tarfile.REGTYPE, to: str = "", **more: Any
) -> None:
    """Adds one to a tar, as it is described."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, len(data) if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(info, key, value)
    made.addfile(info, io.BytesIO(data))


def climbs(made: tarfile.TarFile, bait: Mapping[str, Any]) -> None:
    up = "../" * 12
    for name in (
        f"{up}{bait['canary'].lstrip('/')}",
        bait["canary"],
        f"a7/{up}{bait['report'].lstrip('/')}",
        "..",
        "a7/../../x",
    ):
        member(made, name, b"mine")
    member(made, "gaussians.py")


def climbs_zip(made: zipfile.ZipFile, bait: Mapping[str, Any]) -> None:
    up = "../" * 12
    for name in (f"{up}{bait['canary'].lstrip('/')}", bait["canary"], "..\\..\\x", "C:\\x"):
        made.writestr(name, b"mine")
    made.writestr("gaussians.py", TEXT)


def linked_tar(kind: bytes) -> Callable[[tarfile.TarFile, Mapping[str, Any]], None]:
    def fill(made: tarfile.TarFile, bait: Mapping[str, Any]) -> None:
        member(made, "gaussians.py", kind=kind, to=bait["canary"])
        member(made, "pca.py", kind=kind, to="../" * 12 + bait["other"].lstrip("/"))

    return fill


def writes_through_a_link(made: tarfile.TarFile, bait: Mapping[str, Any]) -> None:
    member(made, "a7", kind=tarfile.SYMTYPE, to=bait["folder"])
    member(made, "a7/canary.txt", b"mine")
    member(made, "a7/gaussians.py")


def linked_zip(made: zipfile.ZipFile, bait: Mapping[str, Any]) -> None:
    info = zipfile.ZipInfo("gaussians.py")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    made.writestr(info, bait["canary"])


def zip_bomb(made: zipfile.ZipFile, bait: Mapping[str, Any]) -> None:
    with made.open("gaussians.py", "w", force_zip64=True) as file:
        for _ in range(1500):
            file.write(bytes(1 << 20))


def nested_bomb(made: zipfile.ZipFile, bait: Mapping[str, Any]) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as last:
        last.writestr("gaussians.py", bytes(200 << 20))
    for _ in range(6):
        data, inner = inner.getvalue(), io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as outer:
            for number in range(10):
                outer.writestr(f"{number}.zip", data)
    made.writestr("all.zip", inner.getvalue())


def many_entries(made: zipfile.ZipFile, bait: Mapping[str, Any]) -> None:
    for number in range(100_000):
        made.writestr(f"d{number % 300}/f{number}.txt", b"")
    made.writestr("gaussians.py", TEXT)


def lies_about_sizes(inside: Path, bait: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("gaussians.py", bytes(300 << 20))
    data = bytearray(buffer.getvalue())
    for start, at in ((0, 22), (data.rindex(b"PK\x01\x02"), 24)):
        data[start + at : start + at + 4] = struct.pack("<I", 1000)
    (inside / "lies-about-its-sizes.zip").write_bytes(data)


def overlapping(inside: Path, bait: Mapping[str, Any]) -> None:
    """A thousand names for one compressed block."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("gaussians.py", bytes(10 << 20))
        first = made.infolist()[0]
        for number in range(1000):
            info = zipfile.ZipInfo(f"d{number}/gaussians.py")
            for name in ("header_offset", "compress_type", "compress_size", "file_size", "CRC", "flag_bits"):
                setattr(info, name, getattr(first, name))
            made.filelist.append(info)
            made.NameToInfo[info.filename] = info
    (inside / "many-names-for-one-block.zip").write_bytes(buffer.getvalue())


def small_and_slow(inside: Path, bait: Mapping[str, Any]) -> None:
    data = bz2.compress(bytes(600 << 20))
    (inside / "small-and-slow.tar.bz2").write_bytes(data)


def many_streams(inside: Path, bait: Mapping[str, Any]) -> None:
    (inside / "many-streams.tar.gz").write_bytes(gzip.compress(b"") * 200_000)


def damaged(inside: Path, bait: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("gaussians.py", TEXT)
    data = bytearray(buffer.getvalue())
    for at in range(len(data) - 60, len(data) - 20):
        data[at] ^= 0xFF
    (inside / "damaged.zip").write_bytes(data)


def encrypted(inside: Path, bait: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("gaussians.py", TEXT)
    data = bytearray(buffer.getvalue())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (inside / "encrypted.zip").write_bytes(data)


def own_hooks(place: Path, bait: Mapping[str, Any]) -> None:
    text = MARK.format(folder=bait["folder"])
    for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "__init__.py", "__main__.py", "setup.py", "torch.py",
                 "random.py", "grader.py", "pytest.ini", "mine.pth"):  # fmt: skip
        (place / name).write_text(text)
    (place / "torch").mkdir()
    (place / "torch" / "__init__.py").write_text(text)
    (place / "gaussians.py").write_text(GAUSSIANS)


def deep(place: Path, bait: Mapping[str, Any]) -> None:
    here = os.open(place, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (place / "gaussians.py").write_text(GAUSSIANS)


def devices(made: tarfile.TarFile, bait: Mapping[str, Any]) -> None:
    member(made, "gaussians.py", kind=tarfile.CHRTYPE, devmajor=1, devminor=5)
    member(made, "pca.py", kind=tarfile.FIFOTYPE)
    member(made, "vae.py", kind=tarfile.BLKTYPE, devmajor=254, devminor=0)


def linked_to_zero(place: Path, bait: Mapping[str, Any]) -> None:
    (place / "gaussians.py").symlink_to("/dev/zero")
    (place / "pca.py").symlink_to("/proc/self/environ")
    (place / "vae.py").symlink_to("vae.py")


def linked_folder(inside: Path, bait: Mapping[str, Any]) -> None:
    (inside / "links-to-a-folder").symlink_to(Path(bait["other"]).parent)


def linked_file(place: Path, bait: Mapping[str, Any]) -> None:
    (place / "gaussians.py").symlink_to(bait["other"])


def hard_linked(place: Path, bait: Mapping[str, Any]) -> None:
    os.link(bait["other"], place / "gaussians.py")


def socket_file(place: Path, bait: Mapping[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(place)  # a socket's path may have 108 bytes
        try:
            one.bind("gaussians.py")
        finally:
            os.chdir(here)


def sparse(place: Path, bait: Mapping[str, Any]) -> None:
    with open(place / "gaussians.py", "wb") as file:
        file.truncate(200 << 30)


ATTACKS: Sequence[Attack] = (
    tar("climbs-out-of-a-tar", "members named ../ and /, up to a file of the TA's", climbs, sample=True),
    zipped("climbs-out-of-a-zip", "members of a zip named ../ and /", climbs_zip),
    tar("is-a-link-in-a-tar", "a module that is a symbolic link to a file of the TA's", linked_tar(tarfile.SYMTYPE)),
    tar("is-a-hard-link-in-a-tar", "a module that is a hard link to a file of the TA's", linked_tar(tarfile.LNKTYPE)),
    tar("writes-through-a-link-in-a-tar", "a folder that is a link, and files in it", writes_through_a_link),
    zipped("is-a-link-in-a-zip", "a module that is a symbolic link in a zip", linked_zip),
    folder("is-a-link", "a module that is a symbolic link to another student's", linked_file),
    folder("is-a-hard-link", "a module that is a hard link to another student's", hard_linked),
    archive("links-to-a-folder", "a submission that is a link to another student's folder", linked_folder),
    folder("links-to-endless-files", "modules that are links to /dev/zero, to /proc and to themselves", linked_to_zero, "obey"),
    zipped("is-a-bomb", "one and a half gigabytes of nothing in a megabyte", zip_bomb),
    zipped("is-a-nested-bomb", "zips in zips, ten each, six deep", nested_bomb),
    zipped("has-a-hundred-thousand-entries", "an archive of a hundred thousand files", many_entries),
    archive("lies-about-its-sizes", "a zip that says it is small", lies_about_sizes),
    archive("has-many-names-for-one-block", "a zip of a thousand names for the same bytes", overlapping),
    archive("is-small-and-slow", "some hundred bytes of bz2 that take seconds", small_and_slow, "obey"),
    archive("has-many-streams", "two hundred thousand empty gzip streams", many_streams, "obey"),
    archive("is-damaged", "a zip whose directory is damaged", damaged, "obey"),
    archive("is-encrypted", "a zip that says it has a password", encrypted, "obey"),
    folder("brings-hooks-along", "conftest.py, sitecustomize.py, .pth and a torch.py beside the work", own_hooks, "obey", sample=True),
    folder("is-deep", "two thousand folders in one another", deep, "obey"),
    tar("has-devices", "a tar of devices and pipes", devices),
    folder("is-a-pipe", "a module that is a pipe, from which nothing ever comes", lambda place, _: os.mkfifo(place / "gaussians.py"), "obey"),
    folder("is-a-socket", "a module that is a socket", socket_file, "obey"),
    folder("is-sparse", "a module of two hundred gigabytes, all zeros", sparse, "obey"),
)  # fmt: skip
