"""Functions that one question's code may call though another question grades them.

What fails in the borrower's question is judged again with the grader's own version of these in place, at no cost: a
mistake loses its points where it was made, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...check.declaration import BONUS
from ...check.parts import Part

MSE = Part("autoencoders.mse_loss", "image_mse", ())
BCE = Part("autoencoders.bce_loss", "bce_loss", ())
VANILLA = Part("autoencoders.VanillaAutoencoder", "VanillaAutoencoder", ())
KL = Part("gaussians.kl_divergence", "kl_divergence", ())
DENSITIES = tuple(Part(f"gaussians.{name}", name, ())
                  for name in ("univariate_log_prob", "diagonal_log_prob", "full_covariance_log_prob"))  # fmt: skip
LOOP = (Part("training.fit", "fit", ()), Part("training.train_step", "train_step", ()))
REPARAMETERIZE = Part("vae.reparameterize", "reparameterize", ())

# borrower -> owner -> what is borrowed; an owner comes before its borrowers
BORROWED: Mapping[int, Mapping[int, tuple[Part, ...]]] = {
    5: {4: (MSE, VANILLA)},
    6: {4: (MSE,)},
    7: {4: (MSE,), 6: LOOP},
    8: {2: (KL,), 4: (BCE,)},
    9: {2: (KL,), 4: (BCE,), 8: (REPARAMETERIZE,)},
    BONUS: {1: DENSITIES, 2: (KL,), 4: (MSE, BCE), 8: (REPARAMETERIZE,)},
}
