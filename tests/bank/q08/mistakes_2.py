"""Question 8: the reference with one bug: generate, interpolate, what somebody found who knew the handout only."""

from __future__ import annotations

from .. import Mistake

TERMS = "return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()"


FLOOR = "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).clamp(min=free_bits).sum()"


GENERATE = """    with evaluation_mode(model):
        return model.decode(prior_sample(model, num_samples, generator))"""


LERP = "return model.decode(torch.lerp(mu1, mu2, weight.unsqueeze(1)))  # (1, L), (1, L), (steps, 1) -> (steps, L)"


def changed(model: str, body: str) -> str:
    """A model that differs from the reference in the methods of `body`."""
    return f"class {model}({model}):\n{body}"


MISTAKES: tuple[Mistake, ...] = (
    # ---- generate, interpolate
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
        "q08-interpolation-reversed",
        8,
        "vae",
        "starts at image 2, as the study guide does",
        ("q8.interpolate.path",),
        ((LERP, "return model.decode(torch.lerp(mu2, mu1, weight.unsqueeze(1)))"),),
    ),
    Mistake(
        "q08-interpolation-misses-end",
        8,
        "vae",
        "the last frame does not reach image 2",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (
            (
                "weight = torch.linspace(0, 1, steps, device=mu1.device, dtype=mu1.dtype)",
                "weight = torch.arange(steps, device=mu1.device, dtype=mu1.dtype) / steps",
            ),
        ),
    ),
    Mistake(
        "q08-interpolates-images",
        8,
        "vae",
        "mixes pixels, then reconstructs",
        ("q8.interpolate.model",),
        (
            (
                LERP,
                "mixed = torch.lerp(x1, x2, weight.view(-1, 1, 1, 1))\n        return model.decode(model.encode(mixed)[0])",
            ),
        ),
    ),
    Mistake(
        "q08-interpolates-reconstructions",
        8,
        "vae",
        "cross-fades the two decoded images",
        ("q8.interpolate.model",),
        ((LERP, "return torch.lerp(model.decode(mu1), model.decode(mu2), weight.view(-1, 1, 1, 1))"),),
    ),
    Mistake(
        "q08-interpolates-samples",
        8,
        "vae",
        "between draws, not means",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (("        mu1, _ = model.encode(x1)\n", "        mu1 = reparameterize(*model.encode(x1))\n"),),
    ),
    Mistake(
        "q08-interpolates-on-sphere",
        8,
        "vae",
        "keeps the norm: not equally spaced on the line",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (
            (
                LERP,
                "z = torch.lerp(mu1, mu2, weight.unsqueeze(1))\n"
                "        norm = torch.lerp(mu1.norm(), mu2.norm(), weight.unsqueeze(1))\n"
                "        return model.decode(z / z.norm(dim=1, keepdim=True) * norm)",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-in-training-mode",
        8,
        "vae",
        "no eval()",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _", "    with torch.no_grad():\n        mu1, _"),),
    ),
    Mistake(
        "q08-interpolate-with-graph",
        8,
        "vae",
        "no no_grad()",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    with evaluation_mode(model), torch.enable_grad():\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-leaves-eval",
        8,
        "vae",
        "the model stays in evaluation mode",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    model.eval()\n    with torch.no_grad():\n        mu1, _",
            ),
        ),
    ),
    Mistake(
        "q08-no-errors-for-beta",
        8,
        "vae",
        "a negative beta passes",
        ("q8.errors",),
        (("    if beta < 0:", "    if False:"),),
    ),
    Mistake(
        "q08-no-errors-for-groups",
        8,
        "vae",
        "a group size that does not divide falls on reshape",
        ("q8.errors",),
        (("    if group_size < 1 or latent_dim % group_size:", "    if False:"),),
    ),
    Mistake(
        "q08-no-errors-for-steps",
        8,
        "vae",
        "one frame passes",
        ("q8.errors",),
        (("    if steps < 2:", "    if steps < 1:"),),
    ),
    Mistake(
        "q08-no-errors-for-schedule",
        8,
        "vae",
        "negative arguments of the schedule pass",
        ("q8.errors",),
        (("        if value < 0:\n", "        if False:\n"),),
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q08-logvar-clamped",
        8,
        "vae",
        "clamps the log-variance to -6 ... 2",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, logvar.clamp(-6, 2)\n",
        ),
    ),
    Mistake(
        "q08-conv-squashed-mean",
        8,
        "vae",
        "the mean of ConvVAE goes through a tanh",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return 3 * torch.tanh(mu), logvar\n",
        ),
    ),
    Mistake(
        "q08-conv-isotropic",
        8,
        "vae",
        "one log-variance per image, repeated over the dimensions",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, logvar[:, :1].expand_as(mu)\n",
        ),
    ),
    Mistake(
        "q08-batch-maximum",
        8,
        "vae",
        "divides the images by the maximum of their batch",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"),
        may_fail=("q8.vae.gradient", "q8.interpolate.model", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-batch-maximum",
        8,
        "vae",
        "ConvVAE divides the images by the maximum of their batch",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE", "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-decodes-relative-to-batch",
        8,
        "vae",
        "stretches the decoded images of a batch to 0 ... 1",
        ("q8.vae.probabilities",),
        append=changed(
            "VAE",
            "    def decode(self, z):\n        shown = super().decode(z)\n"
            "        return (shown - shown.min()) / (shown.max() - shown.min()).clamp(min=1e-6)\n",
        ),
        may_fail=(
            "q8.vae.fresh",
            "q8.vae.gradient",
            "q8.generator",
            "q8.elbo.zero",
            "q8.interpolate.model",
            "q8.trained.elbo",
            "q8.trained.beta",
        ),
    ),
    Mistake(
        "q08-scale-not-registered",
        8,
        "vae",
        "a random scale of the features is a plain tensor, in no state_dict",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, hidden_dim, latent_dim)\n"
            "        self.scale = 1 + torch.rand(latent_dim)\n\n"
            "    def decode(self, z):\n        return super().decode(z * self.scale.to(z))\n",
        ),
        may_fail=("q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-scale-not-registered",
        8,
        "vae",
        "a random scale of ConvVAE's mean is a plain tensor",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def __init__(self, latent_dim=20):\n        super().__init__(latent_dim)\n"
            "        self.scale = 1 + torch.rand(latent_dim)\n\n"
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu * self.scale.to(mu), logvar\n",
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-elbo-clamps-in-place",
        8,
        "vae",
        "keeps the caller's probabilities away from 0 and 1",
        ("q8.elbo.finite",),
        ((TERMS, "x_recon.data.clamp_(1e-6, 1 - 1e-6)\n    " + TERMS),),
    ),
    Mistake(
        "q08-no-warmup-no-checks",
        8,
        "vae",
        "returns beta_max without warm-up before it looks at the other arguments",
        ("q8.errors",),
        (
            (
                '    for name, value in (("step", step)',
                '    if warmup_steps == 0:\n        return float(beta_max)\n    for name, value in (("step", step)',
            ),
        ),
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
        "q08-interpolate-switches-gradients-off",
        8,
        "vae",
        "gradients are switched off for good by interpolate",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    torch.set_grad_enabled(False)\n    with evaluation_mode(model):\n        mu1, _",
            ),
        ),
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
        "q08-mean-without-gradients",
        8,
        "vae",
        "takes gradients that are off for an evaluation, and decodes the mean then",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x)[0])\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-conv-mean-without-gradients",
        8,
        "vae",
        "ConvVAE decodes the mean where gradients are off",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x)[0])\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-latent-dim-on-class",
        8,
        "vae",
        "writes latent_dim to the class: the last VAE made decides for all",
        ("q8.vae.shapes",),
        (
            (
                "        self.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()",
                "        VAE.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()",
            ),
        ),
    ),
    Mistake(
        "q08-conv-latent-dim-on-class",
        8,
        "vae",
        "writes latent_dim to the class: the last ConvVAE made decides for all",
        ("q8.conv.shapes",),
        (
            (
                "        self.latent_dim = latent_dim\n        # A kernel",
                "        ConvVAE.latent_dim = latent_dim\n        # A kernel",
            ),
        ),
    ),
    Mistake(
        "q08-side-on-class",
        8,
        "vae",
        "writes the side of the images to the class: a VAE of another size breaks the first",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, hidden_dim, latent_dim)\n        VAE.side = _image_side(input_dim)\n\n"
            "    def decode(self, z):\n        return super().decode(z).flatten(1).unflatten(1, (1, self.side, self.side))\n",
        ),
    ),
    Mistake(
        "q08-logits-while-training",
        8,
        "vae",
        "decode returns logits in training mode, probabilities in evaluation mode",
        ("q8.vae.probabilities",),
        append=changed(
            "VAE",
            "    def decode(self, z):\n        found = super().decode(z)\n"
            "        return torch.logit(found, 1e-6) if self.training else found\n",
        ),
        may_fail=("q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-logits-while-training",
        8,
        "vae",
        "ConvVAE.decode returns logits in training mode",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE",
            "    def decode(self, z):\n        found = super().decode(z)\n"
            "        return torch.logit(found, 1e-6) if self.training else found\n",
        ),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-forward-logits-while-training",
        8,
        "vae",
        "forward, not decode, returns logits in training mode",
        ("q8.vae.forward",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        found, mu, logvar = super().forward(x, eps, generator)\n"
            "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n",
        ),
        may_fail=("q8.vae.gradient", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-freebits-gradient-by-image",
        8,
        "vae",
        "no gradient for images below the floor whose group is above it",
        ("q8.freebits.gradient",),
        ((FLOOR, "kl = torch.where(kl > free_bits, kl, kl.detach())\n    " + FLOOR),),
    ),
    Mistake(
        "q08-elbo-xlogy",
        8,
        "vae",
        "xlogy makes 0 log 0 = 0, but its gradient at certain pixels that are right is 0 / 0",
        ("q8.elbo.finite",),
        (
            (
                TERMS,
                "log_p = torch.xlogy(x, x_recon) + torch.xlogy(1 - x, 1 - x_recon)\n"
                "    return -log_p.clamp(min=-100).flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-walks-in-place",
        8,
        "vae",
        "adds the step to the first mean in place: an image of which it is a view",
        ("q8.interpolate.path",),
        (
            (
                LERP,
                "step = (mu2 - mu1) / (steps - 1)\n        frames = [model.decode(mu1)]\n        for _ in range(steps - 1):\n"
                "            mu1 += step\n            frames.append(model.decode(mu1))\n        return torch.cat(frames)",
            ),
        ),
    ),
    Mistake(
        "q08-interpolate-switches-gradients-on",
        8,
        "vae",
        "switches gradients on afterwards, whatever they were",
        ("q8.interpolate.model",),
        (
            (
                LERP,
                f"frames: Tensor = {LERP.removeprefix('return ')}\n    torch.set_grad_enabled(True)\n    return frames",
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
        "q08-interpolate-freezes",
        8,
        "vae",
        "freezes the model for the call and leaves it so",
        ("q8.interpolate.model",),
        (
            (
                "    with evaluation_mode(model):\n        mu1, _",
                "    model.requires_grad_(False)\n    with evaluation_mode(model):\n        mu1, _",
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
        "q08-beta-error-without-value",
        8,
        "vae",
        "the error of vae_loss does not say what it got",
        ("q8.errors",),
        (('f"beta must be at least 0, got {beta}"', '"beta must not be negative"'),),
    ),
)
