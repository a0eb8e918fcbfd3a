"""Pictures of what trained checks have handed over: drawn here, never by a submission's code."""
