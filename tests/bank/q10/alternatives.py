"""Bank of question 10: correct submissions of another kind."""

from __future__ import annotations

from .. import Alternative

MODULE = "vqvae"
NEAREST = "return (codes.square().sum(dim=1) - 2 * (vectors - centre) @ codes.T).argmin(dim=1)"


def alternative(id: str, story: str, edits: tuple[tuple[str, str], ...] = (), append: str = "") -> Alternative:
    """A correct vqvae.py."""
    return Alternative(f"q10.{id}", 10, MODULE, story, edits, append)


ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "embedding-and-cdist",
        "nn.Embedding behind a property, cdist, one-hot products, explicit squares",
        append="""
class VectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self.embedding = nn.Embedding(num_embeddings, embedding_dim)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.beta = commitment_cost

    @property
    def codebook(self):
        return self.embedding.weight

    def lookup(self, indices):
        return self.embedding(indices).movedim(-1, 1).contiguous()

    def forward(self, z_e):
        b, d, h, w = z_e.shape
        if d != self.embedding.embedding_dim:
            raise ValueError(f"z_e has {d} channels, expected {self.embedding.embedding_dim}")
        flat = z_e.movedim(1, -1).flatten(0, 2)
        nearest = torch.cdist(flat, self.embedding.weight).argmin(-1)
        hot = F.one_hot(nearest, self.embedding.num_embeddings).to(flat)
        q = (hot @ self.embedding.weight).reshape(b, h, w, d).movedim(-1, 1)
        loss = (q - z_e.detach()).pow(2).mean() + self.beta * (q.detach() - z_e).pow(2).mean()
        return (q - z_e).detach() + z_e, loss, nearest.reshape(b, h, w)
""",
    ),
    alternative(
        "custom-function",
        "the straight-through step as an autograd function; distances by a loop over codes",
        edits=(
            ("return z_e + (codes - z_e).detach()", "return _Through.apply(z_e, codes.detach())"),
            (NEAREST, "return torch.stack([(vectors - e).square().sum(1) for e in codebook], dim=1).argmin(dim=1)"),
        ),
        append="""
class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z_e, codes):
        return codes.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None
""",
    ),
    alternative(
        "averages-by-scatter",
        "EMA with scatter_add, sums transposed, plain epsilon",
        append="""
class EMAVectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-5):
        super().__init__()
        self.k, self.d, self.beta, self.gamma, self.eps = num_embeddings, embedding_dim, commitment_cost, decay, epsilon
        start = torch.empty(num_embeddings, embedding_dim).uniform_(-0.1, 0.1)
        self.register_buffer("codebook", start)
        self.register_buffer("cluster_size", torch.ones(num_embeddings))
        self.register_buffer("embed_sum", start.t().clone())

    def lookup(self, indices):
        return self.codebook[indices].permute(0, 3, 1, 2)

    def forward(self, z_e):
        if z_e.shape[1] != self.d:
            raise ValueError(f"z_e: {z_e.shape[1]} channels instead of {self.d}")
        rows = z_e.detach().permute(0, 2, 3, 1).reshape(-1, self.d)
        which = ((rows[:, None] - self.codebook[None]) ** 2).sum(-1).min(dim=1)[1]
        indices = which.view(z_e.shape[0], *z_e.shape[2:])
        q = self.lookup(indices)
        if self.training:
            with torch.no_grad():
                n = torch.zeros_like(self.cluster_size).scatter_add_(0, which, torch.ones_like(rows[:, 0]))
                s = torch.zeros_like(self.codebook).index_add_(0, which, rows)
                self.cluster_size = self.cluster_size * self.gamma + n * (1 - self.gamma)
                self.embed_sum = self.embed_sum * self.gamma + s.t() * (1 - self.gamma)
                self.codebook = (self.embed_sum / (self.cluster_size + self.eps)).t().contiguous()
        return z_e + (q - z_e).detach(), self.beta * torch.mean((q.detach() - z_e) ** 2), indices


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    rows = z_e.detach().permute(0, 2, 3, 1).reshape(-1, z_e.shape[1])
    dead = [k for k, n in enumerate(usage.tolist()) if n < min_usage]
    picks = torch.randperm(len(rows), generator=generator).tolist()
    while len(picks) < len(dead):
        picks += picks
    with torch.no_grad():
        for k, p in zip(dead, picks):
            quantizer.codebook.data[k] = rows[p]
            if hasattr(quantizer, "cluster_size"):
                quantizer.cluster_size[k] = 1
                quantizer.embed_sum[:, k] = rows[p]
    return len(dead)
""",
    ),
    alternative(
        "usage-by-one-hot",
        "counts by one-hot and unique, perplexity by Categorical and a clamp",
        append="""
def code_usage(indices, num_embeddings):
    if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= num_embeddings):
        raise ValueError(f"indices: {int(indices.min())}...{int(indices.max())} does not fit {num_embeddings} codes")
    return F.one_hot(indices.reshape(-1), num_embeddings).sum(0)


def perplexity(indices, num_embeddings):
    p = code_usage(indices, num_embeddings).float()
    return torch.distributions.Categorical(probs=p / p.sum()).entropy().exp().clamp(1, num_embeddings)


def vqvae_loss(x_recon, x, vq_loss):
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ")
    return vq_loss + ((x_recon - x) ** 2).sum() / x.numel()
""",
    ),
    alternative(
        "perplexity-epsilon",
        "an epsilon in the logarithm instead of 0 log 0 = 0",
        edits=(("torch.special.entr(share).sum()", "-(share * torch.log(share + 1e-10)).sum()"),),
    ),
    alternative(
        "other-network",
        "batch normalisation, residual block, nearest upsampling, and names of their own",
        append="""
class VQVAE(nn.Module):
    def __init__(self, num_embeddings=128, embedding_dim=16, commitment_cost=0.25, ema=False):
        super().__init__()
        if ema:
            self.quantizer = EMAVectorQuantizer(num_embeddings, embedding_dim, commitment_cost=commitment_cost)
        else:
            self.quantizer = VectorQuantizer(num_embeddings, embedding_dim, commitment_cost=commitment_cost)
        self.c1 = nn.Conv2d(1, 24, 3, padding=1)
        self.n1 = nn.BatchNorm2d(24)
        self.c2 = nn.Conv2d(24, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 32, 3, padding=1)
        self.c4 = nn.Conv2d(32, embedding_dim, 3, padding=1)
        self.d1 = nn.Conv2d(embedding_dim, 32, 3, padding=1)
        self.d2 = nn.Conv2d(32, 24, 3, padding=1)
        self.d3 = nn.Conv2d(24, 1, 3, padding=1)

    def encode(self, x):
        h = F.max_pool2d(F.gelu(self.n1(self.c1(x))), 2)
        h = F.max_pool2d(F.gelu(self.c2(h)), 2)
        return self.c4(h + F.gelu(self.c3(h)))

    def decode(self, z_q):
        h = F.interpolate(F.gelu(self.d1(z_q)), scale_factor=2)
        h = F.interpolate(F.gelu(self.d2(h)), scale_factor=2)
        return torch.clamp(0.5 + 0.5 * torch.tanh(self.d3(h)), 0, 1)

    def decode_indices(self, indices):
        return self.decode(self.quantizer.lookup(indices))

    def forward(self, x):
        z_q, loss, indices = self.quantizer(self.encode(x))
        return self.decode(z_q), loss, indices
""",
    ),
    alternative(
        "averages-by-subclass",
        "the EMA quantizer derives from the other one; losses before and after one another",
        append="""
class VectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self.cost = commitment_cost
        self.codebook = nn.Parameter(torch.randn(num_embeddings, embedding_dim) * 0.05)

    def find(self, z_e):
        k, d = self.codebook.shape
        if z_e.ndim != 4 or z_e.size(1) != d:
            raise ValueError(f"bad z_e {tuple(z_e.shape)}: needs {d} channels")
        flat = torch.einsum("bdhw->bhwd", z_e).reshape(-1, d)
        e = self.codebook
        distance = (flat ** 2).sum(1, keepdim=True) + (e ** 2).sum(1) - 2 * flat @ e.t()
        return flat, torch.argmin(distance, dim=1)

    def lookup(self, indices):
        return torch.einsum("bhwd->bdhw", self.codebook[indices])

    def forward(self, z_e):
        _, nearest = self.find(z_e)
        indices = nearest.reshape(z_e.size(0), z_e.size(2), z_e.size(3))
        codes = self.lookup(indices)
        commitment = F.mse_loss(codes.detach(), z_e)
        loss = self.cost * commitment
        if self.codebook.requires_grad:
            loss = loss + F.mse_loss(z_e.detach(), codes)
        return z_e - (z_e - codes).detach(), loss, indices


class EMAVectorQuantizer(VectorQuantizer):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-5):
        super().__init__(num_embeddings, embedding_dim, commitment_cost)
        start = self.codebook.detach().clone()
        del self.codebook
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("codebook", start)
        self.register_buffer("n", torch.ones(num_embeddings))
        self.register_buffer("m", start.clone())

    def forward(self, z_e):
        result = super().forward(z_e)
        if self.training:
            flat, nearest = self.find(z_e.detach())
            hot = torch.zeros(len(flat), len(self.n)).to(flat).scatter_(1, nearest[:, None], 1.0)
            self.n.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
            self.m.mul_(self.decay).add_(hot.t() @ flat, alpha=1 - self.decay)
            self.codebook = self.m / torch.clamp(self.n, min=self.epsilon)[:, None]
        return result


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    flat = torch.einsum("bdhw->bhwd", z_e).reshape(-1, z_e.size(1)).detach()
    mask = usage < min_usage
    n = int(mask.sum())
    shares = torch.ones(len(flat), dtype=torch.double)
    if n:
        picks = torch.multinomial(shares, n, replacement=n > len(flat), generator=generator)
        quantizer.codebook.data[mask] = flat[picks]
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.n[mask] = 1.0
            quantizer.m[mask] = flat[picks]
    return n
""",
    ),
    alternative(
        "last-of-equals",
        "explicit differences in float64, the last of equally near codes; perplexity as a product, no shares",
        append="""
class VectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self.K, self.D = num_embeddings, embedding_dim
        self.register_buffer("beta", torch.tensor(float(commitment_cost)), persistent=False)
        self.codebook = nn.Parameter(torch.empty(num_embeddings, embedding_dim))
        nn.init.orthogonal_(self.codebook, gain=0.1)

    @torch.no_grad()
    def _assign(self, rows):
        book = self.codebook.double()
        parts = []
        for chunk in rows.double().split(64):
            squared = (chunk[:, None, :] - book[None]).pow(2).sum(-1)
            parts.append(self.K - 1 - squared.flip(1).argmin(1))
        return torch.cat(parts)

    def forward(self, z_e):
        if z_e.size(1) != self.D:
            raise ValueError("z_e: expected %d channels, got shape %s" % (self.D, tuple(z_e.shape)))
        B, _, H, W = z_e.shape
        rows = z_e.permute(0, 2, 3, 1).contiguous().view(-1, self.D)
        indices = self._assign(rows).view(B, H, W)
        picked = self.codebook.index_select(0, indices.view(-1))
        error_codes = ((picked - rows.detach()) ** 2).sum() / rows.numel()
        error_encoder = ((picked.detach() - rows) ** 2).sum() / rows.numel()
        z_q = rows + (picked - rows).detach()
        z_q = z_q.view(B, H, W, self.D).permute(0, 3, 1, 2)
        return z_q, error_codes + self.beta * error_encoder, indices

    def lookup(self, indices):
        return torch.stack([self.codebook[grid].permute(2, 0, 1) for grid in indices])


import math


def perplexity(indices, num_embeddings):
    used = code_usage(indices, num_embeddings)
    used = used[used > 0].to(torch.float64)
    if len(used) == 0:
        raise ValueError(f"indices of shape {tuple(indices.shape)} hold no index")
    total = used.sum()
    nats = total.log() - torch.dot(used, used.log()) / total
    return nats.clamp(0.0, math.log(num_embeddings)).exp().clamp(max=num_embeddings).float()


from collections import Counter


def code_usage(indices, num_embeddings):
    counter = Counter(indices.reshape(-1).tolist())
    for index in counter:
        if index not in range(num_embeddings):
            raise ValueError("indices contains %d, which is not in 0...%d" % (index, num_embeddings - 1))
    return torch.tensor([counter[k] for k in range(num_embeddings)], dtype=torch.int64, device=indices.device)
""",
    ),
    alternative(
        "nearest-by-tree",
        "scipy's tree of neighbours; the parameter lies in a ParameterDict",
        append="""
from scipy.spatial import cKDTree


class VectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self.commitment_cost = commitment_cost
        self.tables = nn.ParameterDict({"codes": nn.init.xavier_uniform_(torch.empty(num_embeddings, embedding_dim))})

    @property
    def codebook(self):
        return self.tables["codes"]

    def forward(self, z_e):
        dim = self.codebook.shape[1]
        if z_e.shape[1] != dim:
            raise ValueError(f"z_e must have {dim} channels, not {z_e.shape[1]}")
        rows = z_e.detach().permute(0, 2, 3, 1).cpu().double().numpy()
        _, found = cKDTree(self.codebook.detach().cpu().double().numpy()).query(rows)
        indices = torch.as_tensor(found, dtype=torch.long, device=z_e.device)
        codes = self.lookup(indices)
        mse = nn.MSELoss()
        loss = mse(codes, z_e.detach()) + self.commitment_cost * mse(z_e, codes.detach())
        return z_e + (codes - z_e).detach(), loss, indices

    def lookup(self, indices):
        return self.codebook[indices].permute(0, 3, 1, 2)


import numpy as np
from scipy.stats import entropy as scipy_entropy


def perplexity(indices, num_embeddings):
    if not indices.numel():
        raise ValueError(f"perplexity needs at least one index, got indices of shape {tuple(indices.shape)}")
    counts = code_usage(indices, num_embeddings).cpu().numpy()
    value = min(max(2.0 ** float(scipy_entropy(counts, base=2)), 1.0), float(num_embeddings))
    return torch.tensor(np.float32(value), device=indices.device)
""",
    ),
    alternative(
        "averages-in-one-buffer",
        "counts and sums are the columns of one buffer; orthogonal codes at the start",
        append="""
class EMAVectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-05):
        super().__init__()
        self.commitment_cost, self.decay, self.epsilon = commitment_cost, decay, epsilon
        start = nn.init.orthogonal_(torch.empty(num_embeddings, embedding_dim))
        self.register_buffer("codebook", start)
        self.register_buffer("statistics", torch.cat([start, torch.ones(num_embeddings, 1)], dim=1))

    def forward(self, z_e):
        K, D = self.codebook.shape
        if z_e.shape[1] != D:
            raise ValueError(f"z_e with {z_e.shape[1]} channels does not fit codes of {D} dimensions")
        with torch.no_grad():
            rows = z_e.permute(0, 2, 3, 1).flatten(0, 2)
            nearest = (rows[:, None] - self.codebook).square().sum(-1).argmin(-1)
        indices = nearest.unflatten(0, (z_e.shape[0], z_e.shape[2], z_e.shape[3]))
        codes = self.lookup(indices)
        if self.training:
            with torch.no_grad():
                batch = torch.zeros_like(self.statistics)
                batch.index_add_(0, nearest, torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1))
                self.statistics.mul_(self.decay).add_(batch, alpha=1 - self.decay)
                sums, counts = self.statistics[:, :-1], self.statistics[:, -1:]
                total = counts.sum()
                counts = (counts + self.epsilon) / (total + K * self.epsilon) * total
                torch.div(sums, counts, out=self.codebook)
        loss = self.commitment_cost * F.mse_loss(z_e, codes)
        return z_e + (codes - z_e).detach(), loss, indices

    def lookup(self, indices):
        return self.codebook[indices].permute(0, 3, 1, 2)

    @torch.no_grad()
    def restart(self, dead, fresh):
        self.codebook[dead] = fresh
        self.statistics[dead] = torch.cat([fresh, torch.ones_like(fresh[:, :1])], dim=1)


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    K, D = quantizer.codebook.shape
    if usage.shape != torch.Size([K]):
        raise ValueError(f"usage must be ({K},), is {tuple(usage.shape)}")
    vectors = pixel_vectors(z_e.detach(), D).unique(dim=0)
    dead = torch.nonzero(usage < min_usage).squeeze(1).to(z_e.device)
    count = len(dead)
    if count == 0:
        return 0
    equal = torch.ones(len(vectors), device=z_e.device)
    if count <= len(vectors):
        drawn = torch.multinomial(equal, count, replacement=False, generator=generator)
    else:  # every vector once, what is left with replacement
        drawn = torch.cat([torch.arange(len(vectors), device=z_e.device),
                           torch.multinomial(equal, count - len(vectors), replacement=True, generator=generator)])
    if isinstance(quantizer, EMAVectorQuantizer):
        quantizer.restart(dead, vectors[drawn])
    else:
        quantizer.codebook.data.index_copy_(0, dead, vectors[drawn])
    return count
""",
    ),
    alternative(
        "averages-in-float64",
        "an heir of the other quantizer; running values in float64, by a loop over the codes that occur",
        append="""
class EMAVectorQuantizer(VectorQuantizer):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-05):
        super().__init__(num_embeddings, embedding_dim, commitment_cost)
        start = self.codebook.detach().clone()
        del self.codebook
        self.register_buffer("codebook", start)
        self.register_buffer("counts", torch.ones(num_embeddings, dtype=torch.float64))
        self.register_buffer("sums", start.double().clone())
        self.decay = decay
        self.epsilon = epsilon

    def forward(self, z_e):
        _, _, indices = super().forward(z_e.detach())
        codes = self.lookup(indices)
        if self.training:
            self.follow(z_e.detach(), indices)
        return straight_through(z_e, codes), self.commitment_cost * (z_e - codes).square().mean(), indices

    @torch.no_grad()
    def follow(self, z_e, indices):
        vectors = z_e.movedim(1, -1)
        self.counts *= self.decay
        self.sums *= self.decay
        for k in indices.unique().tolist():
            mine = vectors[indices == k].double()
            self.counts[k] += (1 - self.decay) * len(mine)
            self.sums[k] += (1 - self.decay) * mine.sum(dim=0)
        N = self.counts.sum()
        smooth = (self.counts + self.epsilon) / (N + len(self.counts) * self.epsilon) * N
        self.codebook.copy_(self.sums / smooth[:, None])


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    K, D = quantizer.codebook.shape
    if list(usage.shape) != [K]:
        raise ValueError(f"usage: expected shape {[K]}, got {list(usage.shape)}")
    rows = pixel_vectors(z_e.detach(), D)
    shuffled = rows[torch.randperm(len(rows), generator=generator, device=rows.device)]
    distinct, repeated, seen = [], [], set()
    for i, row in enumerate(shuffled.tolist()):  # first come, first served; equal vectors wait at the end
        (repeated if tuple(row) in seen else distinct).append(i)
        seen.add(tuple(row))
    queue = distinct + repeated
    dead = [k for k, n in enumerate(usage.tolist()) if n < min_usage]
    with torch.no_grad():
        for j, k in enumerate(dead):
            vector = shuffled[queue[j % len(queue)]]
            quantizer.codebook[k].copy_(vector)
            if isinstance(quantizer, EMAVectorQuantizer):
                quantizer.counts[k] = 1.0
                quantizer.sums[k] = vector.to(quantizer.sums)
    return len(dead)
""",
    ),
    alternative(
        "averages-as-means",
        "keeps counts and running means in place of sums",
        append="""
class EMAVectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-05):
        super().__init__()
        self.num_embeddings = num_embeddings
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon
        codebook = torch.randn(num_embeddings, embedding_dim) / embedding_dim
        self.register_buffer("codebook", codebook)
        self.register_buffer("N", torch.ones(num_embeddings))
        self.register_buffer("means", codebook.clone())

    def forward(self, z_e):
        vectors = pixel_vectors(z_e, self.codebook.shape[1]).detach()
        flat = nearest_codes(vectors, self.codebook)
        indices = flat.reshape(len(z_e), *z_e.shape[2:])
        codes = self.lookup(indices).clone()
        if self.training:
            with torch.no_grad():
                new_counts = torch.bincount(flat, minlength=self.num_embeddings).to(vectors) * (1 - self.decay)
                new_sums = torch.zeros_like(self.means).scatter_add_(0, flat[:, None].expand_as(vectors), vectors)
                old_counts = self.N * self.decay
                counts = old_counts + new_counts
                sums = old_counts[:, None] * self.means + (1 - self.decay) * new_sums
                alive = counts > 0  # after thousands of steps without a vector the count underflows
                self.means[alive] = sums[alive] / counts[alive, None]
                self.N.copy_(counts)
                total = counts.sum()
                smoothed = (counts + self.epsilon) / (total + self.num_embeddings * self.epsilon) * total
                self.codebook.copy_(self.means * (counts / smoothed)[:, None])
        return straight_through(z_e, codes), F.mse_loss(z_e, codes.detach()).mul(self.commitment_cost), indices

    def lookup(self, indices):
        return torch.einsum("bhwd->bdhw", self.codebook[indices])


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    num, dim = quantizer.codebook.shape
    if usage.dim() != 1 or len(usage) != num:
        raise ValueError(f"usage must hold {num} counts, got shape {tuple(usage.shape)}")
    options = pixel_vectors(z_e.detach(), dim).unique(dim=0)
    is_dead = (usage < min_usage).to(z_e.device)
    n_dead = int(is_dead.sum())
    rounds = -(-n_dead // len(options))
    # one fresh shuffle for each time that all vectors are used up
    order = [torch.randperm(len(options), generator=generator, device=z_e.device) for _ in range(rounds)]
    if n_dead:
        table = torch.zeros_like(quantizer.codebook.detach())
        table[is_dead] = options[torch.cat(order)[:n_dead]]
        keep = ~is_dead[:, None]
        quantizer.codebook.data.copy_(torch.where(keep, quantizer.codebook.detach(), table))
        if hasattr(quantizer, "means"):
            quantizer.means.copy_(torch.where(keep, quantizer.means, table))
            quantizer.N.masked_fill_(is_dead, 1.0)
    return n_dead
""",
    ),
    alternative(
        "restart-by-frequency",
        "different vectors, each as likely as there are pixels that have it, by an exponential race",
        append="""
def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    codebook = quantizer.codebook
    if usage.shape != codebook.shape[:1]:
        raise ValueError(f"usage {tuple(usage.shape)} does not match the codebook {tuple(codebook.shape)}")
    vectors, counts = torch.unique(pixel_vectors(z_e.detach(), codebook.shape[1]), dim=0, return_counts=True)
    dead = torch.argwhere(usage < min_usage).flatten().to(codebook.device)
    race = torch.empty(len(vectors), device=vectors.device, dtype=torch.float64)
    arrival = race.exponential_(generator=generator) / counts
    order = arrival.argsort()
    order = order.repeat(len(dead) // len(order) + 1)[: len(dead)]
    fresh = vectors[order].to(codebook)
    with torch.no_grad():
        codebook.index_copy_(0, dead, fresh)
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.counts.index_fill_(0, dead, 1.0)
            quantizer.sums.index_copy_(0, dead, fresh)
    return int(dead.numel())
""",
    ),
    alternative(
        "tied-network",
        "lazy layers made by a dry run; the decoder uses the encoder's kernels, transposed",
        append="""
class VQVAE(nn.Module):
    def __init__(self, num_embeddings=128, embedding_dim=16, commitment_cost=0.25, ema=False):
        super().__init__()
        self.c1 = nn.LazyConv2d(12, 4, stride=2, padding=1)
        self.c2 = nn.LazyConv2d(24, 4, stride=2, padding=1)
        self.c3 = nn.LazyConv2d(embedding_dim, 1)
        self.b3 = nn.Parameter(torch.zeros(24))
        self.b2 = nn.Parameter(torch.zeros(12))
        self.b1 = nn.Parameter(torch.full((1,), -1.0))
        self.gain = nn.Parameter(torch.ones(3))
        self.quantizer = (EMAVectorQuantizer if ema else VectorQuantizer)(num_embeddings, embedding_dim,
                                                                           commitment_cost)
        with torch.no_grad():
            self.encode(torch.zeros(1, 1, 28, 28))

    def encode(self, x):
        return self.c3(F.elu(self.c2(F.elu(self.c1(x)))))

    def decode(self, z_q):
        h = F.elu(F.conv_transpose2d(z_q, self.c3.weight * self.gain[0], self.b3))
        h = F.elu(F.conv_transpose2d(h, self.c2.weight * self.gain[1], self.b2, stride=2, padding=1))
        return F.conv_transpose2d(h, self.c1.weight * self.gain[2], self.b1, stride=2, padding=1).sigmoid()

    def decode_indices(self, indices):
        return self.decode(self.quantizer.lookup(indices))

    def forward(self, x):
        z_e = self.encode(x)
        z_q, vq_loss, indices = self.quantizer(z_e)
        return self.decode(z_q), vq_loss, indices


def vqvae_loss(x_recon, x, vq_loss):
    if x_recon.size() != x.size():
        raise ValueError(f"shapes of x_recon {list(x_recon.shape)} and x {list(x.shape)} differ")
    delta = torch.flatten(x - x_recon)
    terms = [torch.dot(delta, delta) / delta.numel(), torch.as_tensor(vq_loss).to(delta)]
    return torch.stack(terms).sum()
""",
    ),
    alternative(
        "codes-in-columns",
        "both codebooks lie as (D, K) and are shown transposed; sums and counts in columns as well",
        append="""
class VectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self.commitment_cost = commitment_cost
        self.embed = nn.Parameter(0.05 * torch.randn(embedding_dim, num_embeddings))

    @property
    def codebook(self):
        return self.embed.t()

    def lookup(self, indices):
        return F.embedding(indices, self.embed.t()).permute(0, 3, 1, 2)

    def forward(self, z_e):
        dim, count = self.embed.shape
        if z_e.shape[1] != dim:
            raise ValueError(f"z_e has {z_e.shape[1]} channels and should have {dim}")
        rows = z_e.permute(0, 2, 3, 1).reshape(-1, dim)
        apart = rows.pow(2).sum(1, keepdim=True) - 2 * rows @ self.embed + self.embed.pow(2).sum(0, keepdim=True)
        indices = apart.argmin(1).view(z_e.shape[0], *z_e.shape[2:])
        z_q = self.lookup(indices)
        loss = (z_q - z_e.detach()).pow(2).mean() + self.commitment_cost * (z_q.detach() - z_e).pow(2).mean()
        return z_e + (z_q - z_e).detach(), loss, indices


class EMAVectorQuantizer(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25, decay=0.99, epsilon=1e-5):
        super().__init__()
        self.commitment_cost, self.decay, self.eps = commitment_cost, decay, epsilon
        embed = 0.05 * torch.randn(embedding_dim, num_embeddings)
        self.register_buffer("embed", embed)
        self.register_buffer("cluster_size", torch.ones(num_embeddings))
        self.register_buffer("embed_avg", embed.clone())

    @property
    def codebook(self):
        return self.embed.t()

    def lookup(self, indices):
        return F.embedding(indices, self.embed.t()).permute(0, 3, 1, 2)

    def forward(self, z_e):
        dim, count = self.embed.shape
        if z_e.shape[1] != dim:
            raise ValueError(f"z_e has {z_e.shape[1]} channels and should have {dim}")
        rows = z_e.detach().permute(0, 2, 3, 1).reshape(-1, dim)
        apart = rows.pow(2).sum(1, keepdim=True) - 2 * rows @ self.embed + self.embed.pow(2).sum(0, keepdim=True)
        flat = apart.argmin(1)
        indices = flat.view(z_e.shape[0], *z_e.shape[2:])
        z_q = self.lookup(indices)
        if self.training:
            onehot = F.one_hot(flat, count).type(rows.dtype)
            self.cluster_size.data.mul_(self.decay).add_(onehot.sum(0), alpha=1 - self.decay)
            self.embed_avg.data.mul_(self.decay).add_(rows.t() @ onehot, alpha=1 - self.decay)
            n = self.cluster_size.sum()
            size = (self.cluster_size + self.eps) / (n + count * self.eps) * n
            self.embed.data.copy_(self.embed_avg / size.unsqueeze(0))
        return z_e + (z_q - z_e).detach(), self.commitment_cost * (z_q.detach() - z_e).pow(2).mean(), indices


def restart_dead_codes(quantizer, z_e, usage, min_usage=1, generator=None):
    rows = z_e.detach().permute(0, 2, 3, 1).reshape(-1, z_e.shape[1]).unique(dim=0)
    dead = (usage < min_usage).nonzero().squeeze(1).to(z_e.device)
    order = torch.randperm(len(rows), generator=generator, device=z_e.device)
    order = order.repeat(len(dead) // len(rows) + 1)[: len(dead)]
    quantizer.embed.data[:, dead] = rows[order].t()
    if isinstance(quantizer, EMAVectorQuantizer):
        quantizer.cluster_size[dead] = 1.0
        quantizer.embed_avg[:, dead] = rows[order].t()
    return int(dead.numel())
""",
    ),
)
