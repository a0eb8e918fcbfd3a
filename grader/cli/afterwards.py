"""What can be typed about a run that is over: ``diff``, ``show``, ``override``, ``rerun``, ``page`` and ``export``,
all on a run folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .options import Parser, UsageError, comment_text, name_text, nonempty_path, point_number

COMMANDS = ("diff", "show", "override", "rerun", "page")
SYSTEMS = ("moodle", "canvas", "gradescope", "csv")
WHO = "a name, id, e-mail address, folder or key, in any spelling that only one of them has"
WHICH = "a check's id, or a beginning that no other has"


def add_commands(commands: argparse._SubParsersAction[Parser], boxes: Sequence[str]) -> None:
    """Adds them to those that there are."""
    diff = commands.add_parser("diff", help="whose marks move between two runs, by how much and through which check")
    diff.add_argument("old", type=nonempty_path, metavar="OLD", help="the folder of a run (--out of grade)")
    diff.add_argument("new", type=nonempty_path, metavar="NEW", help="the folder of another run of the same class")
    diff.add_argument("--json", type=nonempty_path, metavar="FILE", help="also write all of it as JSON")
    diff.add_argument("--csv", type=nonempty_path, metavar="FILE", help="also write a table, a row for each check")
    diff.add_argument("--verbose", action="store_true", help="also list what changed without moving marks")

    show = commands.add_parser("show", help="what is known of a class, of one student, or of one check")
    place(show, needed=False)
    show.add_argument("--verbose", action="store_true", help="list the checks that passed, too")

    override = commands.add_parser(
        "override", help="give points by hand, or list who was given any",
        description="Gives a student other points for a check, with a reason that every reader of the report sees. "
        "They count until they are taken back, also when the class is graded again. Without --points or --remove: "
        "lists them.",
    )  # fmt: skip
    place(override, needed=False)
    override.add_argument(
        "--points", type=point_number, metavar="P", help="points that count, from 0 to the check's own"
    )
    override.add_argument("--comment", type=comment_text, metavar="TEXT", help="why; the student reads it")
    override.add_argument("--author", type=name_text, metavar="NAME", help="who says so (default: your user's name)")
    override.add_argument("--remove", action="store_true", help="take the points back: the verdict counts again")
    override.add_argument("--verbose", action="store_true", help="also list what was taken back")

    rerun = commands.add_parser(
        "rerun", help="judge one check of one student again, for an appeal",
        description="Judges a check again with the stored text, seed, dataset and device, in a box of the same kind, "
        "and shows what comes out beside what is stored. Nothing is stored: override gives other points.",
    )  # fmt: skip
    place(rerun, needed=True)
    rerun.add_argument("--box", choices=boxes, help="another box (default: the kind that is stored)")
    rerun.add_argument("--data", type=nonempty_path, metavar="ROOT",
                       help="where MNIST lies (default: A7_DATA, then data/)")  # fmt: skip
    rerun.add_argument("--unsafe-no-box", action="store_true", help="run it even where no box holds it")

    page = commands.add_parser(
        "page", help="write the page about a class elsewhere, or without names",
        description="Writes what class.html in the folder of a run says to another file, with links to the reports.",
    )  # fmt: skip
    page.add_argument("out", type=nonempty_path, metavar="OUT", help="the folder of a run (--out of grade)")
    page.add_argument("--file", type=nonempty_path, required=True, metavar="FILE", help="the page to write (.html)")
    page.add_argument(
        "--anonymous", action="store_true",
        help="made-up names, the same ones each time; no ids, links or texts of students",
    )  # fmt: skip

    export = commands.add_parser("export", help="write marks into the file that a system takes back")
    export.add_argument("out", type=nonempty_path, metavar="OUT", help="the folder of a run (--out of grade)")
    add_upload(export, needed=True)


def add_upload(parser: argparse._ActionsContainer, *, needed: bool) -> None:
    """What is written for which system: arguments of `export`, and of a `grade` that exports when it has ended."""
    parser.add_argument("--to", choices=SYSTEMS, required=needed, help="the system, or csv for a plain table")
    parser.add_argument(
        "--template", type=nonempty_path, metavar="FILE", help="Moodle's worksheet or Canvas' gradebook, as downloaded"
    )
    parser.add_argument("--file", type=nonempty_path, required=needed, metavar="FILE", help="what is written")
    parser.add_argument("--feedback", type=nonempty_path, metavar="ZIP", help="also write Moodle's zip of reports")
    parser.add_argument("--config", type=nonempty_path, metavar="FILE", help="weights, late policy and more, in TOML")
    parser.add_argument("--assignment", metavar="ID|TITLE", help="Canvas: the column (default: the only one)")
    parser.add_argument("--replace", action="store_true", help="write over grades and comments that are there already")
    parser.add_argument("--in-place", action="store_true", help="allow --file to be the template itself")


def refuse_half_an_upload(options: argparse.Namespace) -> None:
    """Options of an upload that do not go together, where it may be left out. Raises UsageError."""
    if options.to is not None:
        if options.file is None:
            raise UsageError(f"--to {options.to} needs --file FILE: what is written for the upload")
        return
    alone = [name for name in ("template", "file", "feedback", "config", "assignment", "replace", "in_place")
             if getattr(options, name)]  # fmt: skip
    if alone:
        option = f"--{alone[0].replace('_', '-')}"
        raise UsageError(f"{option} is for the upload: say with --to which system takes it back ({', '.join(SYSTEMS)})")


def place(parser: argparse.ArgumentParser, *, needed: bool) -> None:
    """The run folder, and whom and what of it."""
    parser.add_argument("out", type=nonempty_path, metavar="OUT", help="the folder of a run (--out of grade)")
    optional = None if needed else "?"
    parser.add_argument("student", nargs=optional, type=name_text, metavar="STUDENT", help=WHO)
    parser.add_argument("check", nargs=optional, type=name_text, metavar="CHECK", help=WHICH)


def fill_in(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Takes who and what is meant from behind the options too, where argparse has looked for neither; returns what is
    left over."""
    left = list(rest)
    for name in ("student", "check"):
        if getattr(options, name, "") is None and left and left[0].strip() and not left[0].startswith("-"):
            setattr(options, name, left.pop(0).strip())
    return left


def refuse_nonsense(options: argparse.Namespace) -> None:
    """Options that do not go together. Raises UsageError."""
    if options.command != "override":
        return
    acts = options.points is not None or options.remove
    if options.points is not None and options.remove:
        raise UsageError("--points gives points and --remove takes them back: choose one")
    if acts and options.check is None:
        raise UsageError("--points and --remove need a student and a check: override OUT STUDENT CHECK …")
    if options.points is not None and options.comment is None:
        raise UsageError("--points needs --comment: say why, the student reads it in the report")
    if options.points is None and (options.comment is not None or options.author is not None):
        raise UsageError("--comment and --author go with --points: how many points does the check get?")
