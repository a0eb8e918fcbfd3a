"""Who handed in what: reads submissions and the folders and archives that they come in.

Nothing is unpacked, nothing but the expected files is opened, and nothing of the grader is imported here: neither
checks nor verdicts nor reports belong in this room.
"""
