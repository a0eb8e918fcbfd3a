"""What must be asked of a student with this mistake, where the wrong values tell more than that a check has failed.

Part of the question that is shown; for mistakes that are not here, the hint of the first check that they must fail.
"""

HINTS: dict[str, str] = {}
