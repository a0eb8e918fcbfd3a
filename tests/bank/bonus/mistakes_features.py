"""The bonus: the reference with one bug: codes and features."""

from __future__ import annotations

from .. import Mistake

BONUS = 0


def mistake(
    id: str,
    story: str,
    *fails: str,
    edits: tuple[tuple[str, str], ...] = (),
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """A bug in evaluation.py."""
    names = tuple(f"bonus.{name}" for name in fails)
    also = tuple(f"bonus.{name}" for name in may_fail)
    return Mistake(f"bonus.{id}", BONUS, "evaluation", story, names, edits, append, also)


CROSS = "cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()"


TARGET = "return mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))"


DISTANCES = 'torch.cdist(codes, train_codes, compute_mode="donot_use_mm_for_euclid_dist")'


MISTAKES: tuple[Mistake, ...] = (
    # ---- codes and features
    mistake(
        "active-turns-gradients-on",
        "switches gradients off, and on again for callers who had them off",
        "active",
        edits=(
            (
                "    return int((mu.var(dim=0) > threshold).sum())\n",
                "    torch.set_grad_enabled(False)\n    count = int((mu.var(dim=0) > threshold).sum())\n"
                "    torch.set_grad_enabled(True)\n    return count\n",
            ),
        ),
    ),
    mistake(
        "active-by-principal-axes",
        "counts the eigenvalues of the covariance above the threshold: right for dimensions that do not correlate",
        "active",
        edits=(("mu.var(dim=0) > threshold", "torch.linalg.eigvalsh(torch.cov(mu.T)) > threshold"),),
    ),
    mistake(
        "active-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "active",
        edits=(
            (
                "    return int((mu.var(dim=0)",
                "    torch.set_grad_enabled(False)\n    return int((mu.var(dim=0)",
            ),
        ),
    ),
    mistake(
        "active-std",
        "compares standard deviations with the threshold",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.std(dim=0) > threshold"),),
    ),
    mistake(
        "active-second-moment",
        "mean square instead of variance: a constant counts as active",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.square().mean(dim=0) > threshold"),),
    ),
    mistake(
        "active-over-latents",
        "variance over the latent dimensions",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=1) > threshold"),),
    ),
    mistake(
        "active-ignores-threshold",
        "the threshold is fixed",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=0) > 0.01"),),
    ),
    mistake(
        "active-at-the-threshold",
        "counts a variance that equals the threshold: with 0 every dimension is active",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=0) >= threshold"),),
    ),
    mistake(
        "perceptual-cached-copy",
        "keeps a copy of each network and goes on with it after the network has changed",
        "perceptual.value",
        edits=(
            (
                "frozen = {name: parameter.detach() for name, parameter in feature_net.named_parameters()}",
                "frozen = _FROZEN.setdefault(feature_net, {n: p.detach().clone() for n, p in "
                "feature_net.named_parameters()})",
            ),
        ),
        append="from weakref import WeakKeyDictionary\n\n_FROZEN = WeakKeyDictionary()\n",
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-unfreezes",
        "freezes the network for the call and lets all of it train afterwards, also what was frozen before",
        "perceptual.gradient",
        edits=(
            ("    frozen = {name:", "    feature_net.requires_grad_(False)\n    frozen = {name:"),
            (TARGET, TARGET.replace("return", "loss =") + "\n    feature_net.requires_grad_()\n    return loss"),
        ),
    ),
    mistake(
        "perceptual-on-pixels",
        "compares the pictures, not their features",
        "perceptual.value",
        edits=((TARGET, "return mse_loss(x_recon, x.detach())"),),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-mean",
        "mean over features",
        "perceptual.value",
        edits=((TARGET, "return F.mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))"),),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-no-grad",
        "computes both features without gradients",
        "perceptual.gradient",
        edits=(
            (
                "features: Tensor = functional_call(feature_net, frozen, (x_recon,))",
                "features: Tensor = functional_call(feature_net, frozen, (x_recon.detach(),))",
            ),
        ),
    ),
    mistake(
        "perceptual-trains-network",
        "the feature network's parameters get gradients",
        "perceptual.gradient",
        edits=(("frozen = {name: parameter.detach()", "frozen = {name: parameter"),),
    ),
    mistake(
        "perceptual-target-moves",
        "a gradient reaches the target",
        "perceptual.gradient",
        edits=((TARGET, TARGET.replace("x.detach()", "x")),),
    ),
    mistake(
        "perceptual-absolute",
        "absolute errors between features",
        "perceptual.value",
        edits=(
            (
                TARGET,
                "target = functional_call(feature_net, frozen, (x.detach(),))\n"
                "    return (features - target).abs().sum() / len(x)",
            ),
        ),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "features-divided-by-n",
        "covariance divided by N",
        "features",
        edits=(("centred.T @ centred / (len(features) - 1)", "centred.T @ centred / len(features)"),),
        may_fail=("errors",),
    ),
    mistake(
        "features-not-centred",
        "second moments instead of covariances",
        "features",
        edits=(("centred = features - mean", "centred = features"),),
    ),
    mistake(
        "features-transposed",
        "covariance between rows",
        "features",
        edits=(("centred.T @ centred /", "centred @ centred.T /"),),
    ),
    mistake(
        "features-scalar",
        "torch.cov makes one feature's covariance a number without dimensions",
        "features",
        edits=(("return mean, centred.T @ centred / (len(features) - 1)", "return mean, torch.cov(features.T)"),),
    ),
    mistake(
        "frechet-no-root",
        "the trace of the product without its square root",
        "frechet",
        edits=((CROSS, "cross = (cov1 @ cov2).trace()"),),
    ),
    mistake(
        "frechet-root-of-elements",
        "square root element by element",
        "frechet",
        edits=((CROSS, "cross = (cov1 @ cov2).sqrt().trace()"),),
    ),
    mistake(
        "frechet-product-of-roots",
        "multiplies the two roots: right only for matrices that commute",
        "frechet",
        edits=((CROSS, "cross = (root1 @ symmetric_sqrt(cov2)).trace()"),),
    ),
    mistake(
        "frechet-mean-norm",
        "the norm of the difference of the means is not squared",
        "frechet",
        edits=(
            (
                "distance: Tensor = (mean1 - mean2).square().sum() + spread",
                "distance: Tensor = (mean1 - mean2).norm() + spread",
            ),
        ),
    ),
    mistake(
        "frechet-nan",
        "roots of eigenvalues that rounding made negative",
        "frechet",
        edits=((CROSS, "cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).sqrt().sum()"),),
    ),
    mistake(
        "frechet-single-root",
        "forgets the factor 2",
        "frechet",
        edits=(("- 2 * cross", "- cross"),),
    ),
    mistake(
        "frechet-root-without-gradient",
        "takes the root of the first covariance without gradients: the value is right, its gradient is not",
        "frechet",
        edits=(
            (
                "    root1 = symmetric_sqrt(cov1)\n",
                "    with torch.no_grad():\n        root1 = symmetric_sqrt(cov1)\n",
            ),
        ),
    ),
    mistake(
        "probe-class-numbers",
        "returns the position of the class among the classes instead of its label",
        "probe",
        edits=(
            (
                "predictions: Tensor = classes[(test_x @ weight + bias).argmax(dim=1)]",
                "predictions: Tensor = (test_x @ weight + bias).argmax(dim=1)",
            ),
        ),
    ),
    mistake(
        "probe-not-linear",
        "a nearest neighbour in place of a linear classifier",
        "probe",
        append="def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:\n"
        "    return train_labels[torch.cdist(test_codes, train_codes).argmin(dim=1)]\n",
    ),
    mistake(
        "probe-regresses-the-label",
        "a linear regression on the number of the class, rounded: right for classes in line",
        "probe",
        append="def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:\n"
        "    classes, targets = torch.unique(train_labels, return_inverse=True)\n"
        "    a, b = (F.pad(codes, (0, 1), value=1.0) for codes in (train_codes, test_codes))\n"
        "    number = (b @ torch.linalg.lstsq(a, targets.to(a)[:, None]).solution).squeeze(1)\n"
        "    return classes[number.round().clamp(0, len(classes) - 1).long()]\n",
    ),
    mistake(
        "probe-single-row",
        "squeezes the predictions: a single test row gives a number without dimensions",
        "probe",
        edits=(("(test_x @ weight + bias).argmax(dim=1)]", "(test_x @ weight + bias).argmax(dim=1).squeeze()]"),),
    ),
    mistake(
        "probe-untrained",
        "predicts with the initial weights",
        "probe",
        edits=(("        optimizer.step(objective)  # type: ignore[no-untyped-call]\n", "        objective()\n"),),
    ),
    mistake(
        "knn-farthest",
        "takes the farthest codes",
        "neighbours",
        edits=(("distances.topk(k, largest=False)", "distances.topk(k)"),),
    ),
    mistake(
        "knn-cosine",
        "angles instead of Euclidean distances",
        "neighbours",
        edits=((DISTANCES, "-(F.normalize(codes) @ F.normalize(train_codes).T)"),),
    ),
    mistake(
        "knn-one",
        "always the single nearest",
        "neighbours",
        edits=(("distances.topk(k, largest=False)", "distances.topk(1, largest=False)"),),
    ),
    mistake(
        "knn-mean-label",
        "averages the labels of the neighbours",
        "neighbours",
        edits=(
            (
                "predictions.append(classes[votes.argmax(dim=1)])",
                "predictions.append(train_labels[nearest].double().mean(dim=1).round().long())",
            ),
        ),
    ),
    mistake(
        "knn-tie-to-the-nearest",
        "on a tie the label of the nearer neighbour wins, which comes first in a counter",
        "neighbours",
        edits=(
            (
                "predictions.append(classes[votes.argmax(dim=1)])",
                "first = [Counter(row).most_common(1)[0][0] for row in train_labels[nearest].tolist()]\n"
                "        predictions.append(train_labels.new_tensor(first))",
            ),
        ),
        append="from collections import Counter\n",
    ),
    mistake(
        "knn-last-part-lost",
        "goes through the test codes in parts of 100 and drops what is left",
        "neighbours",
        edits=(
            (
                "for codes in torch.split(test_codes, 1000):",
                "for codes in torch.split(test_codes, 100)[: max(1, len(test_codes) // 100)]:",
            ),
        ),
    ),
    mistake(
        "knn-single-row",
        "squeezes the predictions: a single test row gives a number without dimensions",
        "neighbours",
        edits=(("return torch.cat(predictions)", "return torch.cat(predictions).squeeze()"),),
    ),
    mistake(
        "knn-turns-gradients-on",
        "switches gradients on at the end, also for callers who had them off",
        "neighbours",
        edits=(
            (
                "    return torch.cat(predictions)\n",
                "    torch.set_grad_enabled(True)\n    return torch.cat(predictions)\n",
            ),
        ),
    ),
    mistake(
        "knn-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "neighbours",
        edits=(
            (
                "    return torch.cat(predictions)\n",
                "    torch.set_grad_enabled(False)\n    return torch.cat(predictions)\n",
            ),
        ),
    ),
    mistake(
        "knn-default-k",
        "k is 1 unless given",
        "neighbours",
        edits=(("test_codes: Tensor, k: int = 5)", "test_codes: Tensor, k: int = 1)"),),
    ),
    mistake(
        "active-other-default",
        "the threshold is .02 unless given",
        "active",
        edits=(("threshold: float = 0.01", "threshold: float = 0.02"),),
    ),
    mistake(
        "perceptual-summed",
        "the sum over the batch",
        "perceptual.value",
        edits=((TARGET, "return mse_loss(features, functional_call(feature_net, frozen, (x.detach(),))) * len(x)"),),
    ),
    mistake(
        "features-correlations",
        "correlations in place of covariances",
        "features",
        edits=(
            (
                "return mean, centred.T @ centred / (len(features) - 1)",
                "return mean, torch.corrcoef(features.T).reshape(features.shape[1], features.shape[1])",
            ),
        ),
    ),
    mistake(
        "frechet-not-squared",
        "the root of the squared distance",
        "frechet",
        edits=(("return distance.to(mean1.dtype)", "return distance.sqrt().to(mean1.dtype)"),),
    ),
    mistake(
        "probe-without-offset",
        "a linear classifier of standardised codes without an offset",
        "probe",
        edits=(
            ("bias = train_x.new_zeros(len(classes)).requires_grad_()", "bias = train_x.new_zeros(len(classes))"),
            ("torch.optim.LBFGS([weight, bias],", "torch.optim.LBFGS([weight],"),
        ),
    ),
    mistake(
        "probe-through-the-origin",
        "a linear classifier of the codes as they are, without an offset",
        "probe",
        append="def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:\n"
        "    classes, targets = torch.unique(train_labels, return_inverse=True)\n"
        "    onehot = F.one_hot(targets).to(train_codes)\n"
        "    weight = torch.linalg.lstsq(train_codes, onehot).solution\n"
        "    return classes[(test_codes @ weight).argmax(dim=1)]\n",
    ),
    mistake(
        "knn-own-k",
        "five neighbours whatever k is",
        "neighbours",
        edits=(("distances.topk(k, largest=False)", "distances.topk(min(5, len(train_codes)), largest=False)"),),
    ),
)
