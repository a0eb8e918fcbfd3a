"""Question 4: the reference with one bug: vanilla and convolutional."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"

# where a model is not constructed or shaped as asked, what builds on it is skipped
MODELS = ("q4.models.gradients", "q4.models.pure")

ON_VANILLA = ("q4.vanilla.range", "q4.vanilla.nonlinear", "q4.trained.vanilla", *MODELS)

ON_CONV = ("q4.conv.range", "q4.conv.layers", "q4.trained.conv", *MODELS)

CODE = "            nn.Linear(128, latent_dim),\n"

PIXELS = "            nn.Linear(256, input_dim),\n            nn.Sigmoid(),\n"

LAST_CONV = "            nn.Conv2d(32, latent_dim, kernel_size=7),  # 7 -> 1\n"

LAST_UP = "  # 14 -> 28\n            nn.Sigmoid(),\n"

MISTAKES: tuple[Mistake, ...] = (
    # ---- vanilla
    Mistake(
        "q4-vanilla-relu-on-code",
        Q,
        M,
        "ReLU on the bottleneck: codes are never negative",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.ReLU(),\n"),),
    ),
    Mistake(
        "q4-vanilla-sigmoid-on-code",
        Q,
        M,
        "sigmoid on the latent: the wrong end is squashed",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.Sigmoid(),\n"),),
    ),
    Mistake(
        "q4-vanilla-tanh-on-code",
        Q,
        M,
        "tanh on the latent: bounded codes",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.Tanh(),\n"),),
    ),
    Mistake(
        "q4-vanilla-not-squashed",
        Q,
        M,
        "no squashing of the output: values outside [0, 1]",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n"),),
    ),
    Mistake(
        "q4-vanilla-tanh-output",
        Q,
        M,
        "output in [-1, 1]",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n            nn.Tanh(),\n"),),
    ),
    Mistake(
        "q4-vanilla-sigmoid-twice",
        Q,
        M,
        "two sigmoids: outputs in (.5, .73)",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, f"{PIXELS}            nn.Sigmoid(),\n"),),
    ),
    Mistake(
        "q4-vanilla-softmax-output",
        Q,
        M,
        "pixels compete through a softmax",
        fails=("q4.vanilla.range",),
        may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n            nn.Softmax(dim=1),\n"),),
    ),
    Mistake(
        "q4-vanilla-only-reconstruction",
        Q,
        M,
        "forward returns the reconstruction alone",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def forward(self, x):
        return super().forward(x)[0]
""",
    ),
    Mistake(
        "q4-vanilla-return-order",
        Q,
        M,
        "forward returns (z, x_recon)",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def forward(self, x):
        x_recon, z = super().forward(x)
        return z, x_recon
""",
    ),
    Mistake(
        "q4-vanilla-flat-output",
        Q,
        M,
        "decode returns (B, 784)",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z).flatten(1)
""",
    ),
    Mistake(
        "q4-vanilla-28-everywhere",
        Q,
        M,
        "rows and columns written down as 28",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z).reshape(-1, 1, 28, 28)
""",
    ),
    Mistake(
        "q4-vanilla-float32-only",
        Q,
        M,
        "converts the input to float32",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        return super().encode(x.float())
""",
    ),
    Mistake(
        "q4-vanilla-no-activation",
        Q,
        M,
        "no non-linearity between the layers",
        fails=("q4.vanilla.nonlinear",),
        may_fail=("q4.trained.vanilla",),
        edits=(
            (
                "            nn.Linear(input_dim, 256),\n            nn.ReLU(),\n            nn.Linear(256, 128),\n            nn.ReLU(),\n",
                "            nn.Linear(input_dim, 256),\n            nn.Linear(256, 128),\n",
            ),
        ),
    ),
    Mistake(
        "q4-vanilla-any-input-dim",
        Q,
        M,
        "an input_dim that is no square is rounded down",
        fails=("q4.vanilla.nonlinear",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(math.isqrt(input_dim) ** 2, latent_dim)
""",
    ),
    Mistake(
        "q4-vanilla-detached-code",
        Q,
        M,
        "the code is detached before it is decoded",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z.detach())
""",
    ),
    Mistake(
        "q4-vanilla-remembers",
        Q,
        M,
        "decode returns the images it has seen",
        fails=("q4.models.pure",),
        may_fail=("q4.models.gradients", "q4.trained.vanilla", "q4.vanilla.range"),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    seen = None

    def encode(self, x):
        self.seen = x
        return super().encode(x)

    def decode(self, z):
        made = super().decode(z)
        return made if self.seen is None or self.seen.shape != made.shape else 0.5 * (made + self.seen)
""",
    ),
    Mistake(
        "q4-vanilla-batch-centred",
        Q,
        M,
        "subtracts the mean of the batch from its images",
        fails=("q4.models.pure",),
        may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        return super().encode(x - x.mean(0))
""",
    ),
    Mistake(
        "q4-vanilla-frozen-decoder",
        Q,
        M,
        "the decoder's weights require no gradient",
        fails=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        self.decoder.requires_grad_(False)
""",
    ),
    Mistake(
        "q4-vanilla-one-number",
        Q,
        M,
        "a hidden layer narrower than the code",
        fails=("q4.trained.vanilla",),
        edits=(
            ("            nn.Linear(256, 128),\n", "            nn.Linear(256, 3),\n"),
            (CODE, "            nn.Linear(3, latent_dim),\n"),
        ),
    ),
    # ---- convolutional
    Mistake(
        "q4-conv-no-output-padding",
        Q,
        M,
        "a kernel of 3 without output_padding: 7 becomes 13, 13 becomes 25",
        fails=("q4.conv.shapes",),
        may_fail=ON_CONV,
        edits=(
            ("_transposed_conv(32, 16, kernel_size=4, stride=2, padding=1),", "nn.ConvTranspose2d(32, 16, 3, 2, 1),"),
            ("_transposed_conv(16, 1, kernel_size=4, stride=2, padding=1),", "nn.ConvTranspose2d(16, 1, 3, 2, 1),"),
        ),
    ),
    Mistake(
        "q4-conv-map-as-code",
        Q,
        M,
        "the code stays a (B, L, 1, 1) map",
        fails=("q4.conv.shapes",),
        may_fail=ON_CONV,
        edits=(
            ("        return maps.flatten(1)\n", "        return maps\n"),
            ("self.decoder(z[:, :, None, None])", "self.decoder(z)"),
        ),
    ),
    Mistake(
        "q4-conv-squeezed-batch",
        Q,
        M,
        "squeeze() takes away a batch of one as well",
        fails=("q4.conv.shapes",),
        may_fail=ON_CONV,
        edits=(("        return maps.flatten(1)\n", "        return maps.squeeze()\n"),),
    ),
    Mistake(
        "q4-conv-relu-on-code",
        Q,
        M,
        "ReLU on the bottleneck",
        fails=("q4.conv.range",),
        may_fail=("q4.trained.conv",),
        edits=((LAST_CONV, f"{LAST_CONV}            nn.ReLU(),\n"),),
    ),
    Mistake(
        "q4-conv-not-squashed",
        Q,
        M,
        "no sigmoid on the output",
        fails=("q4.conv.range",),
        may_fail=("q4.trained.conv",),
        edits=((LAST_UP, "  # 14 -> 28\n"),),
    ),
    Mistake(
        "q4-conv-is-mlp",
        Q,
        M,
        "linear layers instead of convolutions",
        fails=("q4.conv.layers",),
        may_fail=("q4.trained.conv", "q4.models.gradients"),
        append="""class ConvAutoencoder(VanillaAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(784, latent_dim)
""",
    ),
    Mistake(
        "q4-conv-linear-decoder",
        Q,
        M,
        "convolutions in the encoder only",
        fails=("q4.conv.layers",),
        may_fail=("q4.trained.conv",),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
        self.decoder = nn.Sequential(nn.Flatten(), nn.Linear(latent_dim, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
""",
    ),
    Mistake(
        "q4-conv-in-place",
        Q,
        M,
        "centres the images in place",
        fails=("q4.conv.shapes",),
        may_fail=ON_CONV,
        append="""class ConvAutoencoder(ConvAutoencoder):
    def encode(self, x):
        return super().encode(x.sub_(0.5))
""",
    ),
    Mistake(
        "q4-conv-untrained-decoder",
        Q,
        M,
        "the decoder's weights require no gradient",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.conv", "q4.conv.layers"),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
        self.decoder.requires_grad_(False)
""",
    ),
    Mistake(
        "q4-conv-batch-maximum",
        Q,
        M,
        "divides the images by the brightest pixel of the batch",
        fails=("q4.models.pure",),
        may_fail=("q4.trained.conv",),
        edits=(("        maps: Tensor = self.encoder(x)  #", "        maps: Tensor = self.encoder(x / x.max())  #"),),
    ),
    Mistake(
        "q4-conv-squeeze-repaired",
        Q,
        M,
        "squeeze() the map, and the axis of the batch put back: codes of one number lie in a row",
        fails=("q4.conv.shapes",),
        may_fail=ON_CONV,
        append="""class ConvAutoencoder(ConvAutoencoder):
    def encode(self, x):
        z = self.encoder(x).squeeze()
        return z.reshape(1, -1) if z.dim() < 2 else z
""",
    ),
    *(
        Mistake(
            f"q4-{name.lower()}-logits-in-training",
            Q,
            M,
            "the sigmoid comes in evaluation mode only: logits while it trains",
            fails=(f"q4.{name.lower()}.range",),
            may_fail=(f"q4.trained.{name.lower()}",),
            append=f"""class {name}Autoencoder({name}Autoencoder):
    def decode(self, *given):
        made = super().decode(*given)
        return torch.logit(made, eps=1e-9) if self.training else made
""",
        )
        for name in ("Vanilla", "Conv", "UNet")
    ),
    # ---- vanilla
    *(
        Mistake(
            f"q4-{name.lower()}-latent-dim-ignored",
            Q,
            M,
            "the code has a size of its own, whatever latent_dim is",
            fails=(f"q4.{name.lower()}.shapes",),
            may_fail=ON_VANILLA if name == "Vanilla" else ON_CONV,
            append=f"""class {name}Autoencoder({name}Autoencoder):
    def __init__(self, {"input_dim=784, " if name == "Vanilla" else ""}latent_dim={default}):
        super().__init__({"input_dim, " if name == "Vanilla" else ""}{default})
""",
        )
        for name, default in (("Vanilla", 32), ("Conv", 64))
    ),
    Mistake(
        "q4-vanilla-default-latent",
        Q,
        M,
        "latent_dim is 20 where none is given",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=20):
        super().__init__(input_dim, latent_dim)
""",
    ),
    Mistake(
        "q4-vanilla-forward-skips-code",
        Q,
        M,
        "forward returns the code of its reconstruction",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def forward(self, x):
        x_recon, z = super().forward(x)
        return x_recon, self.encode(x_recon)
""",
    ),
    # ---- convolutional
    Mistake(
        "q4-conv-constant-on-cpu",
        Q,
        M,
        "a constant image that is no buffer: it stays on the CPU",
        fails=("q4.models.pure",),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
        self.offset = torch.full((1, 1, 28, 28), 0.5)

    def encode(self, x):
        return super().encode(x - self.offset.to(x.dtype))
""",
    ),
    Mistake(
        "q4-conv-codes-mixed",
        Q,
        M,
        "the decoder mixes the numbers of all codes of a batch",
        fails=("q4.models.pure",),
        may_fail=("q4.trained.conv", "q4.conv.shapes", *ON_CONV),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def decode(self, z):
        return super().decode(z.T.reshape(z.shape))
""",
    ),
    # ---- found by looking for what no check sees
    Mistake(
        "q4-vanilla-part-of-code",
        Q,
        M,
        "decode reads the first two numbers of a code only",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(torch.cat([z[:, :2], 0 * z[:, 2:]], dim=1))
""",
    ),
    Mistake(
        "q4-vanilla-part-of-image",
        Q,
        M,
        "encode reads every other row only",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        seen = torch.zeros_like(x)
        seen[..., 1::2, :] = x[..., 1::2, :]
        return super().encode(seen)
""",
    ),
    Mistake(
        "q4-vanilla-noise-in-evaluation",
        Q,
        M,
        "a noisy code in evaluation mode as well",
        fails=("q4.vanilla.shapes",),
        may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        z = super().encode(x)
        return z + 0.01 * torch.randn_like(z)
""",
    ),
)
