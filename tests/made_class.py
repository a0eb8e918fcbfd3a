"""A made-up class of 30 submissions, as Moodle, Canvas and Gradescope let it be downloaded: the class of docs/evening.md.

``python -m tests.made_class DIR`` writes the downloads, the tables that marks go back into, and a configuration. The
work is that of the banks: correct rewrites and alternatives, mistakes in question 2, the starter as it was handed out;
and what happens in every class: late work, work that was handed in again, two people of one name, an empty and a damaged
archive, the same file twice, and a copy in disguise. The same arguments give the same bytes.
"""

from __future__ import annotations

import csv
import functools
import io
import re
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .bank import Alternative, Mistake, apply, rewritten
from .bank.q02 import alternatives, mistakes_diagonal, mistakes_full
from .disguised import LIGHT, disguised

ROOT = Path(__file__).resolve().parents[1]
MODULES = tuple(sorted(path.stem for path in (ROOT / "tests" / "bank" / "rewrites" / "plain").glob("*.py")))
HERE = timezone(timedelta(hours=-7))
DUE = datetime(2026, 11, 30, 18, 0, tzinfo=HERE)
EMPTY, DAMAGED = "nothing in it", "a damaged archive"
Sources = Mapping[str, str]


@dataclass(frozen=True)
class Student:
    """Somebody who handed in. `work` is the name of a text (`texts`), `minutes` when it came, after the deadline;
    `before` is the text that was handed in first, `with_whom` the other one of a pair where the system has groups."""

    number: int
    first: str
    last: str
    work: str
    minutes: int = -90
    before: str = ""
    with_whom: int = 0
    form: str = "zip"  # or "tar.gz", "folder" (in a zip), "loose" files

    @property
    def name(self) -> str:
        """First name first."""
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        """Not made of the name alone, which two have."""
        return f"student{self.number}@example.edu"

    @property
    def sid(self) -> str:
        """The university's number."""
        return f"16{self.number:05}"

    @property
    def moodle(self) -> str:
        """Moodle's number of the participant."""
        return str(4_100_200 + 7 * self.number)

    @property
    def canvas(self) -> str:
        """Canvas's number of the user."""
        return str(52_100 + 3 * self.number)

    @property
    def gradescope(self) -> str:
        """Gradescope's number of the submission that counts."""
        return str(310_000_100 + 11 * self.number)

    @property
    def at(self) -> datetime:
        """When the submission that counts came."""
        return DUE + timedelta(minutes=self.minutes)


CLASS = (
    Student(1, "Ada", "Okafor", "all-written-plain"),
    Student(2, "Zoë", "Lefèvre", "all-written-idiomatic", form="tar.gz"),
    Student(3, "Łukasz", "Wójcik", "all-written-statistician", form="folder"),
    Student(4, "Анна", "Петрова", "all-written-engineer"),
    Student(5, "Liam", "O'Brien", "all-written-by_hand", form="loose"),
    Student(6, "Jane", "Doe", "q2-torch-distributions"),
    Student(7, "Jane", "Doe", "q2-standard-twice"),
    Student(8, "Bo", "Li", "q2-textbook"),
    Student(9, "Mary Ann", "van der Berg", "q2-sigma-based", form="folder"),
    Student(10, "José", "Núñez-García", "q2-slogdet"),
    Student(11, "Priya", "Raghunathan", "q2-through-full", minutes=55),
    Student(12, "Tomás", "Silva", "q2-sylvester", form="loose"),
    Student(13, "Wei", "Zhang", "q2-standard-sign"),
    Student(14, "Grace", "Kim", "q2-standard-epsilon", minutes=26 * 60),
    Student(15, "Omar", "Haddad", "q2-standard-clamped-logvar"),
    Student(16, "Ingrid", "Sørensen", "q2-standard-detached", form="tar.gz"),
    Student(17, "Noah", "Fischer", "q2-standard-in-place"),
    Student(18, "Chloe", "Martin", "q2-univariate-reversed"),
    Student(19, "Yuki", "Tanaka", "q2-univariate-no-half", minutes=4 * 24 * 60),
    Student(20, "Sam", "Green", "q2-diagonal-mean", before="starter"),
    Student(21, "Fatima", "Noor", "q2-diagonal-prior-detached"),
    Student(22, "Diego", "Ramos", "q2-full-no-trace", form="loose"),
    Student(23, "Eve", "Novak", "q2-full-log-det-sign", before="q2-full-unchecked"),
    Student(24, "Max", "Weber", "q2-full-error-type"),
    Student(25, "Lena", "Weber", "starter"),
    Student(26, "Raj", "Patel", EMPTY),
    Student(27, "Kim", "Nguyen", DAMAGED),
    Student(28, "Tess", "Arnold", "q2-full-item", with_whom=29),
    Student(29, "Finn", "Arnold", "q2-full-item", with_whom=28),
    Student(30, "Vera", "Quist", "in disguise"),
)
ABSENT = Student(31, "Paul", "Missing", "")
COPIED = "all-written-engineer"  # by Vera
LATER = {14: ("q2-standard-epsilon", "q2-textbook")}  # who hands in again while marks are being made: before, and then


@functools.cache
def variants() -> Mapping[str, Mistake | Alternative]:
    """What the banks call its texts."""
    found: tuple[Mistake | Alternative, ...] = (
        *alternatives.ALTERNATIVES, *mistakes_diagonal.MISTAKES, *mistakes_full.MISTAKES, *rewritten.ALTERNATIVES,
    )  # fmt: skip
    return {one.id: one for one in found}


@functools.cache
def sources_in(folder: str) -> Sources:
    """The assignment's modules in a folder of this repository."""
    return {module: (ROOT / folder / f"{module}.py").read_text(encoding="utf-8") for module in MODULES}


@functools.cache
def sources_of(work: str) -> Sources:
    """The modules of a text."""
    if work == "starter":
        return sources_in("starter")
    if work == "in disguise":
        return disguised({**sources_in("solution"), **rewrite(COPIED)}, LIGHT, 1)
    return apply(sources_in("solution"), variants()[work])


def rewrite(work: str) -> Sources:
    """The modules that one of the rewrites brings."""
    found = variants()[work]
    return found.whole if isinstance(found, Alternative) else {}


def files_of(student: Student, work: str) -> dict[str, bytes]:
    """What a student has written, by file name. No two hand in the same bytes but those who share them."""
    sources = dict(sources_of(work))
    if work != "starter" and not student.with_whom:
        sources["gaussians"] += f"\n# {student.first} wrote this\n"
    return {f"{module}.py": text.encode() for module, text in sources.items()}


def packed(files: Mapping[str, bytes], at: datetime) -> bytes:
    """A zip of files, which were last changed at a time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], at: datetime) -> bytes:
    """The same as a tar; it is not compressed, because a compressed one knows when it was made."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int(at.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def handed_in(student: Student, work: str, at: datetime) -> dict[str, bytes]:
    """The files as they are uploaded."""
    if work == EMPTY:
        return {"a7.zip": packed({}, at)}
    if work == DAMAGED:
        return {"a7.zip": packed(files_of(student, COPIED), at)[:2000]}
    files = files_of(student, work)
    if student.form == "loose":
        return files
    if student.form == "tar.gz":
        return {"a7.tar": tarred(files, at)}
    if student.form == "folder":
        return {"a7.zip": packed({f"Assignment 7/{name}": content for name, content in files.items()}, at)}
    return {"a7.zip": packed(files, at)}


def work_in(student: Student, later: bool) -> str:
    """What a student has handed in by the first or the second download."""
    return LATER[student.number][later] if student.number in LATER else student.work


def table(rows: Sequence[Sequence[str]], mark: bool = False) -> bytes:
    """A CSV file as the systems write it."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode("utf-8-sig" if mark else "utf-8")


def moodle_time(at: datetime) -> str:
    """A time in Moodle's worksheet: "Monday, 30 November 2026, 4:30 PM"."""
    return f"{at:%A}, {at.day} {at:%B} {at.year}, {at.hour % 12 or 12}:{at:%M} {at:%p}"


MOODLE_HEAD = (
    "Identifier", "Full name", "ID number", "Email address", "Status", "Grade", "Maximum Grade",
    "Grade can be changed", "Last modified (submission)", "Last modified (grade)", "Feedback comments",
)  # fmt: skip
NAMES = ("Full name", "ID number", "Email address")


def moodle(later: bool = False, blind: bool = False) -> dict[str, bytes]:
    """The zip of all submissions in folders, and the grading worksheet; in a `blind` one nobody has a name."""
    files: dict[str, bytes] = {}
    shown = [at for at, head in enumerate(MOODLE_HEAD) if not (blind and head in NAMES)]
    rows: list[Sequence[str]] = [MOODLE_HEAD]
    for one in sorted((*CLASS, ABSENT), key=lambda student: student.last):
        there = one is not ABSENT
        if there:
            folder = f"{'Participant' if blind else one.name}_{one.moodle}_assignsubmission_file"
            for name, content in handed_in(one, work_in(one, later), one.at).items():
                files[f"{folder}/{name}"] = content
        rows.append([
            f"Participant {one.moodle}", one.name, one.sid, one.email,
            "Submitted for grading" if there else "No submission", "", "100.00", "Yes",
            moodle_time(one.at) if there else "-", "-", "",
        ])  # fmt: skip
    sheet = table([[row[at] for at in shown] for row in rows], mark=True)
    return {"CMPUT 328-Assignment 7-4711.zip": packed(files, DUE), "Grades-CMPUT 328-4711.csv": sheet}


def canvas() -> dict[str, bytes]:
    """The zip of loose files, where what was handed in again has a number, and the gradebook."""
    files: dict[str, bytes] = {}
    rows: list[Sequence[str]] = [
        ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Assignment 7 (88001)", "Quizzes (88002)"),
        ("    Points Possible", "", "", "", "", "100", "(read only)"),
    ]
    attachment = 900_000
    for one in sorted((*CLASS, ABSENT), key=lambda student: student.last):
        plain = re.sub(r"[\W_]", "", f"{one.last}{one.first}".lower())
        late = "_LATE" if one.minutes > 0 else ""
        tries = [work for work in (one.before, work_in(one, False)) if work] if one is not ABSENT else []
        for again, work in enumerate(tries):
            for name, content in handed_in(one, work, one.at).items():
                attachment += 13
                stem, dot, ending = name.partition(".")
                shown = f"{stem}-{again}{dot}{ending}" if again else name
                files[f"{plain}{late}_{one.canvas}_{attachment}_{shown}"] = content
        rows.append((f"{one.last}, {one.first}", one.canvas, one.sid, one.email, "LEC A1", "", ""))
    return {"submissions.zip": packed(files, DUE), "2026-11-30T2100_Grades-CMPUT_328.csv": table(rows)}


def gradescope() -> dict[str, bytes]:
    """The export: a folder for each submission, also for those that do not count, and a table of who is who. Those who
    worked together are one submission of two."""
    top = "assignment_5512345_export"
    files: dict[str, bytes] = {}
    lines = ["---"]
    for one in CLASS:
        if one.with_whom and one.with_whom < one.number:
            continue
        people = [one, *(other for other in CLASS if other.number == one.with_whom)]
        tries = [(one.gradescope, work_in(one, False), one.at)]
        if one.before:
            tries.insert(0, (str(int(one.gradescope) - 5), one.before, one.at - timedelta(hours=3)))
        for number, work, at in tries:
            folder = f"submission_{number}"
            for name, content in handed_in(one, work, at).items():
                files[f"{top}/{folder}/{name}"] = content
            lines += [f"{folder}:", "  :submitters:"]
            for person in people:
                name = person.name.replace("'", "''")
                lines += [f"  - :name: '{name}'", f"    :sid: '{person.sid}'", f"    :email: {person.email}"]
            lines += [f"  :created_at: {at.astimezone(HERE):%Y-%m-%d %H:%M:%S.000000000} -07:00", "  :score: 0.0"]
    files[f"{top}/submission_metadata.yml"] = ("\n".join(lines) + "\n").encode()
    return {"submissions.zip": packed(files, DUE)}


CONFIGURATION = """\
[deadline]
due = 2026-11-30T18:00:00
timezone = "America/Edmonton"

[late]
per_day = 10            # percent for every day that has begun
of = "earned"
cap = 30
grace_minutes = 15
extensions = "extensions.csv"
"""
EXTENSIONS = f"student,days,note\n{CLASS[18].email},4,was ill\n"


def write(folder: Path) -> None:
    """Everything, below a folder."""
    made = {"moodle": moodle(), "moodle later": moodle(later=True), "moodle blind": moodle(blind=True),
            "canvas": canvas(), "gradescope": gradescope()}  # fmt: skip
    for system, files in made.items():
        (folder / system).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / system / name).write_bytes(content)
    (folder / "course.toml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "extensions.csv").write_text(EXTENSIONS, encoding="utf-8")


if __name__ == "__main__":
    [target] = sys.argv[1:]
    write(Path(target))
