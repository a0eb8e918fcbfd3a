"""Bank of the bonus: correct submissions of another kind: bounds and measures."""

from __future__ import annotations

from .. import Alternative
from .writing import alternative

ALTERNATIVES: tuple[Alternative, ...] = (
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
)
