"""Question 3, PCA: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, PCA = 3, "pca"


# what builds on a PCA whose components are wrong (by `needs`, or because it compares with the same reference)
ON_COMPONENTS = (
    "q3.pca.variance", "q3.pca.codes", "q3.pca.degenerate", "q3.pca.errors", "q3.compare.value", "q3.compare.mode",
    "q3.trained.pca",
)  # fmt: skip


ON_CODES = ("q3.pca.degenerate", "q3.compare.value", "q3.trained.pca")


EIGH = """class PCA(PCA):
    def fit(self, x):
        n, d = x.shape
        if not 1 <= self.n_components <= min(n, d):
            raise ValueError(f"n_components {self.n_components} does not fit {tuple(x.shape)}")
        self.mean_ = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((x - self.mean_).mT).reshape(d, d))
"""


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q3-pca-ascending",
        Q,
        PCA,
        "eigh orders the smallest variance first: keeps the worst directions",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.mT[: self.n_components]
        self.explained_variance_ = values[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-kept-in-reverse",
        Q,
        PCA,
        "the right directions, the smallest of them first",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.mT[-self.n_components :]
        self.explained_variance_ = values[-self.n_components :]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-transposed",
        Q,
        PCA,
        "columns of the eigenvector matrix taken as rows",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        append=EIGH
        + """        self.components_ = vectors.flip(1)[: self.n_components]
        self.explained_variance_ = values.flip(0)[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-not-centred",
        Q,
        PCA,
        "singular vectors of the data as they are",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr(x, "),),
    ),
    Mistake(
        "q3-pca-mean-of-rows",
        Q,
        PCA,
        "centres every row, not every feature",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("        mean = x.mean(0)\n", "        mean = x.mean(1, keepdim=True)\n"),),
    ),
    Mistake(
        "q3-pca-standardised",
        Q,
        PCA,
        "divides every feature by its spread",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr((x - mean) / x.std(0), "),),
    ),
    Mistake(
        "q3-pca-scaled-components",
        Q,
        PCA,
        "components multiplied by their singular values",
        fails=("q3.pca.components",),
        may_fail=ON_COMPONENTS,
        edits=(
            (
                "        self.components_ = right_vectors[: self.n_components]\n",
                "        self.components_ = (singular_values[:, None] * right_vectors)[: self.n_components]\n",
            ),
        ),
    ),
    Mistake(
        "q3-pca-fit-returns-nothing",
        Q,
        PCA,
        "fit ends without a return",
        fails=("q3.pca.errors",),
        edits=(
            ("        return self\n", "        return None\n"),
            ("PCA(n_components).fit(train.flatten(1))\n", "PCA(n_components)\n    pca.fit(train.flatten(1))\n"),
        ),
    ),
    Mistake(
        "q3-pca-power-iteration",
        Q,
        PCA,
        "power iteration that stops after 8 steps: enough for toys, not for images",
        fails=("q3.trained.pca",),
        may_fail=("q3.pca.degenerate",),
        append="""class PCA(PCA):
    def fit(self, x):
        super().fit(x)
        if x.shape[1] > 100:
            left = torch.cov(x.mT)
            rows = []
            for i in range(self.n_components):
                v = torch.ones(len(left), dtype=x.dtype) + torch.arange(len(left)) % (i + 2)
                for _ in range(8):
                    v = left @ v
                    v = v / v.norm()
                left = left - (v @ left @ v) * torch.outer(v, v)
                rows.append(v)
            self.components_ = torch.linalg.qr(torch.stack(rows).mT)[0].mT
        return self
""",
    ),
    Mistake(
        "q3-variance-by-n",
        Q,
        PCA,
        "divides by N",
        fails=("q3.pca.variance",),
        edits=(("singular_values.square() / (num_rows - 1)", "singular_values.square() / num_rows"),),
    ),
    Mistake(
        "q3-variance-singular-values",
        Q,
        PCA,
        "standard deviations for variances",
        fails=("q3.pca.variance",),
        edits=(("singular_values.square() / (num_rows - 1)", "singular_values / (num_rows - 1) ** 0.5"),),
    ),
    Mistake(
        "q3-variance-ratio-of-kept",
        Q,
        PCA,
        "shares of the variance that was kept",
        fails=("q3.pca.variance",),
        edits=(
            ("self.explained_variance_ / variance.sum()", "self.explained_variance_ / self.explained_variance_.sum()"),
        ),
    ),
    Mistake(
        "q3-encode-without-mean",
        Q,
        PCA,
        "encode forgets the mean",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("(x - self.mean_) @ self.components_.mT", "x @ self.components_.mT"),),
    ),
    Mistake(
        "q3-encode-own-mean",
        Q,
        PCA,
        "encode subtracts the mean of what it is given",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("(x - self.mean_) @ self.components_.mT", "(x - x.mean(0)) @ self.components_.mT"),),
    ),
    Mistake(
        "q3-decode-without-mean",
        Q,
        PCA,
        "decode forgets the mean",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(("        return z @ self.components_ + self.mean_", "        return z @ self.components_"),),
    ),
    Mistake(
        "q3-encode-whitened",
        Q,
        PCA,
        "codes divided by their spread: decode does not take them back",
        fails=("q3.pca.codes",),
        may_fail=ON_CODES,
        edits=(
            (
                "(x - self.mean_) @ self.components_.mT",
                "(x - self.mean_) @ self.components_.mT / self.explained_variance_.sqrt()",
            ),
        ),
    ),
    Mistake(
        "q3-pca-centres-in-place",
        Q,
        PCA,
        "x -= mean changes the caller's data",
        fails=("q3.pca.degenerate",),
        may_fail=("q3.pca.codes", "q3.compare.value", "q3.pca.components", "q3.trained.pca", "q3.pca.variance"),
        edits=(("torch.linalg.qr(x - mean, ", "torch.linalg.qr(x.sub_(mean), "),),
    ),
    Mistake(
        "q3-pca-cancelling-covariance",
        Q,
        PCA,
        "E[x x^T] - E[x] E[x]^T loses all digits far from 0 in float32",
        fails=("q3.pca.degenerate",),
        may_fail=("q3.trained.pca",),
        append=EIGH.replace(
            "torch.cov((x - self.mean_).mT).reshape(d, d)",
            "(x.mT @ x - n * torch.outer(self.mean_, self.mean_)) / (n - 1)",
        )
        + """        self.components_ = vectors.flip(1).mT[: self.n_components]
        self.explained_variance_ = values.flip(0)[: self.n_components]
        self.explained_variance_ratio_ = self.explained_variance_ / values.sum()
        return self
""",
    ),
    Mistake(
        "q3-pca-by-inverse-values",
        Q,
        PCA,
        "right vectors as U^T X / s: NaN where a variance is 0",
        fails=("q3.pca.degenerate",),
        append="""class PCA(PCA):
    def fit(self, x):
        super().fit(x)
        u, s, _ = torch.linalg.svd(x - self.mean_, full_matrices=False)
        s = torch.where(s < 1e-5 * s[0], 0, s)
        self.components_ = ((u.mT @ (x - self.mean_)) / s[:, None])[: self.n_components]
        return self
""",
    ),
    Mistake(
        "q3-pca-too-many",
        Q,
        PCA,
        "more components than data or features are accepted",
        fails=("q3.pca.errors",),
        edits=(("if not 1 <= self.n_components <= min(num_rows, num_features):", "if not 1 <= self.n_components:"),),
    ),
    Mistake(
        "q3-pca-limit-features-only",
        Q,
        PCA,
        "compares k with D, not with N",
        fails=("q3.pca.errors",),
        edits=(
            (
                "if not 1 <= self.n_components <= min(num_rows, num_features):",
                "if not 1 <= self.n_components <= num_features:",
            ),
        ),
    ),
    Mistake(
        "q3-pca-zero-components",
        Q,
        PCA,
        "k = 0 and negative k are accepted",
        fails=("q3.pca.errors",),
        edits=(
            (
                "if not 1 <= self.n_components <= min(num_rows, num_features):",
                "if self.n_components > min(num_rows, num_features):",
            ),
        ),
    ),
    Mistake(
        "q3-pca-unfitted",
        Q,
        PCA,
        "AttributeError before fit",
        fails=("q3.pca.errors",),
        edits=(('        if not hasattr(self, "components_"):', "        if False:"),),
    ),
    Mistake(
        "q3-pca-fitted-on-class",
        Q,
        PCA,
        "the class remembers that one object is fitted: all others count as fitted",
        fails=("q3.pca.errors",),
        edits=(
            ('        if not hasattr(self, "components_"):', "        if not PCA.is_fitted:"),
            (
                "    explained_variance_ratio_: Tensor\n\n",
                "    explained_variance_ratio_: Tensor\n    is_fitted = False\n\n",
            ),
            ("        self.mean_ = mean\n", "        self.mean_ = mean\n        PCA.is_fitted = True\n"),
        ),
    ),
    Mistake(
        "q3-pca-refit-keeps-mean",
        Q,
        PCA,
        "a second fit keeps the mean of the first",
        fails=("q3.pca.errors",),
        edits=(("        mean = x.mean(0)\n", '        mean = self.mean_ if hasattr(self, "mean_") else x.mean(0)\n'),),
    ),
    Mistake(
        "q3-pca-stale-basis",
        Q,
        PCA,
        "the components as columns are kept from the first encode on: a second fit changes nothing there",
        fails=("q3.pca.errors",),
        append="""from functools import cached_property
class PCA(PCA):
    @cached_property
    def basis(self):
        self._check_fitted()
        return self.components_.mT.contiguous()
    def encode(self, x):
        basis = self.basis
        return (x - self.mean_) @ basis
    def decode(self, z):
        basis = self.basis
        return z @ basis.mT + self.mean_
""",
    ),
    Mistake(
        "q3-pca-all-components",
        Q,
        PCA,
        "n_components is ignored: all of them are kept",
        fails=("q3.pca.components",),
        may_fail=(
            "q3.pca.variance",
            "q3.pca.codes",
            "q3.pca.degenerate",
            "q3.pca.errors",
            "q3.trained.pca",
            "q3.compare.value",
        ),
        edits=(("right_vectors[: self.n_components]", "right_vectors"),),
    ),
    Mistake(
        "q3-pca-columns",
        Q,
        PCA,
        "components as columns",
        fails=("q3.pca.components",),
        may_fail=(
            "q3.pca.variance",
            "q3.pca.codes",
            "q3.pca.degenerate",
            "q3.pca.errors",
            "q3.trained.pca",
            "q3.compare.value",
            "q3.compare.mode",
        ),
        edits=(
            (
                "        self.components_ = right_vectors[: self.n_components]\n",
                "        self.components_ = right_vectors[: self.n_components].mT\n",
            ),
        ),
    ),
    Mistake(
        "q3-pca-float64",
        Q,
        PCA,
        "float64 whatever the data",
        fails=("q3.pca.components",),
        may_fail=(
            "q3.pca.variance",
            "q3.pca.codes",
            "q3.pca.degenerate",
            "q3.pca.errors",
            "q3.trained.pca",
            "q3.compare.value",
        ),
        edits=(("        mean = x.mean(0)\n", "        x = x.double()\n        mean = x.mean(0)\n"),),
    ),
    Mistake(
        "q3-variance-ratio-cumulative",
        Q,
        PCA,
        "sums of the shares",
        fails=("q3.pca.variance",),
        edits=(("self.explained_variance_ / variance.sum()", "(self.explained_variance_ / variance.sum()).cumsum(0)"),),
    ),
    Mistake(
        "q3-variance-ratio-of-deviations",
        Q,
        PCA,
        "shares of the standard deviations",
        fails=("q3.pca.variance",),
        edits=(
            ("self.explained_variance_ / variance.sum()", "self.explained_variance_.sqrt() / variance.sqrt().sum()"),
        ),
    ),
    Mistake(
        "q3-variance-not-divided",
        Q,
        PCA,
        "sums of squares",
        fails=("q3.pca.variance",),
        edits=(("singular_values.square() / (num_rows - 1)", "singular_values.square()"),),
    ),
    Mistake(
        "q3-reconstruct-as-it-is",
        Q,
        PCA,
        "reconstruct gives back what it is given",
        fails=("q3.pca.codes",),
        may_fail=("q3.pca.degenerate", "q3.trained.pca", "q3.compare.value"),
        append="""class PCA(PCA):
    def reconstruct(self, x):
        self._check_fitted()
        return x.clone()
""",
    ),
    Mistake(
        "q3-pca-mean-on-cpu",
        Q,
        PCA,
        "a product with ones that lie on the CPU",
        fails=("q3.pca.errors",),
        may_fail=("q3.compare.mode",),
        edits=(("        mean = x.mean(0)\n", "        mean = torch.ones(num_rows, dtype=x.dtype) @ x / num_rows\n"),),
    ),
)
