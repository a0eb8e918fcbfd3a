"""``python -m tests.attacks [--box NAME] [--only NAME]``: every attack on every box, and the table of docs/security.md.

Each box has a process of its own (`arena`), in namespaces that go away with it, so that what an attack ends, stops,
mounts or leaves behind is gone afterwards. Where such namespaces cannot be had, dangerous attacks are not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from grader.grading.judge import TRAINED

from .attack import KINDS, Attack
from .baits import clear_away
from .bank import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- attacks: made by python -m tests.attacks -->", "<!-- end attacks -->"
OPEN = "open"
ONE_SECONDS = 3 * TRAINED.check_s + 300.0  # without a word in the journal: longer than a model may be trained, thrice
NAMESPACES = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--mount", "--uts", "--ipc"]
AS_USER = ["--user", "--map-current-user"]


@dataclass
class Column:
    """What one box has let through."""

    box: str
    found: dict[str, str] = field(default_factory=dict)  # name of the attack: how it got through, or nothing
    seconds: dict[str, float] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)

    @property
    def through(self) -> list[str]:
        """Attacks that got through."""
        return [name for name, how in self.found.items() if how]


def boxes() -> list[str]:
    """Those that this machine has, strongest first."""
    from grader.boundary.box import BACKENDS, NoBox, choose

    found = []
    for name in BACKENDS:
        with contextlib.suppress(NoBox):
            choose(name)
            found.append(name)
    return found


def disposable() -> list[str]:
    """What stands before a command that may do damage; empty where nothing does."""
    for way in ([*NAMESPACES], [*NAMESPACES, *AS_USER]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if subprocess.run([*way, "true"], capture_output=True, timeout=10, check=False).returncode == 0:
                return way
    return []


def wanted(
    box: str, strongest: str, only: Sequence[str], *, sample: bool, throwaway: bool
) -> tuple[list[Attack], dict[str, str]]:
    """Attacks for a box, and why others are not run on it."""
    taken, left = [], {}
    for attack in ATTACKS:
        if (only and not any(word in (attack.name, attack.kind) for word in only)) or (sample and not attack.sample):
            continue
        if attack.once and box not in (strongest, OPEN):
            left[attack.name] = "the box makes no difference"
        elif attack.dangerous and not throwaway:
            left[attack.name] = "it might do damage here"
        else:
            taken.append(attack)
    return taken, left


def kept(path: Path | None, box: str) -> dict[str, str]:
    """What earlier runs have found on a box."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["name"]: line["through"] for line in lines if line["box"] == box}


def keep(path: Path | None, column: Column, name: str) -> None:
    """Adds one."""
    if path is not None:
        with path.open("a") as file:
            print(json.dumps({"box": column.box, "name": name, "through": column.found[name]}), file=file)


def on_box(
    box: str, attacks: Sequence[Attack], before: Sequence[str], into: Path | None = None, *, tell: bool = False
) -> Column:
    """Runs them; an attack that ends or stops the process that runs it has got through, and the rest goes on."""
    column, run = Column(box), secrets.token_hex(4)
    left = [attack.name for attack in attacks]
    while left:
        with tempfile.TemporaryDirectory(prefix="a7-journal-", ignore_cleanup_errors=True) as place:
            journal = Path(place) / "journal"
            journal.touch()
            inner = [sys.executable, "-m", "tests.attacks.arena", "--box", box, "--journal", str(journal), *left]
            # a shell is the first process there, which no signal from within ends
            command = [*before, "sh", "-c", '"$@"; exit $?', "sh", *inner] if before else inner
            with (Path(place) / "said").open("wb") as said:
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "A7_RUN": run}
                arena = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True,
                                         stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # fmt: skip
                begun: list[str] = []
                try:
                    for event in follow(journal, arena):
                        if event["event"] == "begin":
                            begun.append(event["name"])
                            continue
                        name = event["name"]
                        column.found[name], column.seconds[name] = event["through"], event["seconds"]
                        keep(into, column, name)
                        if tell:
                            print(line_of(column, name), flush=True)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(arena.pid, signal.SIGKILL)
                    code = arena.wait()
                    clear_away(run)
            words = (Path(place) / "said").read_text(errors="replace")[-3000:]
            if code == 1 and "Traceback" in words:  # of ours, not theirs
                raise RuntimeError(f"attacks on {box} could not be run:\n{words}")
            open_ones = [name for name in begun if name not in column.found]
            if not open_ones and code:
                raise RuntimeError(f"attacks on {box} failed with exit code {code}:\n{words}")
            for name in open_ones:
                if len(open_ones) == 1:
                    column.found[name] = f"ended or stopped the process that runs the attacks ({code})"
                else:  # one of a class: which one, each of them alone shows
                    alone = on_box(box, [attack for attack in attacks if attack.name == name], before)
                    column.found.update(alone.found)
                keep(into, column, name)
                if tell:
                    print(line_of(column, name), flush=True)
            left = [name for name in left if name not in column.found]
    return column


def line_of(column: Column, name: str) -> str:
    """What has come of one attack."""
    return f"{column.box:12} {name:45} {column.seconds.get(name, 0.0):6.1f} s  {column.found[name] or 'stopped'}"


def follow(journal: Path, arena: subprocess.Popen[bytes]) -> Iterator[Mapping[str, Any]]:
    """Lines of the journal as they come, until the process has ended or says nothing any more."""
    heard = time.monotonic()
    with journal.open() as lines:
        while True:
            running = arena.poll() is None
            line = lines.readline()
            if line:
                heard = time.monotonic()
                yield json.loads(line)
            elif not running or time.monotonic() > heard + ONE_SECONDS or stopped(arena):
                return
            else:
                time.sleep(0.05)


def stopped(arena: subprocess.Popen[bytes]) -> bool:
    """Whether an attack has stopped the process that runs the attacks, or one above it."""
    with contextlib.suppress(psutil.Error):
        chain = [psutil.Process(arena.pid)]
        while len(chain) < 4 and (below := chain[-1].children()):
            chain.append(below[0])
            if below[0].name() not in ("unshare", "sh"):
                break
        return any(process.status() == psutil.STATUS_STOPPED for process in chain)
    return False


def cell(column: Column, attack: Attack) -> str:
    """One place of the table."""
    if attack.name not in column.found:
        return "–"
    return "**through**" if column.found[attack.name] else "stopped"


def table(columns: Sequence[Column], control: Column) -> str:
    """Markdown: a summary by kind, what got through and how, and every attack."""
    asked = [attack for attack in ATTACKS if any(attack.name in column.found for column in (*columns, control))]
    heads = [column.box for column in columns]
    lines = [
        f"{len(asked)} attacks. The last column is the control: the same attacks where nothing protects at all, in which "
        "each must get through, since a stopped attack says nothing if its oracle cannot fail.", "",
        "| kind | attacks | " + " | ".join(f"through on {head}" for head in heads) + " | control |",
        "|---|---|" + "---|" * (len(heads) + 1),
    ]  # fmt: skip
    for kind, words in [*KINDS.items(), ("", "**all**")]:
        mine = [attack for attack in asked if attack.kind == kind or not kind]
        if mine:
            counts = [numbers(column, mine) for column in (*columns, control)]
            lines.append(f"| {words} | {len(mine)} | " + " | ".join(counts) + " |")
    lines += [
        "",
        "| attack | what it does | " + " | ".join(heads) + " | control |",
        "|---|---|" + "---|" * (len(heads) + 1),
    ]
    for attack in asked:
        cells = [cell(column, attack) for column in (*columns, control)]
        lines.append(f"| `{attack.name}` | {attack.says} | " + " | ".join(cells) + " |")
    lines.append("")
    for column in columns:
        if column.through:
            lines += [f"What got through on `{column.box}`, and how:", ""]
            lines += [f"- `{name}`: {anywhere(column.found[name]):.160}" for name in column.through]
            lines.append("")
    return "\n".join(lines)


def anywhere(how: str) -> str:
    """How an attack got through, in one line that would be the same on another machine and in another run."""
    for path, words in ((sys.prefix, "(environment)"), (str(ROOT), "(grader)"), (str(Path.home()), "~")):
        how = how.replace(path, words)
    how = re.sub(r"/[^\s,:]*/\.venv(?=/)", "(environment)", how)  # kept by a run in another place
    return re.sub(r"a7-bait-\w+-\w+", "a7-bait", how).replace("\n", " ")


def numbers(column: Column, attacks: Sequence[Attack]) -> str:
    """How many of those that were run got through."""
    run = [attack for attack in attacks if attack.name in column.found]
    return f"{sum(bool(column.found[attack.name]) for attack in run)} of {len(run)}" if run else "–"


def write_page(text: str) -> None:
    """Puts the table between its markers."""
    page = PAGE.read_text() if PAGE.exists() else f"# Security\n\n{BEGIN}\n{END}\n"
    head, rest = page.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    PAGE.write_text(f"{head}{BEGIN}\n{text.rstrip()}\n{END}{tail}")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--box", action="append", help="only on this box; 'open' is the control")
    parser.add_argument("--only", action="append", default=[], help="only this attack, or this kind")
    parser.add_argument(
        "--keep", type=Path, help="a file of results: those in it are taken as they are, new ones added"
    )
    parser.add_argument("--page", action="store_true", help="run nothing: write the table from what --keep holds")
    parser.add_argument("--sample", action="store_true", help="only those that make test runs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is then ended, too
    here = boxes()
    before = disposable()
    columns = []
    for box in options.box or [*here, OPEN]:
        attacks, left = wanted(box, here[0], options.only, sample=options.sample, throwaway=bool(before))
        began = time.monotonic()
        known = kept(options.keep, box)
        open_ones = [] if options.page else [attack for attack in attacks if attack.name not in known]
        column = on_box(box, open_ones, before, options.keep, tell=True)
        column.found |= {attack.name: known[attack.name] for attack in attacks if attack.name in known}
        column.not_run = left
        columns.append(column)
        print(
            f"{box}: {len(column.through)} of {len(column.found)} got through, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    if not (options.box or options.only or options.sample):
        *protected, control = columns
        write_page(table(protected, control))
        print(f"written to {PAGE.relative_to(ROOT)}")
    expected = {attack.name: attack.open_on for attack in ATTACKS}
    wrong = [
        f"{name} on {column.box}" for column in columns for name, how in column.found.items()
        if (not how if column.box == OPEN else bool(how) and column.box not in (*expected[name], "none"))
    ]  # fmt: skip
    print("\n".join(["not as expected:", *wrong]) if wrong else "all as expected")
    counts = Counter(attack.kind for attack in ATTACKS)
    print(", ".join(f"{kind} {counts[kind]}" for kind in KINDS), f"— {len(ATTACKS)} in all")
    return bool(wrong)
