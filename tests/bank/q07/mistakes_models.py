"""Question 7: the reference with one bug: the classifier and the joint model."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

COPY = "        self.autoencoder: Any = copy.deepcopy(autoencoder).requires_grad_(not freeze)\n"
LOGITS = "        logits: Tensor = self.head(self.autoencoder.encode(x))\n        return logits\n"
KEEPS_EVAL = "        if self.freeze:\n            self.autoencoder.eval()\n"
BOTH = "        x_recon, z = self.autoencoder(x)\n        return x_recon, self.head(z)\n"
ON_CLASSIFIER = ("classifier.copy", "classifier.freeze", "classifier.dtype", "twostage.encoder", "twostage.arguments")
ON_JOINT = ("classifier.dtype", "trainjoint.rows", "trainjoint.learns")

MISTAKES: tuple[Mistake, ...] = (
    mistake(
        "shared-encoder",
        "the classifier holds the very encoder given: fine-tuning changes the autoencoder",
        ("classifier.copy",),
        (COPY, COPY.replace("copy.deepcopy(autoencoder)", "autoencoder")),
        may_fail=(
            "twostage.encoder",
            "classifier.freeze",
        ),
    ),
    mistake(
        "shallow-copy",
        "copy.copy shares the parameters",
        ("classifier.copy",),
        (COPY, COPY.replace("copy.deepcopy", "copy.copy")),
        may_fail=(
            "twostage.encoder",
            "classifier.freeze",
        ),
    ),
    mistake(
        "fresh-encoder",
        "the copy gets new weights: training from scratch",
        ("classifier.logits",),
        (
            COPY,
            COPY + "        for part in self.autoencoder.modules():\n"
            "            if hasattr(part, 'reset_parameters'):\n                part.reset_parameters()\n",
        ),
        may_fail=("twostage.encoder", *ON_CLASSIFIER, "trained.labels"),
    ),
    mistake(
        "softmax-output",
        "returns probabilities",
        ("classifier.logits",),
        (LOGITS, LOGITS.replace("return logits", "return logits.softmax(dim=1)")),
        may_fail=(*ON_CLASSIFIER, "twostage.rows", "trained.labels"),
    ),
    mistake(
        "relu-on-code",
        "a ReLU between code and head",
        ("classifier.logits",),
        (LOGITS, LOGITS.replace("self.autoencoder.encode(x)", "self.autoencoder.encode(x).relu()")),
        may_fail=(*ON_CLASSIFIER, "trained.labels"),
    ),
    mistake(
        "head-on-reconstruction",
        "the head reads the reconstruction's first entries",
        ("classifier.logits",),
        (
            LOGITS,
            LOGITS.replace(
                "self.autoencoder.encode(x)", "self.autoencoder(x)[0].sigmoid().flatten(1)[:, : self.head.in_features]"
            ),
        ),
        may_fail=(*ON_CLASSIFIER, "trained.labels"),
    ),
    mistake(
        "always-ten",
        "num_classes is ignored",
        ("classifier.logits",),
        ("        self.freeze = freeze\n", "        self.freeze = freeze\n        num_classes = 10\n"),
        may_fail=ON_CLASSIFIER,
    ),
    mistake(
        "freezes-the-original",
        "requires_grad is switched off before the copy is made",
        ("classifier.copy",),
        (COPY, "        self.autoencoder: Any = copy.deepcopy(autoencoder.requires_grad_(not freeze))\n"),
        may_fail=("twostage.encoder",),
    ),
    mistake(
        "evaluates-the-original",
        "puts the autoencoder given in evaluation mode",
        ("classifier.copy",),
        (COPY, COPY + "        autoencoder.eval()\n"),
        may_fail=("twostage.encoder", "twostage.arguments"),
    ),
    mistake(
        "frozen-statistics-move",
        "freezes the weights only: running statistics go on moving",
        ("classifier.freeze",),
        (KEEPS_EVAL, ""),
    ),
    mistake(
        "freeze-ignored",
        "freeze has no effect",
        ("classifier.freeze",),
        ("        self.freeze = freeze\n", "        self.freeze = freeze = False\n"),
        may_fail=("twostage.encoder",),
    ),
    mistake(
        "always-frozen",
        "the encoder is frozen without freeze too",
        ("classifier.freeze",),
        ("        self.freeze = freeze\n", "        self.freeze = freeze = True\n"),
        may_fail=(
            "twostage.encoder",
            "trained.labels",
        ),
    ),
    mistake(
        "code-detached",
        "the code is detached: the encoder never learns",
        ("classifier.freeze",),
        (LOGITS, LOGITS.replace("encode(x)", "encode(x).detach()")),
        may_fail=(
            "twostage.encoder",
            "trained.labels",
        ),
    ),
    mistake(
        "head-is-float32",
        "the head is float32 whatever the encoder is",
        ("classifier.dtype",),
        (
            "    return nn.Linear(latent_dim, num_classes, device=anchor.device, dtype=anchor.dtype)\n",
            "    return nn.Linear(latent_dim, num_classes, device=anchor.device)\n",
        ),
    ),
    mistake(
        "joint-copies",
        "the joint model trains a copy",
        ("joint.model",),
        ("        self.autoencoder = autoencoder\n", "        self.autoencoder = copy.deepcopy(autoencoder)\n"),
        may_fail=ON_JOINT,
    ),
    mistake(
        "joint-encodes-twice",
        "the code is computed a second time for the logits",
        ("joint.model",),
        (BOTH, "        return self.autoencoder(x)[0], self.head(self.autoencoder.encode(x))\n"),
        may_fail=ON_JOINT,
    ),
    mistake(
        "joint-order",
        "returns (logits, x_recon)",
        ("joint.model",),
        (BOTH, "        x_recon, z = self.autoencoder(x)\n        return self.head(z), x_recon\n"),
        may_fail=ON_JOINT,
    ),
    mistake(
        "joint-softmax",
        "probabilities for logits",
        ("joint.model",),
        (BOTH, BOTH.replace("self.head(z)", "self.head(z).softmax(1)")),
        may_fail=ON_JOINT,
    ),
    mistake(
        "joint-returns-code",
        "returns the code in the place of the logits",
        ("joint.model",),
        (BOTH, "        return self.autoencoder(x)\n"),
        may_fail=ON_JOINT,
    ),
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
    # ---- what nobody asked for before
    mistake(
        "frozen-head-too",
        "the whole classifier is frozen, its head as well",
        ("classifier.freeze",),
        (
            "        self.train()\n        # end",
            "        self.requires_grad_(not freeze)\n        self.train()\n        # end",
        ),
        may_fail=("twostage.encoder",),
    ),
    mistake(
        "head-tanh",
        "squashes the code once more",
        ("classifier.logits",),
        (LOGITS, LOGITS.replace("encode(x)", "encode(x).tanh()")),
        may_fail=ON_CLASSIFIER,
    ),
    mistake(
        "head-log-softmax",
        "returns logarithms of probabilities",
        ("classifier.logits",),
        (LOGITS, LOGITS.replace("return logits", "return logits.log_softmax(dim=1)")),
        may_fail=ON_CLASSIFIER,
    ),
    mistake(
        "joint-always-ten",
        "num_classes is ignored",
        ("joint.model",),
        ("        self.autoencoder = autoencoder\n", "        self.autoencoder, num_classes = autoencoder, 10\n"),
        may_fail=ON_JOINT,
    ),
    mistake(
        "joint-recon-detached",
        "the reconstruction is cut off from the encoder",
        ("joint.model",),
        (BOTH, BOTH.replace("return x_recon, ", "return x_recon.detach(), ")),
        may_fail=ON_JOINT,
    ),
)
