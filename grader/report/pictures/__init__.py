"""Pictures that belong to a report."""
