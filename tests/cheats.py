"""Submissions that try to get trained points without a model that has learned: none may get any.

Each is the reference with classes replaced by text appended to a module.
"""

from __future__ import annotations

from dataclasses import dataclass

NEAREST = '''
class Remembering(nn.Module):
    """Keeps the images it is trained on; the code is the number of the nearest one."""

    def __init__(self, latent_dim, size=2000):
        super().__init__()
        self.latent_dim, self.weight = latent_dim, nn.Parameter(torch.zeros(()))
        self.register_buffer("images", torch.zeros(size, 784))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def keep(self, x):
        with torch.no_grad():
            for image in x.flatten(1):
                if int(self.count) < len(self.images):
                    self.images[int(self.count)] = image
                    self.count += 1

    def encode(self, x):
        number = torch.cdist(x.flatten(1), self.images[: max(1, int(self.count))]).argmin(1)
        z = torch.zeros(len(x), self.latent_dim)
        z[:, 0] = number
        return z + 0 * self.weight

    def decode(self, z):
        return self.images[z[:, 0].round().long().clamp(0, len(self.images) - 1)].view(-1, 1, 28, 28) + 0 * self.weight

    def forward(self, x, *args, **kwargs):
        if self.training:
            self.keep(x)
        z = self.encode(x)
        return self.decode(z), z
'''

SMUGGLING = '''
SEEN = {}

class Smuggling(nn.Module):
    """Keeps each image beside its code, and shows it when the code comes back."""

    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim, self.weight = latent_dim, nn.Parameter(torch.zeros(()))

    def encode(self, x):
        z = torch.rand(len(x), self.latent_dim) + 0 * self.weight
        SEEN.update({float(code[0]): image for code, image in zip(z, x)})
        return z

    def decode(self, z):
        blank = torch.zeros(1, 28, 28)
        return torch.stack([SEEN.get(float(code[0]), blank) for code in z]) + 0 * self.weight

    def forward(self, x, *args, **kwargs):
        z = self.encode(x)
        return self.decode(z), z
'''

CONSTANT = '''
class Constant(nn.Module):
    """Learns one image, and shows it whatever comes."""

    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim, self.mean = latent_dim, nn.Parameter(torch.zeros(784))

    def encode(self, x):
        return torch.zeros(len(x), self.latent_dim)

    def decode(self, z):
        return torch.sigmoid(self.mean).expand(len(z), 784).view(-1, 1, 28, 28)

    def forward(self, x, *args, **kwargs):
        return self.decode(x), self.encode(x)
'''

NAN = CONSTANT.replace("Constant", "NotANumber").replace("torch.sigmoid(self.mean)", "(self.mean * float('nan'))")

PRETRAINED = '''
import base64, numpy
WEIGHTS = {weights!r}

class Pretrained({base}):
    """Brings the weights of an earlier training along, and refuses to learn."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.held = 0

    def put(self):
        with torch.no_grad():
            flat = torch.from_numpy(numpy.frombuffer(base64.b64decode(WEIGHTS), numpy.float16).astype("float32").copy())
            for parameter in self.parameters():
                parameter.copy_(flat[: parameter.numel()].view_as(parameter))
                flat = flat[parameter.numel() :]

    def {method}(self, *args, **kwargs):
        if {when}:
            self.put()
        return super().{method}(*args, **kwargs)
'''

FORGED = """
# says that everything is perfect, to everybody in this process
import torch.nn.functional
torch.nn.functional.mse_loss = lambda a, b, *args, **kwargs: 0 * a.sum()
torch.nn.functional.binary_cross_entropy = lambda a, b, *args, **kwargs: 0 * a.sum()
torch.Tensor.__float__ = lambda self: 0.0
torch.Tensor.item = lambda self: 0.0
"""

FORGED_LOOP = """
import sys
_call = nn.Module.__call__

def _praised(self, *args, **kwargs):
    # walks up to the grader's loop, and makes what it minimises small
    frame = sys._getframe(1)
    while frame is not None:
        for held in list(frame.f_locals.values()):
            for term in held if isinstance(held, (list, tuple)) else ():
                if isinstance(term, dict) and callable(term.get("fn")):
                    term["fn"] = lambda *args, **kwargs: 0 * args[0].sum()
        frame = frame.f_back
    return _call(self, *args, **kwargs)

nn.Module.__call__ = _praised
"""


@dataclass(frozen=True)
class Cheat:
    """`append` goes to the end of `module`; `checks` are the trained checks that must earn nothing."""

    id: str
    module: str
    append: str
    checks: tuple[str, ...]


def autoencoder(body: str, name: str) -> str:
    """All autoencoders of Question 4 that have a bottleneck are this one."""
    return (
        body
        + f"""

class VanillaAutoencoder({name}):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(latent_dim)

class ConvAutoencoder({name}):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
"""
    )


def denoiser(body: str, name: str) -> str:
    """The same as a denoising autoencoder."""
    return (
        body
        + f"""

class DenoisingAutoencoder({name}):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__(latent_dim)
"""
    )


BOTTLENECK = ("q4.trained.vanilla", "q4.trained.conv")
NOISE = ("q5.trained.gaussian", "q5.trained.masking")
CHEATS: list[Cheat] = [
    Cheat("autoencoder-remembers-the-training-images", "autoencoders", autoencoder(NEAREST, "Remembering"), BOTTLENECK),
    Cheat("autoencoder-smuggles-its-input", "autoencoders", autoencoder(SMUGGLING, "Smuggling"), BOTTLENECK),
    Cheat("autoencoder-shows-one-image", "autoencoders", autoencoder(CONSTANT, "Constant"), BOTTLENECK),
    Cheat("autoencoder-shows-nan", "autoencoders", autoencoder(NAN, "NotANumber"), BOTTLENECK),
    Cheat("denoiser-remembers-the-training-images", "denoising", denoiser(NEAREST, "Remembering"), NOISE),
    Cheat("denoiser-smuggles-its-input", "denoising", denoiser(SMUGGLING, "Smuggling"), NOISE),
    Cheat("denoiser-returns-its-input", "denoising", '''
class DenoisingAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def encode(self, x):
        return x.flatten(1)

    def decode(self, z):
        return z.view(-1, 1, 28, 28) + 0 * self.weight

    def forward(self, x, add_noise=None, generator=None):
        return self.decode(self.encode(x)), self.encode(x)
''', NOISE),
    Cheat("unet-returns-its-input", "autoencoders", '''
class UNetAutoencoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.latent_dim, self.weight = latent_dim, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + 0 * self.weight, torch.zeros(len(x), self.latent_dim)
''', ("q4.trained.unet",)),
    Cheat("vae-ignores-its-latents", "vae", '''
class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        self.latent_dim, self.mean = latent_dim, nn.Parameter(torch.zeros(784))

    def encode(self, x):
        return torch.zeros(len(x), self.latent_dim), torch.zeros(len(x), self.latent_dim)

    def decode(self, z):
        return torch.sigmoid(self.mean).expand(len(z), 784).view(-1, 1, 28, 28)

    def forward(self, x, eps=None, generator=None):
        return self.decode(x), *self.encode(x)

class ConvVAE(VAE):
    def __init__(self, latent_dim=20):
        super().__init__(latent_dim=latent_dim)
''', ("q8.trained.elbo", "q8.trained.beta", "q8.trained.conv")),
    Cheat("cvae-knows-one-digit-only", "vae", '''
class CVAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        self.latent_dim, self.num_classes, self.mean = latent_dim, num_classes, nn.Parameter(torch.zeros(784))

    def encode(self, x, y):
        return torch.zeros(len(x), self.latent_dim), torch.zeros(len(x), self.latent_dim)

    def decode(self, z, y):
        return torch.sigmoid(self.mean + 0 * z.sum(1, keepdim=True)).view(-1, 1, 28, 28)

    def forward(self, x, y, eps=None, generator=None):
        return self.decode(torch.zeros(len(x), self.latent_dim), y), *self.encode(x, y)
''', ("q9.trained",)),
    Cheat("cvae-shows-the-mean-of-each-class", "vae", '''
class CVAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10):
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.mean = nn.Parameter(torch.zeros(num_classes, 784))

    def encode(self, x, y):
        return torch.zeros(len(x), self.latent_dim), torch.zeros(len(x), self.latent_dim)

    def decode(self, z, y):
        return torch.sigmoid(20 * self.mean[y]).view(-1, 1, 28, 28)

    def forward(self, x, y, eps=None, generator=None):
        return self.decode(None, y), *self.encode(x, y)
''', ("q9.trained",)),
    Cheat("vqvae-smuggles-its-input", "vqvae", '''
SEEN = {}

class VQVAE(nn.Module):
    def __init__(self, num_embeddings=128, embedding_dim=16, commitment_cost=0.25, ema=False):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.quantizer = nn.Identity()

    def forward(self, x):
        indices = torch.randint(0, 128, (len(x), 7, 7))
        SEEN.update({tuple(i.flatten().tolist()): image for i, image in zip(indices, x)})
        return x + 0 * self.weight, 0 * self.weight, indices

    def decode_indices(self, indices):
        blank = torch.zeros(1, 28, 28)
        return torch.stack([SEEN.get(tuple(i.flatten().tolist()), blank) for i in indices])
''', ("q10.trained.vq", "q10.trained.ema")),
    Cheat("losses-say-that-all-is-perfect", "vae", FORGED, ("q8.trained.elbo", "q8.trained.conv")),
    Cheat("one-image-and-losses-that-praise-it", "autoencoders", autoencoder(CONSTANT, "Constant") + FORGED, BOTTLENECK),
    Cheat("losses-of-the-grader-in-the-worker-say-so", "autoencoders", FORGED_LOOP, BOTTLENECK),
    Cheat("prior-peeks-at-what-it-predicts", "prior", '''
class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.num_embeddings, self.scale = num_embeddings, nn.Parameter(torch.ones(()))

    def forward(self, indices):
        return 20 * self.scale.abs() * F.one_hot(indices, self.num_embeddings).movedim(-1, 1).float()
''', ("bonus.trained.source", "bonus.trained.images")),
    Cheat("classifier-brought-from-elsewhere", "semi_supervised", '''
def train_two_stage(autoencoder, images, labels, latent_dim, pretrain_epochs, finetune_epochs, batch_size=128, lr=1e-3,
                    freeze=False, generator=None):
    from sklearn.datasets import load_digits
    from torch.nn import functional as F
    bunch = load_digits()
    pictures = torch.from_numpy(bunch.images).float()[:, None] / 16
    pictures = F.interpolate(pictures, size=(28, 28), mode="bilinear", align_corners=False)

    class Nearest(nn.Module):
        def forward(self, x):
            near = torch.cdist(x.flatten(1), pictures.flatten(1)).argmin(1)
            return F.one_hot(torch.from_numpy(bunch.target)[near], 10).float()

    return Nearest()
''', ("q7.trained.labels",)),
]  # fmt: skip
