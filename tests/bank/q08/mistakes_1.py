"""Question 8: the reference with one bug: reparameterize, models, the ELBO, annealing, free bits."""

from __future__ import annotations

from .. import Mistake

DRAW = "torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)"


RETURN = "return mu + torch.exp(0.5 * logvar) * eps"


TERMS = "return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()"


LOSS = "return recon + beta * kl"


SCHEDULE = "return float(beta_max) if step >= warmup_steps else beta_max * step / warmup_steps"


FLOOR = "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).clamp(min=free_bits).sum()"


OF_VAE = ("q8.vae.heads", "q8.vae.probabilities", "q8.vae.forward", "q8.vae.fresh", "q8.vae.gradient", "q8.generator")


def changed(model: str, body: str) -> str:
    """A model that differs from the reference in the methods of `body`."""
    return f"class {model}({model}):\n{body}"


MISTAKES: tuple[Mistake, ...] = (
    # ---- reparameterize
    Mistake(
        "q08-variance-for-sd",
        8,
        "vae",
        "multiplies the noise with the variance",
        ("q8.reparam.value",),
        ((RETURN, "return mu + torch.exp(logvar) * eps"),),
    ),
    Mistake(
        "q08-logvar-is-log-sigma-times-two",
        8,
        "vae",
        "reads logvar as 4 log sigma",
        ("q8.reparam.value",),
        ((RETURN, "return mu + torch.exp(0.25 * logvar) * eps"),),
    ),
    Mistake(
        "q08-logvar-not-exponentiated",
        8,
        "vae",
        "multiplies with half the log-variance itself",
        ("q8.reparam.value",),
        ((RETURN, "return mu + 0.5 * logvar * eps"),),
        may_fail=("q8.reparam.draws",),
    ),
    Mistake(
        "q08-eps-uniform",
        8,
        "vae",
        "draws the noise from rand",
        ("q8.reparam.draws",),
        ((DRAW, DRAW.replace("randn", "rand")),),
    ),
    Mistake(
        "q08-eps-unit-variance-uniform",
        8,
        "vae",
        "draws uniform noise of mean 0 and variance 1",
        ("q8.reparam.draws",),
        ((DRAW, f"({DRAW.replace('randn', 'rand')} - 0.5) * 12**0.5"),),
    ),
    Mistake(
        "q08-always-mu",
        8,
        "vae",
        "returns the mean",
        (
            "q8.reparam.value",
            "q8.reparam.gradient",
            "q8.reparam.draws",
            "q8.vae.fresh",
            "q8.generator",
            "q8.conv.posterior",
        ),
        ((RETURN, "return mu + 0 * logvar * eps"),),
    ),
    Mistake(
        "q08-mu-detached",
        8,
        "vae",
        "no gradient reaches mu",
        ("q8.reparam.gradient",),
        ((RETURN, "return mu.detach() + torch.exp(0.5 * logvar) * eps"),),
    ),
    Mistake(
        "q08-sigma-without-gradient",
        8,
        "vae",
        "computes sigma under no_grad",
        ("q8.reparam.gradient",),
        ((RETURN, "with torch.no_grad():\n        sigma = torch.exp(0.5 * logvar)\n    return mu + sigma * eps"),),
    ),
    Mistake(
        "q08-sample-for-rsample",
        8,
        "vae",
        "Normal(...).sample() cuts the gradient of a drawn z",
        ("q8.reparam.gradient",),
        (
            (
                "    if eps is None:\n        eps = ",
                "    if eps is None:\n        if generator is None or logvar.requires_grad:\n"
                "            torch.manual_seed(generator.initial_seed()) if generator is not None else None\n"
                "            return torch.distributions.Normal(mu, torch.exp(0.5 * logvar)).sample()\n        eps = ",
            ),
        ),
        may_fail=("q8.generator",),
    ),
    Mistake(
        "q08-noise-shared-by-batch",
        8,
        "vae",
        "one draw of the noise for the whole batch",
        ("q8.reparam.draws", "q8.vae.fresh", "q8.conv.posterior"),
        ((DRAW, DRAW.replace("mu.shape", "mu.shape[1:]")),),
    ),
    Mistake(
        "q08-noise-shared-by-latents",
        8,
        "vae",
        "one number of noise for all latent dimensions of an example",
        ("q8.reparam.draws",),
        ((DRAW, DRAW.replace("mu.shape", "(len(mu), 1)")),),
    ),
    Mistake(
        "q08-generator-ignored",
        8,
        "vae",
        "the generator is accepted and not used",
        ("q8.generator",),
        ((DRAW, "torch.randn_like(mu)"),),
    ),
    Mistake(
        "q08-reseeds",
        8,
        "vae",
        "sets a seed before each draw",
        ("q8.generator", "q8.vae.fresh", "q8.conv.posterior"),
        ((f"        eps = {DRAW}", "        torch.manual_seed(0)\n        eps = torch.randn_like(mu)"),),
    ),
    Mistake(
        "q08-inplace",
        8,
        "vae",
        "halves logvar in place",
        ("q8.reparam.value",),
        ((RETURN, "return mu + logvar.mul_(0.5).exp() * eps"),),
        may_fail=("q8.reparam.gradient", "q8.vae.forward", "q8.vae.gradient", "q8.conv.posterior", "q8.reparam.draws"),
    ),
    # ---- models
    Mistake(
        "q08-flat-reconstruction",
        8,
        "vae",
        "decode returns (B, 784)",
        ("q8.vae.shapes", "q8.generate.model", "q8.interpolate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).flatten(1)\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-size-28-hard-coded",
        8,
        "vae",
        "decode reshapes to 28 x 28 whatever input_dim is",
        ("q8.vae.shapes", "q8.generate.model", "q8.interpolate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).reshape(-1, 1, 28, 28)\n"),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-returns-z-too",
        8,
        "vae",
        "forward returns (x_recon, mu, logvar, z)",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        mu, logvar = self.encode(x)\n        z = reparameterize(mu, logvar, eps, generator)\n"
            "        return self.decode(z), mu, logvar, z\n",
        ),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-latent-dim-missing",
        8,
        "vae",
        "the attribute latent_dim is not kept",
        ("q8.vae.shapes", "q8.generate.model"),
        append=changed(
            "VAE",
            "    latent_dim = 20\n\n    def __init__(self, *args, **kwargs):\n"
            "        super().__init__(*args, **kwargs)\n        del self.latent_dim\n",
        ),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-one-head",
        8,
        "vae",
        "one head for both mu and logvar",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"),
    ),
    Mistake(
        "q08-relu-on-mu",
        8,
        "vae",
        "a rectifier on the mean",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n        return mu.relu(), logvar\n",
        ),
    ),
    Mistake(
        "q08-softplus-on-logvar",
        8,
        "vae",
        "softplus makes the log-variance positive, sigma never below 1",
        ("q8.vae.heads",),
        append=changed(
            "VAE",
            "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
            "        return mu, nn.functional.softplus(logvar)\n",
        ),
    ),
    Mistake(
        "q08-double-sigmoid",
        8,
        "vae",
        "sigmoid of the sigmoid",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        return torch.sigmoid(super().decode(z))\n"),
    ),
    Mistake(
        "q08-decodes-logits",
        8,
        "vae",
        "decode returns logits",
        ("q8.vae.probabilities", "q8.generate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return torch.logit(super().decode(z), 1e-30)\n"),
        may_fail=("q8.vae.forward", "q8.vae.gradient", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-eps-ignored",
        8,
        "vae",
        "forward does not hand eps on",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, None, generator)\n",
        ),
    ),
    Mistake(
        "q08-forward-ignores-generator",
        8,
        "vae",
        "forward does not hand the generator on",
        ("q8.generator",),
        append=changed(
            "VAE", "    def forward(self, x, eps=None, generator=None):\n        return super().forward(x, eps)\n"
        ),
    ),
    Mistake(
        "q08-mean-in-eval",
        8,
        "vae",
        "decodes the mean in evaluation mode",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if not self.training and eps is None:\n"
            "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
            "        return super().forward(x, eps, generator)\n",
        ),
        may_fail=("q8.generator",),
    ),
    Mistake(
        "q08-mean-in-training",
        8,
        "vae",
        "decodes the mean in training mode",
        ("q8.vae.fresh",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        if self.training and eps is None:\n"
            "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
            "        return super().forward(x, eps, generator)\n",
        ),
    ),
    Mistake(
        "q08-sigma-returned",
        8,
        "vae",
        "forward returns sigma in place of logvar",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        x_recon, mu, logvar = super().forward(x, eps, generator)\n"
            "        return x_recon, mu, torch.exp(0.5 * logvar)\n",
        ),
        may_fail=("q8.elbo.zero",),
    ),
    Mistake(
        "q08-z-detached",
        8,
        "vae",
        "the reconstruction's gradient does not pass the draw",
        ("q8.vae.gradient",),
        append=changed(
            "VAE",
            "    def forward(self, x, eps=None, generator=None):\n"
            "        mu, logvar = self.encode(x)\n"
            "        return self.decode(reparameterize(mu, logvar, eps, generator).detach()), mu, logvar\n",
        ),
    ),
    Mistake(
        "q08-hidden-dim-ignored",
        8,
        "vae",
        "hidden layers of fixed width",
        ("q8.vae.shapes",),
        append=changed(
            "VAE",
            "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
            "        super().__init__(input_dim, 64, latent_dim)\n",
        ),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-float32-inside",
        8,
        "vae",
        "encode converts to float32",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x.float())\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-conv-28-to-25",
        8,
        "vae",
        "a transposed convolution without the padding that makes 28",
        ("q8.conv.shapes", "q8.generate.model"),
        (
            (
                "nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1)",
                "nn.ConvTranspose2d(16, 1, kernel_size=3, stride=2, padding=1)",
            ),
        ),
        may_fail=("q8.conv.posterior", "q8.trained.conv"),
    ),
    Mistake(
        "q08-conv-one-head",
        8,
        "vae",
        "ConvVAE with one head",
        ("q8.conv.posterior",),
        append=changed(
            "ConvVAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"
        ),
    ),
    Mistake(
        "q08-conv-clamped",
        8,
        "vae",
        "ConvVAE with a rectifier before the sigmoid",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def decode(self, z):\n        return super().decode(z).clamp(min=0.5)\n"),
    ),
    Mistake(
        "q08-conv-without-convolution",
        8,
        "vae",
        "ConvVAE is the MLP again",
        ("q8.conv.shapes",),
        append="class ConvVAE(VAE):\n    def __init__(self, latent_dim=20):\n        super().__init__(784, 100, latent_dim)\n",
        may_fail=("q8.conv.posterior",),
    ),
    # ---- the ELBO
    Mistake(
        "q08-kl-mean-of-latents",
        8,
        "vae",
        "averages the KL over the latent dimensions",
        ("q8.elbo.value",),
        ((TERMS, "return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean() / mu.shape[1]"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-kl-batch-sum",
        8,
        "vae",
        "sums the KL over the batch",
        ("q8.elbo.value",),
        ((TERMS, TERMS.replace(".mean()", ".sum()")),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-mean",
        8,
        "vae",
        "binary cross-entropy averaged over pixels beside a summed KL",
        ("q8.elbo.value", "q8.elbo.zero", "q8.trained.beta"),
        ((TERMS, "return nn.functional.binary_cross_entropy(x_recon, x), kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-batch-sum",
        8,
        "vae",
        "sums the reconstruction term over the batch",
        ("q8.elbo.value", "q8.elbo.zero"),
        (
            (
                TERMS,
                "return nn.functional.binary_cross_entropy(x_recon, x, reduction='sum'), "
                "kl_divergence(mu, logvar).mean()",
            ),
        ),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-of-logits",
        8,
        "vae",
        "takes the probabilities for logits",
        ("q8.elbo.value", "q8.elbo.zero"),
        (
            (
                TERMS,
                "recon = nn.functional.binary_cross_entropy_with_logits(x_recon, x, reduction='sum') / len(x)\n"
                "    return recon, kl_divergence(mu, logvar).mean()",
            ),
        ),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-squared-error",
        8,
        "vae",
        "squared error for the likelihood",
        ("q8.elbo.value", "q8.elbo.zero"),
        ((TERMS, "return (x_recon - x).square().flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-bce-arguments-swapped",
        8,
        "vae",
        "prediction and target change places",
        ("q8.elbo.value",),
        ((TERMS, TERMS.replace("x_recon, x)", "x, x_recon)")),),
        may_fail=("q8.elbo.zero", "q8.elbo.finite", "q8.elbo.gradient", "q8.trained.beta"),
    ),
    Mistake(
        "q08-kl-sign",
        8,
        "vae",
        "subtracts the KL's sign",
        ("q8.elbo.value",),
        ((TERMS, TERMS.replace("kl_divergence", "-kl_divergence")),),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-log-of-zero",
        8,
        "vae",
        "own cross-entropy without care for probabilities 0 and 1",
        ("q8.elbo.finite",),
        (
            (
                TERMS,
                "nats = -(x * x_recon.log() + (1 - x) * (1 - x_recon).log())\n"
                "    return nats.flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()",
            ),
        ),
    ),
    Mistake(
        "q08-terms-as-floats",
        8,
        "vae",
        "returns numbers without a graph",
        ("q8.elbo.value", "q8.elbo.zero", "q8.elbo.gradient", "q8.loss.beta", "q8.trained.beta"),
        ((TERMS, "return bce_loss(x_recon, x).item(), kl_divergence(mu, logvar).mean().item()"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-kl-detached",
        8,
        "vae",
        "the KL has no gradient",
        ("q8.elbo.gradient",),
        ((TERMS, TERMS.replace(".mean()", ".mean().detach()")),),
        may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-beta-on-recon",
        8,
        "vae",
        "beta weighs the reconstruction",
        ("q8.loss.beta",),
        ((LOSS, "return beta * recon + kl"),),
        may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-beta-ignored",
        8,
        "vae",
        "beta changes nothing",
        ("q8.loss.beta", "q8.trained.beta"),
        ((LOSS, "return recon + kl"),),
    ),
    Mistake(
        "q08-beta-capped",
        8,
        "vae",
        "beta cannot exceed 1",
        ("q8.loss.beta",),
        ((LOSS, "return recon + min(beta, 1.0) * kl"),),
        may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-default-beta",
        8,
        "vae",
        "the default is not the ELBO",
        ("q8.loss.beta",),
        (("logvar: Tensor, beta: float = 1.0) -> Tensor:", "logvar: Tensor, beta: float = 4.0) -> Tensor:"),),
        may_fail=("q8.elbo.gradient",),
    ),
    # ---- annealing
    Mistake(
        "q08-annealing-unbounded",
        8,
        "vae",
        "the weight goes on rising",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * step / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-restarts",
        8,
        "vae",
        "the weight restarts after the warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * (step % warmup_steps) / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-off-by-one",
        8,
        "vae",
        "starts above 0",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1.0, (step + 1) / warmup_steps) if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-stops-at-one",
        8,
        "vae",
        "caps at 1 in place of beta_max",
        ("q8.annealing",),
        ((SCHEDULE, "return min(1.0, beta_max * step / warmup_steps) if warmup_steps else 1.0"),),
    ),
    Mistake(
        "q08-annealing-no-warmup",
        8,
        "vae",
        "divides by warmup_steps = 0",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1.0, step / warmup_steps)"),),
    ),
    Mistake(
        "q08-annealing-zero-at-zero",
        8,
        "vae",
        "0 at step 0 even without warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return 0.0 if step == 0 else beta_max * min(1.0, step / max(1, warmup_steps))"),),
    ),
    Mistake(
        "q08-annealing-sigmoid",
        8,
        "vae",
        "another curve than a line",
        ("q8.annealing",),
        (
            (
                SCHEDULE,
                "t = 1.0 if step >= warmup_steps else step / warmup_steps\n    return beta_max * t * t * (3 - 2 * t)",
            ),
        ),
    ),
    # ---- free bits
    Mistake(
        "q08-freebits-ceiling",
        8,
        "vae",
        "a ceiling in place of a floor",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, FLOOR.replace("clamp(min=", "clamp(max=")),),
    ),
    Mistake(
        "q08-freebits-per-example",
        8,
        "vae",
        "the floor comes before the batch mean",
        ("q8.freebits.value",),
        ((FLOOR, "return kl.clamp(min=free_bits).reshape(-1, latent_dim // group_size).mean(dim=0).sum()"),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-of-total",
        8,
        "vae",
        "one floor for the whole KL",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).sum().clamp(min=free_bits)"),),
    ),
    Mistake(
        "q08-freebits-batch-sum",
        8,
        "vae",
        "the floor is compared with the batch's sum",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace(".mean(dim=0)", ".sum(dim=0)")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-mean-of-groups",
        8,
        "vae",
        "averages the groups",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, FLOOR.replace(".sum()", ".mean()")),),
    ),
    Mistake(
        "q08-freebits-strided-groups",
        8,
        "vae",
        "groups every G-th dimension in place of successive ones",
        ("q8.freebits.value", "q8.freebits.gradient"),
        (
            (
                FLOOR,
                "kl = nn.functional.relu(0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
                "    return kl.reshape(group_size, -1).sum(dim=0).clamp(min=free_bits).sum()",
            ),
        ),
    ),
    Mistake(
        "q08-freebits-group-ignored",
        8,
        "vae",
        "always one dimension per group",
        ("q8.freebits.value",),
        (
            (
                FLOOR,
                "kl = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
                "    return kl.clamp(min=free_bits).sum()",
            ),
        ),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-floor-times-size",
        8,
        "vae",
        "a floor per dimension in place of one per group",
        ("q8.freebits.value",),
        ((FLOOR, FLOOR.replace("min=free_bits", "min=free_bits * group_size")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-added",
        8,
        "vae",
        "adds the free bits",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) + free_bits).sum()"),),
    ),
    Mistake(
        "q08-freebits-subtracted",
        8,
        "vae",
        "penalises only what exceeds the floor",
        ("q8.freebits.value",),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) - free_bits).clamp(min=0).sum()"),),
    ),
    Mistake(
        "q08-freebits-pressure-below",
        8,
        "vae",
        "a straight-through floor: dimensions below it are still pushed",
        ("q8.freebits.gradient",),
        (
            (
                FLOOR,
                "means = kl.reshape(-1, latent_dim // group_size).mean(dim=0)\n"
                "    return (means + (means.clamp(min=free_bits) - means).detach()).sum()",
            ),
        ),
    ),
)
