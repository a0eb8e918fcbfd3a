"""The run folder's database: what was handed in, every verdict as it is made, and what people have decided by hand.

One SQLite file. Nothing of PyTorch is imported, and what is kept of a verdict is JSON here: `verdicts` makes it and
reads it, `graded` makes reports of it. Who writes holds the folder's lock (`report.lock`); who reads needs none.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

NAME = "run.sqlite"
VERSION = 1  # of the tables below: a store of a later one is refused
APPLICATION = 0x41374752  # "A7GR", in the file's head: another program's database is not taken for ours
BUSY_SECONDS = 10.0
TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, began TEXT NOT NULL, ended TEXT, seed INTEGER NOT NULL, content TEXT NOT NULL
);
CREATE TABLE text (digest TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE circumstances (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);
CREATE TABLE submission (
    key TEXT PRIMARY KEY, place INTEGER NOT NULL, text TEXT REFERENCES text, content TEXT NOT NULL,
    asked TEXT NOT NULL DEFAULT '[]', circumstances INTEGER REFERENCES circumstances
) WITHOUT ROWID;
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY, text TEXT NOT NULL REFERENCES text, check_id TEXT NOT NULL, decided TEXT NOT NULL,
    status TEXT NOT NULL, outcome TEXT NOT NULL, seen TEXT NOT NULL, under TEXT NOT NULL,
    circumstances INTEGER NOT NULL, at TEXT NOT NULL, UNIQUE (text, check_id, decided)
);
CREATE TABLE mark (
    key TEXT NOT NULL REFERENCES submission, check_id TEXT NOT NULL, verdict INTEGER NOT NULL REFERENCES verdict,
    PRIMARY KEY (key, check_id)
) WITHOUT ROWID;
CREATE TABLE override (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, check_id TEXT NOT NULL, points REAL NOT NULL, comment TEXT NOT NULL,
    author TEXT NOT NULL, at TEXT NOT NULL, removed TEXT, text TEXT
);
CREATE INDEX override_of ON override (key, check_id);
"""
OF_VERDICT = "v.check_id, decided, status, outcome, seen, under, circumstances, text, at, v.id"
NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class StoreError(Exception):
    """The database cannot be used, or could not be written: says why and what to do."""


class NoRoom(StoreError):
    """Nothing more could be written, on a full disk say. What was committed before is there."""


@dataclass(frozen=True)
class Kept:
    """A verdict as it is stored. `outcome` is JSON of `verdicts.content_of`.

    `decided` is the digest of everything but the submission's text that decides it. `seen` are the functions
    ("module.name") that the check entered the submission by, and `under` the statuses of checks that had a say in it.
    """

    check: str
    decided: str
    status: str
    outcome: Mapping[str, Any]
    seen: frozenset[str] = frozenset()
    under: Mapping[str, str] = field(default_factory=dict)
    circumstances: int = 0
    text: str = ""
    at: str = ""
    id: int = 0


class Given(NamedTuple):
    """A submission as it is put into the store. `text` is the digest of `sources`; both are None if none were read."""

    key: str
    place: int
    content: Mapping[str, Any]
    text: str | None
    sources: Mapping[str, Any] | None


class Row(NamedTuple):
    """A submission as it is stored. `content` is JSON of `submissions.content_of`; `text` is None where none was read.

    `asked` are the checks that its report is about, and `circumstances` those under which it was made: 0 before it is.
    """

    key: str
    place: int
    text: str | None
    content: Mapping[str, Any]
    asked: Sequence[str]
    circumstances: int


class ByHand(NamedTuple):
    """Points that somebody gave for a check in place of its verdict's; `removed` says when they were taken back, and
    `of_earlier` whether another text has been handed in since."""

    id: int
    key: str
    check: str
    points: float
    comment: str
    author: str
    at: datetime
    removed: datetime | None
    of_earlier: bool


def dumped(value: object) -> str:
    """JSON of one form, in ASCII: whatever a submission's text holds can be stored and comes back as it was."""
    return json.dumps(value, sort_keys=False, separators=(",", ":"))


def now() -> str:
    """The time with its zone."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Store:
    """The database of one folder. Every method that writes has committed when it returns, and raises StoreError."""

    def __init__(self, out: Path | None, *, writing: bool = False, make: bool = False) -> None:
        """Opens the folder's store to read it, for `writing` too, or to `make` it where there is none; without a folder
        it is one in memory. Raises StoreError."""
        self.path = out / NAME if out is not None else Path(":memory:")
        self.writing, self.make = writing or make or out is None, make or out is None
        if not self.make and not self.path.is_file():
            raise StoreError(f"{out} holds no run: give the folder that was --out when the class was graded")
        self.in_memory = out is None
        with self._told():
            self.base = self._connect()
            try:
                self._prepare()
            except BaseException:
                self.base.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """At rest it is one file, which can be copied and read where nothing may be written."""
        if self.writing:
            with contextlib.suppress(sqlite3.Error):  # somebody reads: then its log stays beside it
                self.base.execute("PRAGMA journal_mode = DELETE")
        self.base.close()

    # ---- opening --------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        if self.in_memory:
            return sqlite3.connect(":memory:", isolation_level=None)
        mode = "rwc" if self.make else "rw" if self.writing else "ro"
        uri = f"{self.path.resolve().as_uri()}?mode={mode}"
        # transactions are ours: `with self.change()`
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)

    def _prepare(self) -> None:
        if self.writing:
            # a commit is on the disk when it returns: after a power cut no verdict that was counted is missing
            self.base.execute("PRAGMA journal_mode = WAL")
            self.base.execute("PRAGMA synchronous = FULL")
        application, version, tables = (
            self.base.execute(text).fetchone()[0]
            for text in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if tables and application != APPLICATION:
            raise StoreError(f"{self.path} is a database of another program: give another folder")
        if version > VERSION:
            raise StoreError(
                f"{self.path} was written by a later version of the grader (its tables are {version}, ours {VERSION}): "
                "use that version, or give another folder"
            )
        if not tables:
            if not self.make:
                raise StoreError(f"{self.path} holds no run yet")
            self.base.executescript(
                f"BEGIN; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
            )
        self.base.execute("SELECT count(*) FROM submission").fetchone()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says, as a StoreError with a remedy."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.DatabaseError) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self.writing and code in NO_ROOM:
            return NoRoom(f"{self.path} could not be written ({error}): make room, then type the same command again")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            return StoreError(
                f"{self.path} is damaged ({error}): move it away and give another folder, or put back a copy of it"
            )
        return StoreError(f"{self.path} cannot be used ({error}): look whether you may read and write there")

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is there afterwards, or nothing."""
        with self._told():
            self.base.execute("BEGIN IMMEDIATE")
            try:
                yield self.base
                self.base.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself where it had to
                    self.base.execute("ROLLBACK")
                raise

    def rows(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self._told():
            return self.base.execute(text, values).fetchall()

    # ---- runs and their circumstances -----------------------------------------------------------------------------

    @property
    def seed(self) -> int | None:
        """The seed of the last run; None before the first one."""
        found = self.rows("SELECT seed FROM run ORDER BY id DESC LIMIT 1")
        return int(found[0][0]) if found else None

    def begin(self, seed: int, content: Mapping[str, Any]) -> int:
        """A run begins: what was typed and what decides its verdicts, as JSON. Returns its number."""
        with self.change() as base:
            made = base.execute(
                "INSERT INTO run (began, seed, content) VALUES (?, ?, ?)",
                (now(), seed, dumped(content)),
            )
        return int(made.lastrowid or 0)

    def end(self, run: int) -> None:
        """A run has come to its end."""
        with self.change() as base:
            base.execute("UPDATE run SET ended = ? WHERE id = ?", (now(), run))

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the first one first: `began`, `ended`, `seed` and what `begin` was given."""
        found = self.rows("SELECT began, ended, seed, content FROM run ORDER BY id")
        return [{**json.loads(content), "began": began, "ended": ended, "seed": seed}
                for began, ended, seed, content in found]  # fmt: skip

    def put_circumstances(self, content: Mapping[str, Any]) -> int:
        """The number of these circumstances."""
        text = dumped(content)
        with self.change() as base:
            base.execute("INSERT INTO circumstances (content) VALUES (?) ON CONFLICT DO NOTHING", (text,))
        return int(self.rows("SELECT id FROM circumstances WHERE content = ?", text)[0][0])

    def circumstances(self, number: int) -> dict[str, Any]:
        """The circumstances with this number."""
        found: dict[str, Any] = json.loads(self.rows("SELECT content FROM circumstances WHERE id = ?", number)[0][0])
        return found

    # ---- what was handed in ---------------------------------------------------------------------------------------

    def put_submissions(self, given: Iterable[Given]) -> None:
        """Submissions take their places in the class. One with another text than before is without a report again."""
        with self.change() as base:
            for key, place, content, text, sources in given:
                if text is not None:
                    base.execute("INSERT INTO text VALUES (?, ?) ON CONFLICT DO NOTHING", (text, dumped(sources)))
                base.execute(
                    "INSERT INTO submission (key, place, text, content) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO "
                    "UPDATE SET circumstances = CASE WHEN text IS excluded.text THEN circumstances END, "
                    "place = excluded.place, text = excluded.text, content = excluded.content",
                    (key, place, text, dumped(content)),
                )

    def drop(self, keys: Iterable[str]) -> None:
        """Takes submissions out of the class that nothing was ever read of."""
        with self.change() as base:
            base.executemany("DELETE FROM submission WHERE key = ? AND text IS NULL", [(key,) for key in keys])

    def submissions(self) -> list[Row]:
        """All submissions, in their order."""
        found = self.rows(
            "SELECT key, place, text, content, asked, coalesce(circumstances, 0) FROM submission ORDER BY place, key"
        )
        return [Row(key, place, text, json.loads(content), json.loads(asked), circumstances)
                for key, place, text, content, asked, circumstances in found]  # fmt: skip

    def sources(self, text: str) -> dict[str, Any]:
        """What a text's digest stands for."""
        found: dict[str, Any] = json.loads(self.rows("SELECT content FROM text WHERE digest = ?", text)[0][0])
        return found

    # ---- verdicts -------------------------------------------------------------------------------------------------

    def put_verdicts(self, text: str, verdicts: Sequence[Kept]) -> list[int]:
        """Commits verdicts on a text, in place of those with the same key. Returns their numbers."""
        numbers = []
        with self.change() as base:
            for kept in verdicts:
                made = base.execute(
                    "INSERT INTO verdict (text, check_id, decided, status, outcome, seen, under, circumstances, at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (text, check_id, decided) DO UPDATE SET "
                    "status = excluded.status, outcome = excluded.outcome, seen = excluded.seen, "
                    "under = excluded.under, circumstances = excluded.circumstances, at = excluded.at RETURNING id",
                    (text, kept.check, kept.decided, kept.status, dumped(kept.outcome), dumped(sorted(kept.seen)),
                     dumped(kept.under), kept.circumstances, kept.at or now()),
                ).fetchone()  # fmt: skip
                numbers.append(int(made[0]))
        return numbers

    def verdicts(self, text: str) -> list[Kept]:
        """All verdicts on a text, the oldest first."""
        found = self.rows(
            f"SELECT {OF_VERDICT} FROM verdict v WHERE text = ? ORDER BY at, id", text
        )  # fmt: skip
        return [kept_of(row) for row in found]

    def put_marks(self, key: str, marks: Mapping[str, int], asked: Iterable[str], circumstances: int) -> None:
        """The report of a submission is made: which verdict it has of each check, and which checks it is about."""
        with self.change() as base:
            base.execute("DELETE FROM mark WHERE key = ?", (key,))
            base.executemany("INSERT INTO mark VALUES (?, ?, ?)", [(key, *mark) for mark in marks.items()])
            base.execute("UPDATE submission SET asked = ?, circumstances = ? WHERE key = ?",
                         (dumped(list(asked)), circumstances, key))  # fmt: skip

    def marks(self, key: str) -> dict[str, Kept]:
        """The verdicts that a submission's report is made of, by check."""
        found = self.rows(
            f"SELECT {OF_VERDICT} FROM mark m JOIN verdict v ON v.id = m.verdict WHERE m.key = ?", key
        )  # fmt: skip
        return {row[0]: kept_of(row) for row in found}

    def forget_unmarked(self) -> None:
        """Removes verdicts that no report is made of, and texts that nothing is left of."""
        with self.change() as base:
            base.execute("DELETE FROM verdict WHERE id NOT IN (SELECT verdict FROM mark)")
            base.execute("DELETE FROM text WHERE digest NOT IN (SELECT text FROM verdict) AND digest NOT IN "
                         "(SELECT text FROM submission WHERE text IS NOT NULL)")  # fmt: skip

    def marked(self) -> frozenset[str]:
        """Checks that any report has a verdict of."""
        return frozenset(name for (name,) in self.rows("SELECT DISTINCT check_id FROM mark"))

    # ---- points given by hand -------------------------------------------------------------------------------------

    def put_override(
        self, key: str, check: str, points: float, comment: str, author: str, at: datetime | None = None
    ) -> ByHand:
        """Somebody gives points for a check: they count from now on, in place of earlier ones, which are kept."""
        when = (at or datetime.now(UTC)).isoformat()
        with self.change() as base:
            base.execute("UPDATE override SET removed = ? WHERE key = ? AND check_id = ? AND removed IS NULL",
                         (when, key, check))  # fmt: skip
            base.execute(
                "INSERT INTO override (key, check_id, points, comment, author, at, text) VALUES (?, ?, ?, ?, ?, ?, "
                "(SELECT text FROM submission WHERE key = ?))",
                (key, check, points, dumped(comment), dumped(author), when, key),
            )
        return self.overrides(key)[check]

    def remove_override(self, key: str, check: str, at: datetime | None = None) -> bool:
        """The verdict counts again. Whether there was anything to take back."""
        with self.change() as base:
            done = base.execute("UPDATE override SET removed = ? WHERE key = ? AND check_id = ? AND removed IS NULL",
                                ((at or datetime.now(UTC)).isoformat(), key, check))  # fmt: skip
        return done.rowcount > 0

    def overrides(self, key: str) -> dict[str, ByHand]:
        """The points given by hand that count, by check."""
        return {one.check: one for one in self.all_overrides(key) if one.removed is None}

    def all_overrides(self, key: str | None = None) -> list[ByHand]:
        """Of one submission or of all, also what was taken back: the oldest first."""
        found = self.rows(
            "SELECT o.id, key, check_id, points, comment, author, at, removed, o.text IS NOT s.text FROM override o "
            "LEFT JOIN submission s USING (key) WHERE ? IS NULL OR key = ? ORDER BY o.id", key, key,
        )  # fmt: skip
        return [
            ByHand(number, of, check, points, json.loads(comment), json.loads(author), datetime.fromisoformat(at),
                   None if removed is None else datetime.fromisoformat(removed), bool(earlier))
            for number, of, check, points, comment, author, at, removed, earlier in found
        ]  # fmt: skip


def kept_of(row: Sequence[Any]) -> Kept:
    """A row of the table of verdicts."""
    check, decided, status, outcome, seen, under, circumstances, text, at, number = row
    return Kept(check, decided, status, json.loads(outcome), frozenset(json.loads(seen)), json.loads(under),
                circumstances, text, at, number)  # fmt: skip
