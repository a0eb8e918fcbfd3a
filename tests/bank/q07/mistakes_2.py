"""Question 7: the reference with one bug: what somebody found who knew the handout only."""

from __future__ import annotations

from .. import Mistake


def mistake(
    id: str,
    story: str,
    fails: tuple[str, ...],
    *edits: tuple[str, str],
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """One bug in semi_supervised.py; ids of checks without the question's prefix."""
    return Mistake(
        f"q7-{id}", 7, "semi_supervised", story, tuple(f"q7.{name}" for name in fails), edits, append,
        tuple(f"q7.{name}" for name in may_fail),
    )  # fmt: skip


LOGITS = "        logits: Tensor = self.head(self.autoencoder.encode(x))\n        return logits\n"


KEEPS_EVAL = "        if self.freeze:\n            self.autoencoder.eval()\n"


BOTH = "        x_recon, z = self.autoencoder(x)\n        return x_recon, self.head(z)\n"


MEAN_HITS = "    return int(hits) / len(labels)\n"


EVALUATES = "    with evaluation_mode(model):\n"


JOINT_LOOP = """    with modes_kept(model):
        return list(train_epochs(model, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
"""


MISTAKES: tuple[Mistake, ...] = (
    # ---- what somebody found who knew the handout only
    mistake(
        "frozen-by-momentum",
        "running statistics are held by momentum 0: their counter goes on",
        ("classifier.freeze",),
        (
            KEEPS_EVAL,
            """        if self.freeze:
            for module in self.autoencoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.momentum = 0.0
""",
        ),
    ),
    mistake(
        "frozen-on-train-call",
        "the frozen encoder is in evaluation mode only once somebody has called train()",
        ("classifier.freeze",),
        ("latent_dim, num_classes)\n        self.train()\n", "latent_dim, num_classes)\n"),
    ),
    mistake(
        "code-of-forward",
        "takes the code from forward, which may corrupt the image",
        ("classifier.logits",),
        (LOGITS, "        _, z = self.autoencoder(x)\n        logits: Tensor = self.head(z)\n        return logits\n"),
        may_fail=("classifier.freeze", "twostage.encoder", "trained.labels"),
    ),
    mistake(
        "accuracy-switches-gradients-off",
        "gradients are switched off for good",
        ("accuracy.state",),
        (EVALUATES, "    torch.set_grad_enabled(False)\n" + EVALUATES),
        may_fail=("trained.labels",),
    ),
    mistake(
        "accuracy-gradients-on",
        "gradients are on afterwards, also where the caller had switched them off",
        ("accuracy.state",),
        (EVALUATES, "    torch.set_grad_enabled(False)\n    with modes_kept(model):\n        model.eval()\n"),
        (MEAN_HITS, "    torch.set_grad_enabled(True)\n" + MEAN_HITS),
    ),
    mistake(
        "accuracy-unfreezes",
        "every parameter requires a gradient afterwards",
        ("accuracy.state",),
        (EVALUATES, "    model.requires_grad_(False)\n" + EVALUATES),
        (MEAN_HITS, "    model.requires_grad_(True)\n" + MEAN_HITS),
    ),
    mistake(
        "frozen-batch-norm-only",
        "of a frozen encoder only batch normalisation is held",
        ("classifier.freeze",),
        (
            KEEPS_EVAL,
            """        if self.freeze:
            for module in self.autoencoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
""",
        ),
    ),
    mistake(
        "joint-needs-decode",
        "goes through encode and decode, which not every autoencoder has",
        ("joint.model",),
        (
            BOTH,
            BOTH.replace("x_recon, z = self.autoencoder(x)", "z = self.autoencoder.encode(x)").replace(
                "return x_recon, ", "return self.autoencoder.decode(z).reshape(x.shape), "
            ),
        ),
    ),
    mistake(
        "joint-running-mean",
        "total and count are never set back: the mean over all epochs so far",
        ("trainjoint.rows",),
        (
            JOINT_LOOP,
            JOINT_LOOP.replace("return list(train_epochs", "each = list(train_epochs")
            + "    return [sum(each[: k + 1]) / (k + 1) for k in range(epochs)]\n",
        ),
    ),
)
