"""Question 7: the reference with one bug: losses and accuracy."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

CLASSIFICATION = """    total = nn.functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)
"""
JOINT_SUM = "    return mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)\n"
MEAN_HITS = "    return int(hits) / len(labels)\n"
EVALUATES = "    with evaluation_mode(model):\n"
OUTPUT = "            logits = output[-1] if isinstance(output, tuple) else output\n"
ON_LOSS = (
    "loss.gradient", "jointloss.value", "finetune.rows", "finetune.learns", "trainjoint.rows", "trainjoint.learns",
    "classifier.freeze", "twostage.rows", "twostage.encoder", "twostage.arguments",
)  # fmt: skip

MISTAKES: tuple[Mistake, ...] = (
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
        may_fail=("jointloss.value", "jointloss.edges", "trainjoint.rows", "trainjoint.learns", "loss.gradient"),
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
        may_fail=("jointloss.edges", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "alpha-mixes",
        "(1 - alpha) and alpha",
        ("jointloss.value",),
        (JOINT_SUM, "    return (1 - alpha) * mse_loss(x_recon, x) + alpha * classification_loss(logits, labels)\n"),
        may_fail=("jointloss.edges", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "alpha-at-most-one",
        "takes alpha for a share: more than 1 counts as 1",
        ("jointloss.value",),
        (JOINT_SUM, JOINT_SUM.replace("alpha *", "min(alpha, 1.0) *")),
    ),
    mistake(
        "alpha-refused-above-one",
        "takes alpha for a share: more than 1 is an error",
        ("jointloss.value",),
        ("    if alpha < 0:\n", "    if not 0 <= alpha <= 1:\n"),
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
        may_fail=(
            "jointloss.edges",
            "trainjoint.rows",
        ),
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
        may_fail=("jointloss.edges", "loss.gradient", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "joint-any-alpha",
        "a negative alpha is accepted",
        ("jointloss.edges",),
        ("    if alpha < 0:\n", "    if False:\n"),
    ),
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
    # ---- what nobody asked for before
    mistake(
        "one-hot-on-the-cpu",
        "one-hot rows come from class numbers that lie on the CPU",
        ("loss.value",),
        append="""def classification_loss(logits, labels):
    given = labels != UNLABELLED
    one_hot = labels.unsqueeze(1) == torch.arange(logits.shape[1])
    each = -(one_hot * logits.log_softmax(dim=1)).sum(dim=1)
    return (each * given).sum() / given.sum().clamp(min=1)
""",
    ),
    mistake(
        "joint-ignores-alpha",
        "alpha is not used",
        ("jointloss.value",),
        (JOINT_SUM, JOINT_SUM.replace("alpha * ", "")),
        may_fail=("jointloss.edges", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "joint-refuses-zero",
        "alpha = 0 is refused",
        ("jointloss.edges",),
        ("    if alpha < 0:\n", "    if alpha <= 0:\n"),
        may_fail=("trainjoint.rows",),
    ),
    mistake(
        "joint-sum-over-batch",
        "the reconstruction is summed over the images",
        ("jointloss.value",),
        (JOINT_SUM, JOINT_SUM.replace("mse_loss(x_recon, x)", "(x_recon - x).square().sum()")),
        may_fail=("jointloss.edges", "trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "accuracy-first-batch",
        "the first batch is taken for all",
        ("accuracy.value",),
        (MEAN_HITS, "    return int(hits) / min(batch_size, len(labels))\n"),
        (
            "            hits += (logits.argmax(dim=1) == y).sum()\n",
            "            hits += (logits.argmax(dim=1) == y).sum()\n            break\n",
        ),
    ),
    mistake(
        "accuracy-counts-errors",
        "the share of wrong answers",
        ("accuracy.value",),
        (
            "            hits += (logits.argmax(dim=1) == y).sum()\n",
            "            hits += (logits.argmax(dim=1) != y).sum()\n",
        ),
    ),
    mistake(
        "accuracy-collects-on-the-cpu",
        "predictions are collected in a tensor that lies on the CPU",
        ("accuracy.state",),
        append="""def accuracy(model, images, labels, batch_size=256):
    images, labels = labelled_rows(images, labels)
    found = torch.zeros(len(labels), dtype=torch.int64)
    with evaluation_mode(model):
        for start in range(0, len(labels), batch_size):
            output = model(images[start : start + batch_size])
            logits = output[-1] if isinstance(output, tuple) else output
            found[start : start + batch_size] = logits.argmax(dim=1)
    return float((found == labels).double().mean())
""",
    ),
)
