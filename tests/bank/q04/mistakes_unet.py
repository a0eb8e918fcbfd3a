"""Question 4: the reference with one bug: U-Net and concat_skip."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"

# where a model is not constructed or shaped as asked, what builds on it is skipped
MODELS = ("q4.models.gradients", "q4.models.pure")

ON_UNET = ("q4.unet.range", "q4.unet.influence", "q4.unet.join", "q4.trained.unet", *MODELS)

SKIPS = "        return z, [full, half]\n"

JOIN2 = "        joined = torch.relu(self.join2(concat_skip(torch.relu(self.up2(quarter)), half)))\n"

JOIN1 = "        return torch.sigmoid(self.join1(concat_skip(torch.relu(self.up1(joined)), full)))\n"

MISTAKES: tuple[Mistake, ...] = (
    # ---- U-Net
    Mistake(
        "q4-unet-added-skips",
        Q,
        M,
        "skips are added, not concatenated",
        fails=("q4.unet.join",),
        edits=(
            ("nn.Conv2d(16 + 16, 16,", "nn.Conv2d(16, 16,"),
            ("nn.Conv2d(8 + 8, 1,", "nn.Conv2d(8, 1,"),
            (JOIN2, "        joined = torch.relu(self.join2(torch.relu(self.up2(quarter)) + half))\n"),
            (JOIN1, "        return torch.sigmoid(self.join1(torch.relu(self.up1(joined)) + full))\n"),
        ),
    ),
    Mistake(
        "q4-unet-cat-not-concat-skip",
        Q,
        M,
        "torch.cat in the decoder, past concat_skip and its error",
        fails=("q4.unet.join",),
        edits=(
            (
                JOIN2,
                JOIN2.replace(
                    "concat_skip(torch.relu(self.up2(quarter)), half)",
                    "torch.cat([torch.relu(self.up2(quarter)), half], 1)",
                ),
            ),
        ),
    ),
    Mistake(
        "q4-unet-skips-after-pooling",
        Q,
        M,
        "skips are taken after the pooling, and upsampled again in the decoder",
        fails=("q4.unet.shapes",),
        may_fail=ON_UNET,
        edits=(
            (SKIPS, "        return z, [nn.functional.max_pool2d(full, 2), nn.functional.max_pool2d(half, 2)]\n"),
            (
                "        full, half = skips\n",
                "        full, half = (nn.functional.interpolate(skip, scale_factor=2) for skip in skips)\n",
            ),
        ),
    ),
    Mistake(
        "q4-unet-skips-reversed",
        Q,
        M,
        "smallest map first",
        fails=("q4.unet.shapes",),
        may_fail=ON_UNET,
        edits=(
            (SKIPS, "        return z, [half, full]\n"),
            ("        full, half = skips\n", "        half, full = skips\n"),
        ),
    ),
    Mistake(
        "q4-unet-code-unused",
        Q,
        M,
        "the decoder reads the skips only",
        fails=("q4.unet.influence", "q4.models.gradients"),
        may_fail=("q4.models.pure",),
        edits=(("torch.relu(self.from_code(z)).reshape", "torch.relu(0 * self.from_code(z) + 1).reshape"),),
    ),
    Mistake(
        "q4-unet-one-skip-unused",
        Q,
        M,
        "the smaller skip is replaced by zeros",
        fails=("q4.unet.influence",),
        may_fail=("q4.unet.join",),
        edits=((JOIN2, JOIN2.replace(", half)))", ", torch.zeros_like(half))))")),),
    ),
    Mistake(
        "q4-unet-full-skip-unused",
        Q,
        M,
        "the larger skip is replaced by zeros",
        fails=("q4.unet.influence",),
        may_fail=("q4.unet.join", "q4.trained.unet"),
        edits=((JOIN1, JOIN1.replace(", full)))", ", torch.zeros_like(full))))")),),
    ),
    Mistake(
        "q4-unet-transposed-skip",
        Q,
        M,
        "rows and columns of a skip change places",
        fails=("q4.unet.influence",),
        may_fail=("q4.trained.unet",),
        edits=((JOIN1, JOIN1.replace(", full)))", ", full.mT)))")),),
    ),
    Mistake(
        "q4-unet-detached-skips",
        Q,
        M,
        "no gradient passes through the skips",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.unet",),
        edits=((SKIPS, "        return z, [full.detach(), half.detach()]\n"),),
    ),
    Mistake(
        "q4-unet-detached-code",
        Q,
        M,
        "no gradient passes through the code",
        fails=("q4.models.gradients",),
        may_fail=("q4.trained.unet",),
        edits=(("        return self.decode(z, skips), z\n", "        return self.decode(z.detach(), skips), z\n"),),
    ),
    Mistake(
        "q4-unet-not-squashed",
        Q,
        M,
        "no sigmoid on the output",
        fails=("q4.unet.range",),
        may_fail=("q4.trained.unet",),
        edits=((JOIN1, JOIN1.replace("torch.sigmoid(self.join1(", "(self.join1(")),),
    ),
    Mistake(
        "q4-unet-pops-skips",
        Q,
        M,
        "decode takes the skips off the caller's list",
        fails=("q4.models.pure",),
        edits=(("        full, half = skips\n", "        half = skips.pop()\n        full = skips.pop()\n"),),
    ),
    # ---- concat_skip and output sizes
    Mistake(
        "q4-concat-order",
        Q,
        M,
        "skip first",
        fails=("q4.concat-skip.value",),
        may_fail=("q4.concat-skip.errors",),
        edits=(
            ("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([skip, upsampled], dim=1)\n"),
        ),
    ),
    Mistake(
        "q4-concat-along-rows",
        Q,
        M,
        "concatenates along the height",
        fails=("q4.concat-skip.value",),
        may_fail=("q4.concat-skip.errors", *ON_UNET),
        edits=(
            ("    return torch.cat([upsampled, skip], dim=1)\n", "    return torch.cat([upsampled, skip], dim=2)\n"),
        ),
    ),
    Mistake(
        "q4-concat-no-check",
        Q,
        M,
        "leaves the error to torch.cat",
        fails=("q4.concat-skip.errors",),
        append="def concat_skip(upsampled, skip):\n    return torch.cat([upsampled, skip], dim=1)\n",
    ),
    Mistake(
        "q4-concat-batch-unchecked",
        Q,
        M,
        "compares height and width only, and lets a batch of one broadcast",
        fails=("q4.concat-skip.errors",),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[2:] != skip.shape[2:]:
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled, skip.expand(len(upsampled), -1, -1, -1)], dim=1)
""",
    ),
    Mistake(
        "q4-concat-crops",
        Q,
        M,
        "cuts the larger of the two instead of refusing",
        fails=("q4.concat-skip.errors",),
        may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    h, w = min(upsampled.shape[2], skip.shape[2]), min(upsampled.shape[3], skip.shape[3])
    if len(upsampled) != len(skip):
        raise ValueError(f"{tuple(upsampled.shape)} and {tuple(skip.shape)} differ")
    return torch.cat([upsampled[:, :, :h, :w], skip[:, :, :h, :w]], dim=1)
""",
    ),
    Mistake(
        "q4-concat-silent-message",
        Q,
        M,
        "the message names no shape",
        fails=("q4.concat-skip.errors",),
        may_fail=("q4.unet.join",),
        append="""def concat_skip(upsampled, skip):
    if upsampled.shape[:1] + upsampled.shape[2:] != skip.shape[:1] + skip.shape[2:]:
        raise ValueError("upsampled and skip do not fit")
    return torch.cat([upsampled, skip], dim=1)
""",
    ),
    # ---- U-Net
    Mistake(
        "q4-unet-latent-dim-ignored",
        Q,
        M,
        "the code has 64 numbers whatever latent_dim is",
        fails=("q4.unet.shapes",),
        may_fail=ON_UNET,
        append="""class UNetAutoencoder(UNetAutoencoder):
    def __init__(self, latent_dim=64):
        super().__init__(64)
""",
    ),
    Mistake(
        "q4-unet-skips-in-training-only",
        Q,
        M,
        "skips are used in training mode only",
        fails=("q4.unet.influence",),
        may_fail=("q4.unet.join", "q4.trained.unet"),
        edits=(
            (
                "        full, half = skips\n",
                "        full, half = (s if self.training else torch.zeros_like(s) for s in skips)\n",
            ),
        ),
    ),
    Mistake(
        "q4-unet-skips-in-evaluation-only",
        Q,
        M,
        "no skips while it trains, so that the code has to learn",
        fails=("q4.unet.influence",),
        may_fail=("q4.trained.unet",),
        edits=(
            (
                "        full, half = skips\n",
                "        full, half = (torch.zeros_like(s) if self.training else s for s in skips)\n",
            ),
        ),
    ),
    Mistake(
        "q4-unet-forward-without-skips",
        Q,
        M,
        "forward trains without skips; decode itself uses them",
        fails=("q4.unet.influence",),
        may_fail=("q4.trained.unet",),
        edits=(
            (
                "        return self.decode(z, skips), z\n",
                "        if self.training:\n            skips = [torch.zeros_like(skip) for skip in skips]\n        return self.decode(z, skips), z\n",
            ),
        ),
    ),
    Mistake(
        "q4-unet-forward-without-code",
        Q,
        M,
        "forward trains without the code",
        fails=("q4.unet.influence",),
        may_fail=("q4.trained.unet",),
        edits=(
            (
                "        return self.decode(z, skips), z\n",
                "        return self.decode(0 * z if self.training else z, skips), z\n",
            ),
        ),
    ),
    Mistake(
        "q4-concat-detached-skip",
        Q,
        M,
        "the skip is detached where it is joined",
        fails=("q4.concat-skip.value",),
        may_fail=("q4.concat-skip.errors", "q4.models.gradients", "q4.trained.unet"),
        edits=(
            (
                "    return torch.cat([upsampled, skip], dim=1)\n",
                "    return torch.cat([upsampled, skip.detach()], dim=1)\n",
            ),
        ),
    ),
    Mistake(
        "q4-unet-one-channel-of-skip",
        Q,
        M,
        "one feature map of the larger skip stands for all",
        fails=("q4.unet.influence",),
        may_fail=("q4.trained.unet", "q4.unet.join"),
        edits=((JOIN1, JOIN1.replace(", full)))", ", full[:, :1].expand_as(full))))")),),
    ),
)
