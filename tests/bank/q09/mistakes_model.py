"""Question 9: the reference with one bug: sizes, heads, pixels and labels of CVAE."""

from __future__ import annotations

from .. import Mistake

WITH_CLASS = "return torch.cat([features, self.class_embedding(y.to(features.device))], dim=1)"
ENCODE = "h = self.encoder(self._with_class(x.flatten(1), y))"
DECODE = "x_recon: Tensor = self.decoder(self._with_class(z, y))"
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
        ("q9.shapes",),
        append=changed(
            "    def decode(self, z, y):\n"
            "        return self.decoder(torch.cat([z, z, self.class_embedding(y)], dim=1))\n"
        ),
        may_fail=(*MODEL, "q9.errors", "q9.generate.model"),
    ),
    Mistake(
        "q09-flat-images",
        9,
        "vae",
        "decode returns (B, 784)",
        ("q9.shapes",),
        append=changed("    def decode(self, z, y):\n        return super().decode(z, y).flatten(1)\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-decodes-logits",
        9,
        "vae",
        "decode returns logits",
        ("q9.decoder", "q9.trained"),
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
        "q09-batch-maximum",
        9,
        "vae",
        "divides the images by the maximum of their batch",
        ("q9.encoder",),
        ((ENCODE, ENCODE.replace("x.flatten(1)", "x.flatten(1) / x.max().clamp(min=1e-6)")),),
        may_fail=("q9.gradient", "q9.trained"),
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
        "q09-label-on-first-pixels",
        9,
        "vae",
        "writes the label over the first pixels, of which there must be enough",
        ("q9.shapes",),
        (
            (
                ENCODE,
                "pixels = x.flatten(1).clone()\n"
                "        pixels[:, : self.num_classes] = (y.unsqueeze(1) == torch.arange(self.num_classes, device=y.device)).to(x)\n"
                f"        {ENCODE.replace('x.flatten(1)', 'pixels')}",
            ),
        ),
    ),
    Mistake(
        "q09-embedding-of-ten",
        9,
        "vae",
        "a table of ten classes whatever num_classes is",
        ("q9.shapes",),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = nn.Embedding(10, latent_dim)",
            ),
        ),
    ),
    Mistake(
        "q09-classes-modulo-ten",
        9,
        "vae",
        "a table of ten classes, in which the eleventh is the first",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, WITH_CLASS.replace("(y.to", "((y % 10).to")),),
    ),
    Mistake(
        "q09-one-head",
        9,
        "vae",
        "one head for both mu and logvar",
        ("q9.encoder",),
        append=changed("    def encode(self, x, y):\n        mu, _ = super().encode(x, y)\n        return mu, mu\n"),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-softplus-on-logvar",
        9,
        "vae",
        "softplus makes the log-variance positive",
        ("q9.encoder",),
        append=changed(
            "    def encode(self, x, y):\n        mu, logvar = super().encode(x, y)\n        return mu, nn.functional.softplus(logvar)\n"
        ),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-logvar-of-class-zero",
        9,
        "vae",
        "the log-variance does not see the class",
        ("q9.encoder",),
        append=changed(
            "    def encode(self, x, y):\n        return super().encode(x, y)[0], super().encode(x, 0 * y)[1]\n"
        ),
    ),
    Mistake(
        "q09-double-sigmoid",
        9,
        "vae",
        "sigmoid of the sigmoid",
        ("q9.decoder", "q9.trained"),
        append=changed("    def decode(self, z, y):\n        return torch.sigmoid(super().decode(z, y))\n"),
    ),
    Mistake(
        "q09-zero-table-frozen",
        9,
        "vae",
        "the table of classes is zero and cannot learn",
        ("q9.encoder", "q9.decoder", "q9.trained"),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = nn.Embedding.from_pretrained(torch.zeros(num_classes, latent_dim))",
            ),
        ),
    ),
    Mistake(
        "q09-zero-table-detached",
        9,
        "vae",
        "the table of classes starts at zero and gets no gradient",
        ("q9.encoder", "q9.decoder", "q9.trained"),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)\n        nn.init.zeros_(self.class_embedding.weight)",
            ),
            (WITH_CLASS, WITH_CLASS.replace("y.to(features.device))]", "y.to(features.device)).detach()]")),
        ),
    ),
    Mistake(
        "q09-labels-from-one",
        9,
        "vae",
        "counts its classes from one",
        ("q9.errors",),
        (
            (
                "        outside = y[(y < 0) | (y >= self.num_classes)]",
                "        outside = y[(y < 1) | (y > self.num_classes)]",
            ),
            ("y must be in 0...{self.num_classes - 1}", "y must be in 1...{self.num_classes}"),
            (WITH_CLASS, WITH_CLASS.replace("(y.to", "((y - 1).to")),
        ),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-one-hot-from-one",
        9,
        "vae",
        "a one-hot vector whose first column is class 1",
        ("q9.errors",),
        (
            (
                "        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
                "        self.class_embedding = nn.Linear(num_classes, latent_dim)",
            ),
            (
                "        outside = y[(y < 0) | (y >= self.num_classes)]",
                "        outside = y[(y < 1) | (y > self.num_classes)]",
            ),
            (
                WITH_CLASS,
                "one_hot = nn.functional.one_hot(y.to(features.device) - 1, self.num_classes).to(features)\n        return torch.cat([features, self.class_embedding(one_hot)], dim=1)",
            ),
        ),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-hidden-dim-ignored",
        9,
        "vae",
        "hidden layers of fixed width",
        ("q9.shapes",),
        append=changed(
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):\n        super().__init__(input_dim, 64, latent_dim, num_classes)\n"
        ),
    ),
    Mistake(
        "q09-hidden-dim-in-encoder-only",
        9,
        "vae",
        "hidden layers of the decoder have a fixed width",
        ("q9.shapes",),
        append=changed(
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):\n        super().__init__(input_dim, hidden_dim, latent_dim, num_classes)\n        self.decoder = image_decoder(2 * latent_dim, 64, input_dim)\n"
        ),
    ),
    Mistake(
        "q09-default-hidden-dim",
        9,
        "vae",
        "hidden layers of 256 by default",
        ("q9.shapes",),
        append=changed(
            "    def __init__(self, input_dim=784, hidden_dim=256, latent_dim=20, num_classes=10):\n        super().__init__(input_dim, hidden_dim, latent_dim, num_classes)\n"
        ),
    ),
)
