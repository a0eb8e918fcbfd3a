"""How long a submission is waited for: what hangs once may hang in every check, and the rest of a class waits.

The first call that does not come back costs its full time, the next ones less and less: all functions of a submission
may hang, and it still takes no more than a minute. What is given little time has it of the processor, so that a busy
machine makes nothing late. After a second call a function is not called again in this question, and once many calls
have hung after the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

TRIES = 2  # of one function that does not come back
USUAL_S = 10.0  # for a call, the first time; what usually has more is training
FEWER_S = (3.0, 2.0, 1.0, 0.6)  # for the calls after the first that did not come back, whatever was asked
LEAST_S = 0.4  # for later ones; of the reference no call of a quick check takes more than 0.13 s
WEARY = 1 + len(FEWER_S)
LAST_S = 0.25  # once SPENT calls have hung: a submission in which nothing comes back must cost a class no minute
SPENT = 30
IMPORT_S = 15.0  # for one file: several libraries, on a busy machine
NEXT_IMPORT_S = 2.5  # for each file after one that did not end


class Patience:
    """What of a submission has not come back so far, by the name of what was called."""

    def __init__(self, called_off: Callable[[], bool] = lambda: False) -> None:
        """`called_off` is asked while something is waited for: whether that is of any use still (`ends.CalledOff`)."""
        self.called_off = called_off
        self.hung: Counter[str] = Counter()  # in this question
        self.calls = 0  # of all questions
        self.imports = 0

    @property
    def weary(self) -> bool:
        """Whether so much has hung that everything is tried once, case by case, and for a moment only."""
        return self.calls >= WEARY

    def gone(self, name: str) -> bool:
        """Whether a function is not called again."""
        return bool(name) and self.hung[name] >= (1 if self.weary else TRIES)

    def limit(self, seconds: float) -> float:
        """What a request gets of the time that it usually has."""
        if seconds > USUAL_S:  # training: what hung in another question has no say in it
            return FEWER_S[0] if self.hung.total() >= TRIES else seconds
        if not self.calls:
            return seconds
        if self.calls >= SPENT:
            return min(seconds, LAST_S)
        return min(seconds, LEAST_S if self.weary else FEWER_S[self.calls - 1])

    def import_limit(self) -> float:
        """Seconds for importing one file."""
        return NEXT_IMPORT_S if self.imports else IMPORT_S

    def note(self, name: str) -> None:
        """A request has not come back in its time."""
        self.hung[name] += 1
        self.calls += 1

    def note_import(self) -> None:
        """A file has not been imported in its time."""
        self.imports += 1

    def renew(self) -> None:
        """Another question begins: marks do not depend on what hung in the one before."""
        self.hung.clear()

    def forget(self) -> None:
        """Another part of the work begins: how the work is divided decides what is waited for, and no chance."""
        self.renew()
        self.calls = self.imports = 0
