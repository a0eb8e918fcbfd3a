"""Names for people who are not to be known: the same ones each time, and no hint to an order or a name."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

SHORTEST = 6  # digits; more where two would be alike


def aliases(keys: Sequence[str], secret: bytes) -> list[str]:
    """A name for each key, which nobody finds out without the secret, not even who knows all keys."""
    names: list[str] = []
    seen: set[str] = set()
    for key in keys:
        digits = hmac.new(secret, key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        size = next(size for size in range(SHORTEST, len(digits) + 1) if digits[:size] not in seen)
        seen.add(digits[:size])
        names.append(f"Student {digits[:size]}")
    return names
