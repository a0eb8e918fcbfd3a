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
        edits=(('torch.cdist(codes, train_codes)', 'torch.cdist(codes, train_codes, p=1)'),),
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
)  # fmt: skip
ALTERNATIVES: tuple[Alternative, ...] = ()
