"""Question 9: the reference with one bug: generate_class."""

from __future__ import annotations

from .. import Mistake

GENERATE = """    with evaluation_mode(model):
        return model.decode(prior_sample(model, len(labels), generator), labels)"""

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q09-generates-from-rand",
        9,
        "vae",
        "latents from rand",
        ("q9.generate",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        like = next(model.parameters())\n"
                "        z = torch.rand(len(labels), model.latent_dim, generator=generator, dtype=like.dtype, device=like.device)\n"
                "        return model.decode(z, labels)",
            ),
        ),
    ),
    Mistake(
        "q09-generates-zero",
        9,
        "vae",
        "decodes z = 0: one image per class",
        ("q9.generate", "q9.trained"),
        (
            (
                GENERATE,
                GENERATE.replace(
                    "prior_sample(model, len(labels), generator)", "0 * prior_sample(model, len(labels), generator)"
                ),
            ),
        ),
    ),
    Mistake(
        "q09-one-latent-for-all",
        9,
        "vae",
        "the same latent for all labels",
        ("q9.generate",),
        (
            (
                GENERATE,
                GENERATE.replace(
                    "prior_sample(model, len(labels), generator)",
                    "prior_sample(model, 1, generator).repeat(len(labels), 1)",
                ),
            ),
        ),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-labels-sorted",
        9,
        "vae",
        "images come sorted by class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), labels.sort().values)")),),
    ),
    Mistake(
        "q09-label-off-by-one",
        9,
        "vae",
        "asks for the next class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), (labels + 1) % model.num_classes)")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-first-label-for-all",
        9,
        "vae",
        "all images are of the first label's class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), labels[:1].expand_as(labels))")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-generate-in-training-mode",
        9,
        "vae",
        "no eval()",
        ("q9.generate.model",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()")),),
    ),
    Mistake(
        "q09-generate-with-graph",
        9,
        "vae",
        "no no_grad()",
        ("q9.generate.model",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "evaluation_mode(model), torch.enable_grad()")),),
    ),
    Mistake(
        "q09-generate-leaves-eval",
        9,
        "vae",
        "the model stays in evaluation mode",
        ("q9.generate.model",),
        (
            (
                GENERATE,
                GENERATE.replace("    with evaluation_mode(model)", "    model.eval()\n    with torch.no_grad()"),
            ),
        ),
    ),
    Mistake(
        "q09-generate-ignores-generator",
        9,
        "vae",
        "the generator is not handed on",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("len(labels), generator", "len(labels), None")),),
    ),
    Mistake(
        "q09-generate-float32",
        9,
        "vae",
        "latents are float32 whatever the model is",
        ("q9.generate.model",),
        ((GENERATE, GENERATE.replace("generator), labels", "generator).float(), labels")),),
    ),
    Mistake(
        "q09-generate-standardized",
        9,
        "vae",
        "gives the latents of a call exactly mean 0 and variance 1",
        ("q9.generate",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        z = prior_sample(model, len(labels), generator)\n"
                "        return model.decode((z - z.mean(dim=0)) / z.std(dim=0), labels)",
            ),
        ),
    ),
    Mistake(
        "q09-generate-centred",
        9,
        "vae",
        "takes the mean of the latents of a call off them if there are several",
        ("q9.generate",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        z = prior_sample(model, len(labels), generator)\n"
                "        return model.decode(z - z.mean(dim=0) if len(z) > 1 else z, labels)",
            ),
        ),
    ),
    Mistake(
        "q09-generate-switches-gradients-off",
        9,
        "vae",
        "gradients are switched off for good",
        ("q9.generate.model",),
        ((GENERATE, "    torch.set_grad_enabled(False)\n" + GENERATE),),
    ),
    Mistake(
        "q09-generate-switches-gradients-on",
        9,
        "vae",
        "switches gradients on afterwards, whatever they were",
        ("q9.generate.model",),
        (
            (
                GENERATE,
                f"{GENERATE.replace('return', 'images: Tensor =')}\n    torch.set_grad_enabled(True)\n    return images",
            ),
        ),
    ),
    Mistake(
        "q09-generate-unfreezes",
        9,
        "vae",
        "freezes the model for the time of the call, then frees what was frozen before too",
        ("q9.generate.model",),
        (
            (
                GENERATE,
                "    model.requires_grad_(False)\n"
                + GENERATE.replace("return", "images: Tensor =")
                + "\n    model.requires_grad_(True)\n    return images",
            ),
        ),
    ),
    Mistake(
        "q09-generate-flag-only",
        9,
        "vae",
        "sets model.training by hand, which the layers inside do not notice",
        ("q9.generate.model",),
        (
            (
                GENERATE,
                "    before, model.training = model.training, False\n"
                + GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace("return", "images: Tensor =")
                + "\n    model.training = before\n    return images",
            ),
        ),
    ),
    Mistake(
        "q09-generate-draws-on-the-cpu",
        9,
        "vae",
        "latents are drawn on the CPU",
        ("q9.generate.model",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        dtype = next(model.parameters()).dtype\n        z = torch.randn(len(labels), model.latent_dim, generator=generator, dtype=dtype)\n        return model.decode(z, labels)",
            ),
        ),
    ),
    Mistake(
        "q09-generate-20-latents",
        9,
        "vae",
        "always 20 latents",
        ("q9.generate",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        like = next(model.parameters())\n        z = torch.randn(len(labels), 20, generator=generator, dtype=like.dtype, device=like.device)\n        return model.decode(z, labels)",
            ),
        ),
        may_fail=("q9.generate.model", "q9.errors"),
    ),
    Mistake(
        "q09-generate-last-label",
        9,
        "vae",
        "all images are of the last label's class",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), labels[-1:].expand_as(labels))")),),
        may_fail=("q9.errors", "q9.trained"),
    ),
)
