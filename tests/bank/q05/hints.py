"""Question 5: what must be asked of a student with each mistake, in the first failing check that they would read."""

HINTS: dict[str, str] = {
    "q5-gaussian-squared": "exactly the square of what was asked: is the argument a standard deviation or a variance?",
    "q5-gaussian-uniform-same-variance": "From which distribution do you draw?",
    "q5-masking-keeps": "Is the argument the probability to keep a pixel, or to lose it?",
    "q5-masking-rescales": "What happens to a pixel that stays?",
    "q5-masking-white": "Which value stands for a pixel that is gone?",
    "q5-salt-each": "With which probability is a pixel replaced at all, and with which by this value?",
    "q5-salt-one-draw": "With which probability is a pixel replaced at all, and with which by this value?",
    "q5-salt-only": "With which probability is a pixel replaced at all, and with which by this value?",
    "q5-salt-half-rate": "With which probability is a pixel replaced at all, and with which by this value?",
    "q5-masking-exact-per-image": "Does chance alone decide how many pixels of an image are hit?",
    "q5-masking-exact-fraction": "Does chance alone decide how many pixels of an image are hit?",
    "q5-salt-exact-fraction": "Does chance alone decide how many pixels of an image are hit?",
    "q5-gaussian-centred": "Does chance alone decide how many pixels of an image are hit?",
    "q5-corrupt-computes-all": "Which of the three functions run when one of them is named?",
    "q5-dae-noise-needs-gradients": "Is a model that records no gradients still in training mode?",
    "q5-loss-mode-decides": "How is noise made sure of, whatever the mode?",
    "q5-loss-no-noise": "How is noise made sure of, whatever the mode?",
    "q5-dae-code-after-relu": "May a code be negative?",
}
