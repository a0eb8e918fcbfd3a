"""What the assignment consists of, by name: the rubric and the bank have a package for each question.

Nothing is imported, so that the command line can tell what may be typed without waiting for PyTorch. `make contract`
compares it with the rubric.
"""

from __future__ import annotations

BONUS_FOLDER = "bonus"
FOLDERS = ("q01", "q02", "q03", "q04", "q05", "q06", "q07", "q08", "q09", "q10", BONUS_FOLDER)  # in the report's order
MODULES = (
    "gaussians", "pca", "autoencoders", "denoising", "training", "semi_supervised", "vae", "vqvae", "prior",
    "evaluation",
)  # fmt: skip
QUESTION_NAMES = tuple(name if name == BONUS_FOLDER else str(int(name[1:])) for name in FOLDERS)  # as they are typed
