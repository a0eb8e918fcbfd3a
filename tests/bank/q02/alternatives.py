"""Question 2: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

Q, M = 2, "gaussians"


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q2-torch-distributions", Q, M, "torch.distributions throughout",
        append="""from torch import distributions as D
def kl_divergence(mu, logvar):
    q = D.Normal(mu, torch.exp(0.5 * logvar))
    return D.kl_divergence(q, D.Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(dim=-1)
def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    return D.kl_divergence(D.Normal(mu_p, logvar_p.exp().sqrt()), D.Normal(mu_q, logvar_q.exp().sqrt()))
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    p, q = D.Normal(mu_p, logvar_p.exp().sqrt()), D.Normal(mu_q, logvar_q.exp().sqrt())
    return D.kl_divergence(D.Independent(p, 1), D.Independent(q, 1))
def kl_full_covariance(mu, cov):
    if not torch.allclose(cov, cov.T):
        raise ValueError(f"cov is not symmetric: {cov}")
    p = D.MultivariateNormal(mu, covariance_matrix=cov, validate_args=True)
    return D.kl_divergence(p, D.MultivariateNormal(torch.zeros_like(mu), torch.eye(len(mu)).to(mu)))
""",
    ),
    Alternative(
        "q2-textbook", Q, M, "the textbook formulas, term by term",
        append="""def kl_divergence(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1)
def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    return 0.5 * (logvar_q - logvar_p) + (logvar_p.exp() + (mu_p - mu_q) ** 2) / (2 * logvar_q.exp()) - 0.5
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    terms = logvar_q - logvar_p - 1 + (logvar_p - logvar_q).exp() + (mu_q - mu_p).pow(2) * torch.exp(-logvar_q)
    return terms.sum(dim=1) / 2
def kl_full_covariance(mu, cov):
    eigenvalues = torch.linalg.eigvalsh(cov)
    if not torch.equal(cov, cov.T) or eigenvalues.min() <= 0:
        raise ValueError(f"cov must be symmetric positive definite: {cov}")
    return 0.5 * (eigenvalues - 1 - eigenvalues.log()).sum() + 0.5 * mu.square().sum()
""",
    ),
    Alternative(
        "q2-sigma-based", Q, M, "works with sigma, a loop over dimensions and einsum",
        append="""def kl_divergence(mu, logvar):
    sigma = torch.sqrt(torch.exp(logvar))
    total = torch.zeros_like(mu[:, 0])
    for j in range(mu.shape[1]):
        total = total + (mu[:, j] ** 2 + sigma[:, j] ** 2 - 1) / 2 - torch.log(sigma[:, j])
    return total
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    d = mu_p - mu_q
    return 0.5 * (torch.einsum("bd,bd,bd->b", d, d, (-logvar_q).exp()) + (logvar_p - logvar_q).exp().sum(1)
                  - d.shape[1] + logvar_q.sum(1) - logvar_p.sum(1))
""",
    ),
    Alternative(
        "q2-slogdet", Q, M, "slogdet, and Cholesky only as the test",
        append="""def kl_full_covariance(mu, cov):
    if (cov - cov.transpose(0, 1)).abs().max() > 1e-6:
        raise ValueError(f"asymmetric cov {cov}")
    try:
        torch.linalg.cholesky(cov)
    except torch.linalg.LinAlgError:
        raise ValueError(f"cov is not positive definite: {cov}") from None
    return (torch.diagonal(cov).sum() + torch.dot(mu, mu) - mu.numel() - torch.linalg.slogdet(cov).logabsdet) / 2
""",
    ),
    Alternative(
        "q2-through-full", Q, M, "the univariate divergence through log densities at their expectation",
        append="""def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    entropy = 0.5 * (1 + math.log(2 * math.pi) + logvar_p)
    cross = 0.5 * (math.log(2 * math.pi) + logvar_q + (logvar_p - logvar_q).exp()
                   + (mu_p - mu_q) ** 2 / logvar_q.exp())
    return cross - entropy
""",
    ),
    Alternative(
        "q2-sylvester", Q, M, "positive definite by its leading minors; cross-entropy minus entropy",
        append="""def kl_full_covariance(mu, cov):
    c = cov.double()
    if (c - c.T).abs().max() > 1e-4 * c.abs().max() or not bool((c.diagonal() > 0).all()):
        raise ValueError(f"cov is no covariance: {cov}")
    c = c / torch.sqrt(c.diagonal()[:, None] * c.diagonal()[None, :])
    minors = [torch.linalg.slogdet(c[:i, :i]) for i in range(1, len(c) + 1)]
    steps = torch.stack([minor.logabsdet for minor in minors]).diff()
    if any(minor.sign <= 0 for minor in minors) or bool((steps < math.log(1e-14)).any()):
        raise ValueError(f"cov is not positive definite: {cov}")
    cross = torch.einsum("ii->", cov) + (mu**2).sum() + len(mu) * _LOG_2PI
    return (cross - len(mu) * (_LOG_2PI + 1) - torch.linalg.slogdet(cov).logabsdet) / 2
""",
    ),
)  # fmt: skip
