"""Submissions as they really arrive: nested, renamed, damaged, hostile. Each is read, or refused with words that help."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grader.classes.ingest import MAX_FILE, IngestError, read_submission, submission_name
from grader.cli.grade import expand

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


def test_links_and_paths_upwards_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("SECRET = 1")
    inside = tmp_path / "s"
    inside.mkdir()
    (inside / "gaussians.py").write_text("a = 1")
    (inside / "vae.py").symlink_to(tmp_path / "secret.py")
    assert list(read_submission(inside, MODULES).sources) == ["gaussians"]
    tar = tar_of(
        tmp_path / "s.tar.gz", {"../gaussians.py": "up = 1", "gaussians.py": "a = 1"}, {"vae.py": "/etc/passwd"}
    )
    assert read_submission(tar, MODULES).sources == {"gaussians": "a = 1"}
    link = zipfile.ZipInfo("vae.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../gaussians.py", "up = 1")
    assert read_submission(tmp_path / "l.zip", MODULES).sources == {}


def test_large_files_and_bombs_are_capped(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vae.py", b"#" * (50 * MAX_FILE))
        archive.writestr("gaussians.py", "a = 1")
    submission = read_submission(path, MODULES)
    assert list(submission.sources) == ["gaussians"]
    assert any("vae.py is larger than" in problem for problem in submission.problems)


def test_encodings_and_line_ends(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "vae.py": b"\xef\xbb\xbfa = 1\r\nb = 2\r\n",
        "gaussians.py": "s = '\xe9'".encode("latin-1"),
    }
    submission = read_submission(zip_of(tmp_path / "s.zip", files), MODULES)
    assert submission.sources == {"vae": "a = 1\nb = 2\n"}
    assert any("gaussians.py is not UTF-8" in problem for problem in submission.problems)


def test_the_copy_nearest_to_the_top_counts(tmp_path: Path) -> None:
    files = {"a7/vae.py": "new = 1", "a7/gaussians.py": "", "a7/old/vae.py": "old = 1"}
    assert read_submission(zip_of(tmp_path / "s.zip", files), MODULES).sources["vae"] == "new = 1"


def test_a_folder_of_submissions_is_taken_apart(tmp_path: Path) -> None:
    for student in ("ann", "bob"):
        (tmp_path / student).mkdir()
        (tmp_path / student / "vae.py").write_text("x = 1")
    (tmp_path / "empty").mkdir()
    zip_of(tmp_path / "cy.zip", {"vae.py": ""})
    (tmp_path / "grades.csv").write_text("")
    assert [submission_name(path) for path in expand(tmp_path)] == ["ann", "bob", "cy", "empty"]


def test_a_folder_that_nests_its_files_is_one_submission(tmp_path: Path) -> None:
    (tmp_path / "a7").mkdir()
    (tmp_path / "a7" / "vae.py").write_text("x = 1")
    (tmp_path / "figures").mkdir()
    assert expand(tmp_path) == [tmp_path]
