"""Bank of question 4: autoencoders, output sizes, losses and penalties."""

from __future__ import annotations

from . import Alternative, Mistake

Q, M = 4, "autoencoders"

# where a model is not constructed or shaped as asked, what builds on it is skipped
MODELS = ("q4.models.gradients", "q4.models.pure")
ON_VANILLA = ("q4.vanilla.range", "q4.vanilla.nonlinear", "q4.trained.vanilla", *MODELS)
ON_CONV = ("q4.conv.range", "q4.conv.layers", "q4.trained.conv", *MODELS)
ON_UNET = ("q4.unet.range", "q4.unet.influence", "q4.unet.join", "q4.trained.unet", *MODELS)

CODE = "            nn.Linear(128, latent_dim),\n"
PIXELS = "            nn.Linear(256, input_dim),\n            nn.Sigmoid(),\n"
LAST_CONV = "            nn.Conv2d(32, latent_dim, kernel_size=7),  # 7 -> 1\n"
LAST_UP = "  # 14 -> 28\n            nn.Sigmoid(),\n"
SKIPS = "        return z, [full, half]\n"
JOIN2 = "        joined = torch.relu(self.join2(concat_skip(torch.relu(self.up2(quarter)), half)))\n"
JOIN1 = "        return torch.sigmoid(self.join1(concat_skip(torch.relu(self.up1(joined)), full)))\n"
MSE = "    return (x_recon - x).square().sum() / len(x)\n"
BCE = '    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)\n'
LOGITS = '    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)\n'
RATES = "    mean = activations.mean(0).clamp(eps, 1 - eps)  # keeps both logarithms finite\n"
CHECK_MSE = f'    _check_same_shape("x_recon", x_recon, x)\n{MSE}'

MISTAKES: tuple[Mistake, ...] = (
    # ---- vanilla
    Mistake(
        "q4-vanilla-relu-on-code", Q, M, "ReLU on the bottleneck: codes are never negative",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.ReLU(),\n"),),
    ),
    Mistake(
        "q4-vanilla-sigmoid-on-code", Q, M, "sigmoid on the latent: the wrong end is squashed",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.Sigmoid(),\n"),),
    ),
    Mistake(
        "q4-vanilla-tanh-on-code", Q, M, "tanh on the latent: bounded codes",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((CODE, f"{CODE}            nn.Tanh(),\n"),),
    ),
    Mistake(
        "q4-vanilla-not-squashed", Q, M, "no squashing of the output: values outside [0, 1]",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n"),),
    ),
    Mistake(
        "q4-vanilla-tanh-output", Q, M, "output in [-1, 1]",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n            nn.Tanh(),\n"),),
    ),
    Mistake(
        "q4-vanilla-sigmoid-twice", Q, M, "two sigmoids: outputs in (.5, .73)",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, f"{PIXELS}            nn.Sigmoid(),\n"),),
    ),
    Mistake(
        "q4-vanilla-softmax-output", Q, M, "pixels compete through a softmax",
        fails=("q4.vanilla.range",), may_fail=("q4.trained.vanilla",),
        edits=((PIXELS, "            nn.Linear(256, input_dim),\n            nn.Softmax(dim=1),\n"),),
    ),
    Mistake(
        "q4-vanilla-only-reconstruction", Q, M, "forward returns the reconstruction alone",
        fails=("q4.vanilla.shapes",), may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def forward(self, x):
        return super().forward(x)[0]
""",
    ),
    Mistake(
        "q4-vanilla-return-order", Q, M, "forward returns (z, x_recon)",
        fails=("q4.vanilla.shapes",), may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def forward(self, x):
        x_recon, z = super().forward(x)
        return z, x_recon
""",
    ),
    Mistake(
        "q4-vanilla-flat-output", Q, M, "decode returns (B, 784)",
        fails=("q4.vanilla.shapes",), may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z).flatten(1)
""",
    ),
    Mistake(
        "q4-vanilla-28-everywhere", Q, M, "rows and columns written down as 28",
        fails=("q4.vanilla.shapes",), may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z).reshape(-1, 1, 28, 28)
""",
    ),
    Mistake(
        "q4-vanilla-float32-only", Q, M, "converts the input to float32",
        fails=("q4.vanilla.shapes",), may_fail=ON_VANILLA,
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        return super().encode(x.float())
""",
    ),
    Mistake(
        "q4-vanilla-no-activation", Q, M, "no non-linearity between the layers",
        fails=("q4.vanilla.nonlinear",), may_fail=("q4.trained.vanilla",),
        edits=((
            "            nn.Linear(input_dim, 256),\n            nn.ReLU(),\n            nn.Linear(256, 128),\n            nn.ReLU(),\n",
            "            nn.Linear(input_dim, 256),\n            nn.Linear(256, 128),\n",
        ),),
    ),
    Mistake(
        "q4-vanilla-any-input-dim", Q, M, "an input_dim that is no square is rounded down",
        fails=("q4.vanilla.nonlinear",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(math.isqrt(input_dim) ** 2, latent_dim)
""",
    ),
    Mistake(
        "q4-vanilla-detached-code", Q, M, "the code is detached before it is decoded",
        fails=("q4.models.gradients",), may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def decode(self, z):
        return super().decode(z.detach())
""",
    ),
    Mistake(
        "q4-vanilla-remembers", Q, M, "decode returns the images it has seen",
        fails=("q4.models.pure",), may_fail=("q4.models.gradients", "q4.trained.vanilla", "q4.vanilla.range"),
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
        "q4-vanilla-batch-centred", Q, M, "subtracts the mean of the batch from its images",
        fails=("q4.models.pure",), may_fail=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def encode(self, x):
        return super().encode(x - x.mean(0))
""",
    ),
    Mistake(
        "q4-vanilla-frozen-decoder", Q, M, "the decoder's weights require no gradient",
        fails=("q4.trained.vanilla",),
        append="""class VanillaAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__(input_dim, latent_dim)
        self.decoder.requires_grad_(False)
""",
    ),
    Mistake(
        "q4-vanilla-one-number", Q, M, "a hidden layer narrower than the code",
        fails=("q4.trained.vanilla",),
        edits=(
            ("            nn.Linear(256, 128),\n", "            nn.Linear(256, 3),\n"),
            (CODE, "            nn.Linear(3, latent_dim),\n"),
        ),
    ),
    # ---- convolutional
    Mistake(
        "q4-conv-no-output-padding", Q, M, "a kernel of 3 without output_padding: 7 becomes 13, 13 becomes 25",
        fails=("q4.conv.shapes",), may_fail=ON_CONV,
        edits=(
            ("_transposed_conv(32, 16, kernel_size=4, stride=2, padding=1),", "nn.ConvTranspose2d(32, 16, 3, 2, 1),"),
            ("_transposed_conv(16, 1, kernel_size=4, stride=2, padding=1),", "nn.ConvTranspose2d(16, 1, 3, 2, 1),"),
        ),
    ),
    Mistake(
        "q4-conv-map-as-code", Q, M, "the code stays a (B, L, 1, 1) map",
        fails=("q4.conv.shapes",), may_fail=ON_CONV,
        edits=(
            ("        return maps.flatten(1)\n", "        return maps\n"),
            ("self.decoder(z[:, :, None, None])", "self.decoder(z)"),
        ),
    ),
    Mistake(
        "q4-conv-squeezed-batch", Q, M, "squeeze() takes away a batch of one as well",
        fails=("q4.conv.shapes",), may_fail=ON_CONV,
        edits=(("        return maps.flatten(1)\n", "        return maps.squeeze()\n"),),
    ),
    Mistake(
        "q4-conv-relu-on-code", Q, M, "ReLU on the bottleneck",
        fails=("q4.conv.range",), may_fail=("q4.trained.conv",),
        edits=((LAST_CONV, f"{LAST_CONV}            nn.ReLU(),\n"),),
    ),
    Mistake(
        "q4-conv-not-squashed", Q, M, "no sigmoid on the output",
        fails=("q4.conv.range",), may_fail=("q4.trained.conv",),
        edits=((LAST_UP, "  # 14 -> 28\n"),),
    ),
    Mistake(
        "q4-conv-is-mlp", Q, M, "linear layers instead of convolutions",
        fails=("q4.conv.layers",), may_fail=("q4.trained.conv", "q4.models.gradients"),
        append="""class ConvAutoencoder(VanillaAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(784, latent_dim)
""",
    ),
    Mistake(
        "q4-conv-linear-decoder", Q, M, "convolutions in the encoder only",
        fails=("q4.conv.layers",), may_fail=("q4.trained.conv",),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
        self.decoder = nn.Sequential(nn.Flatten(), nn.Linear(latent_dim, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
""",
    ),
    Mistake(
        "q4-conv-in-place", Q, M, "centres the images in place",
        fails=("q4.conv.shapes",), may_fail=ON_CONV,
        append="""class ConvAutoencoder(ConvAutoencoder):
    def encode(self, x):
        return super().encode(x.sub_(0.5))
""",
    ),
    Mistake(
        "q4-conv-untrained-decoder", Q, M, "the decoder's weights require no gradient",
        fails=("q4.models.gradients",), may_fail=("q4.trained.conv", "q4.conv.layers"),
        append="""class ConvAutoencoder(ConvAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(latent_dim)
        self.decoder.requires_grad_(False)
""",
    ),
    Mistake(
        "q4-conv-batch-maximum", Q, M, "divides the images by the brightest pixel of the batch",
        fails=("q4.models.pure",), may_fail=("q4.trained.conv",),
        edits=(("        maps: Tensor = self.encoder(x)  #", "        maps: Tensor = self.encoder(x / x.max())  #"),),
    ),
    Mistake(
        "q4-conv-squeeze-repaired", Q, M, "squeeze() the map, and the axis of the batch put back: codes of one number lie in a row",
        fails=("q4.conv.shapes",), may_fail=ON_CONV,
        append="""class ConvAutoencoder(ConvAutoencoder):
    def encode(self, x):
        z = self.encoder(x).squeeze()
        return z.reshape(1, -1) if z.dim() < 2 else z
""",
    ),
    *(
        Mistake(
            f"q4-{name.lower()}-logits-in-training", Q, M, "the sigmoid comes in evaluation mode only: logits while it trains",
            fails=(f"q4.{name.lower()}.range",), may_fail=(f"q4.trained.{name.lower()}",),
            append=f"""class {name}Autoencoder({name}Autoencoder):
    def decode(self, *given):
        made = super().decode(*given)
        return torch.logit(made, eps=1e-9) if self.training else made
""",
        )
        for name in ("Vanilla", "Conv", "UNet")
    ),
    # ---- U-Net
    Mistake(
        "q4-unet-added-skips", Q, M, "skips are added, not concatenated",
        fails=("q4.unet.join",),
        edits=(
            ("nn.Conv2d(16 + 16, 16,", "nn.Conv2d(16, 16,"), ("nn.Conv2d(8 + 8, 1,", "nn.Conv2d(8, 1,"),
            (JOIN2, "        joined = torch.relu(self.join2(torch.relu(self.up2(quarter)) + half))\n"),
            (JOIN1, "        return torch.sigmoid(self.join1(torch.relu(self.up1(joined)) + full))\n"),
        ),
    ),
    Mistake(
        "q4-unet-cat-not-concat-skip", Q, M, "torch.cat in the decoder, past concat_skip and its error",
        fails=("q4.unet.join",),
        edits=((JOIN2, JOIN2.replace("concat_skip(torch.relu(self.up2(quarter)), half)", "torch.cat([torch.relu(self.up2(quarter)), half], 1)")),),
    ),
    Mistake(
        "q4-unet-skips-after-pooling", Q, M, "skips are taken after the pooling, and upsampled again in the decoder",
        fails=("q4.unet.shapes",), may_fail=ON_UNET,
        edits=(
            (SKIPS, "        return z, [nn.functional.max_pool2d(full, 2), nn.functional.max_pool2d(half, 2)]\n"),
            ("        full, half = skips\n", "        full, half = (nn.functional.interpolate(skip, scale_factor=2) for skip in skips)\n"),
        ),
    ),
    Mistake(
        "q4-unet-skips-reversed", Q, M, "smallest map first",
        fails=("q4.unet.shapes",), may_fail=ON_UNET,
        edits=((SKIPS, "        return z, [half, full]\n"), ("        full, half = skips\n", "        half, full = skips\n")),
    ),
    Mistake(
        "q4-unet-code-unused", Q, M, "the decoder reads the skips only",
        fails=("q4.unet.influence", "q4.models.gradients"), may_fail=("q4.models.pure",),
        edits=(("torch.relu(self.from_code(z)).reshape", "torch.relu(0 * self.from_code(z) + 1).reshape"),),
    ),
    Mistake(
        "q4-unet-one-skip-unused", Q, M, "the smaller skip is replaced by zeros",
        fails=("q4.unet.influence",), may_fail=("q4.unet.join",),
        edits=((JOIN2, JOIN2.replace(", half)))", ", torch.zeros_like(half))))")),),
    ),
    Mistake(
        "q4-unet-full-skip-unused", Q, M, "the larger skip is replaced by zeros",
        fails=("q4.unet.influence",), may_fail=("q4.unet.join", "q4.trained.unet"),
        edits=((JOIN1, JOIN1.replace(", full)))", ", torch.zeros_like(full))))")),),
    ),
    Mistake(
        "q4-unet-transposed-skip", Q, M, "rows and columns of a skip change places",
        fails=("q4.unet.influence",), may_fail=("q4.trained.unet",),
        edits=((JOIN1, JOIN1.replace(", full)))", ", full.mT)))")),),
    ),
    Mistake(
        "q4-unet-detached-skips", Q, M, "no gradient passes through the skips",
        fails=("q4.models.gradients",), may_fail=("q4.trained.unet",),
        edits=((SKIPS, "        return z, [full.detach(), half.detach()]\n"),),
    ),
    Mistake(
        "q4-unet-detached-code", Q, M, "no gradient passes through the code",
        fails=("q4.models.gradients",), may_fail=("q4.trained.unet",),
        edits=(("        return self.decode(z, skips), z\n", "        return self.decode(z.detach(), skips), z\n"),),
    ),
    Mistake(
        "q4-unet-not-squashed", Q, M, "no sigmoid on the output",
        fails=("q4.unet.range",), may_fail=("q4.trained.unet",),
        edits=((JOIN1, JOIN1.replace("torch.sigmoid(self.join1(", "(self.join1(")),),
    ),
    Mistake(
        "q4-unet-pops-skips", Q, M, "decode takes the skips off the caller's list",
        fails=("q4.models.pure",),
        edits=(("        full, half = skips\n", "        half = skips.pop()\n        full = skips.pop()\n"),),
    ),
    # ---- concat_skip and output sizes
    Mistake(
        "q4-concat-order", Q, M, "skip first",
        fails=("q4.concat-skip.value",), may_fail=("q4.concat-skip.errors",),
        edits=(("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([skip, upsampled], dim=1)\n"),),
    ),
    Mistake(
        "q4-concat-along-rows", Q, M, "concatenates along the height",
        fails=("q4.concat-skip.value", "q4.unet.shapes"), may_fail=("q4.concat-skip.errors", *ON_UNET),
        edits=(("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([upsampled, skip], dim=2)\n"),),
    ),
    Mistake(
        "q4-concat-no-check", Q, M, "leaves the error to torch.cat",
        fails=("q4.concat-skip.errors", "q4.unet.join"),
        append="def concat_skip(upsampled, skip):\n    return torch.cat([upsampled, skip], dim=1)\n",
    ),
    Mistake(
        "q4-concat-batch-unchecked", Q, M, "compares height and width only, and lets a batch of one broadcast",
        fails=("q4.concat-skip.errors", "q4.unet.join"),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[2:] != skip.shape[2:]:
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled, skip.expand(len(upsampled), -1, -1, -1)], dim=1)
""",
    ),
    Mistake(
        "q4-concat-crops", Q, M, "cuts the larger of the two instead of refusing",
        fails=("q4.concat-skip.errors",), may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    h, w = min(upsampled.shape[2], skip.shape[2]), min(upsampled.shape[3], skip.shape[3])
    if len(upsampled) != len(skip):
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled[:, :, :h, :w], skip[:, :, :h, :w]], dim=1)
""",
    ),
    Mistake(
        "q4-concat-silent-message", Q, M, "the message names no shape",
        fails=("q4.concat-skip.errors",), may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[:1] + upsampled.shape[2:] != skip.shape[:1] + skip.shape[2:]:
        raise ValueError("upsampled and skip do not fit")
    return torch.cat([upsampled, skip], dim=1)
""",
    ),
    Mistake(
        "q4-size-true-division", Q, M, "true division: 13.5 pixels",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + 2 * padding - extent) / stride + 1"),),
    ),
    Mistake(
        "q4-size-truncated", Q, M, "int() rounds towards zero: a kernel that does not fit once is said to fit",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "int((size + 2 * padding - extent) / stride) + 1"),),
    ),
    Mistake(
        "q4-size-rounded", Q, M, "rounds half a step up",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "-(-(size + 2 * padding - extent) // stride) + 1"),),
    ),
    Mistake(
        "q4-size-padding-once", Q, M, "padding on one side only",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + padding - extent) // stride + 1"),),
    ),
    Mistake(
        "q4-size-no-dilation", Q, M, "dilation times kernel instead of the taps' distance",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * kernel_size) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-nothing-left", Q, M, "a size of 0 is returned",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    return max((size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1, 0)
""",
    ),
    Mistake(
        "q4-size-arguments-unchecked", Q, M, "looks at the result only: a negative padding passes",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-zero-division", Q, M, "a stride of 0 ends in a ZeroDivisionError",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-transpose-no-output-padding", Q, M, "output_padding is forgotten: 13 for 14",
        fails=("q4.sizes.transpose",),
        edits=(("- 2 * padding + extent + output_padding\n", "- 2 * padding + extent\n"),),
    ),
    Mistake(
        "q4-transpose-tested-early", Q, M, "looks for a size below 1 before output_padding is added",
        fails=("q4.sizes.transpose",),
        edits=(("""- 2 * padding + extent + output_padding
    _check_at_least(1, output_size=output_size)
    return output_size
""", """- 2 * padding + extent
    _check_at_least(1, output_size=output_size)
    return output_size + output_padding
"""),),
    ),
    Mistake(
        "q4-transpose-size-times-stride", Q, M, "size times stride instead of the distance of the last input",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "size * stride - 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-padding-added", Q, M, "padding makes the output larger",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "(size - 1) * stride + 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-negative-output-padding", Q, M, "a negative output_padding passes",
        fails=("q4.sizes.errors",),
        edits=(("_check_at_least(0, padding=padding, output_padding=output_padding)", "_check_at_least(0, padding=padding)"),),
    ),
    # ---- losses
    Mistake(
        "q4-mse-mean", Q, M, "mean over all elements",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).square().mean()\n"),),
    ),
    Mistake(
        "q4-mse-sum", Q, M, "summed over the batch",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).square().sum()\n"),),
    ),
    Mistake(
        "q4-mse-norm", Q, M, "the norm instead of its square",
        fails=("q4.mse.value",), may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return (x_recon - x).flatten(1).norm(dim=1).mean()\n"),),
    ),
    Mistake(
        "q4-mse-root-then-square", Q, M, "a root is taken and squared again: the gradient is NaN at an exact reconstruction",
        fails=("q4.losses.gradients",),
        edits=((MSE, """    distance = torch.sqrt(((x_recon - x) ** 2).reshape(len(x), -1).sum(1))
    return (distance**2).mean()
"""),),
    ),
    Mistake(
        "q4-mse-absolute", Q, M, "absolute error",
        fails=("q4.mse.value",),
        edits=((MSE, "    return (x_recon - x).abs().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-half", Q, M, "a factor of one half",
        fails=("q4.mse.value",),
        edits=((MSE, "    return 0.5 * (x_recon - x).square().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-in-place", Q, M, "subtracts in place",
        fails=("q4.mse.value",), may_fail=("q4.losses.gradients",),
        edits=((MSE, "    return x_recon.sub_(x).square().sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-mse-broadcasts", Q, M, "no look at the shapes: (B, 1) against (B,) broadcasts",
        fails=("q4.losses.shapes",),
        edits=((CHECK_MSE, MSE),),
    ),
    Mistake(
        "q4-mse-compares-counts", Q, M, "compares the numbers of elements, flattens and goes on",
        fails=("q4.losses.shapes",),
        append="""def mse_loss(x_recon, x):
    if x_recon.numel() != x.numel():
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ")
    return (x_recon.flatten() - x.flatten()).square().sum() / len(x)
""",
    ),
    Mistake(
        "q4-mse-assert", Q, M, "an assertion instead of a ValueError",
        fails=("q4.losses.shapes",),
        append="""def mse_loss(x_recon, x):
    assert x_recon.shape == x.shape
    return (x_recon - x).square().sum() / len(x)
""",
    ),
    Mistake(
        "q4-mse-detached", Q, M, "returns a number without a graph",
        fails=("q4.losses.gradients",),
        edits=((MSE, MSE.replace("(x_recon - x)", "(x_recon - x).detach()")),),
    ),
    Mistake(
        "q4-bce-mean", Q, M, "the default reduction, mean over elements",
        fails=("q4.bce.value",), may_fail=("q4.bce.edges",),
        edits=((BCE, "    return nn.functional.binary_cross_entropy(x_recon, x)\n"),),
    ),
    Mistake(
        "q4-bce-arguments-swapped", Q, M, "the target inside the logarithm",
        fails=("q4.bce.value",), may_fail=("q4.bce.edges", "q4.losses.gradients"),
        edits=((BCE, BCE.replace("(x_recon, x,", "(x, x_recon,")),),
    ),
    Mistake(
        "q4-bce-bits", Q, M, "base 2",
        fails=("q4.bce.value",), may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("len(x)", "len(x) / math.log(2)")),),
    ),
    Mistake(
        "q4-bce-half", Q, M, "without the term of the dark pixels",
        fails=("q4.bce.value",), may_fail=("q4.bce.edges", "q4.losses.gradients"),
        edits=((BCE, "    return -(x * x_recon.clamp(1e-7).log()).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-takes-logits", Q, M, "applies a sigmoid to probabilities",
        fails=("q4.bce.value",), may_fail=("q4.bce.edges",),
        edits=((BCE, BCE.replace("binary_cross_entropy(", "binary_cross_entropy_with_logits(")),),
    ),
    Mistake(
        "q4-bce-binarizes", Q, M, "rounds grey targets",
        fails=("q4.bce.value",), may_fail=("q4.losses.gradients", "q4.bce.edges"),
        edits=((BCE, BCE.replace("(x_recon, x,", "(x_recon, x.round(),")),),
    ),
    Mistake(
        "q4-bce-log-zero", Q, M, "no guard: NaN at 0 and 1",
        fails=("q4.bce.edges",),
        edits=((BCE, "    return -(x * x_recon.log() + (1 - x) * (1 - x_recon).log()).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-bce-guard-vanishes", Q, M, "a guard of 1e-12, which 1 - 1e-12 does not survive in float32",
        fails=("q4.bce.edges",),
        edits=((BCE, """    p = x_recon.clamp(1e-12, 1 - 1e-12)
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
"""),),
    ),
    Mistake(
        "q4-bce-nan-to-num", Q, M, "hides the NaN of the value, not that of the gradient",
        fails=("q4.bce.edges",),
        edits=((BCE, """    terms = x * x_recon.log().clamp(min=-100) + (1 - x) * (1 - x_recon).log().clamp(min=-100)
    return -terms.sum() / len(x)
"""),),
    ),
    Mistake(
        "q4-bce-clamps-in-place", Q, M, "clamps the reconstruction in place",
        fails=("q4.bce.edges",),
        append="""def bce_loss(x_recon, x):
    _check_same_shape("x_recon", x_recon, x)
    with torch.no_grad():
        x_recon.clamp_(1e-6, 1 - 1e-6)
    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)
""",
    ),
    Mistake(
        "q4-logits-mean", Q, M, "the default reduction",
        fails=("q4.logits.value",), may_fail=("q4.logits.edges",),
        edits=((LOGITS, "    return nn.functional.binary_cross_entropy_with_logits(logits, x)\n"),),
    ),
    Mistake(
        "q4-logits-naive", Q, M, "sigmoid, then logarithms",
        fails=("q4.logits.edges",),
        edits=((LOGITS, """    p = torch.sigmoid(logits)
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
"""),),
    ),
    Mistake(
        "q4-logits-through-probabilities", Q, M, "sigmoid, then the guarded loss: finite, but 100 for 1000 and no gradient",
        fails=("q4.logits.edges",),
        edits=((LOGITS, "    return bce_loss(torch.sigmoid(logits), x)\n"),),
    ),
    Mistake(
        "q4-logits-exp-overflow", Q, M, "log(1 + exp(l)) overflows",
        fails=("q4.logits.edges",),
        edits=((LOGITS, "    return (torch.log1p(torch.exp(logits)) - x * logits).sum() / len(x)\n"),),
    ),
    Mistake(
        "q4-logits-sign", Q, M, "the target's sign is lost",
        fails=("q4.logits.value",), may_fail=("q4.logits.edges",),
        edits=((LOGITS, "    return (nn.functional.softplus(logits) + x * logits).sum() / len(x)\n"),),
    ),
    # ---- sparsity
    Mistake(
        "q4-l1-signed", Q, M, "mean of z: a negative penalty",
        fails=("q4.l1.value",), may_fail=("q4.losses.gradients",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-l1-mean", Q, M, "averaged over the code as well",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.abs().mean()\n"),),
    ),
    Mistake(
        "q4-l1-sum", Q, M, "summed over the batch",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.abs().sum()\n"),),
    ),
    Mistake(
        "q4-l1-root-of-square", Q, M, "the absolute value as a root: the gradient is NaN for a code that is 0",
        fails=("q4.losses.gradients",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.square().sqrt().sum() / len(z)\n"),),
    ),
    Mistake(
        "q4-l1-mean-first", Q, M, "absolute value of the batch mean: signs cancel",
        fails=("q4.l1.value",),
        edits=(("    return z.abs().sum() / len(z)\n", "    return z.mean(0).abs().sum()\n"),),
    ),
    Mistake(
        "q4-kl-reversed", Q, M, "KL of the unit's rate to rho",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges",),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    r = activations.mean(0).clamp(1e-7, 1 - 1e-7)
    return (r * torch.log(r / rho) + (1 - r) * torch.log((1 - r) / (1 - rho))).sum()
""",
    ),
    Mistake(
        "q4-kl-counted", Q, M, "the rate is the share of positive activations, through which no gradient goes",
        fails=("q4.kl.value",), may_fail=("q4.losses.gradients", "q4.kl.edges"),
        edits=((RATES, RATES.replace("activations.mean(0)", "(activations > 0).to(activations.dtype).mean(0)")),),
    ),
    Mistake(
        "q4-kl-detached-rate", Q, M, "the rate is detached",
        fails=("q4.losses.gradients", "q4.kl.edges"),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.detach().mean(0)")),),
    ),
    Mistake(
        "q4-kl-mean-over-units", Q, M, "averaged over units",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges",),
        edits=(("    return cross_entropy - len(mean) * entropy\n", "    return cross_entropy / len(mean) - entropy\n"),),
    ),
    Mistake(
        "q4-kl-mean-over-code", Q, M, "the mean runs over the code, not over the batch",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges",),
        edits=((RATES, RATES.replace("activations.mean(0)", "activations.mean(1)")),),
    ),
    Mistake(
        "q4-kl-per-example", Q, M, "the divergence of every activation, then the mean over the batch",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges",),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    r = activations.clamp(1e-6, 1 - 1e-6)
    return (rho * torch.log(rho / r) + (1 - rho) * torch.log((1 - rho) / (1 - r))).sum(1).mean()
""",
    ),
    Mistake(
        "q4-kl-half", Q, M, "without the term of the inactive share",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges", "q4.losses.gradients"),
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    return (rho * torch.log(rho / activations.mean(0).clamp(1e-6, 1))).sum()
""",
    ),
    Mistake(
        "q4-kl-cross-entropy", Q, M, "cross-entropy instead of divergence: not 0 at the target rate",
        fails=("q4.kl.value",), may_fail=("q4.kl.edges",),
        edits=(("    return cross_entropy - len(mean) * entropy\n", "    return cross_entropy\n"),),
    ),
    Mistake(
        "q4-kl-log-zero", Q, M, "no guard: infinite when a unit never fires",
        fails=("q4.kl.edges",),
        edits=((RATES, "    mean = activations.mean(0)\n"),),
    ),
    Mistake(
        "q4-kl-guard-vanishes", Q, M, "a guard of 1e-8, which 1 - 1e-8 does not survive in float32",
        fails=("q4.kl.edges",),
        edits=((RATES, "    mean = activations.mean(0).clamp(1e-8, 1 - 1e-8)\n"),),
    ),
    Mistake(
        "q4-kl-rho-unchecked", Q, M, "rho of 0 and 1 pass",
        fails=("q4.kl.errors",),
        edits=(("    if not 0 < rho < 1:\n", "    if not 0 <= rho <= 1:\n"), ("    entropy = -(rho * math.log(rho) + (1 - rho) * math.log1p(-rho))\n", "    entropy = -(rho * math.log(max(rho, 1e-9)) + (1 - rho) * math.log(max(1 - rho, 1e-9)))\n")),
    ),
    Mistake(
        "q4-kl-nan-rho", Q, M, "the test lets NaN through",
        fails=("q4.kl.errors",),
        edits=(("    if not 0 < rho < 1:\n", "    if rho <= 0 or rho >= 1:\n"),),
    ),
)  # fmt: skip

ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q4-alt-vanilla-modern", Q, M, "other widths, GELU, batch norm and dropout, Unflatten, (tanh + 1) / 2 as squashing",
        append="""class VanillaAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        side = int(round(input_dim ** 0.5))
        if side ** 2 != input_dim:
            raise ValueError(f"input_dim={input_dim} is no square")
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, 320), nn.BatchNorm1d(320), nn.GELU(),
                                 nn.Dropout(0.01), nn.Linear(320, 160), nn.GELU(), nn.Linear(160, latent_dim))
        self.dec1 = nn.Linear(latent_dim, 160)
        self.dec2 = nn.Linear(160, 320)
        self.dec3 = nn.Linear(320, input_dim)
        self.shape = nn.Unflatten(1, (1, side, side))

    def encode(self, x):
        return self.enc(x)

    def decode(self, z):
        h = nn.functional.gelu(self.dec1(z))
        h = nn.functional.gelu(self.dec2(h))
        return self.shape((torch.tanh(self.dec3(h)) + 1) / 2)

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Alternative(
        "q4-alt-vanilla-tied", Q, M, "decoder weights tied to the encoder's, leaky ReLU, bottleneck by a functional call",
        append="""class VanillaAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        self.s = math.isqrt(input_dim)
        if self.s * self.s != input_dim:
            raise ValueError(f"input_dim must be a square, not {input_dim}")
        self.w1 = nn.Parameter(torch.randn(300, input_dim) / input_dim ** 0.5)
        self.w2 = nn.Parameter(torch.randn(latent_dim, 300) / 300 ** 0.5)
        self.b1, self.b2 = nn.Parameter(torch.zeros(300)), nn.Parameter(torch.zeros(latent_dim))
        self.c1, self.c2 = nn.Parameter(torch.zeros(300)), nn.Parameter(torch.zeros(input_dim))

    def encode(self, x):
        h = nn.functional.leaky_relu(nn.functional.linear(x.reshape(len(x), -1), self.w1, self.b1))
        return nn.functional.linear(h, self.w2, self.b2)

    def decode(self, z):
        h = nn.functional.leaky_relu(nn.functional.linear(z, self.w2.T, self.c1))
        return torch.sigmoid(nn.functional.linear(h, self.w1.T, self.c2)).view(-1, 1, self.s, self.s)

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Alternative(
        "q4-alt-conv-upsampling", Q, M, "pooling, batch norm, a linear layer to the code, upsampling and convolutions",
        append="""class ConvAutoencoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 24, 5, padding=2), nn.Conv2d(24, 48, 3, padding="same")
        self.n1, self.n2 = nn.BatchNorm2d(24), nn.BatchNorm2d(48)
        self.to_z, self.from_z = nn.Linear(48 * 49, latent_dim), nn.Linear(latent_dim, 48 * 49)
        self.d1, self.d2 = nn.Conv2d(48, 24, 3, padding=1), nn.Conv2d(24, 1, 3, padding=1)

    def encode(self, x):
        h = nn.functional.max_pool2d(nn.functional.elu(self.n1(self.c1(x))), 2)
        h = nn.functional.avg_pool2d(nn.functional.elu(self.n2(self.c2(h))), 2)
        return self.to_z(torch.flatten(h, 1))

    def decode(self, z):
        h = nn.functional.elu(self.from_z(z)).view(z.shape[0], 48, 7, 7)
        h = nn.functional.elu(self.d1(nn.functional.interpolate(h, scale_factor=2, mode="bilinear")))
        return self.d2(nn.functional.interpolate(h, scale_factor=2, mode="nearest")).sigmoid()

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Alternative(
        "q4-alt-conv-output-padding", Q, M, "kernels of 3 with output_padding, group norm, dropout",
        append="""class ConvAutoencoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 32, 3, 2, 1),
                                  nn.SiLU(), nn.Dropout2d(0.05), nn.Conv2d(32, latent_dim, 7), nn.Flatten())
        self.up = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, 32, 7), nn.SiLU(),
                                nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1), nn.SiLU(),
                                nn.ConvTranspose2d(16, 1, 3, 2, 1, output_padding=1), nn.Sigmoid())

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)

    def forward(self, x):
        return self.up(code := self.down(x)), code
""",
    ),
    Alternative(
        "q4-alt-unet-double-convs", Q, M, "two convolutions a level, batch norm, three poolings, bilinear upsampling, a 1x1 head",
        append="""def _double(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(),
                         nn.Conv2d(c_out, c_out, 3, padding=1), nn.ReLU())


class UNetAutoencoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        widths = (1, 8, 12, 16)
        self.downs = nn.ModuleList(_double(a, b) for a, b in zip(widths[:-1], widths[1:]))
        self.squeeze, self.expand = nn.Linear(16 * 9, latent_dim), nn.Linear(latent_dim, 16 * 9)
        self.ups = nn.ModuleList([_double(16 + 16, 12), _double(12 + 12, 8), _double(8 + 8, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    def encode(self, x):
        skips = []
        for block in self.downs:
            x = block(x)
            skips.append(x)
            x = nn.functional.avg_pool2d(x, 2)
        return self.squeeze(x.flatten(1)), skips

    def decode(self, z, skips):
        x = self.expand(z).relu().unflatten(1, (16, 3, 3))
        for block, skip in zip(self.ups, reversed(skips)):
            x = nn.functional.interpolate(x, size={12: 14, 8: 28, 16: 7}[skip.shape[1]], mode="bilinear")
            x = block(concat_skip(x, skip))
        return torch.sigmoid(self.head(x))

    def forward(self, x):
        z, skips = self.encode(x)
        return self.decode(z, skips), z
""",
    ),
    Alternative(
        "q4-alt-losses-by-hand", Q, M, "reduction none, then sums and means; guard inside the logarithm; own max trick",
        append="""def _same(a, b):
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} vs {b.shape}")


def mse_loss(x_recon, x):
    _same(x_recon, x)
    return nn.functional.mse_loss(x_recon, x, reduction="none").reshape(x.shape[0], -1).sum(dim=1).mean()


def bce_loss(x_recon, x):
    _same(x_recon, x)
    eps = 1e-7
    per_pixel = -(x * torch.log(x_recon + eps) + (1 - x) * torch.log(1 - x_recon + eps))
    return per_pixel.flatten(1).sum(-1).mean()


def bce_with_logits_loss(logits, x):
    _same(logits, x)
    per_pixel = logits.clamp(min=0) - logits * x + torch.log1p(torch.exp(-logits.abs()))
    return per_pixel.flatten(1).sum(1).mean(0)
""",
    ),
    Alternative(
        "q4-alt-losses-torch", Q, M, "modules, their own ValueErrors, a clamp before the logarithm; logits by logsigmoid",
        append="""def mse_loss(x_recon, x):
    if x.size() != x_recon.size():
        raise ValueError("x_recon " + str(x_recon.size()) + " is not " + str(x.size()))
    return ((x - x_recon) ** 2).view(len(x), -1).sum(1).mean()


def bce_loss(x_recon, x):
    return nn.BCELoss(reduction="sum")(x_recon.clamp(1e-6, 1 - 1e-6), x) / x.size(0)


def bce_with_logits_loss(logits, x):
    if logits.shape != x.shape:
        raise ValueError(f"logits {logits.shape}, x {x.shape}")
    log_p, log_q = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    return -torch.einsum("b...->b", x * log_p + (1 - x) * log_q).mean()
""",
    ),
    Alternative(
        "q4-alt-sparsity-distributions", Q, M, "torch.distributions with a clamp; norm of order 1",
        append="""def l1_sparsity(z):
    return torch.linalg.norm(z, ord=1, dim=-1).mean()


def kl_sparsity(activations, rho=0.05):
    from torch.distributions import Bernoulli, kl_divergence
    if not (rho > 0 and rho < 1):
        raise ValueError(f"rho={rho} is not in (0, 1)")
    q = activations.mean(dim=0).clamp(1e-6, 1 - 1e-6)
    return kl_divergence(Bernoulli(probs=torch.ones_like(q) * rho), Bernoulli(probs=q)).sum()
""",
    ),
    Alternative(
        "q4-alt-sparsity-guards", Q, M, "guards inside the logarithms instead of a clamp",
        append="""def kl_sparsity(activations, rho=0.05):
    if not 0.0 < rho < 1.0:
        raise ValueError(f"rho must lie strictly between 0 and 1: {rho}")
    q, eps = activations.mean(dim=0), 1e-7
    inactive = (1 - rho) * (math.log(1 - rho) - torch.log(1 - q + eps))
    return torch.sum(rho * (math.log(rho) - torch.log(q + eps)) + inactive)
""",
    ),
    Alternative(
        "q4-alt-sizes-floor", Q, M, "math.floor, one message per argument, also refuses what PyTorch refuses",
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    for name, value, least in (("kernel_size", kernel_size, 1), ("stride", stride, 1), ("dilation", dilation, 1),
                               ("padding", padding, 0), ("size", size, 1)):
        if value < least:
            raise ValueError(f"bad {name}: {value}")
    result = math.floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1)
    if result < 1:
        raise ValueError(f"kernel_size {kernel_size} is too large for size {size}: {result}")
    return result


def conv_transpose_output_size(size, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    if min(kernel_size, stride, dilation) < 1 or min(padding, output_padding) < 0:
        raise ValueError(f"bad arguments: {kernel_size=}, {stride=}, {dilation=}, {padding=}, {output_padding=}")
    if output_padding >= max(stride, dilation):
        raise ValueError(f"output_padding={output_padding} must be below stride or dilation")
    result = stride * (size - 1) + dilation * (kernel_size - 1) + 1 - 2 * padding + output_padding
    if result <= 0:
        raise ValueError(f"nothing is left: {result}")
    return result
""",
    ),
    Alternative(
        "q4-alt-concat-written-out", Q, M, "fills a new tensor, one test per dimension",
        append="""def concat_skip(upsampled, skip):
    for i, what in ((0, "batch"), (2, "height"), (3, "width")):
        if upsampled.size(i) != skip.size(i):
            raise ValueError(f"{what} differs: upsampled {upsampled.shape}, skip {skip.shape}")
    return torch.hstack((upsampled, skip))
""",
    ),
    Alternative(
        "q4-alt-vanilla-transposed-weights", Q, M, "decoder uses the encoder's weights transposed, bare parameters, a hard clamp at the end",
        append="""class VanillaAutoencoder(nn.Module):

    def __init__(self, input_dim=784, latent_dim=32):
        super().__init__()
        self._side = _image_side(input_dim)
        sizes = [input_dim, 300, 100, latent_dim]
        self.w = nn.ParameterList()
        self.b_up = nn.ParameterList()
        self.b_down = nn.ParameterList()
        for n_in, n_out in zip(sizes[:-1], sizes[1:]):
            self.w.append(nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_out, n_in))))
            self.b_up.append(nn.Parameter(torch.zeros(n_out)))
            self.b_down.append(nn.Parameter(torch.full((n_in,), 0.5 if n_in == input_dim else 0.0)))

    def encode(self, x):
        h = x.flatten(1)
        for i in range(len(self.w)):
            h = h @ self.w[i].T + self.b_up[i]
            if i + 1 < len(self.w):
                h = nn.functional.elu(h)
        return h

    def decode(self, z):
        h = z
        for i in reversed(range(len(self.w))):
            h = h @ self.w[i] + self.b_down[i]
            if i:
                h = nn.functional.elu(h)
        return h.clamp(min=0.0, max=1.0).reshape(-1, 1, self._side, self._side)

    def forward(self, x):
        z = self.encode(x)
        return (self.decode(z), z)
""",
    ),
    Alternative(
        "q4-alt-conv-functional", Q, M, "functional convolutions on bare parameters, hardsigmoid",
        append="""class ConvAutoencoder(nn.Module):

    def __init__(self, latent_dim=64):
        super().__init__()
        self.kernels = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for name, shape, n_out, fan_in in [('c1', (16, 1, 5, 5), 16, 25), ('c2', (32, 16, 5, 5), 32, 16 * 25), ('c3', (latent_dim, 32, 7, 7), latent_dim, 32 * 49), ('t3', (latent_dim, 32, 7, 7), 32, latent_dim), ('t2', (32, 16, 5, 5), 16, 32 * 6), ('t1', (16, 1, 5, 5), 1, 16 * 6)]:
            self.kernels[name] = nn.Parameter(torch.randn(shape) / fan_in ** 0.5)
            self.biases[name] = nn.Parameter(torch.zeros(n_out))

    def encode(self, x):
        k, b, f = (self.kernels, self.biases, nn.functional)
        h = f.softplus(f.conv2d(x, k['c1'], b['c1'], stride=2, padding=2)) - math.log(2)
        h = f.softplus(f.conv2d(h, k['c2'], b['c2'], stride=2, padding=2)) - math.log(2)
        return f.conv2d(h, k['c3'], b['c3']).reshape(x.shape[0], -1)

    def decode(self, z):
        k, b, f = (self.kernels, self.biases, nn.functional)
        h = f.elu(f.conv_transpose2d(z.reshape(*z.shape, 1, 1), k['t3'], b['t3']))
        h = f.elu(f.conv_transpose2d(h, k['t2'], b['t2'], stride=2, padding=2, output_padding=1))
        return f.hardsigmoid(f.conv_transpose2d(h, k['t1'], b['t1'], stride=2, padding=2, output_padding=1))

    def forward(self, x):
        z = self.encode(x)
        return (self.decode(z), z)
""",
    ),
    Alternative(
        "q4-alt-conv-channels-last", Q, M, "channels-last memory, depthwise convolutions, pixel shuffle, BatchNorm",
        append="""class ConvAutoencoder(nn.Module):

    def __init__(self, latent_dim=64):
        super().__init__()
        self.net_in = nn.Sequential(nn.Conv2d(1, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.PReLU(32), nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32, bias=False), nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64), nn.Conv2d(64, latent_dim, 7))
        self.net_out = nn.Sequential(nn.ConvTranspose2d(latent_dim, 64, 7, bias=False), nn.BatchNorm2d(64), nn.PReLU(64), nn.Conv2d(64, 64, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(16), nn.Conv2d(16, 4, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid())
        self.to(memory_format=torch.channels_last)

    def encode(self, x):
        return torch.flatten(self.net_in(x.contiguous(memory_format=torch.channels_last)), 1)

    def decode(self, z):
        return self.net_out(z.unsqueeze(-1).unsqueeze(-1))

    def forward(self, x):
        code = self.encode(x)
        return (self.decode(code), code)
""",
    ),
    Alternative(
        "q4-alt-unet-pops-a-copy", Q, M, "skips are clones; decode pops from a copy of the list, concat_skip is bound at import",
        append="""def _decoder_step(upsampled, skip, mix, join=concat_skip):
    return nn.functional.gelu(mix(join(upsampled, skip)))

class UNetAutoencoder(nn.Module):

    def __init__(self, latent_dim=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.c28 = nn.Conv2d(1, 10, 5, padding=2)
        self.c14 = nn.Conv2d(10, 20, 3, padding=1)
        self.c7 = nn.Conv2d(20, 20, 3, padding=1)
        self.code = nn.Sequential(nn.Flatten(), nn.Linear(980, 128), nn.GELU(), nn.Linear(128, latent_dim))
        self.seed = nn.Sequential(nn.Linear(latent_dim, 128), nn.GELU(), nn.Linear(128, 980), nn.Unflatten(1, (20, 7, 7)))
        self.m14 = nn.Conv2d(40, 10, 3, padding=1)
        self.m28 = nn.Conv2d(20, 10, 3, padding=1)
        self.pixel = nn.Conv2d(10, 1, 3, padding=1)

    def encode(self, x):
        skips = []
        h = nn.functional.gelu(self.c28(x))
        skips += [h.clone()]
        h = nn.functional.gelu(self.c14(nn.functional.max_pool2d(h, kernel_size=2)))
        skips += [h.clone()]
        h = nn.functional.gelu(self.c7(nn.functional.max_pool2d(h, kernel_size=2)))
        return (self.code(h), skips)

    def decode(self, z, skips):
        stack = list(skips)
        h = self.seed(z)
        for mix in (self.m14, self.m28):
            skip = stack.pop()
            h = _decoder_step(nn.functional.interpolate(h, size=skip.shape[-2:]), skip, mix)
        return self.pixel(h).sigmoid()

    def forward(self, x):
        z, skips = self.encode(x)
        return (self.decode(z, skips), z)
""",
    ),
    Alternative(
        "q4-alt-unet-preactivation", Q, M, "skips of either sign, taken before the activation; residual blocks with GroupNorm",
        append="""class _Res(nn.Module):

    def __init__(self, n):
        super().__init__()
        self.norm = nn.GroupNorm(2, n)
        self.conv = nn.Conv2d(n, n, 3, padding='same')

    def forward(self, h):
        return h + self.conv(nn.functional.silu(self.norm(h)))

class UNetAutoencoder(nn.Module):

    def __init__(self, latent_dim=64):
        super().__init__()
        n = 16
        self.first = nn.Conv2d(1, n, 3, padding='same')
        self.blocks = nn.ModuleList([_Res(n), _Res(n), _Res(n)])
        self.fc_in = nn.Linear(n * 49, latent_dim)
        self.fc_out = nn.Linear(latent_dim, n * 49)
        self.shrink = nn.ModuleList([nn.Conv2d(2 * n, n, 1), nn.Conv2d(2 * n, n, 1)])
        self.after = nn.ModuleList([_Res(n), _Res(n)])
        self.final = nn.Conv2d(n, 1, 3, padding='same')

    def encode(self, x):
        full = self.blocks[0](self.first(x))
        half = self.blocks[1](nn.functional.max_pool2d(torch.relu(full), 2))
        bottom = self.blocks[2](nn.functional.max_pool2d(torch.relu(half), 2))
        return (self.fc_in(bottom.flatten(1)), [full, half])

    def decode(self, z, skips):
        h = self.fc_out(z).view(len(z), -1, 7, 7)
        for level, skip in enumerate(skips[::-1]):
            h = h.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
            h = self.after[level](self.shrink[level](concat_skip(h, skip)))
        return (self.final(h).tanh() + 1) / 2

    def forward(self, x):
        z, skips = self.encode(x)
        return (self.decode(z, skips), z)
""",
    ),
    Alternative(
        "q4-alt-concat-converts-error", Q, M, "converts the error of torch.cat; shapes are written 2x3x4x4",
        append="""def concat_skip(upsampled, skip):
    try:
        return torch.cat((upsampled, skip), dim=-3)
    except RuntimeError as error:
        a, b = ('x'.join(map(str, t.shape)) for t in (upsampled, skip))
        raise ValueError(f'cannot join upsampled ({a}) and skip ({b}): B, H and W have to agree') from error
""",
    ),
    Alternative(
        "q4-alt-mse-squared-norm", Q, M, "squares torch's norm, whose gradient at 0 is 0",
        append="""def mse_loss(x_recon, x):
    if x_recon.size() != x.size():
        raise ValueError(f'shape mismatch: x_recon is {list(x_recon.shape)}, x is {list(x.shape)}')
    difference = (x - x_recon).reshape(x.size(0), -1)
    return torch.linalg.vector_norm(difference, dim=1).pow(2).mean()
""",
    ),
    Alternative(
        "q4-alt-logits-own-gradient", Q, M, "an autograd Function with the gradient by hand",
        append="""class _LogitNats(torch.autograd.Function):

    @staticmethod
    def forward(ctx, logits, x):
        ctx.save_for_backward(logits, x)
        return torch.logaddexp(logits, torch.zeros_like(logits)).sub(logits * x).sum() / x.shape[0]

    @staticmethod
    def backward(ctx, grad):
        logits, x = ctx.saved_tensors
        return (grad * (torch.sigmoid(logits) - x) / x.shape[0], -grad * logits / x.shape[0])

def bce_with_logits_loss(logits, x):
    if logits.shape != x.shape:
        raise ValueError(f'logits.shape={tuple(logits.shape)}, x.shape={tuple(x.shape)}')
    return _LogitNats.apply(logits, x)
""",
    ),
)  # fmt: skip
