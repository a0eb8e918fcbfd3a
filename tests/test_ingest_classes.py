"""What paths on a command line stand for: submissions, classes of them, and whatever lies beside. Never a wrong owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.boundary.launch import Worker
from grader.boundary.session import Session
from grader.classes.ingest import Reading, read_class, read_submission
from grader.classes.names import ordinary, printable
from grader.classes.sources import choose, digest, starter_digests

from .conftest import SHORT
from .handed_in import MODULES, Files, packed, work, written


def owners(reading: Reading) -> dict[str, str]:
    """By row: whose sources it has; empty where it has none."""
    found = {}
    for submission in reading.submissions:
        texts = {text.partition("'")[2].partition("'")[0] for text in submission.sources.values()}
        assert len(texts) < 2
        found[submission.name] = next(iter(texts), "")
        assert submission.sources or submission.problems
        assert not submission.fault
    assert len(found) == len(reading.submissions)
    return found


def test_a_folder_of_submissions_is_taken_apart(tmp_path: Path) -> None:
    files = {**work("ann", "ann/"), **work("bob", "bob/"), "empty/": "", "cy.zip": packed(work("cy")), "grades.csv": ""}
    reading = read_class([written(tmp_path, files)], MODULES)
    assert owners(reading) == {"ann": "ann", "bob": "bob", "cy": "cy", "empty": ""}
    assert reading.passed_over == ("grades.csv",)


def test_a_folder_that_nests_its_files_is_one_submission(tmp_path: Path) -> None:
    for files in ({**work("ann", "a7/"), "figures/": ""}, {**work("ann", "a7/"), "lecture slides/1.pdf": "", "misc/": ""},
                  {**work("ann", "cmput328/A7/src/"), "cmput328/README.md": ""}, work("ann"),
                  {**work("ann", "a7/"), "a7/old/vae.py": "", "a7/try 2/vae.py": "x = 1\n"},
                  {**work("ann"), "vae experiments/vae.py": "", "results/vae.py": ""}):  # fmt: skip
        folder = written(tmp_path / str(len(list(tmp_path.iterdir()))) / "ann", files)
        assert owners(read_class([folder], MODULES)) == {"ann": "ann"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("wrapper", ["", "class/", "download/a7 submissions/"])
def test_one_usable_folder_among_three_students_is_three_rows(tmp_path: Path, kind: str, wrapper: str) -> None:
    files: dict[str, str | bytes] = {
        **work("ann", f"{wrapper}ann/a7/"),
        f"{wrapper}bob/work.ipynb": "{}",
        f"{wrapper}cy/notes.txt": "",
    }
    if kind == "folder":
        path = written(tmp_path / "everyone", files)
    else:
        path = tmp_path / ("everyone.zip" if kind == "zip" else "everyone.tar.gz")
        path.write_bytes(packed(files, kind))
    reading = read_class([path], MODULES)
    assert owners(reading) == {"ann": "ann", "bob": "", "cy": ""}
    assert any("a notebook is not read (work.ipynb)" in problem for problem in reading.submissions[1].problems)


@pytest.mark.parametrize("students", [("ann", "bob"), ("1234567", "7654321"), ("a", "b"), ("group1", "group2"),
                                      ("submission_123456", "submission_123457"), ("Ann Lee_1_assignsubmission_file", "Bo_2")])  # fmt: skip
@pytest.mark.parametrize("form", ["folders", "archives", "zips in folders", "deep"])
def test_a_zip_of_a_class_is_a_class(tmp_path: Path, students: tuple[str, ...], form: str) -> None:
    """Somebody's marks under the archive's name would go to a wrong owner."""
    files: dict[str, str | bytes] = {}
    for name in students:
        if form == "archives":
            files[f"{name}.zip"] = packed(work(name, "a7/"))
        elif form == "zips in folders":
            files[f"{name}/a7.zip"] = packed(work(name))
        else:
            files |= work(name, f"{name}/" if form == "folders" else f"class/{name}/A7/solution/")
    (tmp_path / "class.zip").write_bytes(packed(files))
    written(tmp_path / "open", files)
    expected = {name: name for name in students}
    assert owners(read_class([tmp_path / "class.zip"], MODULES)) == expected
    assert owners(read_class([tmp_path / "open"], MODULES)) == expected
    inside = written(tmp_path / "download", {"class.zip": packed(files)})
    assert owners(read_class([inside], MODULES)) in (expected, {f"class/{name}": name for name in students})


def test_a_lone_file_beside_somebodys_folder_is_nobody_elses(tmp_path: Path) -> None:
    root = written(tmp_path / "class", {**work("ann", "ann/"), "vae.py": "owner = 'gil'\n"})
    assert owners(read_class([root], MODULES)) == {"ann": "ann", "vae": "gil"}


def test_other_archives_beside_the_work_are_nobodys(tmp_path: Path) -> None:
    files = {**work("ann", "ann/a7/"), "ann/holiday photos.zip": packed({"1.png": ""}), "ann/jupyter.zip": packed({"x.ipynb": ""}),
             **work("bob", "bob/")}  # fmt: skip
    assert owners(read_class([written(tmp_path, files)], MODULES)) == {"ann": "ann", "bob": "bob"}


def test_one_archive_cannot_fill_the_table(tmp_path: Path) -> None:
    many = packed({f"student{i}/vae.py": "" for i in range(101)})
    ann, bob = read_class([written(tmp_path, {**work("ann", "ann/"), "bob.zip": many})], MODULES).submissions
    assert ann.sources
    assert not bob.sources
    assert "bob holds 101 items of its own" in bob.problems[0]


def test_a_class_inside_a_class_keeps_its_owners(tmp_path: Path) -> None:
    files = {**work("ann", "monday/ann/"), **work("bob", "monday/bob/"), "tuesday.zip": packed({**work("cy", "cy/"), **work("dan", "dan/")}),
             **work("eve", "eve/a7/"), **work("eve, earlier", "eve/a7-old/"), **work("fay", "fay/fay_final/"), **work("no", "fay/fay_old/")}  # fmt: skip
    found = owners(read_class([written(tmp_path, files)], MODULES))
    assert found.pop("fay") in ("fay", "no")
    assert found == {"monday/ann": "ann", "monday/bob": "bob", "tuesday/cy": "cy", "tuesday/dan": "dan", "eve": "eve"}


def test_everything_in_a_class_folder_is_read_or_is_a_row_with_its_reason(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        **work("ann", "ann/"), "BOB.ZIP": packed(work("bob")), "cy.7z": b"7z\xbc\xaf\x27\x1c", "dan.rar": b"Rar!\x1a\x07\0",
        "eve.tar.zst": b"\x28\xb5\x2f\xfd", "fay.ipynb": "{}", **work("hal", "_hal/"), **work("ian", ".ian/"),
        "jo.TGZ": packed(work("jo"), "tar"), "vae.py": "owner = 'kim'\n", "gil.py": "x = 1\n", "lou.docx": "PK", "moe.gz": b"\x1f\x8b",
        ".DS_Store": "", "__MACOSX/._ann": "", ".git/config": "", "Thumbs.db": "", "roster.xlsx": "", ".gitkeep": "", "README.md": "", ".rae.zip": packed(work("rae")), "._bob": "",
        "nan": packed(work("nan")), "old reports/gradebook.csv": "", "old reports/ann/report.json": "{}",
    }  # fmt: skip
    root = written(tmp_path / "class", files)
    (root / "pat").symlink_to(root / "ann")
    (root / "quin.zip").symlink_to(root / "BOB.ZIP")
    reading = read_class([root], MODULES)
    assert owners(reading) == {
        "ann": "ann", "BOB": "bob", "cy": "", "dan": "", "eve": "", "fay": "", "_hal": "hal", ".ian": "ian", "jo": "jo", ".rae": "rae",
        "vae": "kim", "gil": "", "lou": "", "moe": "", "nan": "nan", "pat": "", "quin": "",
    }  # fmt: skip
    assert set(reading.passed_over) == {
        "roster.xlsx",
        ".gitkeep",
        "README.md",
        "old reports/ (reports of an earlier run)",
    }
    said = {submission.name: " ".join(submission.problems) for submission in reading.submissions}
    for name, words in {"cy": "cy.7z is a 7z archive, which is not read: pack the folder as .zip", "dan": "rar archive",
                        "eve": "Zstandard", "fay": "a notebook", "lou": "neither a folder nor an archive", "pat": "pat is a link",
                        "quin": "is a link", "gil": "none of the expected files"}.items():  # fmt: skip
        assert words in said[name]


def test_the_reports_do_not_become_a_student(tmp_path: Path) -> None:
    root = written(tmp_path, {**work("ann", "ann/"), **work("bob", "bob/"), "out/ann/report.json": "{}"})
    assert owners(read_class([root], MODULES, skip=root / "out")) == {"ann": "ann", "bob": "bob"}
    assert owners(read_class([root], MODULES, skip=Path(os.path.relpath(root / "out")))) == {"ann": "ann", "bob": "bob"}


def test_what_does_not_exist_is_a_row(tmp_path: Path) -> None:
    root = written(tmp_path, work("ann", "ann/"))
    reading = read_class([root / "nosuch", root / "ann", root / ("x" * 300), root / "ann" / "vae.py" / "y"], MODULES)
    assert [bool(submission.sources) for submission in reading.submissions] == [False, True, False, False]
    assert reading.submissions[0].name == "nosuch"
    assert read_class([root / "nosuch.zip"], MODULES).submissions[0].name == "nosuch"
    assert "nosuch does not exist" in reading.submissions[0].problems[0]


def test_a_damaged_archive_in_a_class_is_one_row(tmp_path: Path) -> None:
    whole = packed(work("bob"))
    files = {
        **work("ann", "ann/"),
        "bob.zip": whole[:60] + b"\xff\xff" + whole[62:],
        "cy/a7.zip": whole[:-30],
        "dan.tar.gz": b"",
    }
    reading = read_class([written(tmp_path, files)], MODULES)
    assert owners(reading) == {"ann": "ann", "bob": "", "cy": "", "dan": ""}
    assert all("damaged" in submission.problems[0] for submission in reading.submissions[1:])


def test_what_the_machine_cannot_read_is_not_the_students_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = written(tmp_path, {**work("ann", "ann/"), **work("bob", "bob/"), **work("cy", "cy/")})
    scan, opened = os.scandir, os.open

    def refusing(path: str | Path) -> object:
        if str(path).endswith("bob"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def failing(path: str, flags: int) -> int:
        if "cy" in str(path):
            raise OSError(5, "Input/output error")
        return opened(path, flags)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(os, "open", failing)
    ann, bob, cy = read_class([root], MODULES).submissions
    assert ann.sources
    assert bob.fault == "the folder cannot be listed here (Permission denied)"
    assert cy.fault == "gaussians.py cannot be read here (Input/output error)"
    assert bob.problems == (bob.fault,)


def test_a_bug_of_ours_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(tmp_path, {**work("ann", "ann/"), **work("bob", "bob/"), **work("cy", "cy/")})

    def bug(tree: object, *rest: object) -> object:
        if "bob" in str(tree):
            raise KeyError("a bug of ours")
        return choose(tree, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("grader.classes.single.choose", bug)
    ann, bob, cy = read_class([root], MODULES).submissions
    assert ann.sources
    assert cy.sources
    assert not ann.fault
    assert bob.fault.startswith("the grader failed to read it: KeyError in ")
    assert bob.problems == (bob.fault,)


# inside one submission


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("files", [{"a7.zip": packed(work("ann", "a7/src/"))}, {"hand in/A7.ZIP": packed(work("ann"))},
                                   {"a7.zip": packed({"inner/a7.tar.gz": packed(work("ann"), "tar")})},
                                   {"a7.zip": packed(work("ann")), "vae.py": "half = 1\n"}])  # fmt: skip
def test_an_archive_inside_is_opened(tmp_path: Path, kind: str, files: Files) -> None:
    assert set(read_submission(written(tmp_path / "ann", files), MODULES).sources.values()) == {"owner = 'ann'\n"}
    path = tmp_path / ("s.zip" if kind == "zip" else "s.tgz")
    path.write_bytes(packed(files, kind))
    assert set(read_submission(path, MODULES).sources.values()) == {"owner = 'ann'\n"}


def test_an_archive_beside_the_files_is_left_alone(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "ann", {**work("ann", "src/"), "a7.zip": packed(work("older")), "data.zip": b"no zip at all"}
    )
    submission = read_submission(folder, MODULES)
    assert set(submission.sources.values()) == {"owner = 'ann'\n"}
    assert submission.problems == ()


def test_archives_without_end_are_not_followed(tmp_path: Path) -> None:
    data = packed(work("ann"))
    for _ in range(6):
        data = packed({"a.zip": data, "b.zip": data})
    submission = read_submission(written(tmp_path / "ann", {f"{i}.zip": data for i in range(50)}), MODULES)
    assert submission.sources == {}


def test_the_starter_beside_the_students_own_files_is_not_taken(tmp_path: Path) -> None:
    given = {module: f"def f():\n    raise NotImplementedError('Question 1: {module}')\n" for module in MODULES}
    starter = frozenset(digest(text) for text in given.values())
    copy = {f"starter/{module}.py": text.replace("\n", " \r\n") + "\r\n\r\n" for module, text in given.items()}
    for where in ("work/", "zz/deep/er/", "starter/mine/"):
        root = written(tmp_path / where[:2], {**copy, **work("ann", where)})
        submission = read_submission(root, MODULES, starter)
        assert set(submission.sources.values()) == {"owner = 'ann'\n"}
        assert submission.problems == (f"read from {where}, not from starter/ (as handed out)",)
    only = read_submission(written(tmp_path / "only", copy), MODULES, starter)
    assert len(only.sources) == 2
    assert only.problems == ()
    packed_up = written(tmp_path / "packed", {**copy, "mine.zip": packed(work("ann"))})
    assert set(read_submission(packed_up, MODULES, starter).sources.values()) == {"owner = 'ann'\n"}


def test_a_finished_module_is_never_taken_for_the_starters(tmp_path: Path) -> None:
    """In the kit students may work in starter/ itself."""
    root = written(tmp_path / "kit", {**work("ann", "starter/"), **work("older", "starter/old/")})
    starter = starter_digests(root / "starter", MODULES)
    assert len(starter) == 1
    assert set(read_submission(root, MODULES, starter).sources.values()) == {"owner = 'ann'\n"}


def test_a_choice_between_folders_is_told(tmp_path: Path) -> None:
    submission = read_submission(written(tmp_path / "s", {**work("new", "a7/"), **work("old", "a7/old/")}), MODULES)
    assert submission.problems == ("read from a7/, not from a7/old/",)


@pytest.mark.parametrize("name", ["vae (1).py", "Vae.py", "vae.py.txt", "vae.PY", "vae.ipynb", "vae - Copy.py", "Copy of vae.py", "vae_final.py",
                                  "VAE.Py", "vae.txt", "vae .py", "vae2.py"])  # fmt: skip
def test_a_file_that_is_nearly_called_right_is_asked_about(tmp_path: Path, name: str) -> None:
    files = {"gaussians.py": "", name: "x = 1\n"}
    (tmp_path / "s.zip").write_bytes(packed(files))
    for path in (written(tmp_path / "s", files), tmp_path / "s.zip"):
        submission = read_submission(path, MODULES)
        assert list(submission.sources) == ["gaussians"]
        assert any(problem.startswith(name) and "did you mean vae.py?" in problem for problem in submission.problems)


def test_a_slip_of_the_keyboard_and_files_elsewhere(tmp_path: Path) -> None:
    said = " ".join(read_submission(written(tmp_path / "a", {"vae.py": "", "gausians.py": ""}), MODULES).problems)
    assert "gausians.py is no file of the assignment: did you mean gaussians.py?" in said
    said = " ".join(
        read_submission(written(tmp_path / "b", {"q1/gaussians.py": "", "q8/vae.py": ""}), MODULES).problems
    )
    assert "q8/vae.py was not read: put all files into one folder" in said
    said = " ".join(read_submission(written(tmp_path / "c", {"vae.py": "", "explore.ipynb": ""}), MODULES).problems)
    assert "a notebook is not read (explore.ipynb)" in said


def test_nothing_is_asked_about_when_nothing_is_missing(tmp_path: Path) -> None:
    files = {
        **work("ann"),
        "vae.ipynb": "",
        "old/vae (1).py": "",
        "figures/vae.png": "",
        "__init__.py": "",
        "train.py": "",
    }
    assert read_submission(written(tmp_path, files), MODULES).problems == ()


def test_the_folder_that_holds_the_files_can_be_imported_from(tmp_path: Path) -> None:
    for files, where, alias in ((work("ann"), "work", "work"), (work("ann", "my_code/"), "ann", "my_code"),
                                ({"mine.zip": packed(work("ann"))}, "bob", "mine")):  # fmt: skip
        assert alias in read_submission(written(tmp_path / where, files), MODULES).aliases
    for name in ("json", "torch", "vae", "not a name", "submission", "class"):
        aliases = read_submission(written(tmp_path / "x" / name, work("ann")), MODULES).aliases
        assert aliases == ("starter", "solution") or name == "class"
    (tmp_path / "work.zip").write_bytes(packed(work("ann")))
    assert "work" in read_submission(tmp_path / "work.zip", MODULES).aliases


def test_the_folder_is_known_by_the_imports_too(tmp_path: Path) -> None:
    """Whoever collects the work may have renamed the folder."""
    files = {
        "gaussians.py": "",
        "vae.py": "from a7_work.gaussians import f\nimport torch.nn, json.vae\nfrom json.vae import g\n",
    }
    submission = read_submission(written(tmp_path / "Lee, Ann_123_file", files), MODULES)
    assert submission.aliases == ("starter", "solution", "a7_work")


# names


@pytest.mark.skipif(os.name != "posix", reason="names that are no UTF-8")
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    root = tmp_path / "class"
    for student in (b"Jos\xe9", b"ann"):
        folder = os.path.join(os.fsencode(root), student)
        os.makedirs(folder)
        for name in (b"vae.py", b"gaussians.py", b"caf\xe9.py"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(b"owner = 'x'\n")
    zips = []
    for flag in (0, 0x800):
        data = bytearray(packed({"JosX/vae.py": "owner = 'z'\n", "JosX/gaussians.py": ""}).replace(b"JosX", b"Jos\xe9"))
        for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            start = -1
            while (start := data.find(signature, start + 1)) >= 0:
                data[start + at] |= flag & 0xFF
                data[start + at + 1] |= flag >> 8
        zips.append(bytes(data))
    written(
        root, {"bo.zip": zips[0], "cy.zip": zips[1], "dan.tar.gz": packed({"Jos\udce9/vae.py": "owner = 't'\n"}, "tar")}
    )
    reading = read_class([root], MODULES)
    assert {s.name: bool(s.sources) for s in reading.submissions} == {
        "José": True,
        "ann": True,
        "bo": True,
        "cy": True,
        "dan": True,
    }
    for submission in reading.submissions:
        for text in (submission.name, *submission.problems, *submission.aliases):
            text.encode()


def test_names_in_sentences_are_printable_and_short(tmp_path: Path) -> None:
    nasty = {f"{c}.py": "" for c in ("\x1b[2Jx", "a\nb", "\u202egnp", "é" * 5000, "\x9b0m", "x\x00y")}
    (tmp_path / "s.zip").write_bytes(packed({"vae.py": "", "gaussians.py": "", **nasty}))
    [problem] = read_submission(tmp_path / "s.zip", MODULES).problems
    assert problem.isprintable()
    assert len(problem) < 1000
    assert "\\x1b[2Jx.py" in problem
    assert len(printable("x" * 10_000_000)) <= 80
    long = read_class([written(tmp_path / "c", {**work("ann", "ann/"), **work("bob", "b" * 200 + "/")})], MODULES)
    assert all(len(submission.name) <= 120 for submission in long.submissions)


@pytest.mark.parametrize(
    "name",
    ["a7", "A7 (2)", "solution", "final version", "old", "hw07-vae", "a7-20261130", "cmput328_a7", "v2", "7", "q3"],
)
def test_ordinary_names(name: str) -> None:
    assert ordinary(name)


@pytest.mark.parametrize(
    "name",
    ["ann", "a", "1234567", "submission_123456", "group1", "Lee, Ann_a7", "李明", "team a", "a7_jsmith", "20261345"],
)
def test_names_of_people(name: str) -> None:
    assert not ordinary(name)


def test_imports_by_the_folders_name_work(tmp_path: Path, worker: Worker) -> None:
    files: dict[str, str | bytes] = {"gaussians.py": "# coding: latin-1\nword = 'é'\n".encode("latin-1"),
             "vae.py": "import work.gaussians\nfrom work import gaussians\nfrom work.gaussians import word\n"
                       "def f():\n    return gaussians is work.gaussians, word\n"}  # fmt: skip
    found = read_submission(written(tmp_path / "work", files), MODULES)
    worker.submit(dict(found.sources), found.aliases)
    session = Session(worker, 1, SHORT)
    assert session.call("vae.f") == (True, "é")
    session.close()


def test_a_name_with_blanks_around_it_is_not_shown_as_anothers(tmp_path: Path) -> None:
    for name in (" jane", "jane", "jane "):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gaussians.py").write_text(f"# {name!r}")
    found = {one.name: one.sources["gaussians"] for one in read_class([tmp_path], ["gaussians"]).submissions}
    assert found == {"\\x20jane": "# ' jane'", "jane": "# 'jane'", "jane\\x20": "# 'jane '"}
