"""`watch`: what a save sets off, what is judged again, and what stands on the screen."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions

from grader.check.outcome import Outcome, Status
from grader.classes.ingest import Submission
from grader.cli.arguments import UsageError, parse
from grader.cli.plan import QUICK_KINDS, make_plan
from grader.cli.saves import Saves, draft, folder_to_watch, wrong_in
from grader.cli.screen import Drawn, State, Told, first_failure, fitting
from grader.cli.watch import Watched
from grader.grading import resident as residents
from grader.grading.resident import CalledOff, Resident, in_turn
from grader.grading.run import grade
from grader.rubric import CHECKS

from .conftest import ROOT
from .forked import forked
from .screens import Terminal

RIGHT = (ROOT / "solution" / "gaussians.py").read_text()
SECONDS = 60.0  # to wait on a busy machine before a test fails


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A student's folder with the reference's files."""
    shutil.copytree(ROOT / "solution", tmp_path / "work", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "work"


def until(happened: Callable[[], bool]) -> bool:
    """Whether that happens at all."""
    end = time.monotonic() + SECONDS
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# ---- what is saved ------------------------------------------------------------------------------------------------


@pytest.fixture
def saves(folder: Path) -> Iterator[Saves]:
    """Watches the folder, and has told what was there at first."""
    with Saves(folder) as watching:
        assert until(lambda: watching.ready.is_set())
        watching.taken()
        yield watching


def test_what_an_editor_does_to_save_is_one_change(folder: Path, saves: Saves) -> None:
    (folder / ".vae.py.swp").write_text("x")
    (folder / "vae.py.tmp").write_text("new = 1\n")
    os.replace(folder / "vae.py.tmp", folder / "vae.py")
    (folder / "pca.py").write_text("new = 2\n")
    assert until(lambda: saves.names >= {"vae.py", "pca.py"})
    assert saves.taken() == ["pca.py", "vae.py"]
    assert not saves.changed.is_set()


def test_other_files_and_folders_are_not_heard(folder: Path, saves: Saves) -> None:
    (folder / "notes.py").write_text("x = 1\n")
    (folder / "train.py").write_text("x = 1\n")
    (folder / "old").mkdir()
    (folder / "old" / "vae.py").write_text("x = 1\n")
    (folder / "prior.py").write_text("x = 1\n")
    assert until(lambda: "prior.py" in saves.names)
    assert saves.taken() == ["prior.py"]


def test_a_file_that_goes_and_comes_back_is_heard_twice(folder: Path, saves: Saves) -> None:
    (folder / "vae.py").unlink()
    assert until(saves.changed.is_set)
    saves.taken()
    (folder / "vae.py").write_text("x = 1\n")
    assert until(saves.changed.is_set)
    assert saves.taken() == ["vae.py"]


def test_another_folder_of_the_same_name_is_watched(folder: Path, saves: Saves) -> None:
    os.rename(folder, folder.with_name("before"))
    shutil.copytree(folder.with_name("before"), folder)
    assert until(saves.changed.is_set)
    assert until(lambda: saves.watched == folder.stat().st_ino)
    saves.taken()
    (folder / "vae.py").write_text("x = 1\n")
    assert until(lambda: "vae.py" in saves.names)


def test_where_the_system_tells_nothing_it_is_looked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.cli.saves.is_remote", lambda path: True)
    with Saves(folder) as watching:
        assert watching.polling
        assert until(watching.ready.is_set)
        watching.taken()
        (folder / "vae.py").write_text("x = 1\n")
        assert until(lambda: "vae.py" in watching.names)


def test_the_folder_is_the_one_with_the_files(folder: Path) -> None:
    assert folder_to_watch(folder) == folder
    assert folder_to_watch(folder.parent) == folder
    (folder.parent / "nothing").mkdir()
    for path, words in ((folder / "vae.py", "is no folder"), (folder.parent / "nothing", "holds no file")):
        with pytest.raises(UsageError, match=words):
            folder_to_watch(path)
    shutil.copytree(folder, folder.with_name("second"))
    with pytest.raises(UsageError, match=r"several of its folders do \(second, work\)"):
        folder_to_watch(folder.parent)


# ---- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [("def f(:\n", "vae.py, line 1: "), ("x = 1\nreturn x\n", "vae.py, line 2: 'return' outside function"),
     ("x = '\\d'\n", ""), ("x = 1\0", "vae.py")],
)  # fmt: skip
def test_what_is_no_python_is_said_with_its_line(text: str, why: str) -> None:
    assert wrong_in("vae", text).startswith(why)
    assert bool(wrong_in("vae", text)) == bool(why)


def test_while_somebody_types_the_last_readable_text_stands_in(folder: Path) -> None:
    before, said = draft(folder, None)
    assert not said
    (folder / "gaussians.py").write_text(RIGHT + "\ndef (")
    (folder / "pca.py").unlink()
    (folder / "vae.py").write_text("x = 1\n")
    now, said = draft(folder, before)
    assert now.sources == {**before.sources, "vae": "x = 1\n"}
    assert [line.partition(";")[0].partition(":")[0] for line in said] == [
        f"gaussians.py, line {RIGHT.count(chr(10)) + 2}", "pca.py is not there",
    ]  # fmt: skip
    first, said = draft(folder, None)
    assert first.sources["gaussians"] == RIGHT + "\ndef (", "its checks say what is the matter"
    assert "pca" not in first.sources
    assert "missing: pca.py" in first.problems


# ---- what is judged -----------------------------------------------------------------------------------------------


def work(reference: Submission, gaussians: str) -> Submission:
    return replace(reference, name="work", sources={**reference.sources, "gaussians": gaussians})


@pytest.fixture(scope="module")
def resident() -> Iterator[Resident]:
    """Questions 1 and 2, on a worker that stays."""
    plan = make_plan(parse(["watch", "work", "-q", "1", "-q", "2", "--seed", "3"]), QUICK_KINDS, frozenset({"public"}))
    with Resident(plan) as running:
        yield running


def shown(outcomes: Mapping[str, Outcome]) -> dict[str, tuple[str, ...]]:
    """What a student sees of verdicts."""
    return {name: (o.status, o.message, o.expected, o.actual, o.call, o.hint) for name, o in outcomes.items()}


def test_only_what_can_see_a_change_is_judged_and_the_report_is_that_of_a_whole_run(
    resident: Resident, reference: Submission
) -> None:
    first = resident.take(work(reference, RIGHT))
    first.judge()
    assert {o.status for o in first.outcomes.values()} == {"passed", "not_run"}
    worker = resident.lane.bench.worker if resident.lane.bench is not None else None

    wrong = work(reference, doubled())
    second = resident.take(wrong)
    assert "q2.univariate.value" in second.left
    assert "q2.full.value" not in second.left
    assert not any(name.startswith("q1.") for name in second.left)
    second.judge()
    assert second.outcomes["q2.univariate.value"].status == "failed"
    assert resident.lane.bench is not None
    assert resident.lane.bench.worker is worker, "PyTorch is imported once"
    [(_, whole)] = grade([wrong], resident.plan, lambda index, found: None)
    assert shown(second.outcomes) == shown({o.check.id: o for o in whole.outcomes})

    third = resident.take(work(reference, RIGHT))
    assert not third.left, "what was undone is known"


def doubled() -> str:
    """The reference with an error in `kl_univariate` alone."""
    right = "return 0.5 * (torch.expm1(log_ratio) - log_ratio + standardized.square())\n"
    assert right in RIGHT
    return RIGHT.replace(right, right.replace("0.5 * ", ""), 1)


def test_what_failed_before_is_judged_first(resident: Resident, reference: Submission) -> None:
    resident.take(work(reference, doubled())).judge()
    heard: list[str] = []
    again = resident.take(work(reference, doubled() + "\n\nprint(_LOG_2PI)\n"))  # what imports execute, all can see
    assert {name.partition(".")[0] for name in again.left} == {"q1", "q2"}
    again.judge(lambda outcome: heard.append(outcome.check.id))
    assert heard[0] == "q2.univariate.value"
    assert heard[-1].startswith("q1.")


def test_the_order_within_a_question_keeps_what_others_build_on_before_them() -> None:
    names = [check.id for check in CHECKS if check.question == 8 and check.visibility == "public"
             and check.kind in QUICK_KINDS]  # fmt: skip
    assert in_turn(names, ()) == tuple(names)
    order = in_turn(names, {"q8.vae.fresh", "q8.device"})
    assert sorted(order) == sorted(names)
    assert order[0] == "q8.device"
    assert order.index("q8.vae.fresh") < order.index("q8.conv.shapes")
    for name in ("q8.reparam.value", "q8.reparam.gradient", "q8.reparam.draws"):
        assert order.index(name) < order.index("q8.vae.fresh"), "its part is replaced where that has lost its points"


def test_a_newer_text_ends_a_run_in_the_middle_of_a_call(resident: Resident, reference: Submission) -> None:
    hangs = RIGHT.replace(
        "def chain_rule(", "def chain_rule(*_, **__):\n    while True:\n        pass\n\n\ndef unused(", 1
    )
    newer = threading.Event()
    version = resident.take(work(reference, hangs), newer.is_set)
    assert "q1.chain.value" in version.left
    timer = threading.Timer(0.5, newer.set)
    timer.start()
    with pytest.raises(CalledOff):
        version.judge(names=["q1.chain.value"])
    assert resident.lane.bench is not None
    assert resident.lane.bench.patience.calls == 0, "nothing was waited for to its end"
    assert "q1.chain.value" not in version.outcomes
    timer.join()
    calm = resident.take(work(reference, RIGHT))
    calm.judge()
    assert {o.status for o in calm.outcomes.values()} == {"passed", "not_run"}


def test_what_was_judged_before_a_newer_text_came_is_not_lost(resident: Resident, reference: Submission) -> None:
    text = work(reference, RIGHT + "\n\nprint(2 * _LOG_2PI)\n")
    heard: list[str] = []
    version = resident.take(text, lambda: len(heard) >= 3)
    count = len(version.left)
    with pytest.raises(CalledOff):
        version.judge(lambda outcome: heard.append(outcome.check.id))
    again = resident.take(text)
    assert len(again.left) == count - 3
    assert not set(heard) & set(again.left)
    again.judge()
    assert not again.left


def test_a_worker_that_was_ended_is_there_again_before_it_is_needed(resident: Resident, reference: Submission) -> None:
    resident.take(work(reference, RIGHT)).judge()
    assert resident.lane.bench is not None
    dead = forked(resident.lane.bench.worker)
    dead.process.kill()
    dead.process.wait()
    resident.warm()
    assert resident.lane.bench.worker is not dead
    assert resident.lane.bench.worker.alive


def test_old_texts_are_forgotten_and_verdicts_that_count_are_not(
    resident: Resident, reference: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident.take(work(reference, RIGHT)).judge()
    monkeypatch.setattr(residents, "MOST_TEXTS", 1)
    version = resident.take(work(reference, doubled()))
    [(texts,)] = resident.store.rows("SELECT count(*) FROM text")
    assert texts <= 2
    assert not any(name.startswith("q1.") for name in version.left)


# ---- what is seen -------------------------------------------------------------------------------------------------


class Never:
    """Saves of nobody."""

    def __init__(self) -> None:
        self.changed = threading.Event()

    def taken(self) -> list[str]:
        return ["gaussians.py"]


@pytest.fixture
def watched(folder: Path, resident: Resident) -> tuple[Watched, io.StringIO]:
    """The command without its thread, writing lines."""
    file = io.StringIO()
    console = Console(file=file, width=80, highlight=False)
    return Watched(folder, resident, Never(), Told(console), 3), file  # type: ignore[arg-type]


def look(watched: tuple[Watched, io.StringIO]) -> str:
    """What one look writes."""
    watched[1].truncate(0)
    watched[1].seek(0)
    watched[0].look()
    return watched[1].getvalue()


def test_what_has_become_right_and_what_wrong_is_said(folder: Path, watched: tuple[Watched, io.StringIO]) -> None:
    first = look(watched)
    assert "everything that was run passed" in first
    assert "now " not in first
    (folder / "gaussians.py").write_text(doubled())
    second = look(watched)
    assert re.search(r"^now wrong: q2\.univariate\.value", second, re.MULTILINE)
    assert second.index("think:") < second.index("Question 1 · Densities") < second.index("now wrong:")
    (folder / "gaussians.py").write_text(RIGHT)
    assert re.search(r"^now right: q2\.univariate\.value", look(watched), re.MULTILINE)
    assert "nothing has changed" in look(watched)


def test_a_syntax_error_is_a_line_and_the_last_results_stay(folder: Path, watched: tuple[Watched, io.StringIO]) -> None:
    look(watched)
    (folder / "gaussians.py").write_text(RIGHT.replace("def kl_univariate(", "def kl_univariate(("))
    text = look(watched)
    assert re.search(r"^gaussians\.py, line \d+: ", text, re.MULTILINE)
    assert re.search(r"^Question 1 · Densities +5 / 5 +passed$", text, re.MULTILINE)
    assert not watched[0].state.wrong


def of(status: Status, *names: str) -> dict[str, Outcome]:
    long = "one two three four five six seven eight nine ten " * 12
    return {
        check.id: Outcome(check, status, check.points if status == "passed" else 0.0, long, long, "1\n" * 9, "2",
                          {"x": long, "a long name of an input": "3"}, call=long)
        for check in CHECKS if (check.id in names or not names) and check.visibility == "public"
    }  # fmt: skip


def state() -> State:
    outcomes = {**of("passed"), **of("unimplemented", "q3.pca.components"), **of("failed", "q8.elbo.value")}
    names = [check.id for check in CHECKS]
    return State("work", "12:00:00 · 3 of 174 checks", ["vae.py, line 3: " + "no " * 40], outcomes, ["q8.elbo.value"],
                 (), names[:9], names[9:30])  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 132])
@pytest.mark.parametrize("rows", [5, 16, 23, 39, 200])
def test_the_picture_fits_and_begins_with_what_to_do_next(rows: int, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, height=rows + 1)
    lines = ["".join(segment.text for segment in line) for line in fitting(state(), console, rows)]
    assert len(lines) <= rows
    assert all(cell_len(line) <= width for line in lines)
    assert lines[0].startswith("work  12:00:00")
    text = "\n".join(line.rstrip() for line in lines)
    if rows >= 39 and width >= 80:
        assert len(re.findall(r"^(Question \d+|Bonus) · .* / ", text, re.MULTILINE)) == 11
        assert re.search(r"^now right: .*?\band 5 more$", text, re.MULTILINE | re.DOTALL)
    if rows >= 23 and width >= 80:
        assert text.index("q8.elbo.value") < text.index("think:") < text.index("now wrong:")
        assert "Question 8 · Variational autoencoders" in text
        column = [line.index("one two") for line in lines if line.startswith(("asked:", "found:", "call:", "think:"))
                  and "one two" in line]  # fmt: skip
        assert len(set(column)) == 1, "texts hang beside their labels"


def test_a_terminal_of_another_size_is_drawn_again_and_another_one_is_not() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    drawn = Drawn(console)
    drawn.show(state(), final=True)
    first = file.getvalue()
    drawn.refit(state())
    assert file.getvalue() == first
    console.size = ConsoleDimensions(60, 30)
    drawn.refit(state())
    again = file.getvalue()[len(first) :]
    assert again.startswith("\x1b[2J\x1b[H")
    assert again.count("\n") == 29


def test_next_is_what_was_touched_then_what_is_wrong_then_what_is_not_written() -> None:
    both = {**of("failed", "q8.elbo.value"), **of("unimplemented", "q3.pca.components"), **of("failed", "q4.mse.value")}

    def first(*touched: str, **others: Outcome) -> str:
        found = first_failure(State("work", outcomes={**both, **others}, touched=touched))
        return found.check.id if found is not None else ""

    assert first("q8.elbo.value") == "q8.elbo.value"
    assert first("q3.pca.components") == "q3.pca.components"
    assert first() == "q4.mse.value"
    assert first_failure(State("work", outcomes=of("passed"))) is None


# ---- as a person sees it ------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_a_session_in_a_terminal(folder: Path) -> None:
    terminal = Terminal("watch", str(folder), "-q", "2", "--seed", "3")
    try:
        text = terminal.until("judged in", "passed")
        assert text.splitlines()[0].startswith("work  ")
        assert "Question 2 · KL divergence" in text
        children = psutil.Process(terminal.process.pid).children(recursive=True)
        assert children, "the worker stays"
        (folder / "new.tmp").write_text(doubled())
        os.replace(folder / "new.tmp", folder / "gaussians.py")
        text = terminal.until("now wrong: q2.univariate.value")
        assert "looks like:" in text
        assert "twice" in text
        (folder / "gaussians.py").write_text(RIGHT + "\ndef (")
        text = terminal.until("gaussians.py, line")
        assert "looks like:" in text, "the last results stay"
        (folder / "gaussians.py").write_text(RIGHT)
        assert "looks like:" not in terminal.until("now right: q2.univariate.value")
        terminal.process.kill(signal.SIGINT)
        text = terminal.until("stopped: ", "is not watched any more")
        assert terminal.ended() == 130
        assert "Traceback" not in text
        _, alive = psutil.wait_procs(children, timeout=SECONDS)
        assert not alive
    finally:
        terminal.close()


def test_what_watch_is_given_is_looked_at_first(tmp_path: Path) -> None:
    from grader.cli import main as cli

    assert cli.main(["watch", str(tmp_path / "no-such-folder")]) == 2
    assert cli.main(["watch", str(tmp_path)]) == 2
