"""The run folder's database by itself: what is committed is there for others, and what cannot be is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grader.grading.store import NAME, VERSION, Given, Kept, NoRoom, Store, StoreError

TEXT = {"sources": {"gaussians": "x = '\ud800'\n"}, "aliases": []}
WHO = {"name": "Zoë\x00 \ud800", "fault": False}


def verdict(check: str = "q2.a", decided: str = "d", status: str = "passed", message: str = "") -> Kept:
    return Kept(
        check, decided, status, {"message": message}, frozenset({"gaussians.kl_divergence"}), {"q2.b": "passed"}
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, make=True) as made:
        made.put_submissions([Given("name:zoe", 0, WHO, "t1", TEXT), Given("name:ann", 1, WHO, None, None)])
        yield made


def test_a_verdict_is_there_for_others_as_soon_as_it_is_committed(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path) as reader:
        assert reader.verdicts("t1") == []
        [number] = store.put_verdicts("t1", [verdict()])
        [found] = reader.verdicts("t1")
        assert found.id == number
        assert found.check == "q2.a"
        assert found.seen == {"gaussians.kl_divergence"}
        assert found.under == {"q2.b": "passed"}
        assert reader.sources("t1") == TEXT
        assert [row.content for row in reader.submissions()] == [WHO, WHO]


def test_a_verdict_takes_the_place_of_one_with_the_same_key_only(store: Store) -> None:
    store.put_verdicts("t1", [verdict(status="failed"), verdict(decided="e", status="failed"), verdict("q2.b")])
    store.put_verdicts("t1", [verdict()])
    found = {(one.check, one.decided): one.status for one in store.verdicts("t1")}
    assert found == {("q2.a", "d"): "passed", ("q2.a", "e"): "failed", ("q2.b", "d"): "passed"}


def test_a_submission_with_another_text_is_without_a_report_again(store: Store) -> None:
    store.put_marks("name:zoe", {"q2.a": store.put_verdicts("t1", [verdict()])[0]}, ["q2.a"], 1)
    assert [row.circumstances for row in store.submissions()] == [1, 0]
    store.put_submissions([Given("name:zoe", 0, WHO, "t1", TEXT)])
    assert [row.circumstances for row in store.submissions()] == [1, 0]
    store.put_submissions([Given("name:zoe", 0, WHO, "t2", {**TEXT, "aliases": ["x"]})])
    assert [row.circumstances for row in store.submissions()] == [0, 0]
    assert store.marks("name:zoe").keys() == {"q2.a"}  # what of it still holds is decided later


def test_only_what_was_never_read_is_dropped(store: Store) -> None:
    store.drop(["name:zoe", "name:ann"])
    assert [row.key for row in store.submissions()] == ["name:zoe"]


def test_a_full_disk_loses_nothing_that_was_committed(store: Store, tmp_path: Path) -> None:
    store.put_verdicts("t1", [verdict()])
    store.base.execute(f"PRAGMA max_page_count = {store.base.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(NoRoom, match="make room, then type the same command again"):
        store.put_verdicts("t1", [verdict("q2.b"), verdict("q2.c", message="x" * 100_000)])
    assert [one.check for one in store.verdicts("t1")] == ["q2.a"]
    store.base.execute("PRAGMA max_page_count = 1000000")
    store.put_verdicts("t1", [verdict("q2.b")])
    with Store(tmp_path) as reader:
        assert [one.check for one in reader.verdicts("t1")] == ["q2.a", "q2.b"]


def test_at_rest_it_is_one_file_that_can_be_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    with Store(tmp_path, make=True) as made:
        made.put_submissions([Given("name:zoe", 0, WHO, "t1", TEXT)])
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    with Store(tmp_path) as reader:
        assert len(reader.submissions()) == 1
        with pytest.raises(StoreError):
            reader.put_verdicts("t1", [verdict()])


def test_a_store_that_is_none_of_ours_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no run: give the folder that was --out"):
        Store(tmp_path)
    Store(tmp_path, make=True).close()
    with closing(sqlite3.connect(tmp_path / NAME)) as base:
        base.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match="later version"):
        Store(tmp_path)
    (tmp_path / NAME).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    for making in (False, True):
        with pytest.raises(StoreError, match=r"damaged|cannot be used"):
            Store(tmp_path, make=making)
