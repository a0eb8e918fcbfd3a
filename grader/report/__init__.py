"""Reports: one record per graded submission, and pure functions that render it."""
