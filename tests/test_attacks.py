"""The attack bank (`tests.attacks`): what it holds, whether its oracles can fail, and a sample on the best box.

All of it on every box: ``python -m tests.attacks``, which writes the table of docs/security.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .attacks import oracles
from .attacks.attack import KINDS, Attack, Forged, Graded, Inside, Member, Notes
from .attacks.bank import ATTACKS
from .attacks.oracles import HUNG_S, Seen
from .attacks.run import OPEN, PAGE, Column, boxes, disposable, on_box, table, wanted

SAMPLE = [attack for attack in ATTACKS if attack.sample]
# for each way in which something can be seen, what is seen if an attack gets through
BROKEN: dict[Callable[[Seen], str], Seen] = {
    oracles.secret_told: Seen(said="it is s3cret", secrets=("s3cret",)),
    oracles.changed: Seen(changed=["canary.txt"]),
    oracles.left_behind: Seen(left=["a daemon"]),
    oracles.reached: Seen(reached=["TCP"]),
    oracles.hurt: Seen(hurt=["it ended"]),
    oracles.exceeded: Seen(exceeded=["3 GB"]),
    oracles.hung: Seen(waited=2 * HUNG_S),
    oracles.grader_failed: Seen(fault="ValueError"),
    oracles.better_marks: Seen(earned=1.0, without=0.5),
    oracles.class_ended: Seen(exit_code=None),
    oracles.unescaped: Seen(texts={"report.md": "a\x1b[2J"}),
}


def test_there_are_enough_attacks_of_every_kind_and_each_has_a_name_of_its_own() -> None:
    assert len(ATTACKS) >= 80
    counts = Counter(attack.kind for attack in ATTACKS)
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 8
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert all(attack.says and attack.says == attack.says.strip() for attack in ATTACKS)


@pytest.mark.parametrize("oracle", BROKEN, ids=lambda oracle: oracle.__name__)
def test_an_oracle_sees_what_it_looks_for_and_nothing_where_there_is_nothing(oracle: Callable[[Seen], str]) -> None:
    assert oracle(BROKEN[oracle])
    assert oracle(Seen(secrets=("s3cret",))) == ""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_is_judged_by_something_that_its_way_can_show(attack: Attack) -> None:
    assert attack.oracle(Seen()) == ""
    judged = {oracle for oracle, seen in BROKEN.items() if attack.oracle(seen)}
    shown = {
        Inside: {
            oracles.secret_told,
            oracles.changed,
            oracles.left_behind,
            oracles.reached,
            oracles.hurt,
            oracles.exceeded,
        },
        Notes: {oracles.secret_told},
        Forged: {oracles.grader_failed},
        Graded: {oracles.better_marks},
        Member: {oracles.class_ended},
    }[type(attack.way)]
    assert judged & shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gradebook.csv", "submission,score\n=1+1,3\n"),
        ("gradebook.csv", 'submission,score\n"\n=1+1",3\n'),
        ("gradebook.csv", "submission,score\n\ufeff@SUM(A1),3\n"),
        ("report.md", "told <img src=x onerror=alert(1)> so"),
        ("report.md", "told \u202egnp.exe"),
        ("terminal", "told \x9b31m so"),
        ("terminal", "x" * 30_000),
        ("results.json", '"\x1b[2J"'),
    ],
)
def test_what_a_reader_would_obey_is_seen(name: str, text: str) -> None:
    assert oracles.unescaped(Seen(texts={name: text}))


def test_what_is_escaped_is_not_taken_for_an_order() -> None:
    texts = {
        "gradebook.csv": "submission,score\n'=1+1,-3.5\n",
        "report.md": "told `<script>` and \\<b> and &lt;img> so, 1 < 2\n<details><summary>more</summary></details>",
        "terminal": "├ told ^[[2J so\n",
    }
    assert oracles.unescaped(Seen(texts=texts)) == ""


def test_the_table_names_every_attack_and_what_got_through() -> None:
    protected, control = Column("bubblewrap"), Column(OPEN)
    control.found = {attack.name: "it did" for attack in ATTACKS}
    how = f"a secret\nturned up in {sys.prefix}/x and {Path.home()}/a7-bait-0123-abcd"
    protected.found = {attack.name: "" for attack in ATTACKS} | {ATTACKS[0].name: how}
    text = table([protected], control)
    assert all(f"| `{attack.name}` | {attack.says} |" in text for attack in ATTACKS)
    assert f"| **all** | {len(ATTACKS)} | 1 of {len(ATTACKS)} | {len(ATTACKS)} of {len(ATTACKS)} |" in text
    assert f"- `{ATTACKS[0].name}`: a secret turned up in (environment)/x and ~/a7-bait" in text


def test_the_page_has_a_place_for_the_table() -> None:
    text = PAGE.read_text()
    assert text.count("<!-- attacks: made by python -m tests.attacks -->") == 1
    assert text.count("<!-- end attacks -->") == 1


def test_no_attack_that_may_do_damage_runs_where_it_could() -> None:
    taken, left = wanted("none", "bubblewrap", [], sample=False, throwaway=False)
    assert not [attack.name for attack in taken if attack.dangerous]
    assert {attack.name for attack in ATTACKS if attack.dangerous} <= set(left)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sample_is_stopped_by_the_best_box_and_not_without_it() -> None:
    here, before = boxes(), disposable()
    if here[0] == "none":
        pytest.skip("this machine has no box")
    control, _ = wanted(OPEN, here[0], [], sample=True, throwaway=bool(before))
    assert not [name for name, how in on_box(OPEN, control, before).found.items() if not how]
    attacks, _ = wanted(here[0], here[0], [], sample=True, throwaway=bool(before))
    found = on_box(here[0], attacks, before).found
    assert set(found) == {attack.name for attack in attacks}
    assert {name: how for name, how in found.items() if how} == {}
