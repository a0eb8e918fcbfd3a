"""Question 7: the reference with one bug: joint training."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

JOINT_START = "    images, labels = to_model(images, model), to_model(labels, model)\n    optimizer = adam(model, lr)\n"
JOINT_LOSS = "        return joint_loss(x_recon, x, logits, labels[rows], alpha)\n"
JOINT_LOOP = """    with modes_kept(model):
        return list(train_epochs(model, loss_of_rows, len(images), optimizer, epochs, batch_size, generator))
"""

MISTAKES: tuple[Mistake, ...] = (
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
    # ---- arguments and moments that nobody asked for before
    mistake(
        "trainjoint-ignores-generator",
        "the order comes from the global stream",
        ("trainjoint.loop",),
        (JOINT_LOOP, JOINT_LOOP.replace("batch_size, generator)", "batch_size, None)")),
    ),
    mistake(
        "trainjoint-ignores-batch-size",
        "batches of 128, whatever batch_size is",
        ("trainjoint.loop",),
        (JOINT_LOOP, JOINT_LOOP.replace("batch_size, generator)", "128, generator)")),
        may_fail=("trainjoint.rows", "trainjoint.learns"),
    ),
    mistake(
        "trainjoint-piles-up",
        "gradients are never cleared",
        ("trainjoint.loop",),
        (
            JOINT_LOOP,
            """    history = []
    for _ in range(epochs):
        model.train()
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
        may_fail=("trainjoint.learns",),
    ),
    mistake(
        "trainjoint-in-eval-mode",
        "the model is put in evaluation mode",
        ("trainjoint.loop",),
        (
            JOINT_LOOP,
            """    history = []
    model.eval()
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
        "trainjoint-autoencoder-only",
        "the optimizer holds the autoencoder alone: the head never learns",
        ("trainjoint.learns",),
        (JOINT_START, JOINT_START.replace("adam(model, lr)", "adam(model.autoencoder, lr)")),
    ),
    mistake(
        "trainjoint-own-lr",
        "learns with 1e-3, whatever lr is",
        ("trainjoint.rows",),
        (JOINT_START, JOINT_START.replace("adam(model, lr)", "adam(model, 1e-3)")),
        may_fail=("trainjoint.learns",),
    ),
    mistake(
        "trainjoint-guesses-labels",
        "rows without a label are taken for class 0",
        ("trainjoint.rows",),
        (JOINT_LOSS, JOINT_LOSS.replace("labels[rows]", "labels[rows].clamp(min=0)")),
        may_fail=("trainjoint.learns",),
    ),
)
