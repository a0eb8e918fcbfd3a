"""Bank of question 10: correct submissions, running averages kept in other ways."""

from __future__ import annotations

from .. import Alternative
from .writing import alternative

ALTERNATIVES: tuple[Alternative, ...] = (
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
)
