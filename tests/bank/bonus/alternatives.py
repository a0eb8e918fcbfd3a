"""Bank of the bonus: correct submissions of another kind."""

from __future__ import annotations

from .. import Alternative

BONUS = 0


def alternative(
    module: str, id: str, story: str, edits: tuple[tuple[str, str], ...] = (), append: str = ""
) -> Alternative:
    """A correct prior.py or evaluation.py."""
    return Alternative(f"bonus.{id}", BONUS, module, story, edits, append)


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
        "evaluation",
        "batched-iwae",
        "all k draws in one batch, torch.distributions, an own max trick",
        append="""
def log_importance_weights(log_px_given_z, z, mu, logvar):
    from torch.distributions import Independent, Normal

    q = Independent(Normal(mu, logvar.div(2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return log_px_given_z + p.log_prob(z) - q.log_prob(z)


def iwae_bound(log_weights):
    top = log_weights.amax(0, keepdim=True).detach()
    return (log_weights - top).exp().mean(0).log() + top[0]


def iwae(model, x, k, generator=None):
    if k < 1:
        raise ValueError(f"k={k} is no number of samples")
    before = model.training
    model.eval()
    with torch.no_grad():
        mu, logvar = model.encode(x)
        eps = torch.randn(k, *mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
        z = mu + eps * (0.5 * logvar).exp()
        p = model.decode(z.flatten(0, 1)).reshape(k, *x.shape).clamp(1e-6, 1 - 1e-6)
        log_px = (x * p.log() + (1 - x) * (1 - p).log()).flatten(2).sum(2)
        result = iwae_bound(log_importance_weights(log_px, z, mu, logvar))
    model.train(before)
    return result
""",
    ),
    alternative(
        "evaluation",
        "iwae-by-forward",
        "calls the model itself k times, with eps of its own",
        append="""
def iwae(model, x, k, generator=None):
    if k < 1:
        raise ValueError(f"k must be positive, not {k}")
    with evaluation_mode(model):
        terms = []
        shape = model.encode(x[:1])[0].shape[1:]
        for _ in range(k):
            eps = torch.randn(len(x), *shape, generator=generator, dtype=x.dtype, device=x.device)
            x_recon, mu, logvar = model(x, eps=eps)
            log_px = -F.binary_cross_entropy(x_recon, x, reduction="none").sum(dim=(1, 2, 3))
            z = mu + (logvar / 2).exp() * eps
            terms.append(log_px - 0.5 * z.pow(2).sum(1) + 0.5 * (eps.pow(2) + logvar).sum(1))
        return torch.logsumexp(torch.stack(terms), 0) - math.log(k)
""",
    ),
    alternative(
        "evaluation",
        "woodbury",
        "the likelihood through the small matrix of the latent space",
        append="""
def ppca_log_likelihood(x, weight, mean, noise_var):
    if noise_var <= 0:
        raise ValueError(f"noise_var = {noise_var} is no variance")
    d, l = weight.shape
    centred = x - mean
    small = weight.T @ weight + noise_var * torch.eye(l, dtype=weight.dtype, device=weight.device)
    inner = torch.linalg.solve(small, (centred @ weight).T).T
    square = (centred.pow(2).sum(1) - ((centred @ weight) * inner).sum(1)) / noise_var
    logdet = torch.linalg.slogdet(small)[1] + (d - l) * math.log(noise_var)
    return -0.5 * (d * math.log(2 * math.pi) + logdet + square)
""",
    ),
    alternative(
        "evaluation",
        "frozen-network",
        "freezes the network for the call; covariance by torch.cov; scipy's square root",
        append="""
def perceptual_loss(feature_net, x_recon, x):
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} against x {tuple(x.shape)}")
    for p in feature_net.parameters():
        p.requires_grad_(False)
    with torch.no_grad():
        target = feature_net(x)
    return (feature_net(x_recon) - target).pow(2).flatten(1).sum(1).mean()


def feature_statistics(features):
    if features.shape[0] < 2:
        raise ValueError(f"features: {features.shape[0]} row has no covariance")
    return features.mean(0), torch.atleast_2d(torch.cov(features.T))


def frechet_distance(mean1, cov1, mean2, cov2):
    import numpy as np
    from scipy import linalg

    a, b = cov1.double().numpy(), cov2.double().numpy()
    eps = 1e-6 * np.eye(len(a))
    root = np.real(linalg.sqrtm((a + eps) @ (b + eps)))
    value = float((mean1 - mean2).double().pow(2).sum()) + float(np.trace(a) + np.trace(b) - 2 * np.trace(root))
    return torch.tensor(max(value, 0.0), dtype=mean1.dtype)


def active_units(mu, threshold=0.01):
    return int(torch.count_nonzero(((mu - mu.mean(0)) ** 2).mean(0) > threshold).item())
""",
    ),
    alternative(
        "evaluation",
        "frechet-eigenvalues",
        "eigenvalues of the product itself, which is not symmetric",
        append="""
def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return torch.dist(mean1, mean2) ** 2 + torch.trace(cov1) + torch.trace(cov2) - 2 * roots.sum()
""",
    ),
    alternative(
        "evaluation",
        "scikit-learn",
        "logistic regression and neighbours of scikit-learn",
        append="""
def linear_probe(train_codes, train_labels, test_codes):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(train_codes.numpy(), train_labels.numpy())
    return torch.from_numpy(model.predict(test_codes.numpy()))


def knn_predict(train_codes, train_labels, test_codes, k=5):
    from sklearn.neighbors import KNeighborsClassifier

    if k < 1 or k > len(train_codes):
        raise ValueError(f"k={k}, but there are {len(train_codes)} codes")
    model = KNeighborsClassifier(k).fit(train_codes.numpy(), train_labels.numpy())
    return torch.from_numpy(model.predict(test_codes.numpy()))
""",
    ),
    alternative(
        "evaluation",
        "least-squares-probe",
        "ridge regression on one-hot labels; neighbours by sorting and mode",
        append="""
def linear_probe(train_codes, train_labels, test_codes):
    names = sorted(set(train_labels.tolist()))
    targets = torch.stack([(train_labels == n).to(train_codes) for n in names], 1)
    add = lambda c: torch.cat([c, torch.ones_like(c[:, :1])], 1)
    a = add(train_codes)
    w = torch.linalg.solve(a.T @ a + 1e-3 * torch.eye(a.shape[1]).to(a), a.T @ targets)
    return torch.tensor(names, device=a.device)[(add(test_codes) @ w).argmax(1)]


def knn_predict(train_codes, train_labels, test_codes, k=5):
    if not 0 < k <= train_codes.shape[0]:
        raise ValueError(f"k = {k}")
    distance = (test_codes[:, None] - train_codes[None]).pow(2).sum(-1)
    return train_labels[distance.argsort(1)[:, :k]].mode(1).values
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
        "evaluation",
        "image-by-image",
        "one image at a time with k rows; constants cancelled; a running logaddexp",
        append="""
def iwae(model, x, k, generator=None):
    if k < 1:
        raise ValueError(f"need k >= 1, got k = {k}")
    bounds = []
    with evaluation_mode(model):
        eps = torch.randn(len(x), k, model.latent_dim, generator=generator, device=x.device, dtype=x.dtype)
        for image, noise in zip(x.split(1), eps):
            mu, logvar = model.encode(image)
            z = reparameterize(mu.expand(k, -1), logvar.expand(k, -1), eps=noise)
            recon = model.decode(z).double()
            nll = F.binary_cross_entropy(recon, image.double().expand_as(recon), reduction="none")
            log_px = -nll.flatten(1).sum(1, keepdim=True)
            bounds.append(iwae_bound(log_importance_weights(log_px, z[:, None].double(), mu.double(),
                                                            logvar.double())))
    return torch.cat(bounds).to(x.dtype)


def log_importance_weights(log_px_given_z, z, mu, logvar):
    z64, mu64, logvar64 = z.double(), mu.double(), logvar.double()
    eps = (z64 - mu64) * torch.exp(-0.5 * logvar64)
    ratio = 0.5 * torch.einsum("kbl->kb", eps**2 + logvar64 - z64**2)
    return (log_px_given_z.double() + ratio).to(log_px_given_z.dtype)


from functools import reduce


def iwae_bound(log_weights):
    total = reduce(torch.logaddexp, log_weights.double().unbind(0))
    return (total - math.log(log_weights.size(0))).to(log_weights.dtype)
""",
    ),
    alternative(
        "evaluation",
        "singular-values",
        "likelihood by singular values, distance by a nuclear norm, covariance by outer products",
        append="""
def ppca_log_likelihood(x, weight, mean, noise_var):
    noise = float(noise_var)
    if noise <= 0.0:
        raise ValueError(f"noise_var must be above 0 (is {noise})")
    U, S, _ = torch.linalg.svd(weight.double(), full_matrices=True)  # U: (D, D)
    variances = torch.full((U.shape[0],), noise, dtype=torch.float64, device=x.device)
    variances[: len(S)] += S.square()
    coordinates = (x.double() - mean.double()) @ U
    terms = coordinates.square() / variances + variances.log() + math.log(2 * math.pi)
    return terms.sum(dim=1).mul(-0.5).to(x)


def frechet_distance(mean1, cov1, mean2, cov2):
    def factor(cov):
        values, vectors = torch.linalg.eigh(cov.double())
        return vectors * values.clamp_min(0).sqrt()

    cross = torch.linalg.matrix_norm(factor(cov1).mT @ factor(cov2), ord="nuc")
    gap = (mean1.double() - mean2.double()).pow(2).sum()
    return (gap + torch.trace(cov1.double()) + torch.trace(cov2.double()) - 2 * cross).clamp(min=0).to(mean1.dtype)


def feature_statistics(features):
    N = len(features)
    if not N >= 2:
        raise ValueError(f"N < 2: features has {N} row(s)")
    shift = features[0].double()
    total = torch.zeros_like(shift)
    moments = torch.zeros(len(shift), len(shift), dtype=torch.float64, device=features.device)
    for chunk in features.double().split(256):
        centred = chunk - shift
        total = total + centred.sum(0)
        moments = moments + torch.einsum("nf,ng->fg", centred, centred)
    mean = total / N
    cov = (moments - N * torch.outer(mean, mean)) / (N - 1)
    return (mean + shift).to(features.dtype), cov.to(features.dtype)
""",
    ),
    alternative(
        "evaluation",
        "flags-restored",
        "the network's parameters are frozen for the call and get their former flags back",
        append="""
def perceptual_loss(feature_net, x_recon, x):
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} must have one shape")
    flags = [(p, p.requires_grad) for p in feature_net.parameters()]
    try:
        for p, _ in flags:
            p.requires_grad_(False)
        with torch.no_grad():
            target = feature_net(x.detach())
        difference = feature_net(x_recon) - target
    finally:
        for p, flag in flags:
            p.requires_grad_(flag)
    return difference.reshape(len(x), -1).pow(2).sum(dim=1).mean()


def active_units(mu, threshold=0.01):
    active = 0
    for column in mu.detach().double().T:
        deviation = column - column.mean()
        if (torch.dot(deviation, deviation) / max(len(column) - 1, 1)).item() > threshold:
            active += 1
    return active
""",
    ),
    alternative(
        "evaluation",
        "discriminant-and-tree",
        "Fisher's discriminant by hand; scipy's tree of neighbours",
        append="""
def linear_probe(train_codes, train_labels, test_codes):
    classes, targets, counts = torch.unique(train_labels, return_inverse=True, return_counts=True)
    x, q = train_codes.detach().double(), test_codes.detach().double()
    origin = x.mean(0)
    scale = x.std(0, correction=0).clamp(min=1e-12)
    x, q = (x - origin) / scale, (q - origin) / scale
    onehot = F.one_hot(targets).double()
    means = (onehot.T @ x) / counts[:, None]
    within = x - means[targets]
    pooled = within.T @ within / len(x) + 1e-4 * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    directions = torch.cholesky_solve(means.T, torch.linalg.cholesky(pooled))
    scores = q @ directions - 0.5 * (means.T * directions).sum(0) + (counts / counts.sum()).log()
    return classes[scores.max(1).indices]


import numpy as np
from scipy.spatial import cKDTree


def knn_predict(train_codes, train_labels, test_codes, k=5):
    n = len(train_codes)
    if not (0 < k <= n):
        raise ValueError(f"k has to be at least 1 and at most {n}, but k = {k}")
    tree = cKDTree(train_codes.detach().cpu().double().numpy())
    _, neighbours = tree.query(test_codes.detach().cpu().double().numpy(), k=list(range(1, k + 1)))
    votes = train_labels.cpu().numpy()[neighbours]
    result = np.empty(len(votes), dtype=np.int64)
    for i, row in enumerate(votes):
        labels, counts = np.unique(row, return_counts=True)
        result[i] = labels[np.argmax(counts)]
    return torch.from_numpy(result).to(train_labels.device)
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
