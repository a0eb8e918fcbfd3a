"""How long a submission is waited for: what hangs once may hang in every check.

The first calls of a function that do not come back cost their full time. After a second one it is not called again, and
from then on everything else is given less. Each question starts anew, so that marks do not depend on how questions are
spread over processes.
"""

from __future__ import annotations

from collections import Counter

TRIES = 2  # of one function that does not come back
SHORT_S = 4.0  # for a request once that many have not come back, whatever was asked


class Patience:
    """What has not come back so far, by the name of what was called."""

    def __init__(self) -> None:
        self.hung: Counter[str] = Counter()

    def gone(self, name: str) -> bool:
        """Whether a function is not called again."""
        return bool(name) and self.hung[name] >= TRIES

    def limit(self, seconds: float) -> float:
        """What a request gets of the time that it usually has."""
        return min(seconds, SHORT_S) if self.hung.total() >= TRIES else seconds

    def note(self, name: str) -> None:
        """A request has not come back in its time."""
        self.hung[name] += 1

    def renew(self) -> None:
        """Another question begins."""
        self.hung.clear()
