"""The trusted end of a session: how a worker starts, what is asked of it, and what may come back.

Here belongs whatever keeps the student's code away from the grader: processes, deadlines, limits, checked values.
No check, expectation, point or verdict does.
"""
