"""The reference solution of the assignment; `starter/` is this package with the marked regions cut out."""
