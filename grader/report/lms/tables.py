"""A plain table of marks, and Gradescope's: grades by number and address, and results to be shown by an autograder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...classes.people import Owner
from ..cells import cell
from ..packing import packed
from .marks import Export, Left, Mark, notes_of, people, rounded, settled, who

ENCODING = "utf-8-sig"  # as in gradebook.csv
PLAIN = ("name", "id", "system", "kind", "email", "sid", "group", "points", "max_points", "bonus_points_possible",
         "judged_points", "late_deduction", "arrived", "notes")  # fmt: skip
GRADES = ("Name", "SID", "Email", "Submission ID", "Total Score", "Max Points")
LONGEST = 2000

RUN = """\
#!/usr/bin/env python3
\"\"\"Shows the results that were made elsewhere: no code of a submission is run here.\"\"\"
import json
import shutil
import sys
from pathlib import Path

here = Path("/autograder")
number = json.loads((here / "submission_metadata.json").read_text(encoding="utf-8"))["id"]
result = here / "source" / "results" / f"{number}.json"
if not result.is_file():
    sys.exit(f"submission {number} has not been graded: it is newer than the results")
(here / "results").mkdir(exist_ok=True)
shutil.copyfile(result, here / "results" / "results.json")
"""
SETUP = "#!/usr/bin/env bash\n# nothing is installed: results are only shown\n"


def plain(marks: Sequence[Mark]) -> Export:
    """A row for everybody. Marks that must not be published have an empty cell and the reason in `notes`."""
    good, left = settled(marks)
    publishable = {id(mark) for mark in good}
    why = {one.who: one.why for one in left}
    rows: list[list[object]] = []
    for mark in marks:
        ready = id(mark) in publishable
        notes = mark.notes if ready else (why[mark.name], *mark.notes)
        for owner in people(mark.owner):
            also = {**owner.also} if owner is mark.owner else {"group": mark.owner.name, **owner.also}
            rows.append([
                cell(owner.name), cell(owner.id), owner.system, owner.kind, cell(also.get("email", "")),
                cell(also.get("sid", "")), cell(also.get("group", "")), number(mark.points) if ready else "",
                number(mark.most), number(mark.bonus), "" if mark.judged is None else number(mark.judged),
                number(mark.deducted), mark.arrival.at.isoformat() if mark.arrival.at else "",
                cell("; ".join(notes), LONGEST),
            ])  # fmt: skip
    return Export(as_csv(PLAIN, rows), len(good), tuple(left), tuple(notes_of(good)))


def grades(marks: Sequence[Mark]) -> Export:
    """Gradescope's table of grades: every member of a group has a row."""
    good, left = settled(marks)
    rows: list[list[object]] = []
    filled = 0
    for mark in good:
        for owner in people(mark.owner):
            if not owner.also.get("sid") and not owner.also.get("email"):
                known = " of " + mark.name if owner is not mark.owner else ""
                left.append(Left(who(owner) + known, "neither a student number nor an e-mail address is known"))
                continue
            filled += 1
            rows.append([
                cell(owner.name), cell(owner.also.get("sid", "")), cell(owner.also.get("email", "")),
                cell(submission_of(mark.owner)), number(mark.points), number(mark.most),
            ])  # fmt: skip
    return Export(as_csv(GRADES, rows), filled, tuple(left), tuple(notes_of(good)))


def results_json(marks: Sequence[Mark], results: Mapping[str, Mapping[str, Any]]) -> Export:
    """One JSON document with the results of every submission by its number; `results` holds them by the owner's key."""
    documents, left, good = by_submission(marks, results)
    text = json.dumps(documents, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"
    return Export(text.encode(), len(documents), tuple(left), tuple(notes_of(good)))


def autograder_zip(marks: Sequence[Mark], results: Mapping[str, Mapping[str, Any]]) -> Export:
    """An autograder for Gradescope that shows these results: upload it and have all submissions graded again."""
    documents, left, good = by_submission(marks, results)
    files = {"setup.sh": SETUP.encode(), "run_autograder": RUN.encode()}
    for key, document in sorted(documents.items()):
        files[f"results/{key}.json"] = (json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n").encode()
    content = packed(files, executable={"setup.sh", "run_autograder"})
    return Export(content, len(documents), tuple(left), tuple(notes_of(good)))


def by_submission(
    marks: Sequence[Mark], results: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[Left], list[Mark]]:
    """Results by Gradescope's number of the submission, the score that of the mark; what has no number is left."""
    good, left = settled(marks)
    keys = [submission_of(mark.owner) for mark in good]
    documents: dict[str, dict[str, Any]] = {}
    placed = []
    for mark, key in zip(good, keys, strict=True):
        if not key:
            left.append(Left(mark.name, "Gradescope's number of the submission is not known"))
        elif keys.count(key) > 1:
            left.append(Left(mark.name, f"several submissions have the number {key}"))
        elif mark.owner.key not in results:
            left.append(Left(mark.name, "there are no results to hand back"))
        else:
            documents[key] = {**results[mark.owner.key], "score": number(mark.points)}
            placed.append(mark)
    return documents, left, placed


def submission_of(owner: Owner) -> str:
    """Gradescope's number of a submission."""
    known = owner.also.get("submission", "").removeprefix("submission_")
    return known if known.isascii() and known.isdigit() else ""


def number(value: float) -> float | int:
    """A grade as a number, whole where it is."""
    exact = float(rounded(value))
    return int(exact) if exact.is_integer() else exact


def as_csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A table's bytes."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue().encode(ENCODING)
