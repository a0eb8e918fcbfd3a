"""A class with attackers in it, graded by the command that a TA types; the others' rows and reports must not notice."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from grader.report.folder import STORE_FILES

from .attack import Attack, Member
from .baits import Baits
from .bank.helping import of_solution
from .oracles import Seen

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("aaa-first", "mmm-middle", "zzz-last")
SECONDS = 600.0
GRADER_IS = 700 << 20  # bytes that the grader has for itself, with torch in it
CPU_SECONDS = 15.0  # of the grader itself, for reading one submission


class Class:
    """A class of three, and whoever comes along."""

    def __init__(self, box: str, baits: Baits) -> None:
        self.box, self.baits = box, baits
        self.alone: Mapping[str, Any] = {}
        self.cpu = 0.0

    def run(self, attacks: Sequence[Attack]) -> Seen:
        """What there is to see when these attackers are in the class."""
        if not self.alone and attacks:
            self.run([])
        seen = Seen(secrets=self.baits.secrets)
        with tempfile.TemporaryDirectory(
            prefix="a7-class-", dir=self.baits.folder.parent, ignore_cleanup_errors=True
        ) as place:
            folder, out = Path(place) / "class", Path(place) / "out"
            folder.mkdir()
            self.put_others(folder)
            for attack in attacks:
                assert isinstance(attack.way, Member)
                attack.way.put(folder, self.baits.bait)
            most = max((attack.way.most for attack in attacks if isinstance(attack.way, Member)), default=0)
            self.grade(folder, out, seen, most)
            self.read(out, seen, bool(attacks))
            subprocess.run(["rm", "-rf", str(folder)], check=False)  # deeper than Python would go
        seen.changed, seen.left = self.baits.changed(), self.baits.left()
        seen.reached, seen.hurt = list(self.baits.listeners.reached), self.baits.victim.hurt()
        return seen

    @staticmethod
    def put_others(folder: Path) -> None:
        """Three who have done nothing, one of them with a mistake."""
        for name in OTHERS:
            (folder / name).mkdir()
            text = of_solution("gaussians")
            if name == "mmm-middle":
                text += "\n\ndef kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):\n    return mu_p.sum(1)\n"
            (folder / name / "gaussians.py").write_text(text)

    def command(self, folder: Path, out: Path) -> list[str]:
        """What a TA types."""
        how = ["--box", self.box, *(["--unsafe-no-box"] if self.box == "none" else [])]
        return [sys.executable, "-m", "grader", "grade", str(folder), "--out", str(out), "--no-trained", "-q", "2",
                "--seed", "7", "--jobs", "2", *how]  # fmt: skip

    def grade(self, folder: Path, out: Path, seen: Seen, most: float) -> None:
        """Grades, and looks at the grader meanwhile."""
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "160", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
        with tempfile.TemporaryFile() as said:
            grader = subprocess.Popen(self.command(folder, out), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                                      stdout=said, stderr=said, start_new_session=True)  # fmt: skip
            watched, until, peak, cpu = psutil.Process(grader.pid), time.monotonic() + SECONDS, 0, 0.0
            while grader.poll() is None and time.monotonic() < until:
                with contextlib.suppress(psutil.Error):
                    peak = max(peak, watched.memory_info().rss)
                    cpu = watched.cpu_times().user
                time.sleep(0.05)
            seen.exit_code = grader.poll()
            if seen.exit_code is None:
                self.end(watched)
                grader.wait()
            said.seek(0)
            seen.texts = {"terminal": said.read().decode(errors="surrogateescape")}
        if not self.cpu:
            self.cpu = cpu
        if most and peak > GRADER_IS + most:
            seen.exceeded = [f"the grader took {peak >> 20} MB"]
        if most and cpu > self.cpu + CPU_SECONDS:
            seen.exceeded = [*seen.exceeded, f"the grader computed for {cpu:.0f} s"]

    @staticmethod
    def end(grader: psutil.Process) -> None:
        """Kills it with all that it has started."""
        with contextlib.suppress(psutil.Error):
            family = [grader, *grader.children(recursive=True)]
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)

    def read(self, out: Path, seen: Seen, compare: bool) -> None:
        """Reports and table."""
        texts = dict(seen.texts)
        reports: dict[str, Any] = {}
        for path in sorted(out.rglob("*")) if out.is_dir() else ():
            if path.is_file() and path.name not in STORE_FILES:  # nobody reads a database as a text
                text = path.read_bytes().decode(errors="surrogateescape")
                texts[f"{path.parent.name}/{path.name}"] = text
                if path.name == "report.json":
                    report = json.loads(text)
                    reports[path.parent.name] = report
        rows = list(csv.DictReader(io.StringIO(texts.get("out/gradebook.csv", "").removeprefix("\ufeff"))))
        seen.texts = texts
        seen.said = "\n".join(texts.values())
        seen.fault = " ".join(f"{row['submission']}: {row['unjudged_points']} points unjudged" for row in rows
                              if float(row.get("unjudged_points") or 0))  # fmt: skip
        found = {name: self.others(name, rows, reports) for name in OTHERS}
        if not compare:
            assert seen.exit_code == 0, texts["terminal"][-2000:]
            self.alone = found
            return
        seen.others = {name: "its marks or its report differ" for name in OTHERS if self.alone[name] not in found[name]}

    def others(self, name: str, rows: Sequence[Mapping[str, str]], reports: Mapping[str, Any]) -> Any:
        """Row and outcomes of whoever is called so, and is not one of the attackers."""
        # one whose name another one takes, too, may have a number behind it, as long as nobody has the plain name
        plain = any(row["submission"] == name for row in rows)
        numbered = re.compile(re.escape(name) + ("" if plain else r"(-\d+)?"))
        mine = [row["score"] for row in rows if numbered.fullmatch(row["submission"])]
        judged = [
            [(check["id"], check["status"], check["points"], check["message"]) for check in report["checks"]]
            for called, report in reports.items() if numbered.fullmatch(called)
        ]  # fmt: skip
        both = [(score, checks) for score in mine for checks in judged]
        return both if self.alone else (both[0] if both else None)
