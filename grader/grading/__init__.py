"""Turns what happened into outcomes, and submissions into reports: verdicts, lanes, the run of a class.

The only place where a status is decided. What a check asks belongs to `rubric`, how it is told to `report`.
"""
