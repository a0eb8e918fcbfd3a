"""Question 9: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

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
        return torch.eye(self.num_classes).to(self.last.weight)[rows]

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
        if not torch.isin(y, torch.arange(self.num_classes, device=y.device)).all():
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


FROZEN = """
class CVAE(CVAE):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__(input_dim, hidden_dim, latent_dim, num_classes)
        self.class_embedding = nn.Embedding.from_pretrained(torch.eye(num_classes))
        self.encoder = nn.Sequential(*hidden_layers(input_dim + num_classes, hidden_dim))
        self.decoder = image_decoder(latent_dim + num_classes, hidden_dim, input_dim)
"""
TABLE = "        self.class_embedding = nn.Embedding(num_classes, latent_dim)"
JOIN = "return torch.cat([features, self.class_embedding(y.to(features.device))], dim=1)"


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
    Alternative("q09-alt-one-hot-frozen", 9, "vae", "a table of one-hot rows that nobody trains", append=FROZEN),
    Alternative("q09-alt-random-frozen", 9, "vae", "a random table that nobody trains",
                edits=((TABLE, TABLE + "\n        self.class_embedding.weight.requires_grad_(False)"),)),
    Alternative("q09-alt-table-from-zero", 9, "vae", "a table that starts at zero and learns",
                edits=((TABLE, TABLE + "\n        nn.init.zeros_(self.class_embedding.weight)"),)),
    Alternative("q09-alt-label-as-number", 9, "vae", "the label as one more input, a number between 0 and 1",
                edits=((TABLE, "        self.class_embedding = lambda y: (y / num_classes).unsqueeze(1).expand(-1, latent_dim)"),
                       (JOIN, JOIN.replace("self.class_embedding(y.to(features.device))", "self.class_embedding(y.to(features.device)).to(features)")))),
)  # fmt: skip
