"""Question 7: the reference with one bug: fine-tuning."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

FINETUNE_START = """    images, labels = labelled_rows(images, labels)
    images, labels = to_model(images, classifier), to_model(labels, classifier)
"""
FINETUNE_LOSS = "        return classification_loss(classifier(images[rows]), labels[rows])\n"
FINETUNE_LOOP = """    with modes_kept(classifier):
        return list(train_epochs(classifier, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
"""
ON_FINETUNE = ("classifier.freeze", "finetune.learns", "twostage.rows", "twostage.encoder", "twostage.arguments")

MISTAKES: tuple[Mistake, ...] = (
    mistake(
        "finetune-all-rows",
        "unlabelled rows go through the classifier too",
        ("finetune.rows",),
        (FINETUNE_START, "    labelled_rows(images, labels)\n"),
        may_fail=("twostage.rows", *ON_FINETUNE),
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
    classifier.train()
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
    classifier.train()
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
        ("finetune.learns",),
        (
            "    optimizer = adam(classifier, lr)\n",
            "    classifier.requires_grad_(True)\n    optimizer = adam(classifier, lr)\n",
        ),
        may_fail=(
            "classifier.freeze",
            "twostage.encoder",
        ),
    ),
    mistake(
        "finetune-head-only",
        "trains the last layer only",
        ("finetune.learns",),
        (
            "    optimizer = adam(classifier, lr)\n",
            "    optimizer = torch.optim.Adam(list(classifier.parameters())[-2:], lr=lr)\n",
        ),
        may_fail=("classifier.freeze", "twostage.encoder", "finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-no-step",
        "the optimizer never steps",
        ("finetune.learns",),
        ("    optimizer = adam(classifier, lr)\n", "    optimizer = adam(classifier, 0.0)\n"),
        may_fail=(
            "classifier.freeze",
            "twostage.encoder",
            "trained.labels",
        ),
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
    # ---- arguments and moments that nobody asked for before
    mistake(
        "finetune-ignores-generator",
        "the order comes from the global stream",
        ("finetune.loop",),
        (FINETUNE_LOOP, FINETUNE_LOOP.replace("batch_size, generator)", "batch_size, None)")),
        may_fail=("twostage.arguments",),
    ),
    mistake(
        "finetune-ignores-batch-size",
        "one batch of all labelled rows",
        ("finetune.loop",),
        (FINETUNE_LOOP, FINETUNE_LOOP.replace("batch_size, generator)", "len(images), generator)")),
        may_fail=("finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-default-batch-size",
        "batches of 32, whatever batch_size is",
        ("finetune.loop",),
        (FINETUNE_LOOP, FINETUNE_LOOP.replace("batch_size, generator)", "32, generator)")),
        may_fail=("finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-piles-up",
        "gradients are never cleared",
        ("finetune.loop",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        classifier.train()
        total = 0.0
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = loss_of_rows(rows)
            loss.backward()
            optimizer.step()
            total += float(loss) * len(rows)
        history.append(total / len(images))
    return history
""",
        ),
        may_fail=("finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-clears-per-epoch",
        "gradients are cleared once per epoch",
        ("finetune.loop",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        classifier.train()
        total = 0.0
        optimizer.zero_grad()
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = loss_of_rows(rows)
            loss.backward()
            optimizer.step()
            total += float(loss) * len(rows)
        history.append(total / len(images))
    return history
""",
        ),
        may_fail=("finetune.learns", "trained.labels"),
    ),
    mistake(
        "finetune-in-eval-mode",
        "the classifier is put in evaluation mode",
        ("finetune.loop",),
        (
            FINETUNE_LOOP,
            """    history = []
    classifier.eval()
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(rows)
        history.append(total / len(images))
    return history
""",
        ),
        may_fail=("trained.labels",),
    ),
    mistake(
        "finetune-keeps-mode",
        "the classifier is trained in whatever mode it is in",
        ("finetune.loop",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
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
        "finetune-own-lr",
        "learns with 1e-3, whatever lr is",
        ("finetune.rows",),
        ("    optimizer = adam(classifier, lr)\n", "    optimizer = adam(classifier, 1e-3)\n"),
        may_fail=("finetune.learns", "twostage.arguments", "classifier.freeze"),
    ),
    mistake(
        "finetune-running-mean",
        "total and count are never set back: the mean over all epochs so far",
        ("finetune.rows",),
        (
            FINETUNE_LOOP,
            FINETUNE_LOOP.replace("return list(train_epochs", "each = list(train_epochs")
            + "    return [sum(each[: k + 1]) / (k + 1) for k in range(epochs)]\n",
        ),
    ),
    mistake(
        "finetune-drops-last",
        "the smaller last batch is left out",
        ("finetune.rows",),
        (
            FINETUNE_LOOP,
            """    history = []
    for _ in range(epochs):
        classifier.train()
        total, count = 0.0, 0
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            if len(rows) < min(batch_size, len(images)):
                continue
            loss = loss_of_rows(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + float(loss) * len(rows), count + len(rows)
        history.append(total / count)
    return history
""",
        ),
        may_fail=("twostage.rows",),
    ),
)
