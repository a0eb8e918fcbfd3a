"""One box, and all attacks on it, one after the other: what each has come to, judged from outside.

``python -m tests.attacks.arena --box NAME --journal FILE [NAME …]`` writes a line of JSON before and after each attack,
so that one which ends this process is known, and the rest can go on without it. ``--box open`` is no box at all and no
grader either: there every attack must get through.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import torch

from grader.boundary.ends import SessionEnded, StudentRaised
from grader.boundary.session import Session
from grader.check.datasets import load_dataset
from grader.check.thresholds import load_thresholds
from grader.classes.ingest import Submission, read_submission
from grader.grading.judge import QUICK, Setting, judge, judge_all
from grader.rubric import CHECKS, MODULES

from ..forked import forked
from . import bare, naive
from .attack import Attack, Forged, Graded, Inside, Member, Notes, Place
from .baits import Baits, laid_out
from .bank import ATTACKS
from .classes import Class
from .oracles import HUNG_S, Seen
from .workplace import bench_of, session_of

ROOT = Path(__file__).resolve().parents[2]
OPEN = "open"
MEMORY = 1200 << 20
GRADER_MAY_TAKE = 250 << 20  # for one answer
SEED = 7
BY_ID = {check.id: check for check in CHECKS}
CAME_TO = re.compile(rb"came to (\d+)")
NOTES_SECONDS = 8.0  # for both processes of the control
GROUP = 18  # members of a class that are graded together as long as nothing gets through
FORGED_CHECK = "q2.diagonal.value"


@dataclass(frozen=True)
class Result:
    """What an attack has come to; `through` is empty if it was stopped."""

    name: str
    through: str
    seconds: float


class Watch:
    """Looks at this process's memory meanwhile: what an answer costs the grader."""

    def __init__(self) -> None:
        self.own = psutil.Process()
        self.before = self.peak = self.own.memory_info().rss
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.over.wait(0.02):
            self.peak = max(self.peak, self.own.memory_info().rss)

    def taken(self) -> int:
        """Bytes more than before, at the most."""
        self.over.set()
        self.thread.join()
        return int(self.peak - self.before)


class Arena:
    """Runs attacks on the grader with one box."""

    def __init__(self, box: str, baits: Baits) -> None:
        self.box, self.baits = box, baits
        self.starter = read_submission(ROOT / "starter", MODULES)
        self.solution = read_submission(ROOT / "solution", MODULES)
        self.bench = bench_of(box, self.starter)
        self.trials: Mapping[type, Callable[[Attack], Iterator[tuple[str, Seen]]]] = {
            Inside: self.inside, Notes: self.notes, Forged: self.forged, Graded: self.graded,
        }  # fmt: skip

    def run(self, attack: Attack) -> str:
        """Where and how it got through; empty if it did not."""
        for where, seen in self.trials[type(attack.way)](attack):
            seen.changed = self.baits.changed()
            seen.left = self.baits.left()
            seen.reached = list(self.baits.listeners.reached)
            seen.hurt = self.baits.victim.hurt()
            self.baits.renew()
            if found := attack.oracle(seen):
                return f"{where}: {found}" if where else found
        return ""

    def close(self) -> None:
        """Ends the worker."""
        self.bench.close()

    # ---- ways ---------------------------------------------------------------------------------------------------

    def submit(self, sources: Mapping[str, str]) -> None:
        """Puts another submission onto the warm worker."""
        self.bench.submission = Submission("attack", sources)
        self.bench.worker.submit(sources, ["starter", "solution"])

    def inside(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        """In a check, then while it is imported."""
        way = attack.way
        assert isinstance(way, Inside)
        for place in way.places:
            yield place, self.said_inside(way, place)

    def said_inside(self, way: Inside, place: Place) -> Seen:
        seen = Seen(secrets=self.baits.secrets)
        text = f"{way.body}\nBAIT = {self.baits.bait!r}\n"
        if place == "import":
            text += "print(attack(BAIT), flush=True)\ndef f():\n    return 1\n"
        elif "def f(" not in way.body:
            text += "def f():\n    return str(attack(BAIT))\n"
        limits = replace(QUICK, request_s=way.seconds, check_s=2 * way.seconds, memory=MEMORY, threads=1)
        watch, began = Watch(), time.monotonic()
        session = None
        with self.faults_in(seen):
            self.submit({"vae": text})
            session = session_of(forked(self.bench.worker), "check", limits)
            seen.said = self.answer(session, "vae.f")
        if session is not None:
            with self.faults_in(seen):
                session.close()
            seen.said += session.printed.decode(errors="replace")
            came_to = max(map(int, CAME_TO.findall(session.printed)), default=0)
            # what was refused at the last step, or killed there, did not hold it
            if way.most and came_to > way.most:
                seen.exceeded = [f"{came_to:,} in place of at most {int(way.most):,}"]
        if not way.most and (taken := watch.taken()) > GRADER_MAY_TAKE:
            seen.exceeded = [f"the grader took {taken >> 20} MB for it"]
        seen.waited = time.monotonic() - began - way.seconds
        return seen

    @staticmethod
    def answer(session: Session, target: str, *args: object) -> str:
        """All that comes back of a call."""
        try:
            answer = session.call(target, *args)
            return answer if isinstance(answer, str) else f"{type(answer).__name__}"
        except StudentRaised as raised:
            return f"{raised.kinds} {raised.message} {raised.frames}"
        except SessionEnded as ended:
            return f"{type(ended).__name__}: {ended}"

    def notes(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        """From one process to another, in each of the ways in which a check uses several."""
        way = attack.way
        assert isinstance(way, Notes)
        limits = replace(QUICK, request_s=10.0, check_s=40.0, memory=MEMORY, threads=1)
        for passage in way.passages:
            secret = secrets.token_hex(16)[: way.digits]
            seen = Seen(secrets=(secret if way.digits == 32 else f"note={secret}",))
            text = f"{way.body}\nBAIT = {self.baits.bait!r}\ndef first(secret):\n    return str(leave(secret, BAIT))\n"
            text += "def second():\n    return str(find(BAIT))\n"
            sessions: list[Session] = []
            with self.faults_in(seen):
                self.submit({"vae": text, **({"pca": way.bystander} if way.bystander else {})})
                first, _, second = passage.partition(" to ")
                sessions.append(session_of(forked(self.bench.worker), first, limits))
                self.answer(sessions[0], "vae.first", secret)
                if first != "training":  # the process that trains is there as long as the check
                    sessions[0].close()
                sessions.append(session_of(forked(self.bench.worker), second, limits))
                seen.said = self.answer(sessions[1], "vae.second") + sessions[1].printed.decode(errors="replace")
            for session in sessions:
                with self.faults_in(seen):
                    session.close()
            yield passage, seen

    def forged(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        """In the place of an answer to a check."""
        way = attack.way
        assert isinstance(way, Forged)
        text = self.starter.sources["gaussians"] + way.body
        text += "\ndef kl_diagonal(*args):\n    return attack()\n"
        seen = Seen(secrets=self.baits.secrets)
        began = time.monotonic()
        with self.faults_in(seen):
            self.submit({**self.starter.sources, "gaussians": text})
            outcome = judge(BY_ID[FORGED_CHECK], self.bench, self.setting(FORGED_CHECK))
            if outcome.status == "error":
                seen.fault = outcome.message
        seen.waited = time.monotonic() - began - QUICK.check_s
        yield "", seen

    def graded(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        """In the place of somebody's work."""
        way = attack.way
        assert isinstance(way, Graded)
        on = (self.starter if way.on == "starter" else self.solution).sources
        seen = Seen(secrets=self.baits.secrets)
        with self.faults_in(seen):
            seen.earned, seen.fault = self.earned({**on, **way.sources}, way)
            if not way.trained:
                seen.without, _ = self.earned({**on, **way.without}, way)
        yield "", seen

    def earned(self, sources: Mapping[str, str], way: Graded) -> tuple[float, str]:
        """Points of the checks, and what the grader said that it failed on."""
        self.submit(sources)
        checks = [BY_ID[name] for name in way.checks]
        setting = self.setting(*way.checks)
        if way.trained or len(checks) == 1:  # the second looks of several checks take most of the time
            outcomes = [judge(check, self.bench, setting, repeat=False) for check in checks]
        else:
            outcomes = list(judge_all(checks, self.bench, setting, lambda check: True))
        faults = [outcome.message for outcome in outcomes if outcome.status == "error"]
        return sum(outcome.earned for outcome in outcomes), " ".join(faults)

    @staticmethod
    def setting(*names: str) -> Setting:
        if all(BY_ID[name].kind != "trained" for name in names):
            return Setting(SEED)
        data = load_dataset("digits")
        return Setting(SEED, "cpu", data, load_thresholds(data.name))

    @contextlib.contextmanager
    def faults_in(self, seen: Seen) -> Iterator[None]:
        """What the grader raises is noted as a fault of its own; its worker is then started anew."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001  that is what is asked
            seen.fault = f"{type(fault).__name__}: {fault}"
            with contextlib.suppress(Exception):
                self.bench.close()
            self.bench = bench_of(self.box, self.starter)


class Unprotected(Arena):
    """No box and no grader: the control. Here every attack gets through."""

    def __init__(self, baits: Baits) -> None:
        self.baits = baits
        self.folders = tempfile.mkdtemp(prefix="a7-open-")
        self.trials = {
            Inside: self.inside,
            Notes: self.notes,
            Forged: self.forged,
            Graded: self.graded,
            Member: self.member,
        }
        self.starter = read_submission(ROOT / "starter", MODULES)
        self.solution = read_submission(ROOT / "solution", MODULES)

    def close(self) -> None:
        """Nothing runs but what an attack has left."""
        shutil.rmtree(self.folders, ignore_errors=True)

    def said_inside(self, way: Inside, place: Place) -> Seen:
        spoken = bare.start(bare.call(way.body, self.baits.bait), f"{self.folders}/check-0")
        spoken.listen(way.seconds)
        seen = Seen(said=spoken.text.decode(errors="replace"), secrets=self.baits.secrets)
        came_to = max(map(int, CAME_TO.findall(spoken.text)), default=0)
        if way.most and came_to > way.most:
            seen.exceeded = [f"{came_to:,} in place of at most {int(way.most):,}"]
        if not way.most and spoken.size >= bare.MOST_TEXT:
            seen.exceeded = [f"{spoken.size >> 20} MB came back"]
        seen.waited = 0 if spoken.ended else 2 * HUNG_S
        self.look(seen)
        spoken.close()
        return seen

    def look(self, seen: Seen) -> None:
        """Nobody but the two processes themselves is ended here: what stays is what would have stayed."""

    def notes(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        way = attack.way
        assert isinstance(way, Notes)
        secret = secrets.token_hex(16)[: way.digits]
        seen = Seen(secrets=(secret if way.digits == 32 else f"note={secret}",))
        bait = self.baits.bait

        def one(act: Callable[[], object], folder: str) -> int:
            pid = os.fork()
            if pid == 0:
                try:
                    os.makedirs(folder, exist_ok=True)
                    os.chdir(folder)
                    os.environ["HOME"] = os.environ["TMPDIR"] = folder
                    bystander = type(sys)("pca")
                    exec(way.bystander, bystander.__dict__)
                    sys.modules["pca"] = bystander
                    print(act(), flush=True)
                except BaseException as error:  # noqa: BLE001  what it raises is what it says
                    print(error, flush=True)
                print("done", flush=True)
                time.sleep(NOTES_SECONDS)
                os._exit(0)
            return pid

        def family() -> str:
            # one process starts both, as a worker does; the text of the submission lies in its memory
            space = bare.defined(way.body)
            one(lambda: space["leave"](secret, dict(bait)), f"{self.folders}/check-1")
            time.sleep(1.0)
            second = "check-1" if way.one_folder else "check-2"
            one(lambda: "found: " + str(space["find"](dict(bait))), f"{self.folders}/{second}")
            time.sleep(NOTES_SECONDS - 2)
            return "both"

        spoken = bare.start(family, f"{self.folders}/check-0")
        spoken.listen(NOTES_SECONDS, b"done", 2)
        seen.said = spoken.text.decode(errors="replace")
        spoken.close()
        yield "", seen

    def forged(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        way = attack.way
        assert isinstance(way, Forged)
        yield "", Seen(fault=bare.Believing(way.body).fault())

    def graded(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        """What is right earns more than what is not: the marks move, so that an attack could move them."""
        way = attack.way
        assert isinstance(way, Graded)
        if way.trained:  # the model that has learned is the reference, whose marks docs/results.md shows
            yield "", Seen(earned=1.0)
            return
        self.bench = bench_of("none", self.starter)
        on = (self.starter if way.on == "starter" else self.solution).sources
        try:
            earned, _ = self.earned({**self.solution.sources}, way)
            without, _ = self.earned({**on, **way.without}, way)
        finally:
            self.bench.close()
        yield "", Seen(earned=earned, without=without)

    def member(self, attack: Attack) -> Iterator[tuple[str, Seen]]:
        way = attack.way
        assert isinstance(way, Member)
        with tempfile.TemporaryDirectory(
            prefix="a7-naive-", dir=self.baits.folder.parent, ignore_cleanup_errors=True
        ) as place:
            inside = Path(place) / "class"
            inside.mkdir()
            way.put(inside, self.baits.bait)
            paths = sorted(inside.iterdir())
            if way.naive == "unpack":
                seen = naive.unpack(paths, Path(place) / "unpacked", way.most)
            else:
                seen = naive.obey(paths) if way.naive == "obey" else naive.render(paths)
            seen.secrets = self.baits.secrets
            yield "", seen


def chunks(attacks: Sequence[Attack], size: int) -> Iterator[Sequence[Attack]]:
    """Some at a time, dangerous ones apart from the others."""
    for dangerous in (False, True):
        alike = [attack for attack in attacks if attack.dangerous is dangerous]
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def members(box: str, attacks: Sequence[Attack], baits: Callable[[], Baits], note: Callable[..., None]) -> None:
    """Class runs: several attackers in one class, and each in a class of its own where one of them got through."""
    if not attacks:
        return
    graded = Class(box, baits())
    for group in chunks(attacks, GROUP):
        for attack in group:
            note("begin", attack.name)
        began = time.monotonic()
        seen = graded.run(group)
        found = {attack.name: attack.oracle(seen) for attack in group}
        each = (time.monotonic() - began) / len(group)
        for attack in group:
            began = time.monotonic()
            if len(group) > 1 and any(found.values()):
                graded.baits = baits()
                found[attack.name] = attack.oracle(graded.run([attack]))
            note("end", attack.name, found[attack.name], each + time.monotonic() - began)
        graded.baits = baits()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--box", required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    wanted = [attack for attack in ATTACKS if attack.name in options.names or not options.names]
    torch.set_num_threads(1)
    os.environ["A7_BAIT_SECRET"] = "x"
    with options.journal.open("a") as journal, contextlib.ExitStack() as stack:

        def note(event: str, name: str, through: str = "", seconds: float = 0.0) -> None:
            result = asdict(Result(name, through, round(seconds, 2)))
            print(json.dumps({"event": event, **result}), file=journal, flush=True)

        held: list[Baits] = []

        def fresh() -> Baits:
            if not held or held[-1].changed():
                held.append(stack.enter_context(laid_out()))
                os.environ["A7_BAIT_SECRET"] = held[-1].secret
            held[-1].renew()
            return held[-1]

        arena = Unprotected(fresh()) if options.box == OPEN else Arena(options.box, fresh())
        later = []
        for attack in wanted:
            if isinstance(attack.way, Member) and options.box != OPEN:
                later.append(attack)
                continue
            note("begin", attack.name)
            began = time.monotonic()
            arena.baits = fresh()
            through = arena.run(attack)
            note("end", attack.name, through, time.monotonic() - began)
        arena.close()
        members(options.box, later, fresh, note)


if __name__ == "__main__":
    main()
