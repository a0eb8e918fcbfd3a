"""What the author of a check works with: its declaration, draws, expectations, failures, data and cuts.

Here belongs what checks of several questions share and what one of them may end in. What a single question asks
belongs to `rubric`, how checks are run to `grading`, and words for people to `report`.
"""
