"""docs/evening.md is true: what it shows can be typed and comes out, and every mark of its class goes to its owner."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pytest

from grader.classes.ingest import read_class
from grader.classes.people import Owner
from grader.rubric import CHECKS
from tests.bank import Mistake

from .conftest import ROOT
from .made_class import ABSENT, CLASS, DAMAGED, EMPTY, MODULES, Student, files_of, variants, work_in, write

PAGE = (ROOT / "docs" / "evening.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "80",
               "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
KILLED = "Killed"
PATIENCE = 900.0  # seconds for one command: it hangs
POINTS = {check.id: check.points for check in CHECKS if check.question == 2}
TITLES = {check.title: check.id for check in CHECKS if check.question == 2}
# commands that end with something else than 0, as the README's table says: a name that two have, marks that moved, marks
# that are left out
ENDS = {"show evening/marks 'Jane Doe'": 2, "diff ": 1, " --to ": 1}


@dataclass(frozen=True)
class Step:
    """A command of the page and the lines that it shows of what comes out, with … for what differs from run to run."""

    command: str
    shown: tuple[str, ...]

    @property
    def ends_with(self) -> int:
        """The exit code."""
        return next((code for part, code in ENDS.items() if part in self.command), 0)


def steps_of(page: str) -> list[Step]:
    """The commands in their order."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            found.append(Step(command.strip(), tuple(line for line in output.splitlines() if line.strip(" …"))))
    return found


MOODLE, CANVAS, GRADESCOPE = map(steps_of, re.split(r"^## (?=.*(?:Canvas|Gradescope)$)", PAGE, flags=re.MULTILINE))
STEPS = [*MOODLE, *CANVAS, *GRADESCOPE]
Said = Sequence[tuple[Step, str]]


def typed(step: Step, folder: Path) -> str:
    """Runs a command; what it says, on whichever stream. One that is shown as killed is, once it has said the line
    before that: no shell stands between, so that it has let go of its folder when it is waited for."""
    process = subprocess.Popen(f"exec {step.command}", shell=True, cwd=folder, env=ENVIRONMENT, text=True, encoding="utf-8",
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    stuck = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    stuck.daemon = True
    stuck.start()
    with process.stdout:
        for line in process.stdout:
            said.append(line.rstrip())
            if step.shown[-1:] == (KILLED,) and re.fullmatch(pattern(step.shown[-2]), said[-1]):
                os.killpg(process.pid, signal.SIGKILL)
                said.append(KILLED)
                break
    code = process.wait(timeout=PATIENCE)
    stuck.cancel()
    assert code == (-signal.SIGKILL if KILLED in said else step.ends_with), "\n".join([step.command, *said])
    return "\n".join(said)


def pattern(shown: str) -> str:
    """A line of the page as a regular expression."""
    return r"\s*" + ".*".join(re.escape(" ".join(part.split())) for part in shown.split("…")).replace(r"\ ", r"\s+")


def missing_in(said: Said) -> str:
    """Lines that the page shows and no command has said, with what it has said."""
    found = []
    for step, output in said:
        flat = " ".join(output.split())
        lost = [line for line in step.shown if not re.search(pattern(line).removeprefix(r"\s*"), flat)]
        found += [f"$ {step.command}", *(f"missing: {line}" for line in lost), output] if lost else []
    return "\n".join(found)


# the class


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    write(folder)
    return folder


def number_of(owner: Owner) -> int:
    """Whose number a system's is."""
    numbers = {
        "moodle": [s.moodle for s in CLASS],
        "canvas": [s.canvas for s in CLASS],
        "gradescope": [s.sid for s in CLASS],
    }
    return CLASS[numbers[owner.system].index(owner.id)].number


@pytest.mark.parametrize("system", ["moodle", "moodle later", "moodle blind", "canvas", "gradescope"])
def test_everybody_is_read_as_who_they_are(downloads: Path, system: str) -> None:
    reading = read_class([downloads / system], MODULES)
    found: dict[int, tuple[str, Mapping[str, str]]] = {}
    for row in reading.submissions:
        assert row.owner is not None
        for person in row.owner.members or (row.owner,):
            found[number_of(person)] = (person.name, row.sources)
    assert sorted(found) == [student.number for student in CLASS]
    for student in CLASS:
        name, sources = found[student.number]
        shown = {"moodle blind": "Participant", "canvas": f"{student.last}, {student.first}"}
        assert name == shown.get(system, student.name)
        work = work_in(student, later=system == "moodle later")
        wanted = {} if work in (EMPTY, DAMAGED) else files_of(student, work)
        assert {f"{module}.py": text.encode() for module, text in sources.items()} == wanted, student.name


def test_the_class_is_the_same_whenever_it_is_made(downloads: Path, tmp_path: Path) -> None:
    write(tmp_path)
    for path in downloads.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(downloads)).read_bytes()


# the page


def test_the_commands_are_a_whole_evening() -> None:
    assert len(CLASS) == 30
    verbs = {step.command.split()[3] for step in STEPS if step.command.startswith("python -m grader ")}
    assert verbs == {"grade", "similar", "show", "rerun", "override", "diff", "export"}
    for system in ("moodle", "canvas", "gradescope"):
        assert any(" grade " in step.command and f"--to {system}" in step.command for step in STEPS)  # one command


# the marks

FULL = sum(POINTS.values())
LATE = {11: 0.9, 14: 0.8}  # what lateness leaves, by student: 55 minutes and 26 hours; 19 has an extension
APPEALED, GIVEN = 24, "q2.full.errors"


def expected(student: Student, *, later: bool) -> tuple[float, float, set[str]]:
    """At least and at most so many points, and checks that have to fail, by what the bank says."""
    work = work_in(student, later)
    variant = variants().get(work)
    if work == "starter":
        return 0.0, 0.0, set(POINTS)
    if not isinstance(variant, Mistake):
        return FULL, FULL, set()
    fails, may = set(variant.fails) & POINTS.keys(), set(variant.may_fail) & POINTS.keys()
    return FULL - sum(POINTS[name] for name in fails | may), FULL - 0.01, fails


def table_in(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def in_gradebook(out: Path) -> dict[int, float]:
    """Points by student, from the table of a run."""
    found = {}
    for row in table_in(out / "gradebook.csv"):
        for number in row["id"].split("+"):  # of a group, the members'
            found[number_of(Owner(row["student"], number, row["system"]))] = float(row["score"])  # type: ignore[arg-type]
    return found


def compare(
    marks: Mapping[int, str], out: Path, *, later: bool = False, timed: bool = True, by_hand: bool = False
) -> None:
    """What a system gets (points by student, empty where none may be published) with the run's table and the bank."""
    stored = in_gradebook(out)
    assert sorted(marks) == sorted(stored) == [student.number for student in CLASS]
    for student in CLASS:
        given, number = marks[student.number], student.number
        if work_in(student, later) in (EMPTY, DAMAGED):
            assert given == "", student.name
            continue
        low, high, _ = expected(student, later=later)
        extra = POINTS[GIVEN] if by_hand and number == APPEALED else 0.0
        assert low + extra - 0.001 <= stored[number] <= high + extra + 0.001, student.name
        left = LATE.get(number, 1.0) if timed else 1.0
        assert float(given) == pytest.approx(stored[number] * left, abs=0.006), student.name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_evening_with_moodle(tmp_path: Path) -> None:
    said = [(step, typed(step, tmp_path)) for step in MOODLE]
    folder = tmp_path / "evening"
    marks_in_moodle(folder)
    assert (folder / "moodle at once.csv").read_bytes() == (folder / "moodle upload.csv").read_bytes()
    assert "Vera Quist" in (folder / "similar.html").read_text(encoding="utf-8")
    assert not list((folder / "marks").rglob("similar*"))
    assert not (missing := missing_in(said)), missing


def marks_in_moodle(folder: Path) -> None:
    """Looks at the sheet and the zip that go back."""
    before = {row["Identifier"]: row for row in table_in(folder / "moodle later" / "Grades-CMPUT 328-4711.csv")}
    sheet = {row["Identifier"]: row for row in table_in(folder / "moodle upload.csv")}
    assert list(sheet) == list(before)
    for number, row in sheet.items():
        assert {name for name in row if row[name] != before[number][name]} <= {"Grade", "Feedback comments"}
    assert sheet[f"Participant {ABSENT.moodle}"]["Grade"] == ""
    own = {student.number: sheet[f"Participant {student.moodle}"] for student in CLASS}
    compare({number: row["Grade"] for number, row in own.items()}, folder / "marks", later=True, by_hand=True)
    for student in CLASS:  # what is said of a mistake is said to whoever made it
        _, _, fails = expected(student, later=True)
        told = {
            name
            for title, name in TITLES.items()
            if f"- {escape(title, quote=False)} (" in own[student.number]["Feedback comments"]
        }
        if student.number != APPEALED and work_in(student, later=True) not in (EMPTY, DAMAGED):
            assert fails <= told, student.name
            assert bool(fails) == bool(told), student.name
    with zipfile.ZipFile(folder / "moodle feedback.zip") as archive:
        names = {name.split("_")[1]: name for name in archive.namelist()}
        for student in CLASS:
            if work_in(student, later=True) not in (EMPTY, DAMAGED):
                assert names[student.moodle].startswith(f"{student.name}_")
                text = archive.read(names[student.moodle]).decode()
                assert f"**Mark: {float(own[student.number]['Grade']):g} points" in text
        assert len(archive.namelist()) == len(names) == len(CLASS) - 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_evening_with_canvas(tmp_path: Path) -> None:
    folder = tmp_path / "evening"
    write(folder)
    said = [(step, typed(step, tmp_path)) for step in CANVAS]
    assert not (missing := missing_in(said)), missing
    sheet = {row["ID"]: row for row in table_in(folder / "canvas upload.csv")}
    own = {student.number: sheet[student.canvas]["Assignment 7 (88001)"] for student in CLASS}
    compare(own, folder / "canvas marks", timed=False)  # Canvas says that it was late, and not when it came
    assert sheet[ABSENT.canvas]["Assignment 7 (88001)"] == ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_evening_with_gradescope(tmp_path: Path) -> None:
    folder = tmp_path / "evening"
    write(folder)
    said = [(step, typed(step, tmp_path)) for step in GRADESCOPE]
    assert not (missing := missing_in(said)), missing
    sheet = {row["SID"]: row for row in table_in(folder / "gradescope upload.csv")}
    own = {student.number: sheet[student.sid]["Total Score"] if student.sid in sheet else "" for student in CLASS}
    compare(own, folder / "gradescope marks")
    for student in CLASS:
        if student.sid in sheet:
            assert sheet[student.sid]["Email"] == student.email
            first = min(student.number, student.with_whom or student.number)
            assert sheet[student.sid]["Submission ID"] == CLASS[first - 1].gradescope
