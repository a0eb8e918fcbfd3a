"""Marks in the files that learning management systems take back: Moodle, Canvas, Gradescope, and a plain table.

What belongs here: pure functions from `Mark` records and a template's bytes to a file's bytes and a list of what was
left out. What does not: how a mark comes about (`grading`), and reading or writing of files (`cli`).
"""
