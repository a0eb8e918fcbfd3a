"""Tools of the assignment's authors: the starter from the solution, the cuts from the reference's results."""
