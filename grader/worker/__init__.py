"""The untrusted side: everything in this folder runs in the process that runs the student's code.

It is started as ``python -I grader/worker`` and imports nothing of the rest of the grader. `wire` and `values` are
also used by the trusted side, which is the only arrow between the two.
"""
