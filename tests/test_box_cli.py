"""Which box a run gets, what it says of it, and that the code of others is not run without one. No worker runs here."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest

from grader.boundary.box import BACKENDS, Box, NoBox, Observation, Sandbox, Started, Unavailable, remedies
from grader.boundary.launch import GraderFault
from grader.cli import box as box_command
from grader.cli import boxes, grade
from grader.cli import main as cli
from grader.cli.arguments import BOXES
from grader.grading.course import Course
from grader.grading.run import Plan
from grader.report import gradescope, markdown
from grader.report.model import Report, as_dict

from .conftest import ROOT
from .test_report import full, report_of

SOLUTION = str(ROOT / "solution")
FAST = ["--question", "2", "--no-trained", "--jobs", "1", "--seed", "3"]
SCHEMA = json.loads((Path(markdown.__file__).parent / "schema.json").read_text())
HELD = Observation("a TCP connection", True, "refused")
OUT = Observation("reading a file outside", False, "the canary came back\x1b[2J")


class Wall:
    """A box in which nothing runs."""

    def __init__(self, name: str, missing: Sequence[str] = ()) -> None:
        self.sandbox = Sandbox(name, ("a wall",), tuple(missing))

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        raise AssertionError("something was run")


Machine = Callable[..., list[Plan]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with these backends, of which the self-test sees this; what is graded is noted, and gets full marks."""

    def has(*names: str, seen: Sequence[Observation] = (HELD,), missing: Sequence[str] = ()) -> list[Plan]:
        graded: list[Plan] = []

        def choose(wanted: str, *_: object, **__: object) -> Box:
            if wanted not in (*names, "none"):
                raise NoBox({wanted: Unavailable(f"{wanted} does not work", f"install {wanted}")})
            return Wall(wanted, missing)

        def at_once(course: Course, *_: object) -> Iterator[tuple[int, Report]]:
            graded.append(course.plan)
            for index, submission in enumerate(course.submissions):
                report = report_of(*full(), name=submission.name)
                yield index, replace(report, circumstances=replace(report.circumstances, sandbox=course.plan.sandbox))

        monkeypatch.setattr(boxes, "choose", choose)
        monkeypatch.setattr(grade, "grade_course", at_once)
        for module in (boxes, box_command):
            monkeypatch.setattr(module, "observe", lambda box: iter(seen))
        return graded

    return has


@pytest.fixture
def others(tmp_path: Path) -> dict[str, list[str]]:
    """Work of other people, in every form in which it comes."""
    for name in ("ann", "bob"):
        (tmp_path / "class" / name).mkdir(parents=True)
        shutil.copy(ROOT / "solution" / "gaussians.py", tmp_path / "class" / name)
    for path in ("one.zip", "inner/ann/a7.zip", "pair/both.zip"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(tmp_path / path, "w") as archive:
            archive.write(ROOT / "solution" / "gaussians.py", "a7/gaussians.py")
    (tmp_path / "damaged.tar.gz").write_bytes(b"\x1f\x8b no archive")
    named = {name: [str(tmp_path / name)] for name in ("class", "one.zip", "inner", "pair", "damaged.tar.gz")}
    return named | {"two folders": [str(tmp_path / "class" / "ann"), str(tmp_path / "class" / "bob")]}


OTHERS = ("class", "one.zip", "inner", "pair", "damaged.tar.gz", "two folders")


@pytest.mark.parametrize("what", OTHERS)
def test_the_code_of_others_is_not_run_without_a_box(
    what: str, machine: Machine, others: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graded, out = machine(), tmp_path / "out"
    assert cli.main(["grade", *others[what], "--out", str(out), *FAST]) == 4
    said = capsys.readouterr().err
    assert not graded
    assert not [path for path in out.rglob("*") if path.is_file()]
    for name in BACKENDS:
        assert f"install {name}" in said or name == "none"
    assert "--unsafe-no-box" in said


@pytest.mark.parametrize("what", OTHERS)
def test_it_runs_without_one_if_the_user_says_so(
    what: str, machine: Machine, others: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graded, out = machine(seen=[HELD, OUT], missing=["network"]), tmp_path / "out"
    assert cli.main(["grade", *others[what], "--out", str(out), *FAST, "--unsafe-no-box"]) == 0
    assert [plan.sandbox for plan in graded] == [Sandbox("none", ("a wall",), ("network",), (HELD, OUT))]
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "not isolated are network" in said
    assert "no box (2 attacks tried, 1 got through)" in said
    for path in out.glob("*/report.json"):
        content = json.loads(path.read_text())
        jsonschema.validate(content, SCHEMA)
        assert content["sandbox"]["self_test"][1] == {**vars(OUT), "seen": "the canary came back\\x1b[2J"}
        assert json.loads((path.parent / "results.json").read_text())["extra_data"]["sandbox"] == content["sandbox"]
        assert "1 got through" in (path.parent / "report.md").read_text()


def test_a_folder_of_ones_own_needs_no_box_and_takes_one(machine: Machine, tmp_path: Path) -> None:
    for number, names in enumerate([(), ("landlock",), ("bubblewrap", "uid")]):
        [*_] = graded = machine(*names, seen=[OUT])
        assert cli.main(["grade", SOLUTION, "--out", str(tmp_path / str(number)), *FAST]) == 0
        assert [plan.sandbox.backend for plan in graded] == [(*names, "none")[0]]
        assert [plan.self_test for plan in graded] == [None]


def test_a_folder_with_an_archive_that_nobody_opens_is_ones_own(machine: Machine, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "solution", tmp_path / "mine")
    (tmp_path / "mine" / "backup.zip").write_bytes(b"PK not a zip")
    machine()
    assert cli.main(["grade", str(tmp_path / "mine"), "--out", str(tmp_path / "out"), *FAST]) == 0


@pytest.mark.parametrize(("name", "code"), [("bubblewrap", 4), ("uid", 4), ("landlock", 0)])
def test_a_box_that_does_not_hold_what_it_promises_is_none(
    name: str, code: int, machine: Machine, others: dict[str, list[str]], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    graded = machine(name, seen=[HELD, OUT])
    arguments = ["grade", *others["class"], "--out", str(tmp_path / "out"), *FAST]
    assert cli.main(arguments) == code
    assert len(graded) == (code == 0)
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert OUT.what in said
    assert "\x1b" not in said
    assert cli.main([*arguments, "--unsafe-no-box", "--fresh"]) == 0
    assert graded[-1].sandbox.self_test == (HELD, OUT)
    banner = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "Got through in its test: reading a file outside" in banner


def test_a_box_in_which_no_worker_runs_is_none(
    machine: Machine, others: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fails(box: Box) -> Iterator[Observation]:
        if box.sandbox.backend == "uid":
            raise GraderFault("bwrap: no permissions")
        yield HELD

    graded = machine("uid")
    monkeypatch.setattr(boxes, "observe", fails)
    assert cli.main(["grade", *others["class"], "--out", str(tmp_path / "out"), *FAST]) == 4
    assert "bwrap: no permissions" in capsys.readouterr().err
    assert not graded


@pytest.mark.parametrize(("wanted", "arguments", "code"), [
    ("none", [], 4), ("none", ["--unsafe-no-box"], 0), ("bubblewrap", [], 4), ("bubblewrap", ["--unsafe-no-box"], 4),
    ("landlock", [], 0), ("auto", [], 0),
])  # fmt: skip
def test_the_box_that_is_wanted_or_none(
    wanted: str, arguments: list[str], code: int, machine: Machine, others: dict[str, list[str]], tmp_path: Path
) -> None:
    graded = machine("uid", "landlock")
    assert (
        cli.main(["grade", *others["class"], "--out", str(tmp_path / "out"), "--box", wanted, *arguments, *FAST])
        == code
    )
    assert [plan.sandbox.backend for plan in graded] == ([{"auto": "uid"}.get(wanted, wanted)] if code == 0 else [])


def test_ones_own_check_takes_a_box_only_if_asked(machine: Machine) -> None:
    machine()
    assert cli.main(["check", SOLUTION, "--question", "2", "--box", "uid"]) == 4


@pytest.mark.parametrize(("names", "wanted", "seen", "code"), [
    (("bubblewrap",), "auto", [HELD], 0), (("uid",), "auto", [HELD, OUT], 1), ((), "auto", [HELD], 2),
    (("uid",), "landlock", [HELD], 2), (("bubblewrap",), "none", [OUT], 1), (("bubblewrap", "uid"), "uid", [HELD], 0),
])  # fmt: skip
def test_the_box_command_says_what_there_is_and_why_not_more(
    names: tuple[str, ...], wanted: str, seen: list[Observation], code: int, machine: Machine,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    machine(*names, seen=seen)
    assert cli.main(["box", "--box", wanted]) == code
    told = capsys.readouterr().out
    assert cli.main(["box", "--box", wanted, "--json"]) == code
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    got = None if code == 2 else names[0] if wanted == "auto" else wanted
    assert content["backend"] == got
    above = [name for name in BACKENDS if name != "none"][: [*BACKENDS].index(got) if got else None]
    above = above if wanted == "auto" else [wanted] if got is None else []
    assert [why["backend"] for why in content["unavailable"]] == above
    for name in above:
        assert f"{name}: not to be had: {name} does not work\n  remedy: install {name}\n" in told
    assert [one["held"] for one in content["self_test"]] == ([one.held for one in seen] if got else [])
    if got:
        for one in seen:
            line = next(line for line in told.splitlines() if one.what in line)
            assert line.strip().startswith("held" if one.held else "GOT THROUGH")
    assert "\x1b" not in told


def test_the_names_that_can_be_typed_are_the_backends() -> None:
    assert ("auto", *BACKENDS) == BOXES


@pytest.mark.parametrize(("switches", "installed", "step"), [
    ({}, False, "apt-get install bubblewrap"),
    ({"kernel/unprivileged_userns_clone": "0"}, True, "sysctl -w kernel.unprivileged_userns_clone=1"),
    ({"kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "0"}, True, "sysctl -w user.max_user_namespaces="),
    ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, True, "/etc/apparmor.d/bwrap"),
    ({"kernel/apparmor_restrict_unprivileged_userns": "0", "user/max_user_namespaces": "7"}, True, "container"),
])  # fmt: skip
def test_the_remedy_is_the_one_that_this_machine_needs(
    switches: dict[str, str], installed: bool, step: str, tmp_path: Path
) -> None:
    for name, value in switches.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    told = remedies.remedy(installed, tmp_path)
    assert step in told
    steps = ["pip install", "unprivileged_userns_clone=", "max_user_namespaces=", "apparmor.d/bwrap", "docker run"]
    assert sum(other in told for other in steps) == 1, told


def test_a_report_says_what_was_seen_of_the_box() -> None:
    tried = replace(report_of(*full()).circumstances, sandbox=Sandbox("uid", ("user",), ("network",), (HELD,)))
    report = replace(report_of(*full()), circumstances=tried)
    content = as_dict(report)
    jsonschema.validate(content, SCHEMA)
    assert content["sandbox"] == {
        "backend": "uid",
        "layers": ["user"],
        "missing": ["network"],
        "self_test": [vars(HELD)],
    }
    assert gradescope.render(report)["extra_data"]["sandbox"] == content["sandbox"]
    assert "box uid (1 attacks tried, all held)" in markdown.render(report)
