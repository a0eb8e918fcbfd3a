"""Question 4: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

Q, M = 4, "autoencoders"


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
