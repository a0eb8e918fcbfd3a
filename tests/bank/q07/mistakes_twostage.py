"""Question 7: the reference with one bug: the two-stage pipeline."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

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

MISTAKES: tuple[Mistake, ...] = (
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
        (
            "twostage.rows",
            "twostage.encoder",
        ),
        ("    return classifier\n", "    return autoencoder  # type: ignore\n"),
        may_fail=(
            "twostage.arguments",
            "trained.labels",
        ),
    ),
    mistake(
        "pretrains-on-the-code",
        "the first stage compares the wrong output with the image",
        ("twostage.rows", "twostage.encoder"),
        (STAGE_ONE, STAGE_ONE.replace("output[0]", "output[1]")),
        may_fail=("twostage.arguments", "trained.labels"),
    ),
    # ---- arguments and moments that nobody asked for before
    mistake(
        "first-stage-ignores-generator",
        "the order of the first stage comes from the global stream",
        ("twostage.arguments",),
        (STAGE_ONE, STAGE_ONE.replace("        generator=generator,\n", "")),
    ),
    mistake(
        "second-stage-ignores-generator",
        "the order of the second stage comes from the global stream",
        ("twostage.arguments",),
        (STAGE_TWO, STAGE_TWO.replace(", generator=generator", "")),
    ),
    mistake(
        "first-stage-ignores-batch-size",
        "the first stage works in batches of 128",
        ("twostage.arguments",),
        (STAGE_ONE, STAGE_ONE.replace("        batch_size,\n", "")),
        may_fail=(
            "twostage.rows",
            "twostage.encoder",
        ),
    ),
    mistake(
        "frozen-before-pretraining",
        "freeze switches gradients off before anything is learned",
        ("twostage.encoder",),
        (
            "    optimizer = adam(autoencoder, lr)\n    fit(\n",
            "    autoencoder.requires_grad_(not freeze)\n    optimizer = adam(autoencoder, lr)\n    fit(\n",
        ),
    ),
    mistake(
        "pretrains-only-unfrozen",
        "with freeze the first stage is left out",
        ("twostage.encoder",),
        (STAGE_ONE, STAGE_ONE.replace("        pretrain_epochs,\n", "        0 if freeze else pretrain_epochs,\n")),
    ),
    mistake(
        "pretraining-piles-up",
        "gradients of the first stage are never cleared",
        ("twostage.arguments",),
        (
            STAGE_ONE,
            """    autoencoder.train()
    for _ in range(pretrain_epochs):
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = mse_loss(autoencoder(images[rows])[0], images[rows])
            loss.backward()
            optimizer.step()
""",
        ),
        may_fail=("twostage.rows", "twostage.encoder", "trained.labels"),
    ),
)
