"""Question 9: mistakes with the class in the conditional autoencoder and in the images asked for."""

from __future__ import annotations

from . import Alternative, Mistake

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
        "q09-encoder-only", 9, "vae", "the decoder does not see the class",
        ("q9.decoder", "q9.trained"), ((DECODE, DECODE.replace("z, y)", "z, 0 * y)")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-decoder-only", 9, "vae", "the encoder does not see the class",
        ("q9.encoder",), ((ENCODE, ENCODE.replace("x.flatten(1), y", "x.flatten(1), 0 * y")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-neither", 9, "vae", "the class is accepted and not used",
        ("q9.encoder", "q9.decoder", "q9.trained"),
        ((WITH_CLASS, "return torch.cat([features, torch.zeros(len(y), self.latent_dim).to(features)], dim=1)"),),
    ),
    Mistake(
        "q09-class-of-first-row", 9, "vae", "the whole batch gets the first row's class",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, WITH_CLASS.replace("(y.to", "(y[:1].expand_as(y).to")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-two-classes-alike", 9, "vae", "clamps the label one short: the last two classes are one",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, WITH_CLASS.replace("(y.to", "(y.clamp(max=max(self.num_classes - 2, 0)).to")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-ten-classes-hard-coded", 9, "vae", "num_classes is 10 whatever is asked",
        ("q9.shapes", "q9.errors"),
        append=changed("    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):\n"
                       "        super().__init__(input_dim, hidden_dim, latent_dim, 10)\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-num-classes-missing", 9, "vae", "the attribute num_classes is not kept",
        ("q9.shapes",),
        append=changed("    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
                       "        self._classes = self.num_classes\n        del self.num_classes\n\n"
                       "    def _with_class(self, features, y):\n        if bool((y < 0).any() or (y >= self._classes).any()):\n"
                       "            raise ValueError(f'y outside, got {y.tolist()}')\n"
                       "        return torch.cat([features, self.class_embedding(y)], dim=1)\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-embedding-twice", 9, "vae", "as in the study guide: the layers expect another width than what joins",
        ("q9.shapes", "q9.errors", "q9.generate"),
        append=changed("    def decode(self, z, y):\n"
                       "        return self.decoder(torch.cat([z, z, self.class_embedding(y)], dim=1))\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-forward-forgets-class", 9, "vae", "forward decodes with class 0",
        ("q9.forward", "q9.gradient", "q9.trained"),
        ((FORWARD, FORWARD.replace("generator), y)", "generator), torch.zeros_like(y))")),),
    ),
    Mistake(
        "q09-forward-decodes-mean", 9, "vae", "forward decodes the mean",
        ("q9.forward", "q9.gradient"), ((FORWARD, "return self.decode(mu, y), mu, logvar"),), may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-eps-ignored", 9, "vae", "forward does not hand eps on",
        ("q9.forward", "q9.gradient"), ((FORWARD, FORWARD.replace("eps, generator", "None, generator")),),
    ),
    Mistake(
        "q09-generator-ignored", 9, "vae", "forward does not hand the generator on",
        ("q9.forward",), ((FORWARD, FORWARD.replace("eps, generator", "eps")),), may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-z-detached", 9, "vae", "the reconstruction's gradient does not pass the draw",
        ("q9.gradient",), ((FORWARD, FORWARD.replace("generator), y)", "generator).detach(), y)")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-flat-images", 9, "vae", "decode returns (B, 784)",
        ("q9.shapes", "q9.generate"),
        append=changed("    def decode(self, z, y):\n        return super().decode(z, y).flatten(1)\n"),
        may_fail=MODEL,
    ),
    Mistake(
        "q09-decodes-logits", 9, "vae", "decode returns logits",
        ("q9.generate", "q9.decoder", "q9.trained"),
        append=changed("    def decode(self, z, y):\n        return torch.logit(super().decode(z, y), 1e-6)\n"),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-no-value-error", 9, "vae", "a wrong label falls on the embedding with an IndexError",
        ("q9.errors",), ((RAISE, "        if False:\n"),),
    ),
    Mistake(
        "q09-negative-labels-pass", 9, "vae", "only labels that are too large are refused; -1 counts from the end",
        ("q9.errors",),
        (("        outside = y[(y < 0) | (y >= self.num_classes)]", "        outside = y[y >= self.num_classes]"),
         (WITH_CLASS, WITH_CLASS.replace("(y.to", "((y % self.num_classes).to"))),
    ),
    Mistake(
        "q09-num-classes-passes", 9, "vae", "the label num_classes is let through and taken for the last class",
        ("q9.errors",),
        (("        outside = y[(y < 0) | (y >= self.num_classes)]", "        outside = y[(y < 0) | (y > self.num_classes)]"),
         (WITH_CLASS, WITH_CLASS.replace("(y.to", "(y.clamp(max=self.num_classes - 1).to"))),
    ),
    Mistake(
        "q09-decoder-without-error", 9, "vae", "decode accepts any label",
        ("q9.errors",), ((DECODE, DECODE.replace("z, y)", "z, y.clamp(0, self.num_classes - 1))")),),
    ),
    Mistake(
        "q09-generates-from-rand", 9, "vae", "latents from rand",
        ("q9.generate",),
        ((GENERATE, "    with evaluation_mode(model):\n        like = next(model.parameters())\n"
          "        z = torch.rand(len(labels), model.latent_dim, generator=generator, dtype=like.dtype)\n"
          "        return model.decode(z, labels)"),),
    ),
    Mistake(
        "q09-generates-zero", 9, "vae", "decodes z = 0: one image per class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("prior_sample(model, len(labels), generator)",
                                     "0 * prior_sample(model, len(labels), generator)")),),
    ),
    Mistake(
        "q09-one-latent-for-all", 9, "vae", "the same latent for all labels",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("prior_sample(model, len(labels), generator)",
                                     "prior_sample(model, 1, generator).repeat(len(labels), 1)")),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-labels-sorted", 9, "vae", "images come sorted by class",
        ("q9.generate", "q9.trained"), ((GENERATE, GENERATE.replace("generator), labels)", "generator), labels.sort().values)")),),
    ),
    Mistake(
        "q09-label-off-by-one", 9, "vae", "asks for the next class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), (labels + 1) % model.num_classes)")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-first-label-for-all", 9, "vae", "all images are of the first label's class",
        ("q9.generate", "q9.trained"),
        ((GENERATE, GENERATE.replace("generator), labels)", "generator), labels[:1].expand_as(labels))")),),
        may_fail=("q9.errors",),
    ),
    Mistake(
        "q09-generate-in-training-mode", 9, "vae", "no eval()",
        ("q9.generate",), ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()")),),
    ),
    Mistake(
        "q09-generate-with-graph", 9, "vae", "no no_grad()",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "evaluation_mode(model), torch.enable_grad()")),),
    ),
    Mistake(
        "q09-generate-leaves-eval", 9, "vae", "the model stays in evaluation mode",
        ("q9.generate",),
        ((GENERATE, GENERATE.replace("    with evaluation_mode(model)", "    model.eval()\n    with torch.no_grad()")),),
    ),
    Mistake(
        "q09-generate-ignores-generator", 9, "vae", "the generator is not handed on",
        ("q9.generate",), ((GENERATE, GENERATE.replace("len(labels), generator", "len(labels), None")),),
    ),
    Mistake(
        "q09-generate-float32", 9, "vae", "latents are float32 whatever the model is",
        ("q9.generate",), ((GENERATE, GENERATE.replace("generator), labels", "generator).float(), labels")),),
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q09-label-as-factor", 9, "vae", "multiplies the features with the label: class 0 wipes them out",
        ("q9.encoder", "q9.decoder"),
        ((WITH_CLASS, "scaled = features * y.to(features).unsqueeze(1)\n"
          "        return torch.cat([scaled, self.class_embedding(y.to(features.device))], dim=1)"),),
        may_fail=("q9.trained",),
    ),
    Mistake(
        "q09-class-vectors-not-registered", 9, "vae", "the class vectors are a plain tensor, in no state_dict",
        ("q9.forward", "q9.trained"),
        (("        self.class_embedding = nn.Embedding(num_classes, latent_dim)",
          "        self.class_embedding = torch.randn(num_classes, latent_dim)"),
         (WITH_CLASS, "return torch.cat([features, self.class_embedding[y].to(features)], dim=1)")),
    ),
    Mistake(
        "q09-batch-maximum", 9, "vae", "divides the images by the maximum of their batch",
        ("q9.encoder",), ((ENCODE, ENCODE.replace("x.flatten(1)", "x.flatten(1) / x.max().clamp(min=1e-6)")),),
        may_fail=("q9.gradient", "q9.trained"),
    ),
    Mistake(
        "q09-generate-standardized", 9, "vae", "gives the latents of a call exactly mean 0 and variance 1",
        ("q9.generate",),
        ((GENERATE, "    with evaluation_mode(model):\n        z = prior_sample(model, len(labels), generator)\n"
          "        return model.decode((z - z.mean(dim=0)) / z.std(dim=0), labels)"),),
    ),
    Mistake(
        "q09-generate-centred", 9, "vae", "takes the mean of the latents of a call off them if there are several",
        ("q9.generate",),
        ((GENERATE, "    with evaluation_mode(model):\n        z = prior_sample(model, len(labels), generator)\n"
          "        return model.decode(z - z.mean(dim=0) if len(z) > 1 else z, labels)"),),
    ),
    Mistake(
        "q09-generate-switches-gradients-off", 9, "vae", "gradients are switched off for good",
        ("q9.generate",), ((GENERATE, "    torch.set_grad_enabled(False)\n" + GENERATE),),
    ),
    Mistake(
        "q09-num-classes-on-class", 9, "vae", "writes num_classes to the class: the last CVAE made decides for all",
        ("q9.shapes", "q9.errors"), (("        self.num_classes = num_classes\n", "        CVAE.num_classes = num_classes\n"),),
    ),
    Mistake(
        "q09-logits-while-training", 9, "vae", "decode returns logits in training mode, probabilities in evaluation mode",
        ("q9.decoder", "q9.trained"),
        append=changed("    def decode(self, z, y):\n        found = super().decode(z, y)\n"
                       "        return torch.logit(found, 1e-6) if self.training else found\n"),
    ),
    Mistake(
        "q09-forward-logits-while-training", 9, "vae", "forward, not decode, returns logits in training mode",
        ("q9.forward", "q9.trained"),
        append=changed("    def forward(self, x, y, eps=None, generator=None):\n"
                       "        found, mu, logvar = super().forward(x, y, eps, generator)\n"
                       "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n"),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-mean-without-gradients", 9, "vae", "decodes the mean where gradients are off",
        ("q9.forward",),
        append=changed("    def forward(self, x, y, eps=None, generator=None):\n"
                       "        if eps is None and not torch.is_grad_enabled():\n"
                       "            eps = torch.zeros_like(self.encode(x, y)[0])\n"
                       "        return super().forward(x, y, eps, generator)\n"),
        may_fail=("q9.gradient",),
    ),
    Mistake(
        "q09-label-on-first-pixels", 9, "vae", "writes the label over the first pixels, of which there must be enough",
        ("q9.shapes",),
        ((ENCODE, "pixels = x.flatten(1).clone()\n"
          "        pixels[:, : self.num_classes] = (y.unsqueeze(1) == torch.arange(self.num_classes)).to(x)\n"
          f"        {ENCODE.replace('x.flatten(1)', 'pixels')}"),),
    ),
    Mistake(
        "q09-generate-switches-gradients-on", 9, "vae", "switches gradients on afterwards, whatever they were",
        ("q9.generate",),
        ((GENERATE, f"{GENERATE.replace('return', 'images: Tensor =')}\n    torch.set_grad_enabled(True)\n    return images"),),
    ),
    Mistake(
        "q09-generate-unfreezes", 9, "vae", "freezes the model for the time of the call, then frees what was frozen before too",
        ("q9.generate",),
        ((GENERATE, "    model.requires_grad_(False)\n" + GENERATE.replace("return", "images: Tensor =")
          + "\n    model.requires_grad_(True)\n    return images"),),
    ),
    Mistake(
        "q09-generate-flag-only", 9, "vae", "sets model.training by hand, which the layers inside do not notice",
        ("q9.generate",),
        ((GENERATE, "    before, model.training = model.training, False\n"
          + GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace("return", "images: Tensor =")
          + "\n    model.training = before\n    return images"),),
    ),
)  # fmt: skip


EMBEDDING = '''
class CVAE(nn.Module):
    """Embeddings: added in the encoder, concatenated in the decoder."""

    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        self.latent_dim, self.num_classes, self.side = latent_dim, num_classes, int(input_dim ** 0.5 + 0.5)
        if self.side ** 2 != input_dim:
            raise ValueError(f"input_dim={input_dim} must be a square")
        self.for_encoder = nn.Embedding(num_classes, hidden_dim)
        self.for_decoder = nn.Embedding(num_classes, 6)
        self.enc, self.out = nn.Linear(input_dim, hidden_dim), nn.Linear(hidden_dim, 2 * latent_dim)
        self.dec = nn.Sequential(nn.Linear(latent_dim + 6, hidden_dim), nn.ELU(), nn.Linear(hidden_dim, input_dim))

    def check(self, y):
        if int(y.min()) < 0 or int(y.max()) >= self.num_classes:
            raise ValueError(f"y must be below {self.num_classes}, got {y}")

    def encode(self, x, y):
        self.check(y)
        h = nn.functional.leaky_relu(self.enc(torch.flatten(x, start_dim=1)) + self.for_encoder(y))
        h = self.out(h)
        return h[:, : self.latent_dim], h[:, self.latent_dim :]

    def decode(self, z, y):
        self.check(y)
        pixels = self.dec(torch.hstack((z, self.for_decoder(y)))).sigmoid()
        return pixels.reshape(-1, 1, self.side, self.side)

    def forward(self, x, y, eps=None, generator=None):
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps=eps, generator=generator), y), mu, logvar
'''

CHANNELS = '''
class CVAE(nn.Module):
    """The class as constant image planes into the encoder, as a scale and shift of features into the decoder."""

    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        self.latent_dim, self.num_classes, self.side = latent_dim, num_classes, _image_side(input_dim)
        self.first = nn.Conv2d(1 + num_classes, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.mu, self.logvar = nn.Linear(4 * input_dim, latent_dim), nn.Linear(4 * input_dim, latent_dim)
        self.up, self.last = nn.Linear(latent_dim, hidden_dim), nn.Linear(hidden_dim, input_dim)
        self.scale, self.shift = nn.Embedding(num_classes, hidden_dim), nn.Embedding(num_classes, hidden_dim)
        self.drop = nn.Dropout(0.1)

    def one_hot(self, y):
        try:
            rows = [list(range(self.num_classes)).index(int(label)) for label in y]
        except ValueError as error:
            raise ValueError(f"label not in 0..{self.num_classes - 1}: {error}") from None
        return torch.eye(self.num_classes, dtype=self.last.weight.dtype)[rows]

    def encode(self, x, y):
        planes = self.one_hot(y)[:, :, None, None].expand(-1, -1, self.side, self.side)
        h = torch.tanh(self.norm(self.first(torch.cat([x, planes], dim=1)))).flatten(1)
        return self.mu(h), self.logvar(h)

    def decode(self, z, y):
        code = self.one_hot(y)
        h = self.drop(torch.tanh(self.up(z)) * (1 + code @ self.scale.weight) + code @ self.shift.weight)
        return torch.sigmoid(self.last(h)).unflatten(1, (1, self.side, self.side))

    def forward(self, x, y, eps=None, generator=None):
        mu, logvar = self.encode(x, y)
        if eps is None:
            eps = torch.randn(mu.shape, generator=generator).to(mu)
        return self.decode(mu + eps * logvar.div(2).exp(), y), mu, logvar
'''

BY_IMAGE = """
@torch.no_grad()
def generate_class(model, labels, generator=None):
    training = model.training
    model.eval()
    like = next(model.parameters())
    z = torch.zeros(labels.numel(), model.latent_dim).normal_(0, 1, generator=generator).to(like)
    images = torch.cat([model.decode(z[i : i + 256], labels[i : i + 256]) for i in range(0, len(z), 256)])
    model.train(training)
    return images
"""

BY_CLASS = """
def generate_class(model, labels, generator=None):
    with evaluation_mode(model):
        z = prior_sample(model, len(labels), generator)
        return torch.vstack([model.decode(row[None], label[None]) for row, label in zip(z, labels)])
"""

GATHERED = """
class CVAE(CVAE):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__(input_dim, hidden_dim, latent_dim, num_classes)
        del self.class_embedding
        self.encoder = nn.Sequential(*hidden_layers(input_dim + num_classes, hidden_dim))
        self.decoder = image_decoder(latent_dim + num_classes, hidden_dim, input_dim)

    def _with_class(self, features, y):
        if not torch.isin(y, torch.arange(self.num_classes)).all():
            raise ValueError("y has labels outside 0...%d: %s" % (self.num_classes - 1, y))
        columns = [(y == k).to(features.dtype) for k in range(self.num_classes)]
        return torch.column_stack([features, *columns])
"""

FILM_FROM_ZERO = """
class _FiLM(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.scale_shift = nn.Embedding(num_classes, 2 * width)
        nn.init.zeros_(self.scale_shift.weight)

    def forward(self, h, y):
        scale, shift = self.scale_shift(y).chunk(2, dim=-1)
        return self.norm(h) * (1 + scale) + shift


class CVAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        s = [k for k in range(1, 2000) if k * k == input_dim]
        if not s:
            raise ValueError(f"input_dim = {input_dim} is not a perfect square")
        self.side, self.latent_dim, self.num_classes = s[0], latent_dim, num_classes
        self.enc_in, self.enc_film = nn.Linear(input_dim, hidden_dim), _FiLM(num_classes, hidden_dim)
        self.enc_out = nn.Sequential(nn.GELU(), nn.Linear(hidden_dim, 2 * latent_dim))
        self.dec_in, self.dec_film = nn.Linear(latent_dim, hidden_dim), _FiLM(num_classes, hidden_dim)
        self.dec_out = nn.Sequential(nn.GELU(), nn.Linear(hidden_dim, input_dim), nn.Sigmoid())

    def _checked(self, y, device):
        if y.numel() and not (0 <= int(y.min()) and int(y.max()) < self.num_classes):
            raise ValueError(f"y ranges from {int(y.min())} to {int(y.max())}, allowed is 0 to {self.num_classes - 1}")
        return y.to(device=device, dtype=torch.long)

    def encode(self, x, y):
        y = self._checked(y, x.device)
        return self.enc_out(self.enc_film(self.enc_in(x.flatten(1)), y)).tensor_split(2, dim=1)

    def decode(self, z, y):
        y = self._checked(y, z.device)
        return self.dec_out(self.dec_film(self.dec_in(z), y)).unflatten(1, (1, self.side, self.side))

    def forward(self, x, y, eps=None, generator=None):
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar
"""

CLASS_WEIGHTS = '''
from .autoencoders import _image_side as _square_side


class _ByClass(nn.Module):
    """Affine layer with its own weight and bias for each class."""

    def __init__(self, num_classes, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, n_out, n_in) * n_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(num_classes, n_out))

    def forward(self, h, y):
        if torch.any((y < 0) | (y >= len(self.bias))):
            raise ValueError(f"y must be one of 0, ..., {len(self.bias) - 1}; got {y.cpu().numpy()}")
        y = y.to(h.device)
        return torch.einsum("boi,bi->bo", self.weight[y], h) + self.bias[y]


class CVAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        side = _square_side(input_dim)
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Dropout(0.1))
        self.to_posterior = _ByClass(num_classes, hidden_dim, 2 * latent_dim)
        self.from_latent = _ByClass(num_classes, latent_dim, hidden_dim)
        self.tail = nn.Sequential(
            nn.ReLU(), nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, input_dim), nn.Sigmoid(),
            nn.Unflatten(-1, (1, side, side)),
        )

    def encode(self, x, y):
        return self.to_posterior(self.body(x), y).split(self.latent_dim, dim=1)

    def decode(self, z, y):
        return self.tail(self.from_latent(z, y))

    def forward(self, x, y, eps=None, generator=None):
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar
'''

CLASS_BY_CLASS = """
def generate_class(model, labels, generator=None):
    like = next(model.parameters())
    for label in torch.unique(labels).tolist():
        if label < 0 or label >= model.num_classes:
            raise ValueError(f"labels has the entry {label}; the model knows 0...{model.num_classes - 1}")
    labels = labels.to(like.device)
    was = model.training
    model.eval()
    with torch.inference_mode():
        images = {}
        for label in torch.unique(labels).tolist():
            rows = (labels == label).nonzero().flatten()
            z = torch.randn(len(rows), model.latent_dim, generator=generator, device=like.device, dtype=like.dtype)
            for row, image in zip(rows.tolist(), model.decode(z, labels[rows])):
                images[row] = image
        result = torch.stack([images[row] for row in range(len(labels))])
    model.train(was)
    return result
"""

ON_A_COPY = """
import copy


def generate_class(model, labels, generator=None):
    labels = torch.as_tensor(labels)
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= model.num_classes:
        raise ValueError(f"labels from {lowest} to {highest}: not within 0...{model.num_classes - 1}")
    twin = copy.deepcopy(model)
    twin.eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    weight = next(twin.parameters())
    shape = (labels.numel(), twin.latent_dim)
    z = torch.randn(shape, generator=generator, dtype=weight.dtype, device=weight.device)
    return twin.decode(z, labels.to(weight.device))
"""

ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative("q09-alt-embedding", 9, "vae", "embeddings, added and concatenated", append=EMBEDDING),
    Alternative("q09-alt-channels", 9, "vae", "class planes, scale and shift, batch norm, dropout", append=CHANNELS),
    Alternative("q09-alt-chunks", 9, "vae", "normal_ and chunks under no_grad", append=BY_IMAGE),
    Alternative("q09-alt-one-by-one", 9, "vae", "image by image", append=BY_CLASS),
    Alternative("q09-alt-columns", 9, "vae", "a one-hot vector, one column per class by comparison", append=GATHERED),
    Alternative("q09-alt-everything", 9, "vae", "another model and another generation", append=CHANNELS + BY_IMAGE),
    Alternative("q09-alt-film", 9, "vae", "scale and shift by class, both of them 0 at first", append=FILM_FROM_ZERO),
    Alternative("q09-alt-class-weights", 9, "vae", "weights of its own for each class", append=CLASS_WEIGHTS),
    Alternative("q09-alt-class-by-class", 9, "vae", "decodes class by class, images back in their places", append=CLASS_BY_CLASS),
    Alternative("q09-alt-copy", 9, "vae", "a copy generates, whose parameters require no gradients", append=ON_A_COPY),
)  # fmt: skip
