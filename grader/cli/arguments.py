"""What can be typed after ``python -m grader``.

Nothing heavy is imported here: the help and a wrong argument are answered at once. `BOXES` therefore repeats the
backends; a test compares.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..assignment import MODULES
from ..assignment import QUESTION_NAMES as QUESTION_NAMES
from .afterwards import add_commands, add_upload, fill_in
from .options import Parser, job_number, nonempty_path, seed_number
from .options import UsageError as UsageError
from .options import question_number as question_number

BOXES = ("auto", "bubblewrap", "uid", "landlock", "none")
MODULE_NAMES = MODULES  # as files of a submission are called
ENGINES = ("local", "dask", "slurm")
HERE = Path(__file__).parent
SCRIPT = "a7"  # what an installed copy of the kit is called in a terminal


class Offered(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The commands whose module is here: students' copies of the kit have none for grading a class."""

    def add_parser(self, name: str, **how: Any) -> Any:
        """The parser of a command; of one that is not here, one that nothing leads to."""
        return super().add_parser(name, **how) if (HERE / f"{name}.py").is_file() else Parser()


def scheduler_address(text: str) -> str:
    """Where a scheduler of Dask listens."""
    if not re.fullmatch(r"(?:(?:tcp|tls|ucx|wss?)://)?(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address of a scheduler: it looks like tls://host:8786")
    return text


def refuse_engine(options: argparse.Namespace) -> None:
    """Looks whether the options of the engine fit together and its libraries are there. Raises UsageError."""
    if options.scheduler is not None and options.engine != "dask":
        raise UsageError("--scheduler names a cluster of Dask: say --engine dask with it")
    if options.scheduler is not None and options.jobs is not None:
        raise UsageError("--jobs with --scheduler: a cluster has as many workers as were started, so leave --jobs out")
    if options.engine == "slurm" and options.jobs is None:
        raise UsageError("--engine slurm needs --jobs N, the number of jobs to submit")
    wanted = {"local": (), "dask": ("distributed", "cryptography"), "slurm": ("distributed", "dask_jobqueue")}
    missing = [name for name in wanted[options.engine] if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--engine {options.engine} needs {' and '.join(missing)}: install what pyproject.toml lists under "
            "cluster, or use --engine local"
        )


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    prog = SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m grader"
    parser = Parser(prog=prog, description="Checks and grades assignment 7.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", action=Offered)
    common = Parser(add_help=False)
    common.add_argument("--question", "-q", type=question_number, action="append", metavar="N",
                        help="only this question (a number, or bonus); may be repeated")  # fmt: skip
    common.add_argument("--seed", type=seed_number, help="seed of everything that is drawn (default: a new one)")
    common.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto", help="for trained checks")
    common.add_argument(
        "--data", type=nonempty_path, metavar="ROOT", help="where MNIST lies (default: A7_DATA, then data/)"
    )
    common.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="for trained checks")
    common.add_argument("--jobs", type=job_number, metavar="N", help="processes (default: one per core)")
    common.add_argument("--verbose", action="store_true", help="list the checks that passed, too")
    boxes = Parser(add_help=False)
    boxes.add_argument(
        "--box", choices=BOXES, default="auto", help="what the code runs in (default: the strongest that works here)"
    )
    check = commands.add_parser("check", parents=[common], help="check your own work: public checks, within seconds")
    check.add_argument("path", type=nonempty_path, metavar="PATH", help="your folder, or a zip or tar of it")
    check.add_argument(
        "--box", choices=BOXES, default="none", help="what your code runs in (default: none, it is yours)"
    )
    check.add_argument("--trained", action="store_true", help="also train the models: minutes, not seconds")
    check.add_argument(
        "--annotate",
        choices=("github",),
        help="in a workflow: mark what did not pass at your lines, and fill the summary",
    )
    check.add_argument("--json", type=nonempty_path, metavar="FILE", help="also write the report as JSON")
    watch = commands.add_parser("watch", help="check your own folder again whenever you save a file: Ctrl-C ends it")
    watch.add_argument("path", type=nonempty_path, metavar="PATH", help="your folder")
    watch.add_argument("--question", "-q", type=question_number, action="append", metavar="N",
                       help="only this question (1 to 10, or bonus); may be repeated")  # fmt: skip
    watch.add_argument("--seed", type=seed_number, help="seed of everything that is drawn (default: a new one)")
    watch.add_argument(
        "--box", choices=BOXES, default="none", help="what your code runs in (default: none, it is yours)"
    )
    watch.set_defaults(jobs=1, data=None, dataset="auto", device="cpu", json=None, verbose=False)
    whole = commands.add_parser("grade", parents=[common, boxes], help="grade submissions and write reports")
    whole.add_argument(
        "paths", type=nonempty_path, nargs="+", metavar="PATH", help="a folder, a zip or a tar, or a folder of them"
    )
    whole.add_argument("--out", type=nonempty_path, metavar="DIR", help="where the reports go")
    whole.add_argument("--dry-run", action="store_true", help="print who handed in what, and stop: nothing is written")
    whole.add_argument("--fresh", action="store_true", help="first remove what an earlier run left in DIR: begin anew")
    whole.add_argument("--all", action="store_true", help="judge everything again, also what DIR has a verdict on")
    whole.add_argument("--no-trained", action="store_true", help="leave the trained checks out")
    whole.add_argument("--unsafe-no-box", action="store_true", help="run the code of others even where no box holds it")
    whole.add_argument(
        "--engine", choices=ENGINES, default="local",
        help="who works: processes of this machine, a Dask cluster, or --jobs N jobs of Slurm (docs/scale.md)",
    )  # fmt: skip
    whole.add_argument(
        "--scheduler", type=scheduler_address, metavar="ADDRESS",
        help="of a Dask cluster that runs already (default: --engine dask starts one on this machine)",
    )  # fmt: skip
    add_upload(whole.add_argument_group("the upload, written when everything is graded (export says the same later)"),
               needed=False)  # fmt: skip
    similar = commands.add_parser("similar", help="find submissions that are suspiciously alike, for instructors only")
    similar.add_argument(
        "paths", type=nonempty_path, nargs="+", metavar="PATH", help="the class, as it was given to grade"
    )
    similar.add_argument("--file", type=nonempty_path, required=True, metavar="FILE", help="the page to write (.html)")
    similar.add_argument("--jobs", type=job_number, metavar="N", help="processes (default: one per core)")
    box = commands.add_parser("box", parents=[boxes], help="try what the code of others could do on this machine")
    box.add_argument("--json", action="store_true", help="print the result as JSON")
    add_commands(commands, BOXES)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; ends with exit code 2 where they make no sense."""
    parser = arguments()
    options, rest = parser.parse_known_args(argv)
    if left := fill_in(options, rest):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if options.command == "grade" and options.out is None and not options.dry_run:
        parser.error("grade needs --out DIR for the reports, or --dry-run to print who handed in what")
    options.typed = list(sys.argv[1:] if argv is None else argv)
    return options
