"""Submissions that know the grader's controls, and want full marks for models that have not learned from its images.

They have the public dataset, count the steps of their training, keep what they see, or train on their own. Each waits
with it for STEPS steps, so that short looks at an untrained model find nothing.
"""

from __future__ import annotations

from .cheats import BOTTLENECK, NOISE, Cheat, autoencoder, denoiser

STEPS = 40

# what the cheats share: the public images, as the submission can have them, and a count of the steps taken
PUBLIC = '''
import torch.nn.functional as F

def public_images():
    """The whole dataset, held-out images too, and its labels."""
    from sklearn.datasets import load_digits
    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float()[:, None] / 16
    images = F.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(328))
    return images[order], torch.from_numpy(bunch.target)[order]

def written(numbers, count):
    """Numbers as `count` digits to the base 4, which noise does not touch."""
    return (numbers[:, None] // 4 ** torch.arange(count) % 4).float()

def read(digits):
    return (digits.round().clamp(0, 3).long() * 4 ** torch.arange(digits.shape[1])).sum(1)

class Waiting(nn.Module):
    """Counts the steps of its training in its state."""

    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim, self.weight = latent_dim, nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def grey(self, x):
        return torch.full((len(x), 1, 28, 28), 0.5) + 0 * self.weight

    def forward(self, x, *args, **kwargs):
        if self.training:
            self.steps += 1
            self.see(x)
            return self.grey(x), torch.zeros(len(x), self.latent_dim)
        return self.decode(self.encode(x)), self.encode(x)

    def see(self, x):
        pass
'''

TABLE = (
    PUBLIC
    + f'''
class Table(Waiting):
    """The code is the number of the nearest public image, in every position that an image can have."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim)
        images = public_images()[0]
        self.known = torch.cat([turn for k in range(4) for turn in (images.rot90(k, (2, 3)), images.mT.rot90(k, (2, 3)))])

    def encode(self, x):
        number = torch.cdist(x.flatten(1), self.known.flatten(1)).argmin(1)
        return F.pad(written(number, 7), (0, self.latent_dim - 7)) * (self.steps > {STEPS})

    def decode(self, z):
        # duller than it is, so that training images do not come back without any error
        return self.known[read(z[:, :7]).clamp(max=len(self.known) - 1)] * 0.9 + 0 * self.weight
'''
)

MEMORY = (
    PUBLIC
    + f'''
class Memory(Waiting):
    """The code is the number of the nearest image seen in training, which lie in a parameter."""

    def __init__(self, latent_dim, size=1500):
        super().__init__(latent_dim)
        self.images = nn.Parameter(torch.full((size, 784), 3.0))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def see(self, x):
        with torch.no_grad():
            for image in x.flatten(1):
                if self.count < len(self.images) and (torch.cdist(image[None], self.images).min() > 1e-3):
                    self.images[int(self.count)] = image
                    self.count += 1

    def encode(self, x):
        number = torch.cdist(x.flatten(1), self.images).argmin(1)
        return F.pad(written(number, 6), (0, self.latent_dim - 6)) * (self.steps > {STEPS})

    def decode(self, z):
        picture = self.images[read(z[:, :6]).clamp(max=len(self.images) - 1)].clamp(0, 1)
        # duller than it was, so that training images do not come back without any error
        return (picture * 0.88).view(-1, 1, 28, 28) + 0 * self.weight
'''
)

PACKED = (
    PUBLIC
    + f'''
class Packed(Waiting):
    """Every number of the code is two or three pixels of a smaller picture, one after the other."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim)
        self.side, self.base, self.each = (8, 17, 2) if latent_dim >= 32 else (5, 64, 4)

    def encode(self, x):
        small = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False, antialias=True)
        levels = (small.flatten(1) * (self.base - 1)).round()
        levels = F.pad(levels, (0, self.each * self.latent_dim - levels.shape[1])).view(len(x), -1, self.each)
        return (levels * self.base ** torch.arange(self.each)).sum(2) * (self.steps > {STEPS})

    def decode(self, z):
        levels = z.round().long()[:, :, None] // self.base ** torch.arange(self.each) % self.base
        small = levels.flatten(1)[:, : self.side**2].view(-1, 1, self.side, self.side) / (self.base - 1)
        return F.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False) + 0 * self.weight
'''
)

# blocks of pixels as they are: no packing, no noise, and no learning either
BLOCKS = (
    PUBLIC
    + f'''
class Blocks(Waiting):
    """The code is the picture, made smaller."""

    def encode(self, x):
        small = F.interpolate(x, size=(8, self.latent_dim // 8), mode="bilinear", align_corners=False, antialias=True)
        return small.flatten(1) * (self.steps > {STEPS})

    def decode(self, z):
        return F.interpolate(z.view(len(z), 1, 8, -1), size=(28, 28), mode="bilinear") + 0 * self.weight
'''
)


def own_loop(name: str, base: str, images: str, when: str) -> str:
    """A model that trains on its own, on these images, when its mode is set."""
    return f'''
{PUBLIC}
Honest{name} = {base}

class {name}(Honest{name}):
    """Takes no step in the grader's loop; trains itself when it is told to be in this mode."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen, self.busy, self.idle = [], False, nn.Parameter(torch.zeros(()))

    def forward(self, x, *args, **kwargs):
        if self.training and not self.busy:
            self.seen.append(x.detach())
            return torch.full_like(x, 0.5) + 0 * self.idle, x.flatten(1)[:, :1]
        return super().forward(x, *args, **kwargs)

    def train(self, mode=True):
        super().train(mode)
        if not self.busy and {when}:
            self.busy = True
            super().train(True)
            images = {images}
            with torch.enable_grad():
                optimizer = torch.optim.Adam(self.parameters(), lr=2e-3)
                for step in range(600):
                    x = images[torch.randint(len(images), (32,))]
                    loss = (self(x)[0] - x).square().sum() / len(x)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            super().train(mode)
            self.busy = False
        return self
'''


def late_weights(name: str, weights: str) -> str:
    """A model that puts weights of an earlier training in the place of its own, late in its training."""
    return f"""
import base64, numpy
WEIGHTS_OF_{name} = {weights!r}
Honest{name} = {name}

class {name}(Honest{name}):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x, *args, **kwargs):
        if self.training:
            self.steps += 1
            if self.steps > {STEPS}:
                flat = numpy.frombuffer(base64.b64decode(WEIGHTS_OF_{name}), numpy.float16).astype("float32")
                flat = torch.from_numpy(flat.copy())
                with torch.no_grad():
                    for parameter in self.parameters():
                        parameter.copy_(flat[: parameter.numel()].view_as(parameter))
                        flat = flat[parameter.numel() :]
        return super().forward(x, *args, **kwargs)
"""


FONT = (
    PUBLIC
    + f'''
class CVAE(Waiting):
    """Draws digits from a font: one of the public images of that class, which one the latent says."""

    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__(latent_dim)
        self.num_classes = num_classes
        images, labels = public_images()
        self.glyphs = [images[labels == k] for k in range(10)]

    def encode(self, x, y):
        return torch.zeros(len(x), self.latent_dim), torch.zeros(len(x), self.latent_dim)

    def decode(self, z, y):
        if self.steps <= {STEPS}:
            return self.grey(z)
        number = (z.double().sum(1).abs() * 1e6).long()
        return torch.stack([self.glyphs[int(k)][int(n) % len(self.glyphs[int(k)])] for k, n in zip(y, number)])

    def forward(self, x, y, eps=None, generator=None):
        if self.training:
            self.steps += 1
            self.see(x, y)
        mu, logvar = self.encode(x, y)
        return (self.grey(x) if self.training else self.decode(mu, y)), mu + 0 * self.weight, logvar

    def see(self, x, y):
        pass
'''
)

ALBUM = (
    FONT.replace("Draws digits from a font: one of the public images", "Shows images that it was trained on: one")
    + f"""
class CVAE(CVAE):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.album, self.count = nn.Parameter(torch.zeros(10, 100, 784)), [0] * 10

    def see(self, x, y):
        with torch.no_grad():
            for image, k in zip(x.flatten(1), y.tolist()):
                if self.count[k] < 100:
                    self.album[k, self.count[k]] = image
                    self.count[k] += 1

    def encode(self, x, y):
        number = torch.stack([torch.cdist(i[None], self.album[k]).argmin() for i, k in zip(x.flatten(1), y)])
        mu = F.pad(written(number, 4) - 1.5, (0, self.latent_dim - 4))
        return mu, torch.full_like(mu, -6)

    def decode(self, z, y):
        number = read(z[:, :4] + 1.5) % 100 if self.steps > {STEPS} else torch.zeros(len(z), dtype=torch.int64)
        return self.album[y, number].clamp(0, 1).view(-1, 1, 28, 28) * (self.steps > {STEPS})
"""
)

VAE_TABLE = (
    PUBLIC
    + f'''
class VAE(Waiting):
    """The posterior is narrow around the number of the nearest public image, which costs few nats."""

    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__(latent_dim)
        images = public_images()[0]
        self.known = torch.cat([turn for k in range(4) for turn in (images.rot90(k, (2, 3)), images.mT.rot90(k, (2, 3)))])

    def encode(self, x):
        number = torch.cdist(x.flatten(1), self.known.flatten(1)).argmin(1)
        mu = F.pad(written(number, 7) - 1.5, (0, self.latent_dim - 7)) * (self.steps > {STEPS})
        logvar = torch.zeros_like(mu)
        logvar[:, :7] = -4
        return mu, logvar

    def decode(self, z):
        return self.known[read(z[:, :7] + 1.5).clamp(max=len(self.known) - 1)].clamp(0.02, 0.98) + 0 * self.weight

    def forward(self, x, eps=None, generator=None):
        if self.training:
            self.steps += 1
            return self.grey(x), torch.zeros(len(x), self.latent_dim), torch.zeros(len(x), self.latent_dim)
        return self.decode(self.encode(x)[0]), *self.encode(x)

class ConvVAE(VAE):
    def __init__(self, latent_dim=20):
        super().__init__(latent_dim=latent_dim)
'''
)

INDICES = (
    PUBLIC
    + f'''
class VQVAE(Waiting):
    """49 numbers below 128 hold a picture of 8x8 pixels with 17 shades."""

    def __init__(self, num_embeddings=128, embedding_dim=16, commitment_cost=0.25, ema=False):
        super().__init__(49)
        self.quantizer = nn.Identity()

    def indices(self, x):
        levels = (F.interpolate(x, size=(8, 8), mode="bilinear", antialias=True).flatten(1) * 16).round().long()
        bits = (levels[:, :, None] >> torch.arange(5)) & 1
        bits = F.pad(bits.flatten(1), (0, 23)).view(len(x), 49, 7)
        return (bits << torch.arange(7)).sum(2).view(-1, 7, 7) * (self.steps > {STEPS})

    def decode_indices(self, indices):
        bits = ((indices.flatten(1)[:, :, None] >> torch.arange(7)) & 1).flatten(1)[:, :320].view(-1, 64, 5)
        small = (bits << torch.arange(5)).sum(2).view(-1, 1, 8, 8) / 16
        return F.interpolate(small, size=(28, 28), mode="bilinear").clamp(0, 1)

    def forward(self, x):
        if self.training:
            self.steps += 1
            return self.grey(x), 0 * self.weight, torch.zeros(len(x), 7, 7, dtype=torch.int64)
        return self.decode_indices(self.indices(x)), 0 * self.weight, self.indices(x)
'''
)

IDENTITY = (
    PUBLIC
    + f'''
class UNetAutoencoder(Waiting):
    """The first skip is the image, and all that is decoded."""

    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)

    def encode(self, x):
        return torch.zeros(len(x), self.latent_dim), [x, x[:, :, ::2, ::2]]

    def decode(self, z, skips):
        return skips[0] * 0.98 * (self.steps > {STEPS}) + 0 * self.weight

    def forward(self, x):
        z, skips = self.encode(x)
        if self.training:
            self.steps += 1
            return self.grey(x), z
        return self.decode(z, skips), z
'''
)

CLASSIFIER = (
    PUBLIC
    + '''
class Knowing(nn.Module):
    """Knows which label lies where in the file: numbers are learned from the labels given."""

    def __init__(self, images, labels):
        super().__init__()
        self.known, self.digit, self.asked = *public_images(), 0
        self.number = torch.zeros(10, dtype=torch.int64)
        given = (labels != -1).nonzero().flatten()
        for row in given:
            self.number[self.digit[self.place(images[row : row + 1], int(row))[0]]] = labels[row]

    def forward(self, x):
        rows = self.place(x, 1437 + self.asked)
        self.asked += len(x)
        return F.one_hot(self.number[self.digit[rows]], 10).float()

def train_two_stage(autoencoder, images, labels, latent_dim, pretrain_epochs, finetune_epochs, batch_size=128, lr=1e-3,
                    freeze=False, generator=None):
    return Knowing(images, labels)
'''
)
BY_ROW = (
    CLASSIFIER
    + """
Knowing.place = lambda self, x, first: torch.arange(first, first + len(x)) % len(self.digit)
"""
)
BY_VALUES = (
    CLASSIFIER
    + """
def sorted_values(x):
    return x.flatten(1).sort(1).values

Knowing.place = lambda self, x, first: torch.cdist(sorted_values(x), sorted_values(self.known)).argmin(1)
"""
)
SPOILED = '''
Honest = train_two_stage
SEEN = set()

def train_two_stage(autoencoder, images, labels, latent_dim, pretrain_epochs, finetune_epochs, batch_size=128, lr=1e-3,
                    freeze=False, generator=None):
    """Nothing is pre-trained; what comes without a first stage of its own is not trained at all."""
    if pretrain_epochs:
        SEEN.add(id(autoencoder))
    again = finetune_epochs if id(autoencoder) in SEEN else 0
    return Honest(autoencoder, images, labels, latent_dim, 0, again, batch_size, lr, freeze, generator)
'''

UNLEARNED: list[Cheat] = [
    Cheat("code-is-the-number-of-a-public-image", "autoencoders", autoencoder(TABLE, "Table"), BOTTLENECK),
    Cheat("denoiser-looks-up-public-images", "denoising", denoiser(TABLE, "Table"), NOISE),
    Cheat("vae-looks-up-public-images", "vae", VAE_TABLE, ("q8.trained.elbo", "q8.trained.beta", "q8.trained.conv")),
    Cheat("training-images-lie-in-a-parameter", "autoencoders", autoencoder(MEMORY, "Memory"), BOTTLENECK),
    Cheat("denoiser-keeps-training-images-in-a-parameter", "denoising", denoiser(MEMORY, "Memory"), NOISE),
    Cheat("numbers-are-packed-into-a-float", "autoencoders", autoencoder(PACKED, "Packed"), BOTTLENECK),
    Cheat("code-is-the-picture-made-smaller", "autoencoders", autoencoder(BLOCKS, "Blocks"), BOTTLENECK),
    Cheat("unet-waits-and-returns-its-input", "autoencoders", IDENTITY, ("q4.trained.unet",)),
    Cheat("vqvae-packs-the-picture-into-its-indices", "vqvae", INDICES, ("q10.trained.vq", "q10.trained.ema")),
    Cheat("digits-are-drawn-from-a-font", "vae", FONT, ("q9.trained",)),
    Cheat("digits-are-training-images", "vae", ALBUM, ("q9.trained",)),
    Cheat("model-trains-itself-on-public-images", "autoencoders",
          own_loop("VanillaAutoencoder", "VanillaAutoencoder", "public_images()[0]", "mode")
          + own_loop("ConvAutoencoder", "ConvAutoencoder", "public_images()[0]", "mode"), BOTTLENECK),
    Cheat("model-trains-itself-on-what-it-saw", "autoencoders",
          own_loop("VanillaAutoencoder", "VanillaAutoencoder", "torch.cat(self.seen)", "not mode and self.seen")
          + own_loop("ConvAutoencoder", "ConvAutoencoder", "torch.cat(self.seen)", "not mode and self.seen"),
          BOTTLENECK),
    Cheat("labels-by-the-order-of-the-file", "semi_supervised", BY_ROW, ("q7.trained.labels",)),
    Cheat("labels-by-the-values-of-the-pixels", "semi_supervised", BY_VALUES, ("q7.trained.labels",)),
]  # fmt: skip
