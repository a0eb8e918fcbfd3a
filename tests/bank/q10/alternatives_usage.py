"""Bank of question 10: correct submissions, usage, restarts and networks of another kind."""

from __future__ import annotations

from .. import Alternative
from .writing import alternative

ALTERNATIVES: tuple[Alternative, ...] = (
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
)
