"""Bank of question 10: correct submissions, quantizers of another kind."""

from __future__ import annotations

from .. import Alternative
from .writing import NEAREST, alternative

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
