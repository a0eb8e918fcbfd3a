"""The attacks, a module per kind. Each is the text of what somebody hands in: nothing here runs in the test's process."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack
from . import archives, ending, helping, learning, limits, network, notes, processes, reading, replies, reports, writing

ATTACKS: Sequence[Attack] = (
    *reading.ATTACKS, *writing.ATTACKS, *processes.ATTACKS, *network.ATTACKS, *notes.ATTACKS, *limits.ATTACKS,
    *replies.ATTACKS, *ending.ATTACKS, *archives.ATTACKS, *reports.ATTACKS, *helping.ATTACKS, *learning.ATTACKS,
)  # fmt: skip
