"""Bank of the bonus: correct submissions of another kind: priors over codes."""

from __future__ import annotations

from .. import Alternative
from .writing import alternative

ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "prior",
        "mask-in-place",
        "the well-known PixelCNN layer, which zeroes its weights in every forward pass",
        append="""
class MaskedConv2d(nn.Conv2d):
    def __init__(self, mask_type, in_channels, out_channels, kernel_size):
        if mask_type not in {"A", "B"}:
            raise ValueError(f"mask_type {mask_type!r} is neither A nor B")
        if kernel_size % 2 != 1:
            raise ValueError(f"kernel_size {kernel_size} is even")
        super().__init__(in_channels, out_channels, kernel_size, padding="same")
        mask = torch.ones_like(self.weight)
        middle = kernel_size // 2
        mask[:, :, middle, middle + (mask_type == "B"):] = 0
        mask[:, :, middle + 1:] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.k = num_embeddings
        layers = [MaskedConv2d("A", num_embeddings, hidden_channels, 5), nn.BatchNorm2d(hidden_channels), nn.GELU()]
        for _ in range(num_layers - 1):
            layers += [MaskedConv2d("B", hidden_channels, hidden_channels, 3), nn.Dropout(0.1), nn.GELU()]
        self.net = nn.Sequential(*layers, MaskedConv2d("B", hidden_channels, num_embeddings, 1))

    def forward(self, indices):
        hot = F.one_hot(indices, self.k).movedim(-1, 1)
        return self.net(hot.to(self.net[0].weight))
""",
    ),
    alternative(
        "prior",
        "transformer",
        "causal attention over the flattened grid, output layer at zero, positions embedded",
        append="""
class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, 1, hidden_channels))
        self.code = nn.Embedding(num_embeddings, hidden_channels)
        self.place = nn.Embedding(1024, hidden_channels)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden_channels, 4, 2 * hidden_channels, dropout=0.0, batch_first=True)
            for _ in range(num_layers)
        )
        self.out = nn.Linear(hidden_channels, num_embeddings)
        nn.init.zeros_(self.out.weight)

    def forward(self, indices):
        b, h, w = indices.shape
        n = h * w
        tokens = self.code(indices.reshape(b, n))
        hidden = torch.cat([self.start.expand(b, 1, -1), tokens[:, :-1]], 1)
        hidden = hidden + self.place(torch.arange(n, device=indices.device))
        mask = torch.full((n, n), float("-inf"), device=hidden.device, dtype=hidden.dtype).triu(1)
        for block in self.blocks:
            hidden = block(hidden, src_mask=mask)
        return self.out(hidden).transpose(1, 2).reshape(b, -1, h, w)
""",
    ),
    alternative(
        "prior",
        "sample-by-gumbel",
        "bits by log_softmax and gather, sampling by Gumbel noise over flat positions",
        append="""
def bits_per_code(logits, indices):
    log2 = logits.log_softmax(1) / math.log(2.0)
    return -log2.gather(1, indices[:, None]).mean()


def sample_codes(model, num_samples, height, width, generator=None):
    was = model.training
    model.eval()
    try:
        with torch.inference_mode():
            where = next(model.parameters()).device
            flat = torch.zeros(num_samples, height * width, dtype=torch.long, device=where)
            for i in range(height * width):
                logits = model(flat.view(-1, height, width)).flatten(2)[:, :, i].double()
                u = torch.rand(logits.shape, generator=generator, dtype=torch.float64, device=where).clamp_(1e-12, 1 - 1e-12)
                flat[:, i] = (logits - torch.log(-torch.log(u))).argmax(1)
            return flat.view(-1, height, width).clone()
    finally:
        model.train(was)
""",
    ),
    alternative(
        "prior",
        "parametrized-mask",
        "weight is a computed tensor of torch's parametrization; normalised logits of one-hot codes",
        append="""
from torch.nn.utils import parametrize


class _Causal(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0.0)

    def right_inverse(self, weight):
        return weight


class MaskedConv2d(nn.Conv2d):
    def __init__(self, mask_type, in_channels, out_channels, kernel_size):
        if mask_type not in {"A", "B"}:
            raise ValueError(f"mask_type: {mask_type!r} is neither 'A' nor 'B'")
        if kernel_size % 2 != 1:
            raise ValueError(f"kernel_size: {kernel_size} is not odd")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        rows, columns = torch.meshgrid(torch.arange(kernel_size), torch.arange(kernel_size), indexing="ij")
        c = kernel_size // 2
        visible = (rows < c) | ((rows == c) & (columns < c if mask_type == "A" else columns <= c))
        parametrize.register_parametrization(self, "weight", _Causal(visible))

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, padding=self.padding)


class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        if num_layers <= 0:
            raise ValueError(f"num_layers={num_layers}: at least one layer is needed")
        self.num_embeddings = num_embeddings
        channels = [num_embeddings] + [hidden_channels] * num_layers
        self.stack = nn.ModuleList(
            MaskedConv2d("B" if i else "A", channels[i], channels[i + 1], 3) for i in range(num_layers))
        self.head = nn.Conv2d(hidden_channels, num_embeddings, 1)

    def forward(self, indices):
        h = F.one_hot(indices, self.num_embeddings).movedim(-1, 1).to(self.head.weight.dtype)
        for layer in self.stack:
            h = F.elu(layer(h))
        return F.log_softmax(self.head(h), dim=1)
""",
    ),
    alternative(
        "prior",
        "two-convolutions",
        "no mask: one convolution of the rows above, one of the row itself, on padded inputs",
        append="""
class MaskedConv2d(nn.Conv2d):
    def __init__(self, mask_type, in_channels, out_channels, kernel_size):
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        if mask_type not in ["A", "B"]:
            raise ValueError(f"mask_type must be A or B, but is {mask_type}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, but is {kernel_size}")
        self.centre = kernel_size // 2
        self.visible = self.centre + (1 if mask_type == "B" else 0)

    def forward(self, x):
        c, v = self.centre, self.visible
        height, width = x.shape[-2:]
        out = self.bias.view(1, -1, 1, 1).expand(len(x), -1, height, width)
        if c > 0:
            above = F.pad(x, (c, c, c, 0))[:, :, : height + c - 1]
            out = out + F.conv2d(above, self.weight[:, :, :c])
        if v > 0:
            left = F.pad(x, (c, 0, 0, 0))[:, :, :, : width + v - 1]
            out = out + F.conv2d(left, self.weight[:, :, c : c + 1, :v])
        return out
""",
    ),
    alternative(
        "prior",
        "gated",
        "gated units, normalised over channels, with coordinates as channels and skips to the output",
        append="""
class _GatedLayer(nn.Module):
    def __init__(self, kind, cin, channels, size):
        super().__init__()
        self.conv = MaskedConv2d(kind, cin, 2 * channels, size)
        self.norm = nn.LayerNorm(channels)
        self.skip = nn.Conv2d(channels, channels, 1)

    def forward(self, h):
        a, b = self.conv(h).chunk(2, dim=1)
        h = torch.tanh(a) * torch.sigmoid(b)
        h = self.norm(h.movedim(1, -1)).movedim(-1, 1)
        return h, self.skip(h)


class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers < 1: {num_layers}")
        self.table = nn.Embedding(num_embeddings, hidden_channels)
        self.gates = nn.ModuleList([_GatedLayer("A", hidden_channels + 2, hidden_channels, 5)])
        for _ in range(num_layers - 1):
            self.gates.append(_GatedLayer("B", hidden_channels, hidden_channels, 5))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(hidden_channels, hidden_channels, 1), nn.ReLU(),
                                 nn.Conv2d(hidden_channels, num_embeddings, 1))

    def forward(self, indices):
        h = self.table(indices).permute(0, 3, 1, 2)
        B, _, H, W = h.shape
        rows = torch.arange(H, device=h.device, dtype=h.dtype).div(H).view(1, 1, H, 1).expand(B, 1, H, W)
        columns = torch.arange(W, device=h.device, dtype=h.dtype).div(W).view(1, 1, 1, W).expand(B, 1, H, W)
        h = torch.cat([h, rows, columns], dim=1)
        total = 0
        for i, gate in enumerate(self.gates):
            out, skip = gate(h)
            h = out if i == 0 else h + out
            total = total + skip
        return self.out(total)
""",
    ),
    alternative(
        "prior",
        "sample-into-noise",
        "inference mode; the grid holds random codes until they are drawn",
        append="""
def sample_codes(model, num_samples, height, width, generator=None):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            device = next(model.parameters(), torch.empty(0)).device
            blank = torch.zeros(num_samples, height, width, dtype=torch.int64, device=device)
            K = model(blank).shape[1]
            codes = torch.randint(K, blank.shape, generator=generator, device=device)
            for row in range(height):
                for column in range(width):
                    p = torch.softmax(model(codes)[:, :, row, column], dim=-1)
                    codes = codes.clone()
                    codes[:, row, column] = torch.multinomial(p, 1, replacement=True, generator=generator)[:, 0]
    finally:
        for module, mode in modes.items():
            module.training = mode
    return codes.clone()


def bits_per_code(logits, indices):
    per_image = []
    for scores, codes in zip(logits, indices):
        mask = F.one_hot(codes, scores.shape[0]).movedim(-1, 0).bool()
        chosen = scores.masked_fill(~mask, 0.0).sum(0)
        per_image.append(((scores.logsumexp(0) - chosen) / math.log(2.0)).mean())
    return torch.stack(per_image).mean()
""",
    ),
    alternative(
        "prior",
        "plain-pixelcnn",
        "7x7 kernels throughout, ELU, dropout, no residual path",
        append="""
class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.embed = nn.Embedding(num_embeddings, hidden_channels)
        layers = []
        for i in range(num_layers):
            layers += [MaskedConv2d("A" if i == 0 else "B", hidden_channels, hidden_channels, 7), nn.ELU(), nn.Dropout(0.1)]
        self.net = nn.Sequential(*layers, nn.Conv2d(hidden_channels, num_embeddings, 1))

    def forward(self, indices):
        return self.net(self.embed(indices).permute(0, 3, 1, 2))
""",
    ),
    alternative(
        "prior",
        "gated-stack",
        "a vertical and a horizontal stack with gates; with one layer only the row above and the code before are seen",
        append="""
class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.embed = nn.Embedding(num_embeddings, hidden_channels)
        self.vertical = nn.ModuleList(nn.Conv2d(hidden_channels, 2 * hidden_channels, (1, 3)) for _ in range(num_layers))
        self.across = nn.ModuleList(nn.Conv2d(2 * hidden_channels, 2 * hidden_channels, 1) for _ in range(num_layers))
        self.horizontal = nn.ModuleList(
            nn.Conv2d(hidden_channels, 2 * hidden_channels, (1, 1 if i == 0 else 2)) for i in range(num_layers))
        self.out = nn.Conv2d(hidden_channels, num_embeddings, 1)

    def forward(self, indices):
        h = self.embed(indices).permute(0, 3, 1, 2)
        height, width = h.shape[2:]
        v = h
        for i, (down, across, along) in enumerate(zip(self.vertical, self.across, self.horizontal)):
            # the vertical stack sees the row above, the horizontal one what is to the left
            up = F.pad(v, (1, 1, 1, 0))[:, :, :height] if i == 0 else F.pad(v, (1, 1, 0, 0))
            vertical = down(up)
            left = F.pad(h, (1, 0, 0, 0))[:, :, :, :width] if i == 0 else F.pad(h, (1, 0, 0, 0))
            a, b = (along(left) + across(vertical)).chunk(2, dim=1)
            h = torch.tanh(a) * torch.sigmoid(b)
            c, d = vertical.chunk(2, dim=1)
            v = torch.tanh(c) * torch.sigmoid(d)
        return self.out(h)
""",
    ),
)
