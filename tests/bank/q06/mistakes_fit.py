"""Question 6: the reference with one bug: the loop over epochs."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

EPOCHS = (
    "q7.finetune.rows",
    "q7.trainjoint.rows",
    "q7.twostage.rows",
)  # loops of Question 7 use the reference's helper
EPOCHS_OF_FIT = "train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator)"
PUT_BACK = "    if best_weights is not None:\n        model.load_state_dict(best_weights)\n"

# the reference has one loop for three functions, of two questions
IN_OTHER_LOOPS = ("q7.finetune.loop", "q7.trainjoint.loop")

MISTAKES: tuple[Mistake, ...] = (
    mistake(
        "fit-history-per-batch",
        "one number per batch",
        ("fit.history",),
        (
            '            history["train"].append(loss)\n',
            '            history["train"].extend([loss] * -(-len(data) // batch_size))\n',
        ),
        may_fail=("fit.modes", "stage.only", "stage.target", "layerwise"),
    ),
    mistake(
        "fit-unweighted",
        "the training loss is the mean of batch means",
        ("fit.history",),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        yield float(torch.stack(losses).mean())\n",
        ),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-last-batch-loss",
        "the history holds the loss of each epoch's last batch",
        ("fit.history",),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        yield float(losses[-1])\n",
        ),
        may_fail=("fit.modes", "stage.only", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-no-validation-history",
        "validation losses are not kept",
        ("fit.history",),
        ('            history["validation"].append(value)\n', ""),
        may_fail=("fit.stops", "fit.edges"),
    ),
    mistake(
        "fit-not-shuffled",
        "the examples come in the order in which they are stored",
        ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.arange(num_rows, device=drawn_on)"),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-generator-not-passed-on",
        "the loop over epochs is right, and fit does not hand its generator on to it",
        ("fit.order",),
        (EPOCHS_OF_FIT, EPOCHS_OF_FIT.replace("generator)", "None)")),
    ),
    mistake(
        "fit-default-batch-size",
        "the loop over epochs is right, and fit hands on the default of batch_size",
        ("fit.order",),
        (EPOCHS_OF_FIT, EPOCHS_OF_FIT.replace("batch_size", "128")),
        may_fail=("fit.modes",),
    ),
    mistake(
        "fit-batches-shuffled",
        "the same rows meet in every epoch: the order is drawn once, and then that of its batches",
        ("fit.order",),
        (
            "    data = to_model(data, model)\n    stopping",
            "    data = to_model(data, model)\n    first = torch.randperm(len(data), generator=generator)\n"
            "    groups = torch.split(first, batch_size)\n    stopping",
        ),
        (
            "        for loss in train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator):\n",
            "        for _ in range(epochs):\n"
            "            model.train()\n"
            "            batches = [groups[k] for k in torch.randperm(len(groups), generator=generator).tolist()]\n"
            "            losses = [descend(loss_of_rows(rows), optimizer) for rows in batches]\n"
            "            loss = mean_per_example(losses, [len(rows) for rows in batches])\n",
        ),
    ),
    mistake(
        "fit-shuffled-once",
        "the order is drawn before the first epoch only",
        ("fit.order",),
        (
            "    for _ in range(epochs):\n        model.train()\n        drawn_on = None if generator is None else generator.device\n"
            "        order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n",
            "    drawn_on = None if generator is None else generator.device\n"
            "    order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)\n"
            "    for _ in range(epochs):\n        model.train()\n",
        ),
        may_fail=EPOCHS,
    ),
    mistake(
        "fit-with-replacement",
        "draws examples with replacement",
        ("fit.order",),
        (
            "torch.randperm(num_rows, generator=generator, device=drawn_on)",
            "torch.randint(num_rows, (num_rows,), generator=generator, device=drawn_on)",
        ),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-drops-last",
        "the smaller last batch is never trained on",
        ("fit.order",),
        (
            "        batches = torch.split(order, batch_size)\n",
            "        batches = [b for b in torch.split(order, batch_size) if len(b) == batch_size] or [order]\n",
        ),
        may_fail=("fit.history", "fit.modes", "stage.target", "layerwise", *EPOCHS),
    ),
    mistake(
        "fit-ignores-generator",
        "the order comes from the global stream",
        ("fit.order",),
        ("torch.randperm(num_rows, generator=generator, device=drawn_on)", "torch.randperm(num_rows, device=drawn_on)"),
        may_fail=IN_OTHER_LOOPS,
    ),
    mistake(
        "fit-full-batch",
        "ignores batch_size",
        ("fit.order",),
        ("        batches = torch.split(order, batch_size)\n", "        batches = torch.split(order, num_rows)\n"),
        may_fail=("layerwise", "stage.only", *IN_OTHER_LOOPS),
    ),
    mistake(
        "fit-train-once",
        "training mode is set before the first epoch, validation then leaves evaluation mode",
        ("fit.modes",),
        ("    for _ in range(epochs):\n        model.train()\n", "    model.train()\n    for _ in range(epochs):\n"),
        (
            "            value = evaluate(model, validation, loss_fn, batch_size)\n",
            "            value = evaluate(model, validation, loss_fn, batch_size)\n            model.eval()\n",
        ),
    ),
    mistake(
        "fit-leaves-training",
        "the model stays in training mode",
        ("fit.modes",),
        ("    with modes_kept(model):\n        for loss in", "    if True:\n        for loss in"),
    ),
    mistake(
        "fit-validates-in-training-mode",
        "validation runs in training mode",
        ("fit.modes",),
        (
            "            value = evaluate(model, validation, loss_fn, batch_size)\n",
            "            with torch.no_grad():\n                value = float(loss_fn(model(validation), validation))\n",
        ),
        may_fail=("fit.history",),
    ),
    mistake(
        "fit-zero-grad-per-epoch",
        "gradients are cleared once per epoch",
        ("step.update", "fit.modes"),
        ("    optimizer.zero_grad()\n    if scaler is None:\n", "    if scaler is None:\n"),
        (
            "    for _ in range(epochs):\n        model.train()\n",
            "    for epoch in range(epochs):\n        optimizer.zero_grad() if epoch % 2 == 0 else None\n        model.train()\n",
        ),
        may_fail=(*IN_OTHER_LOOPS, "fit.stops", "stage.only", "layerwise", "mixed.step", "mixed.scaler"),
    ),
    mistake(
        "fit-best-is-alias",
        "the best weights are a reference to the live ones",
        ("fit.stops",),
        ("copy.deepcopy(model.state_dict())", "dict(model.state_dict())"),
    ),
    mistake("fit-keeps-last", "the best weights are not put back", ("fit.stops",), (PUT_BACK, "")),
    mistake(
        "fit-restores-only-on-stop",
        "the best weights are put back only if the training stopped early",
        ("fit.stops",),
        (PUT_BACK, ""),
        (
            "            if stopping.step(value):\n                break\n",
            "            if stopping.step(value):\n                model.load_state_dict(best_weights or model.state_dict())\n"
            "                break\n",
        ),
    ),
    mistake(
        "fit-stops-on-training-loss",
        "early stopping looks at the training loss",
        ("fit.stops",),
        ("            if stopping.step(value):\n", "            if stopping.step(loss):\n"),
        may_fail=("fit.edges",),
    ),
    mistake(
        "fit-always-restores",
        "puts the best weights back without patience too",
        ("fit.stops",),
        (
            "    stopping = None if patience is None else EarlyStopping(patience)\n",
            "    stopping = EarlyStopping(10**9 if patience is None else patience)\n",
        ),
    ),
    mistake(
        "fit-no-value-error",
        "patience without validation data is accepted",
        ("fit.edges",),
        ("    if patience is not None and validation is None:\n", "    if False:\n"),
    ),
    mistake(
        "fit-nan-crashes",
        "insists on best weights though every validation loss was NaN",
        ("fit.edges",),
        (PUT_BACK, "    if patience is not None:\n        model.load_state_dict(best_weights)  # type: ignore\n"),
    ),
    mistake(
        "fit-mode-lost-on-stop",
        "returns from inside the loop when it stops early: the mode is not put back",
        ("fit.modes",),
        (
            "    with modes_kept(model):\n        for loss in",
            "    modes = [(module, module.training) for module in model.modules()]\n    if True:\n        for loss in",
        ),
        (
            "                break\n",
            "                model.load_state_dict(best_weights or model.state_dict())\n"
            "                return history\n",
        ),
        (
            "        model.load_state_dict(best_weights)\n    return history\n",
            "        model.load_state_dict(best_weights)\n    for module, training in modes:\n        module.training = training\n"
            "    return history\n",
        ),
    ),
    mistake(
        "fit-running-mean",
        "total and count are never set back: the mean over all epochs so far",
        ("fit.history",),
        (
            "    for _ in range(epochs):\n        model.train()\n",
            "    all_losses, all_sizes = [], []\n    for _ in range(epochs):\n        model.train()\n",
        ),
        (
            "        yield mean_per_example(losses, [len(rows) for rows in batches])\n",
            "        all_losses += losses\n        all_sizes += [len(rows) for rows in batches]\n"
            "        yield mean_per_example(all_losses, all_sizes)\n",
        ),
        may_fail=("q7.trainjoint.rows", "q7.finetune.rows"),
    ),
    # ---- arguments and moments that nobody asked for before
    mistake(
        "fit-validates-before-training",
        "the validation loss of an epoch is taken before its steps",
        ("fit.stops",),
        append="""def fit(model, data, loss_fn, optimizer, epochs, batch_size=128, validation=None, patience=None, generator=None):
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation, got {validation}")
    stopping, best = EarlyStopping(patience or 10**9), None
    history = {"train": [], "validation": []}
    with modes_kept(model):
        for _ in range(epochs):
            if validation is not None:
                value = evaluate(model, validation, loss_fn, batch_size)
                history["validation"].append(value)
                if value < stopping.best:
                    best = copy.deepcopy(model.state_dict())
                if stopping.step(value):
                    break
            model.train()
            order = torch.randperm(len(data), generator=generator)
            losses = [train_step(model, data[rows], loss_fn, optimizer) * len(rows) for rows in order.split(batch_size)]
            history["train"].append(sum(losses) / len(data))
    if patience is not None and best is not None:
        model.load_state_dict(best)
    return history
""",
        may_fail=("fit.edges",),
    ),
    mistake(
        "fit-own-loop-piles-up",
        "a loop of its own that never clears gradients",
        ("fit.modes",),
        (
            "        for loss in train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator):\n",
            "        for _ in range(epochs):\n            model.train()\n            total = 0.0\n"
            "            for rows in torch.randperm(len(data), generator=generator).split(batch_size):\n"
            "                batch_loss = loss_of_rows(rows)\n                batch_loss.backward()\n"
            "                optimizer.step()\n                total += float(batch_loss) * len(rows)\n"
            "            loss = total / len(data)\n",
        ),
        may_fail=("fit.stops", "stage.arguments", "q7.twostage.rows"),
    ),
    mistake(
        "fit-own-loop-clears-per-epoch",
        "a loop of its own that clears gradients once per epoch",
        ("fit.modes",),
        (
            "        for loss in train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator):\n",
            "        for _ in range(epochs):\n            model.train()\n            total = 0.0\n            optimizer.zero_grad()\n"
            "            for rows in torch.randperm(len(data), generator=generator).split(batch_size):\n"
            "                batch_loss = loss_of_rows(rows)\n                batch_loss.backward()\n"
            "                optimizer.step()\n                total += float(batch_loss) * len(rows)\n"
            "            loss = total / len(data)\n",
        ),
        may_fail=("fit.stops", "stage.arguments", "q7.twostage.rows"),
    ),
    mistake(
        "fit-steps-once-per-epoch",
        "gradients of all batches are collected, and one step is made per epoch",
        ("fit.modes",),
        (
            "        for loss in train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator):\n",
            "        for _ in range(epochs):\n            model.train()\n            total = 0.0\n            optimizer.zero_grad()\n"
            "            for rows in torch.randperm(len(data), generator=generator).split(batch_size):\n"
            "                batch_loss = loss_of_rows(rows)\n                (batch_loss * len(rows) / len(data)).backward()\n"
            "                total += float(batch_loss) * len(rows)\n"
            "            optimizer.step()\n            loss = total / len(data)\n",
        ),
        may_fail=("stage.arguments", "q7.twostage.rows"),
    ),
    mistake(
        "fit-validates-on-first-batch",
        "only the first batch of the validation data is looked at",
        ("fit.history",),
        (
            "evaluate(model, validation, loss_fn, batch_size)",
            "evaluate(model, validation[:batch_size], loss_fn, batch_size)",
        ),
    ),
    mistake(
        "fit-own-patience",
        "two epochs without improvement, whatever patience is",
        ("fit.stops",),
        ("EarlyStopping(patience)", "EarlyStopping(2)"),
        may_fail=("fit.modes",),
    ),
    mistake(
        "fit-own-loss",
        "the mean squared error, whatever loss_fn is",
        ("fit.history",),
        (
            "        return loss_fn(model(x), x)\n\n    with modes_kept(model):\n        for loss in",
            "        out = model(x)\n        out = out[0] if isinstance(out, tuple) else out\n"
            "        return (out - x).square().mean()\n\n    with modes_kept(model):\n        for loss in",
        ),
        may_fail=("stage.target",),
    ),
    mistake(
        "fit-unpacks",
        "loss_fn gets the reconstruction, not what the model returned",
        ("fit.history",),
        (
            "        return loss_fn(model(x), x)\n\n    with modes_kept(model):\n        for loss in",
            "        out = model(x)\n        out = out[0] if isinstance(out, tuple) else out\n"
            "        return loss_fn(out, x)\n\n    with modes_kept(model):\n        for loss in",
        ),
    ),
)
