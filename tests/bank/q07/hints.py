"""Question 7: what must be asked of a student with each mistake, in the first failing check that they would read."""

HINTS: dict[str, str] = {
    "blind-joint-code-detached": "Should the labels shape the code?",
    "q7-frozen-statistics-move": "Which numbers of a normalisation layer change without any gradient?",
    "q7-mean-over-all-rows": "By how many rows do you divide when only some have a label?",
    "q7-alpha-on-reconstruction": "Which of the two terms should vanish at alpha = 0?",
    "q7-alpha-mixes": "What does alpha = 0 leave of the reconstruction, and what does alpha = 1?",
    "q7-frozen-by-momentum": "Which numbers of a normalisation layer change without any gradient?",
    "q7-frozen-on-train-call": "Which numbers of a normalisation layer change without any gradient?",
    "q7-code-of-forward": "Which method gives the code of the image as it is",
    "q7-accuracy-switches-gradients-off": "For how long are gradients switched off, and who switches them on again?",
    "q7-accuracy-gradients-on": "Were gradients on when your function was called?",
    "q7-accuracy-unfreezes": "Which parameters required a gradient before you looked at the model?",
    "q7-frozen-batch-norm-only": "Which layers have buffers: those of batch normalisation only?",
    "q7-joint-needs-decode": "Which methods of an autoencoder may you count on?",
    "q7-joint-running-mean": "What do the earlier epochs have to do with the number of this one?",
}
