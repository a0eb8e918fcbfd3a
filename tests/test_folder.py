"""The folder of a run: looked at first, never shared by two runs, cleared of our own files only."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grader.cli import grade as command
from grader.report import junit
from grader.report.folder import RECORD, FolderError, RunFolder
from grader.report.write import put, write_gradebook, write_page, write_report

from .test_report import report_of


def run(out: Path, *names: str, fresh: bool = False) -> RunFolder:
    """What a run does with its folder."""
    folder = RunFolder(out, fresh)
    folder.begin()
    for name in names:
        assert command.save(report_of(name=name), folder).problems == ()
    folder.expect(["gradebook.csv", "class.html"])
    write_gradebook([report_of(name=name) for name in names], out)
    write_page([report_of(name=name) for name in names], out)
    return folder


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def files_of(*names: str) -> set[str]:
    five = ("report.json", "report.md", "report.html", "junit.xml", "results.json")
    reports = {f"{name}/{file}" for name in names for file in five}
    return reports | {RECORD, "gradebook.csv", "class.html"}


def test_a_second_run_is_refused_and_a_fresh_one_replaces_the_first(tmp_path: Path) -> None:
    out = tmp_path / "a" / "reports"
    run(out, "ann", "bob")
    assert tree(out) == files_of("ann", "bob")
    before = {name: (out / name).read_bytes() for name in tree(out)}
    with pytest.raises(FolderError, match=r"earlier run.*--fresh"):
        RunFolder(out, fresh=False)
    assert {name: (out / name).read_bytes() for name in tree(out)} == before
    run(out, "cy", fresh=True)
    assert tree(out) == files_of("cy")
    assert not (out / "ann").exists()


def test_foreign_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    run(out, "ann", "bob")
    kept = {"notes.txt", "ann/remark.md", "bob2/report.txt"}
    for name in kept:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    run(out, "cy", fresh=True)
    assert tree(out) == files_of("cy") | kept


def test_an_edited_record_removes_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    run(out, "ann")
    (tmp_path / "report.json").write_text("not ours")
    (out / "thesis.tex").write_text("not ours")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report.md").write_text("not ours")
    (out / "link").symlink_to(tmp_path / "elsewhere")
    with (out / RECORD).open("a") as file:
        file.write(
            f"\n../report.json\nthesis.tex\nlink/report.md\n{tmp_path}/report.json\nann/../../report.json\n\x00/report.md"
        )
    run(out, "bob", fresh=True)
    assert (tmp_path / "report.json").exists()
    assert (out / "thesis.tex").exists()
    assert (tmp_path / "elsewhere" / "report.md").exists()
    assert not (out / "ann").exists()


def test_what_a_killed_run_has_left_is_cleared(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    folder = run(out, "ann")
    folder.expect(["bob/report.json"])
    (out / "bob").mkdir()
    (out / "bob" / ".report.json.4711").write_text("half")
    (out / "ann" / ".report.md.4711").write_text("half")
    run(out, "cy", fresh=True)
    assert tree(out) == files_of("cy")


def test_reports_removed_by_hand_do_not_count(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    run(out, "ann")
    shutil.rmtree(out / "ann")
    (out / "gradebook.csv").unlink()
    (out / "class.html").unlink()
    run(out, "bob")
    assert tree(out) == files_of("bob")


def test_folders_that_cannot_be_used_are_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "deep")
    for out, words in {
        tmp_path / "file": "is a file: give",
        tmp_path / "file" / "below": "give a folder",
        tmp_path / ("x" * 300): "give a folder",
        tmp_path / "dangling" / "x" / ("y" * 300): "give a folder",
    }.items():
        with pytest.raises(FolderError, match=words) as caught:
            RunFolder(out, fresh=False)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    if Path("/proc/self").exists():
        with pytest.raises(FolderError, match="give a folder"):
            RunFolder(Path("/proc/reports"), fresh=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(FolderError, match="permission denied"):
        RunFolder(tmp_path / "closed" / "reports", fresh=False)


def test_reports_never_land_among_the_submissions(tmp_path: Path) -> None:
    everyone = tmp_path / "class"
    (everyone / "ann").mkdir(parents=True)
    (everyone / "ann" / "vae.py").write_text("x = 1\n")
    for out in (everyone, everyone / "ann"):
        with pytest.raises(FolderError):
            RunFolder(out, fresh=True, inputs=[everyone])
    with pytest.raises(FolderError, match="submissions themselves"):
        RunFolder(everyone, fresh=True, inputs=[everyone / "ann"])
    assert tree(everyone) == {"ann/vae.py"}
    RunFolder(everyone / "reports", fresh=False, inputs=[everyone])


def test_reports_without_a_record_are_not_overwritten(tmp_path: Path) -> None:
    write_report(report_of(name="ann"), tmp_path)
    for fresh in (False, True):
        with pytest.raises(FolderError, match="no record"):
            RunFolder(tmp_path, fresh)
    assert (tmp_path / "ann" / "report.md").exists()


@contextmanager
def full_disk(allowed: int) -> Iterator[None]:
    """No file can grow beyond `allowed` bytes: the system refuses as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_one_row_its_files_and_no_half_of_one_is_left(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    folder = RunFolder(out, fresh=False)
    folder.begin()
    with full_disk(4096):
        saved = command.save(report_of(name="ann"), folder)
    assert "could not be written" in saved.problems[0]
    assert "ann" not in {path.name for path in out.iterdir()} or list((out / "ann").iterdir()) == []
    assert command.save(report_of(name="bob"), folder).problems == ()
    assert tree(out) == files_of("bob") - {"gradebook.csv", "class.html"}


def test_an_older_file_stays_whole_when_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    put(tmp_path / "a.txt", "old")
    with full_disk(10), pytest.raises(OSError, match="large"):
        put(tmp_path / "a.txt", "new" * 10_000)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert tree(tmp_path) == {"a.txt"}


def test_a_renderer_that_fails_is_a_row_not_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: object) -> str:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(junit, "render", broken)
    folder = RunFolder(tmp_path / "out", fresh=False)
    folder.begin()
    saved = command.save(report_of(name="ann"), folder)
    assert "the grader failed to write the report (KeyError" in saved.problems[0]
    assert tree(tmp_path / "out") == {RECORD}
