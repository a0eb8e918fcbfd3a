"""What the grader lends to the submission's process: text, sent piece by piece when it is asked for (`..lending`).

Nothing in here is imported by the grader, or lies where the worker could: a submission has what its check puts before
it, and no more. Here belong probes, the loop of trained checks, and correct versions of functions (`given`, `parts`).
"""
