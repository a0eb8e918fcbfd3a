"""Marks of made-up people, and tables in which they belong."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from grader.classes.people import Owner
from grader.report.lms.marks import Export, Mark

HEAD = ("Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
        "Last modified (submission),Last modified (grade),Feedback comments")  # fmt: skip


def person(name: str, id: str = "", system: str = "moodle", **also: str) -> Owner:
    return Owner(name, id, system if id else "", "person", also)  # type: ignore[arg-type]


def mark(owner: Owner, points: float = 85.5, feedback: str = "Well done", **more: object) -> Mark:
    return replace(Mark(owner, points, 100.0, bonus=10.0, feedback=feedback), **more)  # type: ignore[arg-type]


JANE = person("Jane Doe", "101")
BOB = person("Bob Roe", "102")


def row_of(
    number: int,
    name: str,
    grade: str = "",
    maximum: str = "100.00",
    can: str = "Yes",
    comment: str = "",
    email: str = "",
) -> str:
    return f"Participant {number},{name},{email},Submitted for grading,{grade},{maximum},{can},-,-,{comment}"


def sheet_of(*rows: str, head: str = HEAD, end: str = "\n") -> bytes:
    return (end.join([head, *rows]) + end).encode()


def read(content: bytes, encoding: str = "utf-8-sig", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))


def why(export: Export) -> dict[str, str]:
    return {left.who: left.why for left in export.left}


CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,A6 (55),A7 (56),Current Score\r\n"
    ",,,,,,Manual Posting,\r\n"
    "    Points Possible,,,,,20.00,100.00,(read only)\r\n"
    '"Doe, Jane",1001,S1,jane@x.org,LEC 1 and LAB 2,12.00,,60.0\r\n'
    '"Roe, Bob",1002,S2,bob,LEC 1,,EX,\r\n'
    '"Student, Test",1003,,,LEC 1,,,\r\n'
)
