"""Run folders from made-up outcomes: what reads a run is tested without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.boundary.box import choose
from grader.check.outcome import Outcome, Status
from grader.classes.ingest import Submission
from grader.grading.graded import graded
from grader.grading.store import Given, Kept, Store
from grader.grading.submissions import content_of as submission_content
from grader.grading.submissions import digest_of, keys_of, text_of
from grader.grading.verdicts import circumstances_content, content_of
from grader.report.folder import PAGE, REPORT_NAMES, STORE_FILES, TABLE, RunFolder
from grader.report.model import Circumstances
from grader.report.names import folder_name
from grader.report.write import write_gradebook, write_page, write_report
from grader.rubric import CHECKS

BY_ID = {check.id: check for check in CHECKS}
UNDER = Circumstances(7, "digits", "asked for", "cpu", 1, choose("none").sandbox)
AT = "2026-11-30T21:00:00.000+00:00"
Found = Mapping[str, Outcome | tuple[Status, float]]


@dataclass(frozen=True)
class Made:
    """A submission, and what was found where that is no pass. Of `unfinished` ones there is no report yet."""

    submission: Submission
    found: Found = ()  # type: ignore[assignment]
    unfinished: bool = False


def made(name: str, found: Found | None = None, text: str | None = None) -> Made:
    """A submission of one file."""
    return Made(Submission(name, {"gaussians": text if text is not None else f"# {name}\n"}), found or {})


def outcomes_of(found: Found) -> list[Outcome]:
    """Full marks but for what was found."""
    outcomes = []
    for check in CHECKS:
        one = dict(found).get(check.id, ("passed", check.points))
        outcomes.append(one if isinstance(one, Outcome) else Outcome(check, *one))
    return outcomes


def made_run(out: Path, everybody: Sequence[Made], under: Circumstances = UNDER) -> Path:
    """A run folder as `grade` leaves it."""
    out.mkdir(parents=True, exist_ok=True)
    with Store(out, make=True) as store:
        submissions = [one.submission for one in everybody]
        texts = [text_of(submission) if submission.sources else None for submission in submissions]
        digests = [digest_of(text) if text is not None else None for text in texts]
        keys = keys_of(submissions)
        store.put_submissions(
            Given(key, place, submission_content(submission), digest, text)
            for place, (key, submission, digest, text) in enumerate(zip(keys, submissions, digests, texts, strict=True))
        )
        number = store.put_circumstances(circumstances_content(under))
        for key, one, digest in zip(keys, everybody, digests, strict=True):
            if one.unfinished:
                continue
            judged = [o for o in outcomes_of(one.found) if o.status != "not_run"]
            marks = {}
            if digest is not None:
                kept = [Kept(o.check.id, "made up", o.status, content_of(o), o.asked, {}, number, at=AT)
                        for o in judged]  # fmt: skip
                marks = dict(zip((o.check.id for o in judged), store.put_verdicts(digest, kept), strict=True))
            store.put_marks(key, marks, [o.check.id for o in judged], number)
    written(out)
    return out


def written(out: Path) -> None:
    """The reports of what is stored."""
    everybody = graded(out)
    folder = RunFolder(out, fresh=False)
    folder.expect(STORE_FILES)
    for one in everybody:
        folder.expect(f"{folder_name(one.report.submission)}/{name}" for name in REPORT_NAMES)
        write_report(one.report, out)
    folder.expect([TABLE, PAGE])
    write_gradebook([one.report for one in everybody], out)
    write_page([one.report for one in everybody], out)


def contents(out: Path) -> dict[str, bytes]:
    """All files but the database's."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*"))
            if path.is_file() and path.name not in STORE_FILES and not path.name.startswith(".a7-")}  # fmt: skip
