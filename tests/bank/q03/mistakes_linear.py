"""Question 3, the linear autoencoder: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, AE = 3, "autoencoders"


ON_SHAPES = ("q3.linear.affine", "q3.linear.gradient", "q3.trained.linear")


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q3-linear-unflattened",
        Q,
        AE,
        "images of shape (B, 1, 28, 28) go into Linear(784)",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return self.encoder(x)
""",
    ),
    Mistake(
        "q3-linear-flat-output",
        Q,
        AE,
        "returns (B, 784), not an image",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return self.decoder(z)
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Mistake(
        "q3-linear-only-reconstruction",
        Q,
        AE,
        "forward returns x_recon alone",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        return self.decode(self.encode(x))
""",
    ),
    Mistake(
        "q3-linear-swapped-return",
        Q,
        AE,
        "(z, x_recon)",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        return z, self.decode(z)
""",
    ),
    Mistake(
        "q3-linear-fixed-size",
        Q,
        AE,
        "28 is written into decode",
        fails=("q3.linear.shapes",),
        may_fail=ON_SHAPES,
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return self.decoder(z).view(-1, 1, 28, 28)
""",
    ),
    Mistake(
        "q3-linear-relu",
        Q,
        AE,
        "ReLU on the bottleneck: codes are never negative",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return torch.relu(super().encode(x))
""",
    ),
    Mistake(
        "q3-linear-sigmoid",
        Q,
        AE,
        "sigmoid on the reconstruction",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return torch.sigmoid(super().decode(z))
""",
    ),
    Mistake(
        "q3-linear-clamped",
        Q,
        AE,
        "clamps the reconstruction to [0, 1]",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear", "q3.linear.gradient"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def decode(self, z):
        return super().decode(z).clamp(0, 1)
""",
    ),
    Mistake(
        "q3-linear-no-bias",
        Q,
        AE,
        "no offsets: only centred data could be fitted",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        edits=(
            (
                "        self.encoder = nn.Linear(input_dim, latent_dim)\n        self.decoder = nn.Linear(latent_dim, input_dim)\n",
                "        self.encoder = nn.Linear(input_dim, latent_dim, bias=False)\n"
                "        self.decoder = nn.Linear(latent_dim, input_dim, bias=False)\n",
            ),
        ),
    ),
    Mistake(
        "q3-linear-narrow",
        Q,
        AE,
        "a narrower layer before the code: rank latent_dim - 1",
        fails=("q3.linear.affine", "q3.trained.linear"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        narrow = max(1, latent_dim - 1)
        self.encoder = nn.Sequential(nn.Linear(input_dim, narrow), nn.Linear(narrow, latent_dim))
""",
    ),
    Mistake(
        "q3-linear-detached-code",
        Q,
        AE,
        "the code is detached: the encoder never trains",
        fails=("q3.linear.gradient", "q3.trained.linear"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        return self.decode(z.detach()), z
""",
    ),
    Mistake(
        "q3-linear-unused-layer",
        Q,
        AE,
        "a layer that forward never uses",
        fails=("q3.linear.gradient",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        self.bottleneck = nn.Linear(latent_dim, latent_dim)
""",
    ),
    Mistake(
        "q3-linear-any-input-dim",
        Q,
        AE,
        "never asks whether input_dim is square, and rounds the side down",
        fails=("q3.linear.errors",),
        edits=(
            (
                "        self.side = _image_side(input_dim)\n        self.encoder = nn.Linear(input",
                "        self.side = math.isqrt(input_dim)\n        self.encoder = nn.Linear(input",
            ),
        ),
    ),
    Mistake(
        "q3-linear-square-by-division",
        Q,
        AE,
        "takes for square what its integer root divides: 12 pixels, 783 pixels",
        fails=("q3.linear.errors",),
        edits=(
            (
                "        self.side = _image_side(input_dim)\n        self.encoder = nn.Linear(input",
                "        self.side = math.isqrt(input_dim)\n        if input_dim % self.side:\n"
                '            raise ValueError(f"input_dim must be a square number, got {input_dim}")\n'
                "        self.encoder = nn.Linear(input",
            ),
        ),
    ),
    Mistake(
        "q3-linear-centres-each-batch",
        Q,
        AE,
        "subtracts the mean image of the batch, as PCA does with that of its data",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return super().encode(x - x.mean(0))
""",
    ),
    Mistake(
        "q3-linear-latent-fixed",
        Q,
        AE,
        "latent_dim is ignored",
        fails=("q3.linear.shapes",),
        may_fail=("q3.linear.affine", "q3.linear.gradient", "q3.trained.linear"),
        edits=(
            (
                "        self.encoder = nn.Linear(input_dim, latent_dim)\n        self.decoder = nn.Linear(latent_dim, input_dim)\n",
                "        self.encoder = nn.Linear(input_dim, 32)\n        self.decoder = nn.Linear(32, input_dim)\n",
            ),
        ),
    ),
    Mistake(
        "q3-linear-forward-of-its-own",
        Q,
        AE,
        "forward bends the code, encode and decode do not",
        fails=("q3.linear.shapes",),
        may_fail=("q3.linear.affine", "q3.linear.gradient", "q3.trained.linear"),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        return self.decode(torch.relu(z)), z
""",
    ),
    Mistake(
        "q3-linear-tanh-code",
        Q,
        AE,
        "tanh on the code",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def encode(self, x):
        return torch.tanh(super().encode(x))
""",
    ),
    Mistake(
        "q3-linear-skip-in-training",
        Q,
        AE,
        "the image is added while training: nothing needs to be learned",
        fails=("q3.linear.affine",),
        may_fail=("q3.trained.linear",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def forward(self, x):
        z = self.encode(x)
        recon = self.decode(z)
        return (recon + x if self.training else recon), z
""",
    ),
    Mistake(
        "q3-linear-mask-on-cpu",
        Q,
        AE,
        "a mean image that is no buffer stays on the CPU",
        fails=("q3.linear.shapes",),
        may_fail=("q3.linear.gradient",),
        append="""class LinearAutoencoder(LinearAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        self.grey = torch.full((input_dim,), 0.5)
    def encode(self, x):
        return self.encoder(x.flatten(1) - self.grey.to(x.dtype))
""",
    ),
)
