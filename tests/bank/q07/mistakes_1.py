"""Question 7: the reference with one bug: the classifier, the joint model, losses, accuracy, fine-tuning, two stages, joint training."""

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


COPY = "        self.autoencoder: Any = copy.deepcopy(autoencoder).requires_grad_(not freeze)\n"


LOGITS = "        logits: Tensor = self.head(self.autoencoder.encode(x))\n        return logits\n"


KEEPS_EVAL = "        if self.freeze:\n            self.autoencoder.eval()\n"


BOTH = "        x_recon, z = self.autoencoder(x)\n        return x_recon, self.head(z)\n"


CLASSIFICATION = """    total = nn.functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)
"""


JOINT_SUM = "    return mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)\n"


MEAN_HITS = "    return int(hits) / len(labels)\n"


EVALUATES = "    with evaluation_mode(model):\n"


OUTPUT = "            logits = output[-1] if isinstance(output, tuple) else output\n"


STAGE_ONE = """    fit(
        autoencoder,
        images,
        lambda output, x: mse_loss(output[0], x),
        optimizer,
        pretrain_epochs,
        batch_size,
        generator=generator,
    )
"""


STAGE_TWO = """    classifier = EncoderClassifier(autoencoder, latent_dim, freeze=freeze)
    finetune(classifier, images, labels, finetune_epochs, lr=lr, generator=generator)
"""


FINETUNE_START = """    images, labels = labelled_rows(images, labels)
    images, labels = to_model(images, classifier), to_model(labels, classifier)
"""


FINETUNE_LOSS = "        return classification_loss(classifier(images[rows]), labels[rows])\n"


FINETUNE_LOOP = """    with modes_kept(classifier):
        return list(train_epochs(classifier, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
"""


JOINT_START = "    images, labels = to_model(images, model), to_model(labels, model)\n    optimizer = adam(model, lr)\n"


JOINT_LOSS = "        return joint_loss(x_recon, x, logits, labels[rows], alpha)\n"


JOINT_LOOP = """    with modes_kept(model):
        return list(train_epochs(model, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
"""


ON_CLASSIFIER = ("classifier.copy", "classifier.freeze", "classifier.dtype", "twostage.encoder", "twostage.arguments")


ON_JOINT = ("classifier.dtype", "trainjoint.rows", "trainjoint.learns")


ON_LOSS = (
    "loss.gradient", "jointloss.value", "finetune.rows", "finetune.learns", "trainjoint.rows", "trainjoint.learns",
    "classifier.freeze", "twostage.rows", "twostage.encoder", "twostage.arguments",
)  # fmt: skip


ON_FINETUNE = ("classifier.freeze", "finetune.learns", "twostage.rows", "twostage.encoder", "twostage.arguments")


MISTAKES: tuple[Mistake, ...] = (
    # ---- the classifier
    mistake(
        "shared-encoder",
        "the classifier holds the very encoder given: fine-tuning changes the autoencoder",
        ("classifier.copy", "twostage.encoder"),
        (COPY, COPY.replace("copy.deepcopy(autoencoder)", "autoencoder")),
        may_fail=("classifier.freeze",),
    ),
    mistake(
        "shallow-copy",
        "copy.copy shares the parameters",
        ("classifier.copy", "twostage.encoder"),
        (COPY, COPY.replace("copy.deepcopy", "copy.copy")),
        may_fail=("classifier.freeze",),
    ),
    mistake(
        "fresh-encoder",
        "the copy gets new weights: training from scratch",
        ("classifier.logits", "twostage.encoder"),
        (
            COPY,
            COPY + "        for part in self.autoencoder.modules():\n"
            "            if hasattr(part, 'reset_parameters'):\n                part.reset_parameters()\n",
        ),
        may_fail=(*ON_CLASSIFIER, "trained.labels"),
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
        ("classifier.freeze", "twostage.encoder"),
        ("        self.freeze = freeze\n", "        self.freeze = freeze = False\n"),
    ),
    mistake(
        "always-frozen",
        "the encoder is frozen without freeze too",
        ("classifier.freeze", "twostage.encoder"),
        ("        self.freeze = freeze\n", "        self.freeze = freeze = True\n"),
        may_fail=("trained.labels",),
    ),
    mistake(
        "code-detached",
        "the code is detached: the encoder never learns",
        ("classifier.freeze", "twostage.encoder"),
        (LOGITS, LOGITS.replace("encode(x)", "encode(x).detach()")),
        may_fail=("trained.labels",),
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
    # ---- the joint model
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
    # ---- losses
    mistake(
        "mean-over-all-rows",
        "divides by all rows, labelled or not",
        ("loss.value",),
        (CLASSIFICATION, CLASSIFICATION.replace("(labels != UNLABELLED).sum().clamp(min=1)", "len(labels)")),
        may_fail=("loss.unlabelled", *ON_LOSS),
    ),
    mistake(
        "sum-over-rows",
        "the sum, not the mean",
        ("loss.value",),
        (CLASSIFICATION, CLASSIFICATION.replace(" / (labels != UNLABELLED).sum().clamp(min=1)", "")),
        may_fail=("loss.unlabelled", *ON_LOSS),
    ),
    mistake(
        "nan-without-labels",
        "the built-in mean: 0/0 without labels",
        ("loss.unlabelled",),
        (CLASSIFICATION, "    return nn.functional.cross_entropy(logits, labels, ignore_index=UNLABELLED)\n"),
        may_fail=("jointloss.value", "trainjoint.rows", "trainjoint.learns", "loss.gradient"),
    ),
    mistake(
        "constant-without-labels",
        "a constant 0 without labels: no gradient flows",
        ("loss.unlabelled",),
        append="""def classification_loss(logits, labels):
    given = labels != UNLABELLED
    if not given.any():
        return torch.zeros((), dtype=logits.dtype)
    return nn.functional.cross_entropy(logits[given], labels[given])
""",
        may_fail=("trainjoint.rows",),
    ),
    mistake(
        "unlabelled-is-class-zero",
        "a missing label is taken for class 0",
        ("loss.value", "loss.unlabelled"),
        (CLASSIFICATION, "    return nn.functional.cross_entropy(logits, labels.clamp(min=0))\n"),
        may_fail=ON_LOSS,
    ),
    mistake(
        "log-of-softmax",
        "the logarithm of a softmax: infinite for large logits",
        ("loss.value",),
        (
            CLASSIFICATION,
            CLASSIFICATION.replace(
                "nn.functional.cross_entropy(logits,", "nn.functional.nll_loss(logits.softmax(1).log(),"
            ),
        ),
        may_fail=ON_LOSS,
    ),
    mistake(
        "softmax-twice",
        "cross-entropy of probabilities",
        ("loss.value",),
        (CLASSIFICATION, CLASSIFICATION.replace("cross_entropy(logits,", "cross_entropy(logits.softmax(1),")),
        may_fail=("loss.unlabelled", *ON_LOSS, "trained.labels"),
    ),
    mistake(
        "loss-in-bits",
        "base-2 logarithm",
        ("loss.value",),
        (CLASSIFICATION, CLASSIFICATION.replace("clamp(min=1)\n", "clamp(min=1) / 0.6931471805599453\n")),
        may_fail=("loss.unlabelled", *ON_LOSS),
    ),
    mistake(
        "alpha-on-reconstruction",
        "alpha weighs the reconstruction",
        ("jointloss.value",),
        (JOINT_SUM, "    return alpha * mse_loss(x_recon, x) + classification_loss(logits, labels)\n"),
        may_fail=("trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "alpha-mixes",
        "(1 - alpha) and alpha",
        ("jointloss.value",),
        (JOINT_SUM, "    return (1 - alpha) * mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)\n"),
        may_fail=("trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "alpha-detached",
        "the classification term is turned into a number",
        ("loss.gradient",),
        (
            JOINT_SUM,
            JOINT_SUM.replace("classification_loss(logits, labels)", "classification_loss(logits, labels).item()"),
        ),
        may_fail=("trainjoint.learns",),
    ),
    mistake(
        "joint-mean-mse",
        "the reconstruction is a mean over pixels",
        ("jointloss.value",),
        (JOINT_SUM, JOINT_SUM.replace("mse_loss(", "nn.functional.mse_loss(")),
        may_fail=("trainjoint.rows",),
    ),
    mistake(
        "joint-labelled-rows-only",
        "only labelled rows are reconstructed",
        ("jointloss.value",),
        (
            JOINT_SUM,
            "    given = labels != UNLABELLED\n    if not given.any():\n        given = ~given\n"
            "    return mse_loss(x_recon[given], x[given]) + alpha * classification_loss(logits, labels)\n",
        ),
        may_fail=("loss.gradient", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "joint-any-alpha",
        "a negative alpha is accepted",
        ("jointloss.value",),
        ("    if alpha < 0:\n", "    if False:\n"),
    ),
    # ---- accuracy
    mistake(
        "accuracy-over-all-rows",
        "divides by all rows",
        ("accuracy.value",),
        append="""def accuracy(model, images, labels, batch_size=256):
    if not (labels != UNLABELLED).any():
        raise ValueError(f"no labels: {labels}")
    with evaluation_mode(model):
        outputs = [model(x) for x in images.split(batch_size)]
    logits = torch.cat([out[-1] if isinstance(out, tuple) else out for out in outputs])
    return float((logits.argmax(1) == labels).double().mean())
""",
    ),
    mistake(
        "accuracy-mean-of-batches",
        "the mean of the batches' accuracies",
        ("accuracy.value",),
        (MEAN_HITS, "    return float(sum(parts) / len(parts))\n"),
        (
            "            hits += (logits.argmax(dim=1) == y).sum()\n",
            "            parts.append((logits.argmax(dim=1) == y).double().mean())\n",
        ),
        ("    hits = labels.new_zeros(())\n", "    parts = []\n"),
    ),
    mistake(
        "accuracy-in-percent",
        "in percent",
        ("accuracy.value",),
        (MEAN_HITS, "    return 100 * int(hits) / len(labels)\n"),
    ),
    mistake(
        "accuracy-of-first-output",
        "takes the first output of a tuple",
        ("accuracy.value",),
        (OUTPUT, OUTPUT.replace("output[-1]", "output[0].flatten(1)")),
    ),
    mistake(
        "accuracy-no-error",
        "0 where no row is labelled",
        ("accuracy.value",),
        append="""_labelled_accuracy = accuracy


def accuracy(model, images, labels, batch_size=256):
    if (labels == UNLABELLED).all():
        return 0.0
    return _labelled_accuracy(model, images, labels, batch_size)
""",
    ),
    mistake(
        "accuracy-in-training-mode",
        "dropout and batch statistics stay on",
        ("accuracy.state",),
        (EVALUATES, "    with torch.no_grad():\n"),
    ),
    mistake(
        "accuracy-leaves-eval",
        "the model stays in evaluation mode",
        ("accuracy.state",),
        (EVALUATES, "    model.eval()\n    with torch.no_grad():\n"),
    ),
    mistake(
        "accuracy-with-gradients",
        "gradients are recorded",
        ("accuracy.state",),
        (EVALUATES, "    with modes_kept(model):\n        model.eval()\n"),
    ),
    mistake(
        "accuracy-all-at-once",
        "ignores batch_size",
        ("accuracy.state",),
        ("    hits = labels.new_zeros(())\n", "    hits, batch_size = labels.new_zeros(()), len(labels)\n"),
    ),
    # ---- fine-tuning
    mistake(
        "finetune-all-rows",
        "unlabelled rows go through the classifier too",
        ("finetune.rows", "twostage.rows"),
        (FINETUNE_START, "    labelled_rows(images, labels)\n"),
        may_fail=ON_FINETUNE,
    ),
    mistake(
        "finetune-labels-left-behind",
        "the images are shuffled, their labels are not",
        ("finetune.rows", "finetune.learns"),
        (FINETUNE_LOSS, FINETUNE_LOSS.replace("labels[rows]", "labels[: len(rows)]")),
        may_fail=("trained.labels",),
    ),
    mistake(
        "finetune-not-shuffled",
        "always in the same order",
        ("finetune.rows",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.arange(len(images)).split(batch_size):
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(rows)
        history.append(total / len(images))
    return history
""",
        ),
    ),
    mistake(
        "finetune-unweighted",
        "the history holds the mean of batch means",
        ("finetune.rows",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        history.append(sum(losses) / len(losses))
    return history
""",
        ),
    ),
    mistake(
        "finetune-thaws",
        "makes every parameter trainable first",
        ("finetune.learns", "classifier.freeze", "twostage.encoder"),
        (
            "    optimizer = adam(classifier, lr)\n",
            "    classifier.requires_grad_(True)\n    optimizer = adam(classifier, lr)\n",
        ),
    ),
    mistake(
        "finetune-head-only",
        "trains the last layer only",
        ("classifier.freeze", "twostage.encoder"),
        (
            "    optimizer = adam(classifier, lr)\n",
            "    optimizer = torch.optim.Adam(list(classifier.parameters())[-2:], lr=lr)\n",
        ),
        may_fail=("finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-no-step",
        "the optimizer never steps",
        ("finetune.learns", "classifier.freeze", "twostage.encoder"),
        ("    optimizer = adam(classifier, lr)\n", "    optimizer = adam(classifier, 0.0)\n"),
        may_fail=("trained.labels",),
    ),
    mistake(
        "finetune-climbs",
        "the sign of the loss is wrong",
        ("finetune.rows", "finetune.learns"),
        (FINETUNE_LOSS, FINETUNE_LOSS.replace("return classification", "return -classification")),
        may_fail=("trained.labels",),
    ),
    mistake(
        "finetune-no-error",
        "nothing is said where no row is labelled",
        ("finetune.rows",),
        (FINETUNE_START, "    if not (labels != UNLABELLED).any():\n        return [0.0] * epochs\n" + FINETUNE_START),
    ),
    # ---- two stages
    mistake(
        "pretrains-on-labelled-rows",
        "the first stage sees labelled images only",
        ("twostage.rows",),
        (STAGE_ONE, STAGE_ONE.replace("        images,\n", "        images[labels != UNLABELLED],\n")),
        may_fail=("twostage.encoder", "twostage.arguments", "trained.labels"),
    ),
    mistake(
        "no-pretraining",
        "the first stage is skipped",
        ("twostage.rows", "twostage.encoder"),
        (STAGE_ONE, ""),
        may_fail=("twostage.arguments", "trained.labels"),
    ),
    mistake(
        "second-stage-starts-afresh",
        "a copy made before pre-training is fine-tuned",
        ("twostage.encoder",),
        (
            "    optimizer = adam(autoencoder, lr)\n    fit(\n",
            "    optimizer = adam(autoencoder, lr)\n    untouched = copy.deepcopy(autoencoder)\n    fit(\n",
        ),
        (STAGE_TWO, STAGE_TWO.replace("EncoderClassifier(autoencoder", "EncoderClassifier(untouched")),
        may_fail=("trained.labels",),
    ),
    mistake(
        "pretrains-a-copy",
        "a copy is pre-trained, the autoencoder given is not",
        ("twostage.encoder",),
        (
            "    optimizer = adam(autoencoder, lr)\n    fit(\n",
            "    autoencoder = copy.deepcopy(autoencoder)\n    optimizer = adam(autoencoder, lr)\n    fit(\n",
        ),
        may_fail=("trained.labels",),
    ),
    mistake(
        "freeze-not-passed-on",
        "freeze does not reach the classifier",
        ("twostage.encoder",),
        (STAGE_TWO, STAGE_TWO.replace(", freeze=freeze", "")),
    ),
    mistake(
        "lr-not-passed-on",
        "the second stage uses its own learning rate",
        ("twostage.arguments",),
        (STAGE_TWO, STAGE_TWO.replace(" lr=lr,", "")),
    ),
    mistake(
        "lr-of-first-stage",
        "the first stage uses its own learning rate",
        ("twostage.arguments",),
        ("    optimizer = adam(autoencoder, lr)\n    fit(\n", "    optimizer = adam(autoencoder, 1e-3)\n    fit(\n"),
        may_fail=("twostage.encoder",),
    ),
    mistake(
        "epochs-swapped",
        "the numbers of epochs are swapped",
        ("twostage.rows", "twostage.encoder"),
        (STAGE_ONE, STAGE_ONE.replace("pretrain_epochs", "finetune_epochs")),
        (STAGE_TWO, STAGE_TWO.replace("finetune_epochs", "pretrain_epochs")),
        may_fail=("twostage.arguments", "trained.labels"),
    ),
    mistake(
        "pretrains-in-eval-mode",
        "the first stage runs in whatever mode the autoencoder is in",
        ("twostage.arguments",),
        (
            STAGE_ONE,
            """    for _ in range(pretrain_epochs):
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = mse_loss(autoencoder(images[rows])[0], images[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
""",
        ),
        may_fail=("trained.labels",),
    ),
    mistake(
        "guesses-labels",
        "unlabelled rows are taken for class 0 in the second stage",
        ("twostage.rows",),
        (STAGE_TWO, STAGE_TWO.replace("images, labels, finetune", "images, labels.clamp(min=0), finetune")),
        may_fail=("twostage.encoder", "trained.labels"),
    ),
    mistake(
        "returns-autoencoder",
        "returns the autoencoder",
        ("twostage.rows", "twostage.encoder", "twostage.arguments"),
        ("    return classifier\n", "    return autoencoder  # type: ignore\n"),
        may_fail=("trained.labels",),
    ),
    mistake(
        "pretrains-on-the-code",
        "the first stage compares the wrong output with the image",
        ("twostage.rows", "twostage.encoder"),
        (STAGE_ONE, STAGE_ONE.replace("output[0]", "output[1]")),
        may_fail=("twostage.arguments", "trained.labels"),
    ),
    # ---- joint training
    mistake(
        "trainjoint-labelled-only",
        "unlabelled images are left out",
        ("trainjoint.rows",),
        (JOINT_START, "    images, labels = labelled_rows(images, labels)\n" + JOINT_START),
        may_fail=("trainjoint.learns",),
    ),
    mistake(
        "trainjoint-labels-left-behind",
        "the images are shuffled, their labels are not",
        ("trainjoint.rows", "trainjoint.learns"),
        (JOINT_LOSS, JOINT_LOSS.replace("labels[rows]", "labels[: len(rows)]")),
    ),
    mistake(
        "trainjoint-ignores-alpha",
        "alpha is always 1",
        ("trainjoint.rows",),
        (JOINT_LOSS, JOINT_LOSS.replace("alpha)", "1.0)")),
    ),
    mistake(
        "trainjoint-ignores-labels",
        "no label is used",
        ("trainjoint.rows", "trainjoint.learns"),
        (JOINT_LOSS, JOINT_LOSS.replace("labels[rows]", "torch.full_like(rows, UNLABELLED)")),
    ),
    mistake(
        "trainjoint-skips-batches",
        "batches without a label are skipped",
        ("trainjoint.rows",),
        (
            JOINT_LOOP,
            """    history = []
    model.train()
    for _ in range(epochs):
        total, count = 0.0, 1
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            if (labels[rows] == UNLABELLED).all():
                continue
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + float(loss) * len(rows), count + len(rows)
        history.append(total / max(count - 1, 1))
    return history
""",
        ),
    ),
    mistake(
        "trainjoint-not-shuffled",
        "always in the same order",
        ("trainjoint.rows",),
        (
            JOINT_LOOP,
            """    history = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        for rows in torch.arange(len(images)).split(batch_size):
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(rows)
        history.append(total / len(images))
    return history
""",
        ),
    ),
    mistake(
        "trainjoint-unweighted",
        "the history holds the mean of batch means",
        ("trainjoint.rows",),
        (
            JOINT_LOOP,
            """    history = []
    model.train()
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        history.append(sum(losses) / len(losses))
    return history
""",
        ),
    ),
    mistake(
        "trainjoint-head-only",
        "only the head is trained",
        ("trainjoint.learns",),
        (JOINT_START, JOINT_START.replace("adam(model, lr)", "adam(model.head, lr)")),
    ),
)
