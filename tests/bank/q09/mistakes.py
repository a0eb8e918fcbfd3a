"""Question 9: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

WITH_CLASS = "return torch.cat([features, self.class_embedding(y.to(features.device))], dim=1)"


ENCODE = "h = self.encoder(self._with_class(x.flatten(1), y))"


DECODE = "x_recon: Tensor = self.decoder(self._with_class(z, y))"


FORWARD = "return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar"


GENERATE = """    with evaluation_mode(model):
        return model.decode(prior_sample(model, len(labels), generator), labels)"""


RAISE = "        if len(outside):\n"


MODEL = ("q9.encoder", "q9.decoder", "q9.forward", "q9.gradient", "q9.trained")


def changed(body: str) -> str:
    """A model that differs from the reference in the methods of `body`."""
    return f"class CVAE(CVAE):\n{body}"


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q09-encoder-only",
        9,
        "vae",
        "the decoder does not see the class",
        ("q9.decoder", "q9.trained"),
        ((DECODE, DECODE.replace("z, y)", "z, 0 * y)")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-decoder-only",
        9,
        "vae",
        "the encoder does not see the class",
        ("q9.encoder",),
        ((ENCODE, ENCODE.replace("x.flatten(1), y", "x.flatten(1), 0 * y")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-neither",
        9,
        "vae",
        "the class is accepted and not used",
        ("q9.encoder", "q9.decoder", "q9.trained"),
        ((WITH_CLASS, "return torch.cat([features, torch.zeros(len(y), self.latent_dim).to(features)], dim=1)"),),
    ),
    Mistake(
        "q09-class-of-first-row",
        9,
        "vae",
        "the whole batch gets the first row's class",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, WITH_CLASS.replace("(y.to", "(y[:1].expand_as(y).to")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-two-classes-alike",
        9,
        "vae",
        "clamps the label one short: the last two classes are one",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, WITH_CLASS.replace("(y.to", "(y.clamp(max=max(self.num_classes - 2, 0)).to")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-ten-classes-hard-coded",
        9,
        "vae",
        "num_classes is 10 whatever is asked",
        ("q9.shapes", "q9.errors"),
        append=changed(
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):\n"
            "        super().__init__(input_dim, hidden_dim, latent_dim, 10)\n"
        ),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-num-classes-missing",
        9,
        "vae",
        "the attribute num_classes is not kept",
        ("q9.shapes",),
        append=changed(
            "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
            "        self._classes = self.num_classes\n        del self.num_classes\n\n"
            "    def _with_class(self, features, y):\n        if bool((y < 0).any() or (y >= self._classes).any()):\n"
            "            raise ValueError(f'y outside, got {y.tolist()}')\n"
            "        return torch.cat([features, self.class_embedding(y)], dim=1)\n"
        ),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-embedding-twice",
        9,
        "vae",
        "as in the study guide: the layers expect another width than what joins",
        ("q9.shapes", "q9.errors", "q9.generate"),
        append=changed(
            "    def decode(self, z, y):\n"
            "        return self.decoder(torch.cat([z, z, self.class_embedding(y)], dim=1))\n"
        ),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-forward-forgets-class",
        9,
        "vae",
        "forward decodes with class 0",
        ("q9.forward", "q9.gradient", "q9.trained"),
        ((FORWARD, FORWARD.replace("generator), y)", "generator), torch.zeros_like(y))")),),
    ),
    Mistake(
        "q09-forward-decodes-mean",
        9,
        "vae",
        "forward decodes the mean",
        ("q9.forward", "q9.gradient"),
        ((FORWARD, "return self.decode(mu, y), mu, logvar"),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-eps-ignored",
        9,
        "vae",
        "forward does not hand eps on",
        ("q9.forward", "q9.gradient"),
        ((FORWARD, FORWARD.replace("eps, generator", "None, generator")),),
    ),
    Mistake(
        "q09-generator-ignored",
        9,
        "vae",
        "forward does not hand the generator on",
        ("q9.forward",),
        ((FORWARD, FORWARD.replace("eps, generator", "eps")),),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-z-detached",
        9,
        "vae",
        "the reconstruction's gradient does not pass the draw",
        ("q9.gradient",),
        ((FORWARD, FORWARD.replace("generator), y)", "generator).detach(), y)")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-flat-images",
        9,
        "vae",
        "decode returns (B, 784)",
        ("q9.shapes", "q9.generate"),
        append=changed("    def decode(self, z, y):\n        return super().decode(z, y).flatten(1)\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-decodes-logits",
        9,
        "vae",
        "decode returns logits",
        ("q9.generate", "q9.decoder", "q9.trained"),
        append=changed("    def decode(self, z, y):\n        return torch.logit(super().decode(z, y), 1e-6)\n"),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-no-value-error",
        9,
        "vae",
        "a wrong label falls on the embedding with an IndexError",
        ("q9.errors",),
        ((RAISE, "        if False:\n"),),
    ),
    Mistake(
        "q09-negative-labels-pass",
        9,
        "vae",
        "only labels that are too large are refused; -1 counts from the end",
        ("q9.errors",),
        (
            ("        outside = y[(y < 0) | (y >= self.num_classes)]", "        outside = y[y >= self.num_classes]"),
            (WITH_CLASS, WITH_CLASS.replace("(y.to", "((y % self.num_classes).to")),
        ),
    ),
    Mistake(
        "q09-num-classes-passes",
        9,
        "vae",
        "the label num_classes is let through and taken for the last class",
        ("q9.errors",),
        (
            (
                "        outside = y[(y < 0) | (y >= self.num_classes)]",
                "        outside = y[(y < 0) | (y > self.num_classes)]",
            ),
            (WITH_CLASS, WITH_CLASS.replace("(y.to", "(y.clamp(max=self.num_classes - 1).to")),
        ),
    ),
    Mistake(
        "q09-decoder-without-error",
        9,
        "vae",
        "decode accepts any label",
        ("q9.errors",),
        ((DECODE, DECODE.replace("z, y)", "z, y.clamp(0, self.num_classes - 1))")),),
    ),
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
                "        z = torch.rand(len(labels), model.latent_dim, generator=generator, dtype=like.dtype)\n"
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
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()")),),
    ),
    Mistake(
        "q09-generate-with-graph",
        9,
        "vae",
        "no no_grad()",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "evaluation_mode(model), torch.enable_grad()")),),
    ),
    Mistake(
        "q09-generate-leaves-eval",
        9,
        "vae",
        "the model stays in evaluation mode",
        ("q9.generate",),
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
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("generator), labels", "generator).float(), labels")),),
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q09-label-as-factor",
        9,
        "vae",
        "multiplies the features with the label: class 0 wipes them out",
        ("q9.encoder", "q9.decoder"),
        (
            (
                WITH_CLASS,
                "scaled = features * y.to(features).unsqueeze(1)\n"
                "        return torch.cat([scaled, self.class_embedding(y.to(features.device))], dim=1)",
            ),
        ),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-class-vectors-not-registered",
        9,
        "vae",
        "the class vectors are a plain tensor, in no state_dict",
        ("q9.forward", "q9.trained"),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = torch.randn(num_classes, latent_dim)",
            ),
            (WITH_CLASS, "return torch.cat([features, self.class_embedding[y].to(features)], dim=1)"),
        ),
    ),
    Mistake(
        "q09-batch-maximum",
        9,
        "vae",
        "divides the images by the maximum of their batch",
        ("q9.encoder",),
        ((ENCODE, ENCODE.replace("x.flatten(1)", "x.flatten(1) / x.max().clamp(min=1e-6)")),),
        may_fail=("q9.gradient", "q9.trained"),
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
        ("q9.generate",),
        ((GENERATE, "    torch.set_grad_enabled(False)\n" + GENERATE),),
    ),
    Mistake(
        "q09-num-classes-on-class",
        9,
        "vae",
        "writes num_classes to the class: the last CVAE made decides for all",
        ("q9.shapes", "q9.errors"),
        (("        self.num_classes = num_classes\n", "        CVAE.num_classes = num_classes\n"),),
    ),
    Mistake(
        "q09-logits-while-training",
        9,
        "vae",
        "decode returns logits in training mode, probabilities in evaluation mode",
        ("q9.decoder", "q9.trained"),
        append=changed(
            "    def decode(self, z, y):\n        found = super().decode(z, y)\n"
            "        return torch.logit(found, 1e-6) if self.training else found\n"
        ),
    ),
    Mistake(
        "q09-forward-logits-while-training",
        9,
        "vae",
        "forward, not decode, returns logits in training mode",
        ("q9.forward", "q9.trained"),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n"
            "        found, mu, logvar = super().forward(x, y, eps, generator)\n"
            "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-mean-without-gradients",
        9,
        "vae",
        "decodes the mean where gradients are off",
        ("q9.forward",),
        append=changed(
            "    def forward(self, x, y, eps=None, generator=None):\n"
            "        if eps is None and not torch.is_grad_enabled():\n"
            "            eps = torch.zeros_like(self.encode(x, y)[0])\n"
            "        return super().forward(x, y, eps, generator)\n"
        ),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-label-on-first-pixels",
        9,
        "vae",
        "writes the label over the first pixels, of which there must be enough",
        ("q9.shapes",),
        (
            (
                ENCODE,
                "pixels = x.flatten(1).clone()\n"
                "        pixels[:, : self.num_classes] = (y.unsqueeze(1) == torch.arange(self.num_classes)).to(x)\n"
                f"        {ENCODE.replace('x.flatten(1)', 'pixels')}",
            ),
        ),
    ),
    Mistake(
        "q09-generate-switches-gradients-on",
        9,
        "vae",
        "switches gradients on afterwards, whatever they were",
        ("q9.generate",),
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
        ("q9.generate",),
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
        ("q9.generate",),
        (
            (
                GENERATE,
                "    before, model.training = model.training, False\n"
                + GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace("return", "images: Tensor =")
                + "\n    model.training = before\n    return images",
            ),
        ),
    ),
)
