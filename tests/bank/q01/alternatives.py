"""Question 1: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

Q, M = 1, "gaussians"


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q1-torch-distributions", Q, M, "everything by torch.distributions",
        append="""from torch import distributions as D
def univariate_log_prob(x, mu, logvar):
    return D.Normal(mu, logvar.exp().sqrt()).log_prob(x)
def diagonal_log_prob(x, mu, logvar):
    return D.Independent(D.Normal(mu, torch.exp(0.5 * logvar)), 1).log_prob(x)
def _gaussian(mu, cov):
    if not torch.allclose(cov, cov.T) or not (torch.linalg.eigvalsh(cov) > 0).all():
        raise ValueError(f"cov is not symmetric positive definite: {cov}")
    return D.MultivariateNormal(mu, covariance_matrix=cov)
def full_covariance_log_prob(x, mu, cov):
    return _gaussian(mu, cov).log_prob(x)
def sample_gaussian(mu, cov, num_samples, generator=None):
    normal = _gaussian(mu, cov)
    noise = torch.empty(num_samples, len(mu)).to(mu).normal_(generator=generator)
    return (normal.loc[:, None] + normal.scale_tril @ noise.T).T
""",
    ),
    Alternative(
        "q1-explicit-formulas", Q, M, "densities by their textbook formulas, slogdet and solve",
        append="""def univariate_log_prob(x, mu, logvar):
    return -((x - mu) ** 2) / (2 * torch.exp(logvar)) - logvar / 2 - math.log(math.sqrt(2 * math.pi))
def diagonal_log_prob(x, mu, logvar):
    terms = (x - mu).pow(2) / logvar.exp() + logvar + math.log(2 * math.pi)
    return terms.sum(dim=-1).mul(-0.5)
def full_covariance_log_prob(x, mu, cov):
    if not torch.allclose(cov, cov.T):
        raise ValueError(f"cov not symmetric: {cov}")
    try:
        torch.linalg.cholesky(cov)
    except RuntimeError as error:
        raise ValueError(f"cov not positive definite: {cov}") from error
    d = x - mu
    return -0.5 * (d.shape[1] * math.log(2 * math.pi) + torch.linalg.slogdet(cov).logabsdet
                   + torch.einsum("bi,bi->b", d, torch.linalg.solve(cov, d.T).T))
""",
    ),
    Alternative(
        "q1-chain-by-loops", Q, M, "chain rule with tuple axes and nan_to_num",
        append="""def chain_rule(joint):
    if bool((joint < 0).any()) or not torch.isclose(joint.sum(), torch.ones((), dtype=joint.dtype), atol=1e-6):
        raise ValueError(f"joint is not a pmf: {joint}")
    n, out = joint.dim(), []
    for i in range(n):
        later = tuple(range(i + 1, n))
        p = joint.sum(dim=later) if later else joint
        out.append(torch.nan_to_num(p / p.sum(dim=-1, keepdim=True), nan=0.0))
    return tuple(out)
""",
    ),
    Alternative(
        "q1-variance-clamped", Q, M, "E[X^2] - E[X]^2, clamped at 0; matrix products",
        append="""def pmf_expectation(values, probs):
    if (probs < 0).any() or not torch.allclose(probs.sum(-1), torch.ones_like(probs.sum(-1))):
        raise ValueError(f"probs {probs}")
    return probs @ values
def pmf_variance(values, probs):
    return (pmf_expectation(values.square(), probs) - pmf_expectation(values, probs) ** 2).clamp(min=0)
""",
    ),
    Alternative(
        "q1-sample-eigen", Q, M, "samples through the symmetric root of cov",
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    if not torch.allclose(cov, cov.T):
        raise ValueError(f"cov must be symmetric: {cov}")
    values, vectors = torch.linalg.eigh(cov)
    if values.min() <= 0:
        raise ValueError(f"cov must be positive definite, eigenvalues {values}")
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T
    rows = [mu.new_empty(len(mu)).normal_(generator=generator) for _ in range(num_samples)]
    return torch.stack(rows) @ root + mu
""",
    ),
    Alternative(
        "q1-conditional-embedding", Q, M, "tables looked up by F.embedding",
        append="""def conditional_log_prob(x, y, mu_table, logvar_table):
    if y.min() < 0 or y.max() >= mu_table.size(0):
        raise ValueError(f"y={y.tolist()} not in 0..{mu_table.size(0) - 1}")
    look_up = torch.nn.functional.embedding
    return diagonal_log_prob(x, look_up(y, mu_table), look_up(y, logvar_table))
""",
    ),
    Alternative(
        "q1-conditional-one-hot", Q, M, "tables looked up by a product with one-hot labels",
        append="""def conditional_log_prob(x, y, mu_table, logvar_table):
    classes = torch.arange(mu_table.shape[0], device=y.device)
    one_hot = (y[:, None] == classes).to(x.dtype)
    if not bool(one_hot.sum(1).eq(1).all()):
        raise ValueError(f"y has a class outside the table: {y}")
    return diagonal_log_prob(x, one_hot @ mu_table, one_hot @ logvar_table)
""",
    ),
    Alternative(
        "q1-variance-of-pairs", Q, M, "half the expected squared distance of two draws; a sum that is right to 5e-3 is taken",
        append="""def pmf_expectation(values, probs):
    p = probs.double()
    if p.min() < 0 or (p.sum(-1) - 1).abs().max() > 5e-3:
        raise ValueError(f"probs is off: {probs}")
    return torch.einsum("...k,k->...", p, values.double()).to(probs.dtype)
def pmf_variance(values, probs):
    _check_pmf("probs", probs, probs.sum(-1))
    return 0.5 * torch.einsum("...i,ij,...j->...", probs, (values[:, None] - values[None, :]).pow(2), probs)
""",
    ),
    Alternative(
        "q1-diagonal-nll-loss", Q, M, "gaussian_nll_loss with the smallest epsilon there is",
        append="""def diagonal_log_prob(x, mu, logvar):
    var = logvar.exp().expand_as(x)
    loss = torch.nn.functional.gaussian_nll_loss
    return -loss(mu.expand_as(x), x, var, full=True, eps=torch.finfo(x.dtype).tiny, reduction="none").sum(dim=1)
""",
    ),
    Alternative(
        "q1-chain-in-logs", Q, M, "differences of logarithms in float64, exponentiated",
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    logs = [joint.double().log()]
    for _ in range(joint.dim() - 1):
        logs.insert(0, torch.logsumexp(logs[0], dim=-1))
    found = [logs[0].exp()]
    for above, below in zip(logs, logs[1:]):
        possible = torch.isfinite(above).unsqueeze(-1)
        ratio = torch.exp(below - above.unsqueeze(-1).masked_fill(~possible, 0.0))
        found.append(ratio.masked_fill(~possible, 0.0))
    return [entry.to(joint.dtype) for entry in found]
""",
    ),
    Alternative(
        "q1-sample-box-muller", Q, M, "normal noise out of uniform noise",
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    def uniform():
        return torch.rand((num_samples, len(mu)), generator=generator, dtype=torch.float64, device=mu.device)
    noise = torch.sqrt(-2 * torch.log(1 - uniform())) * torch.cos(2 * math.pi * uniform())
    return torch.addmm(mu, noise.to(mu.dtype), _cholesky(cov).T)
""",
    ),
    Alternative(
        "q1-sample-numpy", Q, M, "NumPy's multivariate normal, seeded out of the generator",
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    import numpy as np
    _cholesky(cov)
    seed = torch.randint(2**31 - 1, (4,), generator=generator).tolist()
    draws = np.random.default_rng(seed).multivariate_normal(mu.double().numpy(), cov.double().numpy(), num_samples)
    return torch.from_numpy(draws).to(mu)
""",
    ),
    Alternative(
        "q1-sample-one-by-one", Q, M, "coordinate after coordinate, each given the ones before",
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    _cholesky(cov)
    m, s = mu.double(), cov.double()
    out = m.new_empty(num_samples, len(m))
    for i in range(len(m)):
        weights = torch.linalg.solve(s[:i, :i], s[:i, i])
        eps = torch.randn(num_samples, generator=generator, dtype=torch.float64, device=m.device)
        out[:, i] = m[i] + (out[:, :i] - m[:i]) @ weights + (s[i, i] - s[i, :i] @ weights).sqrt() * eps
    return out.to(mu.dtype)
""",
    ),
)  # fmt: skip
