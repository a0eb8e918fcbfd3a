"""Question 10: the reference with one bug: the model and its loss."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

TRAINED = ("trained.vq", "trained.ema")


MISTAKES: tuple[Mistake, ...] = (
    # ---- the model and its loss
    mistake(
        "model-ignores-beta",
        "the commitment cost is not handed on to the quantizer",
        "model.forward",
        edits=(
            (
                "            num_embeddings, embedding_dim, commitment_cost\n        )\n        self.decoder",
                "            num_embeddings, embedding_dim\n        )\n        self.decoder",
            ),
        ),
    ),
    mistake(
        "model-ignores-ema",
        "ema=True changes nothing",
        "model.shapes",
        "model.forward",
        "model.gradient",
        edits=(("(EMAVectorQuantizer if ema else VectorQuantizer)(", "VectorQuantizer("),),
        may_fail=("trained.ema",),
    ),
    mistake(
        "model-decodes-z-e",
        "decodes the encoder's output instead of the codes",
        "model.forward",
        edits=(("return self.decode(z_q), vq_loss, indices", "return self.decode(self.encode(x)), vq_loss, indices"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "model-quantises-twice",
        "asks the quantizer once for codes and loss and once for the indices: averages move twice in a pass",
        "model.forward",
        edits=(
            (
                "        z_q, vq_loss, indices = self.quantizer(self.encode(x))\n",
                "        z_e = self.encode(x)\n        z_q, vq_loss = self.quantizer(z_e)[:2]\n"
                "        indices = self.quantizer(z_e)[2]\n",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "model-detached",
        "detaches the codes before decoding",
        "model.gradient",
        edits=(("return self.decode(z_q), vq_loss, indices", "return self.decode(z_q.detach()), vq_loss, indices"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "model-not-squashed",
        "nothing bounds the picture",
        "model.shapes",
        "model.forward",
        "model.gradient",
        edits=(
            (
                "            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),\n            nn.Sigmoid(),\n",
                "            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),\n",
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "model-size",
        "a transposed convolution without output padding: 7 becomes 13",
        "model.shapes",
        "model.forward",
        "model.gradient",
        edits=(
            (
                "nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1)",
                "nn.ConvTranspose2d(32, 16, kernel_size=3, stride=2, padding=1)",
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "loss-per-image",
        "the reconstruction is summed over pixels",
        "loss",
        edits=(
            (
                "return F.mse_loss(x_recon, x) + vq_loss",
                "return F.mse_loss(x_recon, x, reduction='sum') / len(x) + vq_loss",
            ),
        ),
    ),
    mistake(
        "loss-without-vq",
        "vq_loss enters as a number: no gradient reaches it",
        "loss",
        edits=(("return F.mse_loss(x_recon, x) + vq_loss", "return F.mse_loss(x_recon, x) + vq_loss.detach()"),),
    ),
    mistake(
        "loss-broadcasts",
        "pictures of other shapes are broadcast silently",
        "loss",
        edits=(('    _check_same_shape("x_recon", x_recon, x)\n', ""),),
    ),
    mistake(
        "model-own-number-of-codes",
        "the model has 128 codes whatever is asked for",
        "model.shapes",
        "model.forward",
        "model.gradient",
        edits=(
            (
                "            num_embeddings, embedding_dim, commitment_cost\n        )\n        self.decoder",
                "            128, embedding_dim, commitment_cost\n        )\n        self.decoder",
            ),
        ),
    ),
    mistake(
        "model-sizes-exchanged",
        "hands number and dimension of the codes on in the wrong order",
        "model.shapes",
        "model.forward",
        "model.gradient",
        edits=(
            (
                "            num_embeddings, embedding_dim, commitment_cost\n        )\n        self.decoder",
                "            embedding_dim, num_embeddings, commitment_cost\n        )\n        self.decoder",
            ),
        ),
    ),
    mistake(
        "model-decodes-numbers-as-they-are",
        "decode_indices flattens the grid of codes by view: channels and pixels are mixed",
        "model.forward",
        edits=(
            (
                "return self.decode(self.quantizer.lookup(indices))",
                "rows = self.quantizer.codebook[indices]\n"
                "        return self.decode(rows.reshape(len(indices), -1, 7, 7))",
            ),
        ),
    ),
    mistake(
        "loss-forgets-vq",
        "the reconstruction error alone",
        "loss",
        edits=(("return F.mse_loss(x_recon, x) + vq_loss", "return F.mse_loss(x_recon, x)"),),
    ),
    mistake(
        "loss-weights-again",
        "vq_loss enters with the commitment cost a second time",
        "loss",
        edits=(("return F.mse_loss(x_recon, x) + vq_loss", "return F.mse_loss(x_recon, x) + 0.25 * vq_loss"),),
    ),
    mistake(
        "loss-absolute",
        "absolute errors of the pixels",
        "loss",
        edits=(("return F.mse_loss(x_recon, x) + vq_loss", "return F.l1_loss(x_recon, x) + vq_loss"),),
    ),
)
