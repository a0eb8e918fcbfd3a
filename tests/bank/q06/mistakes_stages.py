"""Question 6: the reference with one bug: layer-wise pre-training and the stack."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

STAGE_FIT = '    return fit(pair, h, mse_loss, adam(pair, lr), epochs, batch_size, generator=generator)["train"]\n'
STAGE_CODES = """    with evaluation_mode(below):  # fixed during this stage, so its codes are computed once
        h = torch.cat([below(x) for x in torch.split(to_model(data, pair), batch_size)])
"""

MISTAKES: tuple[Mistake, ...] = (
    mistake(
        "stage-trains-below",
        "the optimizer holds the earlier layers too and gradients reach them",
        ("stage.only",),
        (STAGE_CODES, ""),
        (
            STAGE_FIT,
            """    whole = nn.Sequential(below, pair)
    optimizer = adam(whole, lr)
    history = []
    with modes_kept(pair):
        for _ in range(epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(data), generator=generator), batch_size):
                h = below(data[rows])
                total += float(descend(mse_loss(pair(h), h), optimizer)) * len(rows)
            history.append(total / len(data))
    return history
""",
        ),
        may_fail=("stage.target", "layerwise"),
    ),
    mistake(
        "stage-reconstructs-x",
        "every stage is to reconstruct the image through the decoders below",
        ("stage.target",),
        (
            STAGE_FIT,
            """    x = to_model(data, pair)
    back = nn.Sequential(*reversed(decoders[:stage]))
    optimizer = adam(pair, lr)
    history = []
    with modes_kept(pair):
        for _ in range(epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
                total += float(descend(mse_loss(back(pair(h[rows])), x[rows]), optimizer)) * len(rows)
            history.append(total / len(h))
    return history
""",
        ),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-sees-x",
        "every stage gets the data themselves",
        ("stage.target",),
        ("    below = nn.Sequential(*encoders[:stage])\n", "    below = nn.Identity()\n"),
        may_fail=("stage.arguments", "stage.only", "layerwise"),
    ),
    mistake(
        "stage-below-in-training-mode",
        "the encoders below run in training mode",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    with torch.no_grad():  #"),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-leaves-eval",
        "the encoders below stay in evaluation mode",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-below-back-to-training",
        "the encoders below end in training mode, whichever they had",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        (STAGE_FIT, f"    below.train()\n{STAGE_FIT}"),
    ),
    mistake(
        "stage-freezes-for-good",
        "the encoders below are frozen and stay so",
        ("stage.only",),
        (STAGE_CODES, STAGE_CODES + "    below.requires_grad_(False)\n"),
        may_fail=("layerwise", "stack"),
    ),
    mistake(
        "stage-decoder-untrained",
        "only the encoder goes to the optimizer",
        ("stage.only",),
        (STAGE_FIT, STAGE_FIT.replace("adam(pair, lr)", "adam(encoders[stage], lr)")),
    ),
    mistake(
        "stage-mean-loss",
        "the loss is a mean over the elements of the code",
        ("stage.target",),
        (STAGE_FIT, STAGE_FIT.replace("mse_loss,", "nn.functional.mse_loss,")),
    ),
    mistake(
        "stage-detached-code",
        "the code is detached: the encoder gets no gradient",
        ("stage.only", "layerwise.trained"),
        (
            STAGE_FIT,
            """    optimizer = torch.optim.Adam([*encoders[stage].parameters(), *decoders[stage].parameters()], lr)
    history = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
            z = encoders[stage](h[rows]).detach()
            total += float(descend(mse_loss(decoders[stage](z), h[rows]), optimizer)) * len(rows)
        history.append(total / len(h))
    return history
""",
        ),
        may_fail=("layerwise",),
    ),
    mistake(
        "layerwise-stale-codes",
        "the codes of all stages are computed before any stage is trained",
        ("layerwise",),
        append="""def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    inputs = [data]
    with torch.no_grad():
        for encoder in encoders[:-1]:
            inputs.append(encoder(inputs[-1]))
    return [
        pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator)
        for encoder, decoder, h in zip(encoders, decoders, inputs)
    ]
""",
    ),
    mistake(
        "layerwise-top-first",
        "the last stage is trained first",
        ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in reversed(range(len(encoders)))\n"),
    ),
    mistake(
        "layerwise-forgets-last",
        "the last stage is left out",
        ("layerwise",),
        ("        for stage in range(len(encoders))\n", "        for stage in range(len(encoders) - 1)\n"),
    ),
    mistake(
        "layerwise-one-epoch",
        "epochs is not passed on",
        ("layerwise",),
        (
            "pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)",
            "pretrain_stage(encoders, decoders, stage, data, 1, batch_size, lr, generator)",
        ),
    ),
    mistake(
        "stack-decoders-in-order",
        "the decoders are applied first to last",
        ("stack",),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-of-copies",
        "the stack is made of copies",
        ("stack",),
        ("    return Stack(encoders, decoders)\n", "    return copy.deepcopy(Stack(encoders, decoders))\n"),
    ),
    mistake(
        "stack-reverses-callers-list",
        "turns the caller's list around",
        ("stack",),
        ("    return Stack(encoders, decoders)\n", "    decoders.reverse()\n    return Stack(encoders, decoders)\n"),
        ("nn.Sequential(*reversed(decoders))", "nn.Sequential(*decoders)"),
    ),
    mistake(
        "stack-unregistered",
        "the layers lie in plain lists: the stack has no parameters",
        ("stack",),
        (
            "        self.encoder = nn.Sequential(*encoders)\n        self.decoder = nn.Sequential(*reversed(decoders))\n",
            "        self.both = [nn.Sequential(*encoders), nn.Sequential(*reversed(decoders))]\n",
        ),
        ("        z: Tensor = self.encoder(x)\n", "        z: Tensor = self.both[0](x)\n"),
        ("        x_recon: Tensor = self.decoder(z)\n", "        x_recon: Tensor = self.both[1](z)\n"),
    ),
    mistake(
        "stack-without-code",
        "forward returns the reconstruction only",
        ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z)\n"),
    ),
    mistake(
        "stack-detached",
        "the code is detached on its way to the decoders",
        ("stack",),
        ("        return self.decode(z), z\n", "        return self.decode(z.detach()), z\n"),
    ),
    mistake(
        "stage-mode-of-the-first",
        "gives all encoders below the mode of the first",
        ("stage.only",),
        ("    with evaluation_mode(below):  #", "    below.eval()\n    with torch.no_grad():  #"),
        (
            "    below = nn.Sequential(*encoders[:stage])\n",
            "    mode = encoders[0].training\n    below = nn.Sequential(*encoders[:stage])\n",
        ),
        (STAGE_FIT, f"    below.train(mode)\n{STAGE_FIT}"),
    ),
    mistake(
        "layerwise-codes-in-training-mode",
        "a trained encoder makes the codes for the next stage in training mode",
        ("layerwise",),
        append="""def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    histories, h = [], data
    for encoder, decoder in zip(encoders, decoders):
        histories.append(pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator))
        with torch.no_grad():
            h = encoder(h)
    return histories
""",
    ),
    mistake(
        "stack-of-the-parts",
        "unpacks each module into its parts, past its own forward",
        ("stack",),
        (
            "    return Stack(encoders, decoders)\n",
            "    def parts(modules):\n        return [part for m in modules for part in list(m.children()) or [m]]\n\n"
            "    return Stack(parts(encoders), parts(decoders))\n",
        ),
    ),
    # ---- arguments that nobody asked for before
    mistake(
        "stage-ignores-generator",
        "the order of a stage comes from the global stream",
        ("stage.arguments",),
        (STAGE_FIT, STAGE_FIT.replace(", generator=generator", "")),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-ignores-batch-size",
        "a stage works in batches of 128",
        ("stage.arguments",),
        (STAGE_FIT, STAGE_FIT.replace("epochs, batch_size, generator", "epochs, generator")),
        may_fail=("layerwise", "stage.only"),
    ),
    mistake(
        "stage-own-lr",
        "a stage learns with 1e-3, whatever lr is",
        ("stage.arguments",),
        (STAGE_FIT, STAGE_FIT.replace("adam(pair, lr)", "adam(pair, 1e-3)")),
        may_fail=("layerwise",),
    ),
    mistake(
        "stage-piles-up",
        "a loop of its own that never clears gradients",
        ("stage.arguments",),
        (
            STAGE_FIT,
            """    optimizer = adam(pair, lr)
    history = []
    with modes_kept(pair):
        for _ in range(epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(h), generator=generator), batch_size):
                loss = mse_loss(pair(h[rows]), h[rows])
                loss.backward()
                optimizer.step()
                total += float(loss) * len(rows)
            history.append(total / len(h))
    return history
""",
        ),
        may_fail=("stage.only", "layerwise"),
    ),
    mistake(
        "layerwise-ignores-generator",
        "the generator does not reach the stages",
        ("layerwise",),
        ("stage, data, epochs, batch_size, lr, generator)", "stage, data, epochs, batch_size, lr)"),
    ),
    mistake(
        "layerwise-ignores-batch-size",
        "batch_size does not reach the stages",
        ("layerwise",),
        ("stage, data, epochs, batch_size, lr, generator)", "stage, data, epochs, lr=lr, generator=generator)"),
    ),
)
