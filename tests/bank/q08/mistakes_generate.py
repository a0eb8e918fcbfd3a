"""Question 8: the reference with one bug: generate."""

from __future__ import annotations

from .. import Mistake

GENERATE = """    with evaluation_mode(model):
        return model.decode(prior_sample(model, num_samples, generator))"""

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q08-generates-from-rand",
        8,
        "vae",
        "latents of new images from rand",
        ("q8.generate.prior",),
        (
            (
                "    return torch.randn(shape, generator=generator, device=anchor.device, dtype=anchor.dtype)",
                "    return torch.rand(shape, generator=generator, device=anchor.device, dtype=anchor.dtype)",
            ),
        ),
        may_fail=("q9.generate",),
    ),
    Mistake(
        "q08-one-image-repeated",
        8,
        "vae",
        "one draw repeated",
        ("q8.generate.prior",),
        (
            (
                "    with evaluation_mode(model):\n        return model.decode(prior_sample(model, num_samples, generator))",
                "    with evaluation_mode(model):\n"
                "        return model.decode(prior_sample(model, 1, generator).repeat(num_samples, 1))",
            ),
        ),
    ),
    Mistake(
        "q08-generate-narrow",
        8,
        "vae",
        "a prior of standard deviation .8, for nicer images",
        ("q8.generate.prior",),
        ((GENERATE, GENERATE.replace("generator))", "generator) * 0.8)")),),
    ),
    Mistake(
        "q08-generate-in-training-mode",
        8,
        "vae",
        "no eval()",
        ("q8.generate.model",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()")),),
    ),
    Mistake(
        "q08-generate-with-graph",
        8,
        "vae",
        "no no_grad()",
        ("q8.generate.model",),
        (
            (
                GENERATE,
                "    mode = model.training\n    model.eval()\n"
                "    images = model.decode(prior_sample(model, num_samples, generator))\n"
                "    model.train(mode)\n    return images",
            ),
        ),
    ),
    Mistake(
        "q08-generate-leaves-eval",
        8,
        "vae",
        "the model stays in evaluation mode",
        ("q8.generate.model",),
        (
            (
                GENERATE,
                GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace(
                    "        return", "        model.eval()\n        return"
                ),
            ),
        ),
    ),
    Mistake(
        "q08-generate-leaves-train",
        8,
        "vae",
        "the model is always put into training mode",
        ("q8.generate.model",),
        (
            (
                GENERATE,
                "    model.eval()\n    with torch.no_grad():\n"
                "        images = model.decode(prior_sample(model, num_samples, generator))\n"
                "    model.train()\n    return images",
            ),
        ),
    ),
    Mistake(
        "q08-generate-float32",
        8,
        "vae",
        "latents are float32 whatever the model is",
        ("q8.generate.model",),
        ((GENERATE, GENERATE.replace("generator))", "generator).float())")),),
        may_fail=("q8.generate.prior",),
    ),
    Mistake(
        "q08-generate-20-latents",
        8,
        "vae",
        "always 20 latents",
        ("q8.generate.prior", "q8.generate.model"),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        weight = next(model.parameters())\n"
                "        z = torch.randn(num_samples, 20, generator=generator, dtype=weight.dtype, device=weight.device)\n"
                "        return model.decode(z)",
            ),
        ),
    ),
    Mistake(
        "q08-generate-ignores-generator",
        8,
        "vae",
        "the generator is not handed on",
        ("q8.generate.prior",),
        ((GENERATE, GENERATE.replace("num_samples, generator", "num_samples, None")),),
    ),
    Mistake(
        "q08-generate-switches-gradients-off",
        8,
        "vae",
        "gradients are switched off for good",
        ("q8.generate.model",),
        ((GENERATE, "    torch.set_grad_enabled(False)\n" + GENERATE),),
    ),
    Mistake(
        "q08-generate-standardized",
        8,
        "vae",
        "gives the draws of a call exactly mean 0 and variance 1",
        ("q8.generate.prior",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        z = prior_sample(model, num_samples, generator)\n"
                "        return model.decode((z - z.mean(dim=0)) / z.std(dim=0))",
            ),
        ),
    ),
    Mistake(
        "q08-generate-centred",
        8,
        "vae",
        "takes the mean of the draws of a call off them if there are several",
        ("q8.generate.prior",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        z = prior_sample(model, num_samples, generator)\n"
                "        return model.decode(z - z.mean(dim=0) if len(z) > 1 else z)",
            ),
        ),
    ),
    Mistake(
        "q08-generate-switches-gradients-on",
        8,
        "vae",
        "switches gradients on afterwards, whatever they were",
        ("q8.generate.model",),
        (
            (
                GENERATE,
                f"{GENERATE.replace('return', 'images: Tensor =')}\n    torch.set_grad_enabled(True)\n    return images",
            ),
        ),
    ),
    Mistake(
        "q08-generate-unfreezes",
        8,
        "vae",
        "freezes the model for the time of the call, then frees what was frozen before too",
        ("q8.generate.model",),
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
        "q08-generate-flag-only",
        8,
        "vae",
        "sets model.training by hand, which the layers inside do not notice",
        ("q8.generate.model",),
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
        "q08-generate-draws-on-the-cpu",
        8,
        "vae",
        "latents of new images are drawn on the CPU",
        ("q8.device",),
        (
            (
                GENERATE,
                "    with evaluation_mode(model):\n        dtype = next(model.parameters()).dtype\n        return model.decode(torch.randn(num_samples, model.latent_dim, generator=generator, dtype=dtype))",
            ),
        ),
    ),
    Mistake(
        "q08-generate-returns-to-the-cpu",
        8,
        "vae",
        "hands the images back on the CPU",
        ("q8.device",),
        ((GENERATE, GENERATE + ".cpu()"),),
    ),
    Mistake(
        "q08-generate-one-more",
        8,
        "vae",
        "one image more than asked for",
        ("q8.generate.prior",),
        ((GENERATE, GENERATE.replace("num_samples, generator", "num_samples + 1, generator")),),
        may_fail=("q8.generate.model",),
    ),
)
