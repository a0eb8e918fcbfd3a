"""Mistakes that somebody invented who knew handout and reference, but neither grader nor bank: those that it let pass."""

from __future__ import annotations

from . import Alternative, Mistake

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "blind-amp-outputs-not-cast", 6, "training", "one tensor is cast to float32 before the loss, the outputs in a tuple are not",
        fails=("q6.mixed.step",),
        edits=(('    if isinstance(output, (tuple, list)):\n        return type(output)(as_float32(item) for item in output)\n', ''),),
    ),
    Mistake(
        "blind-joint-code-detached", 7, "semi_supervised", "the head gets a detached code: labels never shape the encoder",
        fails=("q7.joint.model",),
        edits=(('self.head(z)', 'self.head(z.detach())'),),
    ),
    Mistake(
        "blind-accuracy-second-output", 7, "semi_supervised", "the second output, also of three",
        fails=("q7.accuracy.value",),
        edits=(('output[-1] if isinstance', 'output[1] if isinstance'),),
    ),
    Mistake(
        "blind-layerwise-own-lr", 6, "training", "the learning rate does not reach the stages",
        fails=("q6.layerwise",),
        edits=(('stage, data, epochs, batch_size, lr, generator)', 'stage, data, epochs, batch_size, generator=generator)'),),
    ),
    Mistake(
        "blind-probe-test-mean", 0, "evaluation", "test codes are centred by their own mean",
        fails=("bonus.probe",),
        edits=(('(test_codes - mean) / scale', '(test_codes - test_codes.mean(dim=0)) / scale'),),
    ),
    Mistake(
        "blind-probe-no-bias", 0, "evaluation", "the offset is learnt and then forgotten",
        fails=("bonus.probe",),
        edits=(('(test_x @ weight + bias).argmax', '(test_x @ weight).argmax'),),
    ),
    Mistake(
        "blind-knn-sum-of-differences", 0, "evaluation", "sums of differences in place of Euclidean distance",
        fails=("bonus.neighbours",),
        edits=(('train_codes, compute_mode=', 'train_codes, p=1, compute_mode='),),
    ),
    Mistake(
        "blind-pmf-two-percent", 1, "gaussians", "probabilities may miss 1 by two percent",
        fails=("q1.pmf.errors",),
        edits=(('_PMF_TOLERANCE = 1e-5', '_PMF_TOLERANCE = 2e-2'),),
    ),
    Mistake(
        "blind-reparam-clamp", 8, "vae", "clamps the variance",
        fails=("q8.reparam.value",),
        edits=(('    return mu + torch.exp(0.5 * logvar) * eps', '    return mu + torch.exp(0.5 * logvar.clamp(-6, 2)) * eps'),),
    ),
    # a second round: students' own code with one misunderstanding each
    Mistake(
        "blind-amp-loss-too", 6, "training", "the loss under autocast as well, as in the study guide",
        fails=("q6.mixed.step",),
        edits=(('        output = model(x)\n    return float(descend(loss_fn(as_float32(output), as_float32(x)), optimizer, scaler))',
                '        output = model(x)\n        loss = loss_fn(as_float32(output), as_float32(x))\n    return float(descend(loss, optimizer, scaler))'),),
    ),
    Mistake(
        "blind-reparam-generator-first", 8, "vae", "draws whenever there is a generator, also where eps is given",
        fails=("q8.reparam.value",),
        edits=(('    if eps is None:\n        eps = torch.randn(mu.shape', '    if eps is None or generator is not None:\n        eps = torch.randn(mu.shape'),),
    ),
    Mistake(
        "blind-diagonal-log-of-densities", 1, "gaussians", "sums logarithms of densities that are 0 far out",
        fails=("q1.diagonal.underflow",),
        append="""def diagonal_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    density = torch.exp(-0.5 * (x - mu) ** 2 / logvar.exp()) / torch.sqrt(2 * math.pi * logvar.exp())
    return density.log().sum(dim=-1)
""",
    ),
    Mistake(
        "blind-ema-unused-keep", 10, "vqvae", "counts and sums of codes that nothing chose do not decay",
        fails=("q10.ema.update",),
        edits=(('        self.counts.lerp_(members.sum(dim=0), 1 - self.decay)\n        self.sums.lerp_(members.T @ vectors, 1 - self.decay)\n',
                '        used = members.sum(dim=0) > 0\n        self.counts[used] = self.counts[used].lerp(members.sum(dim=0)[used], 1 - self.decay)\n'
                '        self.sums[used] = self.sums[used].lerp((members.T @ vectors)[used], 1 - self.decay)\n'),),
    ),
    Mistake(
        "blind-restart-old-count", 10, "vqvae", "a restarted code has a new sum and its old count",
        fails=("q10.restart.random",),
        edits=(('            quantizer.counts[dead] = 1.0\n', ''),),
    ),
    Mistake(
        "blind-loss-compares-sizes", 10, "vqvae", "compares numbers of elements, not shapes",
        fails=("q10.loss",),
        edits=(('    _check_same_shape("x_recon", x_recon, x)\n',
                '    if x_recon.numel() != x.numel():\n        raise ValueError(f"x_recon and x differ in size: {x_recon.numel()} and {x.numel()}")\n'),),
    ),
    Mistake(
        "blind-prior-probabilities", 0, "prior", "returns probabilities",
        fails=("bonus.prior.shapes",), may_fail=("bonus.trained.source",),
        edits=(('        return logits\n', '        return torch.softmax(logits, dim=1)\n'),),
    ),
)  # fmt: skip
ALTERNATIVES: tuple[Alternative, ...] = ()
