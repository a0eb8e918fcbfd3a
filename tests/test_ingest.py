"""Submissions as they really arrive: nested, renamed, damaged, hostile. Each is read, or refused with words that help."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grader.classes.ingest import MAX_FILE, IngestError, read_class, read_submission

MODULES = ("gaussians", "vae")
TWO = {"gaussians.py": "a = 1\n", "vae.py": "b = 2\n"}
Folder = Callable[[Mapping[str, str]], Path]


def zip_of(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def tar_of(path: Path, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize("prefix", ["", "solution/", "My Submission (2)/a7/", "./"])
def test_archives_and_folders_give_the_same(tmp_path: Path, folder_of: Folder, prefix: str) -> None:
    files = {prefix + name: text for name, text in TWO.items()}
    found = [
        read_submission(zip_of(tmp_path / "s.zip", files), MODULES),
        read_submission(tar_of(tmp_path / "s.tar.gz", files), MODULES),
        read_submission(folder_of(files), MODULES),
    ]
    for submission in found:
        assert submission.sources == {"gaussians": "a = 1\n", "vae": "b = 2\n"}
        assert submission.problems == ()


def test_what_a_mac_adds_is_not_read(tmp_path: Path) -> None:
    junk = {"__MACOSX/a7/._vae.py": "raise SystemExit", "a7/._vae.py": "\x00", "a7/.DS_Store": "x"}
    files = {f"a7/{name}": text for name, text in TWO.items()} | junk
    assert read_submission(zip_of(tmp_path / "s.zip", files), MODULES).sources["vae"] == "b = 2\n"


def test_missing_and_unexpected_files_are_named(tmp_path: Path) -> None:
    submission = read_submission(
        zip_of(tmp_path / "s.zip", {"vae.py": "", "helpers.py": "", "weights.pt": "x"}), MODULES
    )
    assert list(submission.sources) == ["vae"]
    assert any("missing: gaussians.py" in problem for problem in submission.problems)
    assert any("helpers.py" in problem and "move what you need" in problem for problem in submission.problems)


@pytest.mark.parametrize("content", [{}, {"notes.txt": "hello"}])
def test_nothing_to_read_says_what_to_submit(tmp_path: Path, content: dict[str, str]) -> None:
    submission = read_submission(zip_of(tmp_path / "empty.zip", content), MODULES)
    assert submission.sources == {}
    assert "gaussians.py, vae.py" in submission.problems[0]


@pytest.mark.parametrize("name", ["broken.zip", "broken.tar.gz", "broken.tar"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", os.urandom(300)])
def test_a_broken_archive_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        assert read_submission(path, MODULES).sources == {}  # an empty file can pass for an empty tar
    except IngestError as error:
        assert name in str(error)
        assert "resubmit" in str(error)


def test_a_zip_whose_content_is_damaged_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "s.zip", {"vae.py": "x = 1\n" * 100})
    data = bytearray(path.read_bytes())
    at = data.index(b"x = 1")
    data[at : at + 5] = b"y = 2"
    path.write_bytes(data)
    with pytest.raises(IngestError, match=r"s\.zip is damaged"):
        read_submission(path, MODULES)


def test_paths_that_do_not_exist_or_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="does not exist"):
        read_submission(tmp_path / "nothing", MODULES)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(IngestError, match="neither a folder nor an archive"):
        read_submission(tmp_path / "notes.txt", MODULES)


def test_links_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("SECRET = 1")
    inside = tmp_path / "s"
    inside.mkdir()
    (inside / "gaussians.py").write_text("a = 1")
    (inside / "vae.py").symlink_to(tmp_path / "secret.py")
    tar = tar_of(tmp_path / "s.tar.gz", {"gaussians.py": "a = 1"}, {"vae.py": "/etc/passwd"})
    link = zipfile.ZipInfo("vae.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("gaussians.py", "a = 1")
    for path in (inside, tar, tmp_path / "l.zip"):
        submission = read_submission(path, MODULES)
        assert submission.sources == {"gaussians": "a = 1"}
        assert any("vae.py is a link" in problem for problem in submission.problems)


def test_hard_links_devices_and_sparse_files_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind in (("gaussians.py", tarfile.LNKTYPE), ("vae.py", tarfile.CHRTYPE), ("pca.py", tarfile.FIFOTYPE),
                           ("prior.py", tarfile.GNUTYPE_SPARSE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "other.py"
            archive.addfile(info)
    submission = read_submission(tmp_path / "s.tar", ("gaussians", "vae", "pca", "prior"))
    assert submission.sources == {}
    said = " ".join(submission.problems)
    for name in (
        "gaussians.py is a link",
        "vae.py is no regular file",
        "pca.py is no reg",
        "prior.py is a sparse file",
    ):
        assert name in said


def test_hard_links_pipes_and_sockets_in_a_folder_are_no_files(tmp_path: Path) -> None:
    """The other name of a hard link may be that of a file which its owner has shown to nobody."""
    inside = tmp_path / "s"
    inside.mkdir()
    secret = tmp_path / "secret.py"
    secret.write_text("SECRET = 1")
    os.link(secret, inside / "vae.py")
    os.link(secret, inside / "prior.zip")
    os.mkfifo(inside / "pca.py")
    (inside / "gaussians.py").write_text("a = 1")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(inside / "prior.py"))
        submission = read_submission(inside, ("gaussians", "vae", "pca", "prior"))
    assert submission.sources == {"gaussians": "a = 1"}
    said = " ".join(submission.problems)
    for words in ("vae.py is a hard link and was not read", "pca.py is no regular file", "prior.py is no regular file"):
        assert words in said
    assert "SECRET" not in said
    [row] = read_class([tmp_path], ("gaussians", "vae")).submissions[-1:]
    assert "SECRET" not in str(row)


@pytest.mark.parametrize(
    "prefix", ["../", "../../a7/", "/home/ann/a7/", "a7\\", "C:\\Users\\ann\\a7\\", "..\\..\\", "a7/../b/"]
)
def test_paths_that_lead_out_are_taken_inside(tmp_path: Path, prefix: str) -> None:
    """Nothing is unpacked, so that dropping what leads out is safe."""
    files = {prefix + name: text for name, text in TWO.items()}
    for path in (zip_of(tmp_path / "s.zip", files), tar_of(tmp_path / "s.tar.gz", files)):
        submission = read_submission(path, MODULES)
        assert submission.sources == {"gaussians": "a = 1\n", "vae": "b = 2\n"}
        assert submission.problems == ()


def test_a_file_in_its_place_beats_one_whose_path_led_out(tmp_path: Path) -> None:
    for order in (("../vae.py", "vae.py"), ("vae.py", "../vae.py")):
        files = {name: f"name = {name!r}\n" for name in order}
        assert read_submission(zip_of(tmp_path / "s.zip", files), ("vae",)).sources["vae"] == "name = 'vae.py'\n"


def test_large_files_and_bombs_are_capped(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vae.py", b"#" * (50 * MAX_FILE))
        archive.writestr("gaussians.py", "a = 1")
    submission = read_submission(path, MODULES)
    assert list(submission.sources) == ["gaussians"]
    assert any("vae.py is larger than" in problem for problem in submission.problems)


def test_the_copy_nearest_to_the_top_counts(tmp_path: Path) -> None:
    files = {"a7/vae.py": "new = 1", "a7/gaussians.py": "", "a7/old/vae.py": "old = 1"}
    assert read_submission(zip_of(tmp_path / "s.zip", files), MODULES).sources["vae"] == "new = 1"
