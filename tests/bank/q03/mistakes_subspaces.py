"""Question 3, principal angles and the comparison with a model: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, PCA = 3, "pca"


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q3-angles-not-orthonormalised",
        Q,
        PCA,
        "singular values of the product of the bases given",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="def principal_angles(a, b):\n    return torch.linalg.svdvals(a @ b.mT).clamp(-1, 1).acos()\n",
    ),
    Mistake(
        "q3-angles-rows-normalised",
        Q,
        PCA,
        "unit rows are not orthogonal rows",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="""def principal_angles(a, b):
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    return torch.linalg.svdvals(a @ b.mT).clamp(-1, 1).acos()
""",
    ),
    Mistake(
        "q3-angles-column-space",
        Q,
        PCA,
        "bases of the column spaces",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        append="""def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return torch.linalg.svdvals(qa.mT @ qb).clamp(-1, 1).acos()
""",
    ),
    Mistake(
        "q3-angles-descending",
        Q,
        PCA,
        "largest angle first",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return torch.atan2(sines, cosines).flip(0)"),),
    ),
    Mistake(
        "q3-angles-degrees",
        Q,
        PCA,
        "degrees",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return torch.rad2deg(torch.atan2(sines, cosines))"),),
    ),
    Mistake(
        "q3-angles-cosines",
        Q,
        PCA,
        "cosines, not angles",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return cosines"),),
    ),
    Mistake(
        "q3-angles-diagonal",
        Q,
        PCA,
        "angles between basis vectors one by one",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(
            (
                "    return torch.atan2(sines, cosines)",
                "    return overlap.diagonal().abs().clamp(max=1).acos().sort().values",
            ),
        ),
    ),
    Mistake(
        "q3-angles-nan",
        Q,
        PCA,
        "acos of a cosine just above 1",
        fails=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return cosines.acos()"),),
    ),
    Mistake(
        "q3-angles-short-rows-dropped",
        Q,
        PCA,
        "takes singular values below 1e-4 for 0, whatever the scale of the rows",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(
            (
                "    basis_a, _ = torch.linalg.qr(a.mT)\n    basis_b, _ = torch.linalg.qr(b.mT)\n",
                "    svd_a, svd_b = (torch.linalg.svd(m, full_matrices=False) for m in (a, b))\n"
                "    basis_a, basis_b = svd_a.Vh[svd_a.S > 1e-4].mT, svd_b.Vh[svd_b.S > 1e-4].mT\n",
            ),
        ),
    ),
    Mistake(
        "q3-compare-fitted-on-test",
        Q,
        PCA,
        "PCA is fitted on the test split: its error is too low",
        fails=("q3.compare.value",),
        edits=(("PCA(n_components).fit(train.flatten(1))", "PCA(n_components).fit(test.flatten(1))"),),
    ),
    Mistake(
        "q3-compare-judged-on-train",
        Q,
        PCA,
        "both errors on the training images",
        fails=("q3.compare.value",),
        append="""_compare = compare_with_pca
def compare_with_pca(model, train, test, n_components):
    return _compare(model, train, train, n_components)
""",
    ),
    Mistake(
        "q3-compare-per-image",
        Q,
        PCA,
        "sums over the pixels",
        fails=("q3.compare.value",),
        edits=(
            (
                "(pca_recon - test).square().mean().item()",
                "(pca_recon - test).square().flatten(1).sum(1).mean().item()",
            ),
        ),
    ),
    Mistake(
        "q3-compare-keys-swapped",
        Q,
        PCA,
        "each error under the other's name",
        fails=("q3.compare.value",),
        append="""_compare = compare_with_pca
def compare_with_pca(model, train, test, n_components):
    found = _compare(model, train, test, n_components)
    return {"pca_mse": found["ae_mse"], "ae_mse": found["pca_mse"]}
""",
    ),
    Mistake(
        "q3-compare-silent-broadcast",
        Q,
        PCA,
        "(M, 784) against (M, 1, 28, 28): broadcasts or fails",
        fails=("q3.compare.value",),
        may_fail=("q3.compare.mode",),
        edits=(
            ("pca.reconstruct(test.flatten(1)).reshape(test.shape)", "pca.reconstruct(test.flatten(1))[:, None, None]"),
            ("(pca_recon - test).square()", "(pca_recon - test.flatten(1)).square()"),
        ),
    ),
    Mistake(
        "q3-compare-training-mode",
        Q,
        PCA,
        "the model runs in whatever mode it was",
        fails=("q3.compare.mode",),
        edits=(("    model.eval()\n", ""),),
    ),
    Mistake(
        "q3-compare-mode-lost",
        Q,
        PCA,
        "the model stays in evaluation mode",
        fails=("q3.compare.mode",),
        edits=(("        model.train(was_training)\n", "        pass\n"),),
    ),
    Mistake(
        "q3-compare-mode-always-training",
        Q,
        PCA,
        "back to training mode, whatever the mode was",
        fails=("q3.compare.mode",),
        edits=(("        model.train(was_training)\n", "        model.train()\n"),),
    ),
    Mistake(
        "q3-compare-gradients",
        Q,
        PCA,
        "without no_grad",
        fails=("q3.compare.mode",),
        edits=(("        with torch.no_grad():\n", "        with torch.enable_grad():\n"),),
    ),
    Mistake(
        "q3-compare-gradients-left-off",
        Q,
        PCA,
        "switches gradients off for good",
        fails=("q3.compare.mode",),
        edits=(
            (
                "        with torch.no_grad():\n            ae",
                "        torch.set_grad_enabled(False)\n        if True:\n            ae",
            ),
        ),
    ),
    Mistake(
        "q3-compare-mean-of-means",
        Q,
        PCA,
        "averages over batches of 128: the last, smaller one counts as much as the others",
        fails=("q3.compare.value",),
        edits=(
            (
                "            ae_recon = torch.cat([model(batch)[0] for batch in torch.split(test, 256)])",
                "            ae = torch.stack([(model(x)[0] - x).square().mean() for x in test.split(128)]).mean()",
            ),
            ("(ae_recon - test).square().mean().item()", "ae.item()"),
        ),
    ),
    Mistake(
        "q3-compare-clamps-pca",
        Q,
        PCA,
        "clamps PCA's reconstruction to [0, 1]",
        fails=("q3.compare.value",),
        edits=((".reshape(test.shape)\n", ".reshape(test.shape).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q3-compare-clamps-model",
        Q,
        PCA,
        "clamps the model's reconstruction to [0, 1]: no change where it ends in a sigmoid",
        fails=("q3.compare.value",),
        edits=(("(ae_recon - test)", "(ae_recon.clamp(0, 1) - test)"),),
    ),
    Mistake(
        "q3-compare-flat-for-model",
        Q,
        PCA,
        "gives rows to the model: no convolution could read them",
        fails=("q3.compare.mode",),
        edits=(("model(batch)[0] for", "model(batch.flatten(1))[0].reshape(batch.shape) for"),),
    ),
    Mistake(
        "q3-compare-gradients-switched-on",
        Q,
        PCA,
        "switches gradients off and on: a caller who had them off has them on",
        fails=("q3.compare.mode",),
        edits=(
            (
                "        with torch.no_grad():\n            ae",
                "        torch.set_grad_enabled(False)\n        if True:\n            ae",
            ),
            (
                "        model.train(was_training)\n",
                "        torch.set_grad_enabled(True)\n        model.train(was_training)\n",
            ),
        ),
    ),
    Mistake(
        "q3-angles-sines",
        Q,
        PCA,
        "sines, not angles",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return sines"),),
    ),
    Mistake(
        "q3-angles-largest-only",
        Q,
        PCA,
        "one number: the largest angle",
        fails=("q3.angles.value",),
        may_fail=("q3.angles.equal",),
        edits=(("    return torch.atan2(sines, cosines)", "    return torch.atan2(sines, cosines)[-1]"),),
    ),
    Mistake(
        "q3-angles-projector-on-cpu",
        Q,
        PCA,
        "the projector is made of an identity on the CPU",
        fails=("q3.angles.equal",),
        edits=(
            (
                "    sines = torch.linalg.svdvals(basis_b - basis_a @ overlap)",
                "    sines = torch.linalg.svdvals((torch.eye(len(basis_a), dtype=a.dtype) - basis_a @ basis_a.mT) @ basis_b)",
            ),
        ),
    ),
    Mistake(
        "q3-compare-two-components",
        Q,
        PCA,
        "n_components is ignored",
        fails=("q3.compare.value",),
        edits=(("PCA(n_components).fit(train", "PCA(2).fit(train"),),
    ),
    Mistake(
        "q3-compare-fitted-on-both",
        Q,
        PCA,
        "PCA has seen all images",
        fails=("q3.compare.value",),
        edits=(
            ("PCA(n_components).fit(train.flatten(1))", "PCA(n_components).fit(torch.cat([train, test]).flatten(1))"),
        ),
    ),
    Mistake(
        "q3-compare-root",
        Q,
        PCA,
        "root mean squared errors",
        fails=("q3.compare.value",),
        edits=(("(pca_recon - test).square().mean().item()", "(pca_recon - test).square().mean().sqrt().item()"),),
    ),
    Mistake(
        "q3-compare-absolute",
        Q,
        PCA,
        "absolute errors",
        fails=("q3.compare.value",),
        edits=(("(ae_recon - test).square().mean().item()", "(ae_recon - test).abs().mean().item()"),),
    ),
    Mistake(
        "q3-compare-all-pairs",
        Q,
        PCA,
        "the model's rows against all images: (M, 1, ...) against (M, ...) broadcasts",
        fails=("q3.compare.value",),
        may_fail=("q3.compare.mode",),
        edits=(("(ae_recon - test).square()", "(ae_recon.flatten(1)[:, None] - test.flatten(1)[None]).square()"),),
    ),
    Mistake(
        "q3-compare-last-batch",
        Q,
        PCA,
        "the error of the last batch",
        fails=("q3.compare.value",),
        edits=(
            (
                "            ae_recon = torch.cat([model(batch)[0] for batch in torch.split(test, 256)])",
                "            for test in torch.split(test, 256):\n                ae_recon = model(test)[0]",
            ),
            ('        "pca_mse": (pca_recon - test)', '        "pca_mse": (pca_recon - pca_test)'),
            ("    was_training = model.training\n", "    was_training, pca_test = model.training, test\n"),
        ),
    ),
    Mistake(
        "q3-compare-tuple",
        Q,
        PCA,
        "two numbers without names",
        fails=("q3.compare.value",),
        append="""_compare = compare_with_pca
def compare_with_pca(model, train, test, n_components):
    return tuple(_compare(model, train, test, n_components).values())
""",
    ),
    Mistake(
        "q3-compare-zeros-on-cpu",
        Q,
        PCA,
        "reconstructions are collected on the CPU",
        fails=("q3.compare.mode",),
        edits=(
            (
                "            ae_recon = torch.cat([model(batch)[0] for batch in torch.split(test, 256)])",
                "            ae_recon = torch.zeros(test.shape, dtype=test.dtype)\n            ae_recon = ae_recon + model(test)[0]",
            ),
        ),
    ),
)
