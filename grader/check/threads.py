"""How many threads compute: one, everywhere, so that a seed gives one mark whatever runs beside it.

Sums come out differently in their last digits with two threads, and what a training makes of that is now and then a
mark. Small models gain little from a second thread; processes side by side keep the cores busy. Two threads of OpenMP
took ten times as long as one where other graders or workers used the cores too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

THREADS = 1


@contextlib.contextmanager
def fixed_threads() -> Iterator[None]:
    """In this process for a while: torch, and the libraries of NumPy and scikit-learn that are loaded by now."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with threadpool_limits(THREADS):
            yield
    finally:
        torch.set_num_threads(before)
