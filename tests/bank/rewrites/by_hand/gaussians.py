"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians. All in nats."""

from __future__ import annotations

import math
from functools import lru_cache, reduce

import torch
from torch import Tensor


@lru_cache(maxsize=None)
def _log_two_pi() -> float:
    return math.log(2.0 * math.pi)


def _widen(*tensors: Tensor) -> tuple[list[Tensor], torch.dtype]:
    """The tensors in double precision, and the type that the answer goes back to."""
    narrow = reduce(torch.promote_types, (t.dtype for t in tensors))
    if not narrow.is_floating_point:
        narrow = torch.get_default_dtype()
    return [t.to(torch.float64) for t in tensors], narrow


def _require_pmf(name: str, p: Tensor, dims: tuple[int, ...]) -> None:
    """Every entry non-negative, and every sum over `dims` equal to 1 up to rounding."""
    wide = p.detach().to(torch.float64)
    if bool((wide < 0).any()):
        raise ValueError(f"{name} has a negative entry, {float(wide.min())}")
    total = wide.sum(dim=dims) if dims else wide
    slack = 1e-6 if p.dtype == torch.float64 else 1e-4
    wrong = ~((total - 1.0).abs() <= slack)
    if bool(wrong.any()):
        raise ValueError(f"{name} does not sum to 1 but to {float(total[wrong].flatten()[0])}")


def _lower_root(cov: Tensor, narrow: torch.dtype) -> Tensor:
    """Lower triangular A with A A^T = cov, `cov` in double precision but known to the accuracy of `narrow`.

    Judged on the matrix of correlations, so that the units of the variables do not matter.
    """
    if cov.dim() != 2 or cov.shape[0] != cov.shape[1]:
        raise ValueError(f"cov must be a square matrix, got shape {tuple(cov.shape)}")
    fixed = cov.detach()

    def complaint() -> ValueError:
        return ValueError(f"cov is not symmetric positive definite: {fixed}")

    variances = fixed.diagonal()
    if not bool(torch.isfinite(fixed).all()) or not bool((variances > 0).all()):
        raise complaint()
    deviations = variances.sqrt()
    correlations = fixed / deviations[:, None] / deviations[None, :]
    eps = torch.finfo(narrow).eps
    if bool(((correlations - correlations.T).abs() > max(100 * eps, 1e-8)).any()):
        raise complaint()
    spectrum = torch.linalg.eigvalsh((correlations + correlations.T) / 2)
    if spectrum.numel() and not bool(spectrum[0] > 2 * eps * spectrum[-1]):
        raise complaint()
    root, info = torch.linalg.cholesky_ex((cov + cov.T) / 2)
    if int(info) != 0:
        raise complaint()
    return root


def pmf_expectation(values: Tensor, probs: Tensor) -> Tensor:
    """E[X] = sum_k x_k p_k."""
    _require_pmf("probs", probs, (-1,))
    (v, p), narrow = _widen(values, probs)
    return (p * v).sum(dim=-1).to(narrow)


def pmf_variance(values: Tensor, probs: Tensor) -> Tensor:
    """E[(X - E X)^2]."""
    _require_pmf("probs", probs, (-1,))
    (v, p), narrow = _widen(values, probs)
    centre = (p * v).sum(dim=-1, keepdim=True)
    return (p * (v - centre) ** 2).sum(dim=-1).to(narrow)


def _log_normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    standardized = (x - mu) * torch.exp(-0.5 * logvar)
    return -0.5 * (_log_two_pi() + logvar + standardized * standardized)


def univariate_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Element by element."""
    wide, narrow = _widen(x, mu, logvar)
    return _log_normal(*wide).to(narrow)


def diagonal_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Summed over the last axis."""
    wide, narrow = _widen(x, mu, logvar)
    return _log_normal(*wide).sum(dim=-1).to(narrow)


def full_covariance_log_prob(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """By forward substitution in the Cholesky factor."""
    (xs, m, s), narrow = _widen(x, mu, cov)
    root = _lower_root(s, cov.dtype if cov.dtype.is_floating_point else narrow)
    white = torch.linalg.solve_triangular(root, (xs - m).T, upper=False)
    half_log_det = root.diagonal().log().sum()
    return (-0.5 * (x.shape[-1] * _log_two_pi() + (white**2).sum(dim=0)) - half_log_det).to(narrow)


def conditional_log_prob(x: Tensor, y: Tensor, mu_table: Tensor, logvar_table: Tensor) -> Tensor:
    """Rows of the tables are gathered by class."""
    classes = mu_table.shape[0]
    bad = (y < 0) | (y >= classes)
    if bool(bad.any()):
        raise ValueError(f"y must be in 0...{classes - 1}, got {int(y[bad][0])}")
    rows = y[:, None].expand(-1, mu_table.shape[1])
    return diagonal_log_prob(x, torch.gather(mu_table, 0, rows), torch.gather(logvar_table, 0, rows))


def chain_rule(joint: Tensor) -> list[Tensor]:
    """Marginals from the last axis backwards, recursively; each divided by the one before it."""
    _require_pmf("joint", joint, tuple(range(joint.dim())))
    (p,), narrow = _widen(joint)

    def marginals(q: Tensor) -> list[Tensor]:
        return [] if q.dim() == 0 else [*marginals(q.sum(dim=-1)), q]

    def conditional(q: Tensor) -> Tensor:
        given = q.sum(dim=-1, keepdim=True)
        possible = given > 0
        return torch.where(possible, q / torch.where(possible, given, torch.ones_like(given)), torch.zeros_like(q))

    chain = marginals(p)
    return [(q if i == 0 else conditional(q)).to(narrow) for i, q in enumerate(chain)]


def sample_gaussian(mu: Tensor, cov: Tensor, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """mu + A eps."""
    (m, s), narrow = _widen(mu, cov)
    root = _lower_root(s, cov.dtype if cov.dtype.is_floating_point else narrow)
    eps = torch.randn(num_samples, m.shape[0], generator=generator, dtype=m.dtype, device=m.device)
    return (m + torch.einsum("ij,nj->ni", root, eps)).to(narrow)


def _kl(mean_gap: Tensor, logvar_p: Tensor, logvar_q: Tensor) -> Tensor:
    """Element by element; exp(d) - 1 - d without cancellation near d = 0."""
    d = logvar_p - logvar_q
    scaled = mean_gap * torch.exp(-0.5 * logvar_q)
    return 0.5 * (torch.expm1(d) - d + scaled * scaled)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, diag sigma^2) || N(0, I)), `(B,)`."""
    (m, v), narrow = _widen(mu, logvar)
    return _kl(m, v, torch.zeros_like(v)).sum(dim=-1).to(narrow)


def kl_univariate(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q), element by element."""
    (mp, vp, mq, vq), narrow = _widen(mu_p, logvar_p, mu_q, logvar_q)
    return _kl(mp - mq, vp, vq).to(narrow)


def kl_diagonal(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q), summed over the last axis."""
    (mp, vp, mq, vq), narrow = _widen(mu_p, logvar_p, mu_q, logvar_q)
    return _kl(mp - mq, vp, vq).sum(dim=-1).to(narrow)


def kl_full_covariance(mu: Tensor, cov: Tensor) -> Tensor:
    """KL(N(mu, S) || N(0, I))."""
    (m, s), narrow = _widen(mu, cov)
    root = _lower_root(s, cov.dtype if cov.dtype.is_floating_point else narrow)
    log_det = 2.0 * root.diagonal().log().sum()
    return (0.5 * (s.diagonal().sum() + (m * m).sum() - m.shape[0] - log_det)).to(narrow)
