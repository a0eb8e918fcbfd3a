"""Workers of one lane, each in a box of its own: one that works, and one that gets ready meanwhile.

A box serves one submission. Making one takes as long as importing torch; here the next one does that while the present
one works, so that neither a check nor a submission waits for it. There is never more than one spare.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..boundary.box import Box, choose
from ..boundary.hosts import Host, start
from ..boundary.launch import GraderFault, WorkerDied


class Pool:
    """The boxes of a lane. Close it, or use it as a context manager."""

    def __init__(self, box: Box | None = None) -> None:
        self.box = box or choose("none")
        self.ahead: Sequence[str] | None = None
        self.spare: Host | None = None
        self._loaded: frozenset[str] = frozenset()
        self._working = False  # whether a worker has been taken: before that, a spare would only be in its way

    def expect(self, modules: Sequence[str] | None) -> None:
        """What the next box will have to have imported; None: nothing follows the present one, and no spare starts."""
        self.ahead = modules
        if self._working:
            self._prepare()

    def take(self, modules: Sequence[str]) -> Host:
        """A worker that has these libraries: the spare if there is one and it lives, else a new one.

        It has never seen a submission. Raises GraderFault.
        """
        worker = self._warm(modules) or self._new(modules)
        self._working = True
        self._prepare()
        return worker

    def _prepare(self) -> None:
        """Starts a spare if one is wanted and none runs, and does not wait for it."""
        if self.ahead is None or (self.spare is not None and self.spare.alive):
            return
        self.close()
        self.spare, self._loaded = start(self.box), frozenset(self.ahead)
        self.spare.begin_preload(self.ahead)

    def _warm(self, modules: Sequence[str]) -> Host | None:
        """The spare; None where there is none, or where it ended while nobody looked."""
        spare, self.spare = self.spare, None
        if spare is None:
            return None
        missing = [name for name in modules if name not in self._loaded]
        try:
            spare.finish_preload()
            if missing:
                spare.preload(missing)
        except WorkerDied:
            spare.close()
            return None
        return spare

    def _new(self, modules: Sequence[str]) -> Host:
        worker = start(self.box)
        try:
            worker.preload(modules)
        except WorkerDied as died:
            worker.close()
            raise GraderFault(f"a worker could not be started: {died}") from died
        return worker

    def close(self) -> None:
        """Ends the spare."""
        if self.spare is not None:
            self.spare.close()
            self.spare = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
