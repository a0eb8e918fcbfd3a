"""Question 8: mistakes with the reparameterization, the two models, the ELBO and what is done with a trained model."""

from __future__ import annotations

from . import Alternative, Mistake

DRAW = "torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)"
RETURN = "return mu + torch.exp(0.5 * logvar) * eps"
TERMS = "return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()"
LOSS = "return recon + beta * kl"
SCHEDULE = "return float(beta_max) if step >= warmup_steps else beta_max * step / warmup_steps"
FLOOR = "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).clamp(min=free_bits).sum()"
GENERATE = """    with evaluation_mode(model):
        return model.decode(prior_sample(model, num_samples, generator))"""
LERP = "return model.decode(torch.lerp(mu1, mu2, weight.unsqueeze(1)))  # (1, L), (1, L), (steps, 1) -> (steps, L)"

OF_VAE = ("q8.vae.heads", "q8.vae.probabilities", "q8.vae.forward", "q8.vae.fresh", "q8.vae.gradient", "q8.generator")


def changed(model: str, body: str) -> str:
    """A model that differs from the reference in the methods of `body`."""
    return f"class {model}({model}):\n{body}"


MISTAKES: tuple[Mistake, ...] = (
    # ---- reparameterize
    Mistake(
        "q08-variance-for-sd", 8, "vae", "multiplies the noise with the variance",
        ("q8.reparam.value",), ((RETURN, "return mu + torch.exp(logvar) * eps"),),
    ),
    Mistake(
        "q08-logvar-is-log-sigma-times-two", 8, "vae", "reads logvar as 4 log sigma",
        ("q8.reparam.value",), ((RETURN, "return mu + torch.exp(0.25 * logvar) * eps"),),
    ),
    Mistake(
        "q08-logvar-not-exponentiated", 8, "vae", "multiplies with half the log-variance itself",
        ("q8.reparam.value",), ((RETURN, "return mu + 0.5 * logvar * eps"),),
        may_fail=("q8.reparam.draws",),
    ),
    Mistake(
        "q08-eps-uniform", 8, "vae", "draws the noise from rand",
        ("q8.reparam.draws",), ((DRAW, DRAW.replace("randn", "rand")),),
    ),
    Mistake(
        "q08-eps-unit-variance-uniform", 8, "vae", "draws uniform noise of mean 0 and variance 1",
        ("q8.reparam.draws",), ((DRAW, f"({DRAW.replace('randn', 'rand')} - 0.5) * 12**0.5"),),
    ),
    Mistake(
        "q08-always-mu", 8, "vae", "returns the mean",
        ("q8.reparam.value", "q8.reparam.gradient", "q8.reparam.draws", "q8.vae.fresh", "q8.generator",
         "q8.conv.posterior"),
        ((RETURN, "return mu + 0 * logvar * eps"),),
    ),
    Mistake(
        "q08-mu-detached", 8, "vae", "no gradient reaches mu",
        ("q8.reparam.gradient",), ((RETURN, "return mu.detach() + torch.exp(0.5 * logvar) * eps"),),
    ),
    Mistake(
        "q08-sigma-without-gradient", 8, "vae", "computes sigma under no_grad",
        ("q8.reparam.gradient",),
        ((RETURN, "with torch.no_grad():\n        sigma = torch.exp(0.5 * logvar)\n    return mu + sigma * eps"),),
    ),
    Mistake(
        "q08-sample-for-rsample", 8, "vae", "Normal(...).sample() cuts the gradient of a drawn z",
        ("q8.reparam.gradient",),
        (("    if eps is None:\n        eps = ",
          "    if eps is None:\n        if generator is None or logvar.requires_grad:\n"
          "            torch.manual_seed(generator.initial_seed()) if generator is not None else None\n"
          "            return torch.distributions.Normal(mu, torch.exp(0.5 * logvar)).sample()\n        eps = "),),
        may_fail=("q8.generator",),
    ),
    Mistake(
        "q08-noise-shared-by-batch", 8, "vae", "one draw of the noise for the whole batch",
        ("q8.reparam.draws", "q8.vae.fresh", "q8.conv.posterior"), ((DRAW, DRAW.replace("mu.shape", "mu.shape[1:]")),),
    ),
    Mistake(
        "q08-noise-shared-by-latents", 8, "vae", "one number of noise for all latent dimensions of an example",
        ("q8.reparam.draws",), ((DRAW, DRAW.replace("mu.shape", "(len(mu), 1)")),),
    ),
    Mistake(
        "q08-generator-ignored", 8, "vae", "the generator is accepted and not used",
        ("q8.generator",), ((DRAW, "torch.randn_like(mu)"),),
    ),
    Mistake(
        "q08-reseeds", 8, "vae", "sets a seed before each draw",
        ("q8.generator", "q8.vae.fresh", "q8.conv.posterior"),
        ((f"        eps = {DRAW}", "        torch.manual_seed(0)\n        eps = torch.randn_like(mu)"),),
    ),
    Mistake(
        "q08-inplace", 8, "vae", "halves logvar in place",
        ("q8.reparam.value",), ((RETURN, "return mu + logvar.mul_(0.5).exp() * eps"),),
        may_fail=("q8.reparam.gradient", "q8.vae.forward", "q8.vae.gradient", "q8.conv.posterior", "q8.reparam.draws"),
    ),
    # ---- models
    Mistake(
        "q08-flat-reconstruction", 8, "vae", "decode returns (B, 784)",
        ("q8.vae.shapes", "q8.generate.model", "q8.interpolate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).flatten(1)\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-size-28-hard-coded", 8, "vae", "decode reshapes to 28 x 28 whatever input_dim is",
        ("q8.vae.shapes", "q8.generate.model", "q8.interpolate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return super().decode(z).reshape(-1, 1, 28, 28)\n"),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-returns-z-too", 8, "vae", "forward returns (x_recon, mu, logvar, z)",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        mu, logvar = self.encode(x)\n        z = reparameterize(mu, logvar, eps, generator)\n"
                       "        return self.decode(z), mu, logvar, z\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero"),
    ),
    Mistake(
        "q08-latent-dim-missing", 8, "vae", "the attribute latent_dim is not kept",
        ("q8.vae.shapes", "q8.generate.model"),
        append=changed("VAE", "    latent_dim = 20\n\n    def __init__(self, *args, **kwargs):\n"
                       "        super().__init__(*args, **kwargs)\n        del self.latent_dim\n"),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-one-head", 8, "vae", "one head for both mu and logvar",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"),
    ),
    Mistake(
        "q08-relu-on-mu", 8, "vae", "a rectifier on the mean",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu.relu(), logvar\n"),
    ),
    Mistake(
        "q08-softplus-on-logvar", 8, "vae", "softplus makes the log-variance positive, sigma never below 1",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu, nn.functional.softplus(logvar)\n"),
    ),
    Mistake(
        "q08-double-sigmoid", 8, "vae", "sigmoid of the sigmoid",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        return torch.sigmoid(super().decode(z))\n"),
    ),
    Mistake(
        "q08-decodes-logits", 8, "vae", "decode returns logits",
        ("q8.vae.probabilities", "q8.generate.model"),
        append=changed("VAE", "    def decode(self, z):\n        return torch.logit(super().decode(z), 1e-30)\n"),
        may_fail=("q8.vae.forward", "q8.vae.gradient", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-eps-ignored", 8, "vae", "forward does not hand eps on",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        return super().forward(x, None, generator)\n"),
    ),
    Mistake(
        "q08-forward-ignores-generator", 8, "vae", "forward does not hand the generator on",
        ("q8.generator",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        return super().forward(x, eps)\n"),
    ),
    Mistake(
        "q08-mean-in-eval", 8, "vae", "decodes the mean in evaluation mode",
        ("q8.vae.fresh",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        if not self.training and eps is None:\n"
                       "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
                       "        return super().forward(x, eps, generator)\n"),
        may_fail=("q8.generator",),
    ),
    Mistake(
        "q08-mean-in-training", 8, "vae", "decodes the mean in training mode",
        ("q8.vae.fresh",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        if self.training and eps is None:\n"
                       "            mu, logvar = self.encode(x)\n            return self.decode(mu), mu, logvar\n"
                       "        return super().forward(x, eps, generator)\n"),
    ),
    Mistake(
        "q08-sigma-returned", 8, "vae", "forward returns sigma in place of logvar",
        ("q8.vae.forward", "q8.vae.gradient"),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        x_recon, mu, logvar = super().forward(x, eps, generator)\n"
                       "        return x_recon, mu, torch.exp(0.5 * logvar)\n"),
        may_fail=("q8.elbo.zero",),
    ),
    Mistake(
        "q08-z-detached", 8, "vae", "the reconstruction's gradient does not pass the draw",
        ("q8.vae.gradient",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        mu, logvar = self.encode(x)\n"
                       "        return self.decode(reparameterize(mu, logvar, eps, generator).detach()), mu, logvar\n"),
    ),
    Mistake(
        "q08-hidden-dim-ignored", 8, "vae", "hidden layers of fixed width",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
                       "        super().__init__(input_dim, 64, latent_dim)\n"),
        may_fail=OF_VAE,
    ),
    Mistake(
        "q08-float32-inside", 8, "vae", "encode converts to float32",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x.float())\n"),
        may_fail=(*OF_VAE, "q8.elbo.zero", "q8.interpolate.model"),
    ),
    Mistake(
        "q08-conv-28-to-25", 8, "vae", "a transposed convolution without the padding that makes 28",
        ("q8.conv.shapes", "q8.generate.model"),
        (("nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1)",
          "nn.ConvTranspose2d(16, 1, kernel_size=3, stride=2, padding=1)"),),
        may_fail=("q8.conv.posterior", "q8.trained.conv"),
    ),
    Mistake(
        "q08-conv-one-head", 8, "vae", "ConvVAE with one head",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def encode(self, x):\n        mu, _ = super().encode(x)\n        return mu, mu\n"),
    ),
    Mistake(
        "q08-conv-clamped", 8, "vae", "ConvVAE with a rectifier before the sigmoid",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def decode(self, z):\n        return super().decode(z).clamp(min=0.5)\n"),
    ),
    Mistake(
        "q08-conv-without-convolution", 8, "vae", "ConvVAE is the MLP again",
        ("q8.conv.shapes",),
        append="class ConvVAE(VAE):\n    def __init__(self, latent_dim=20):\n        super().__init__(784, 100, latent_dim)\n",
        may_fail=("q8.conv.posterior",),
    ),
    # ---- the ELBO
    Mistake(
        "q08-kl-mean-of-latents", 8, "vae", "averages the KL over the latent dimensions",
        ("q8.elbo.value",),
        ((TERMS, "return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean() / mu.shape[1]"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-kl-batch-sum", 8, "vae", "sums the KL over the batch",
        ("q8.elbo.value",), ((TERMS, TERMS.replace(".mean()", ".sum()")),), may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-mean", 8, "vae", "binary cross-entropy averaged over pixels beside a summed KL",
        ("q8.elbo.value", "q8.elbo.zero", "q8.trained.beta"),
        ((TERMS, "return nn.functional.binary_cross_entropy(x_recon, x), kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-batch-sum", 8, "vae", "sums the reconstruction term over the batch",
        ("q8.elbo.value", "q8.elbo.zero"),
        ((TERMS, "return nn.functional.binary_cross_entropy(x_recon, x, reduction='sum'), "
          "kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-bce-of-logits", 8, "vae", "takes the probabilities for logits",
        ("q8.elbo.value", "q8.elbo.zero"),
        ((TERMS, "recon = nn.functional.binary_cross_entropy_with_logits(x_recon, x, reduction='sum') / len(x)\n"
          "    return recon, kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-squared-error", 8, "vae", "squared error for the likelihood",
        ("q8.elbo.value", "q8.elbo.zero"),
        ((TERMS, "return (x_recon - x).square().flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()"),),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-bce-arguments-swapped", 8, "vae", "prediction and target change places",
        ("q8.elbo.value",), ((TERMS, TERMS.replace("x_recon, x)", "x, x_recon)")),),
        may_fail=("q8.elbo.zero", "q8.elbo.finite", "q8.elbo.gradient", "q8.trained.beta"),
    ),
    Mistake(
        "q08-kl-sign", 8, "vae", "subtracts the KL's sign",
        ("q8.elbo.value",), ((TERMS, TERMS.replace("kl_divergence", "-kl_divergence")),),
        may_fail=("q8.elbo.finite", "q8.trained.beta"),
    ),
    Mistake(
        "q08-log-of-zero", 8, "vae", "own cross-entropy without care for probabilities 0 and 1",
        ("q8.elbo.finite",),
        ((TERMS, "nats = -(x * x_recon.log() + (1 - x) * (1 - x_recon).log())\n"
          "    return nats.flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()"),),
    ),
    Mistake(
        "q08-terms-as-floats", 8, "vae", "returns numbers without a graph",
        ("q8.elbo.value", "q8.elbo.zero", "q8.elbo.gradient", "q8.loss.beta", "q8.trained.beta"),
        ((TERMS, "return bce_loss(x_recon, x).item(), kl_divergence(mu, logvar).mean().item()"),),
        may_fail=("q8.elbo.finite",),
    ),
    Mistake(
        "q08-kl-detached", 8, "vae", "the KL has no gradient",
        ("q8.elbo.gradient",), ((TERMS, TERMS.replace(".mean()", ".mean().detach()")),), may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-beta-on-recon", 8, "vae", "beta weighs the reconstruction",
        ("q8.loss.beta",), ((LOSS, "return beta * recon + kl"),), may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-beta-ignored", 8, "vae", "beta changes nothing",
        ("q8.loss.beta", "q8.trained.beta"), ((LOSS, "return recon + kl"),),
    ),
    Mistake(
        "q08-beta-capped", 8, "vae", "beta cannot exceed 1",
        ("q8.loss.beta",), ((LOSS, "return recon + min(beta, 1.0) * kl"),), may_fail=("q8.trained.beta",),
    ),
    Mistake(
        "q08-default-beta", 8, "vae", "the default is not the ELBO",
        ("q8.loss.beta",),
        (("logvar: Tensor, beta: float = 1.0) -> Tensor:", "logvar: Tensor, beta: float = 4.0) -> Tensor:"),),
        may_fail=("q8.elbo.gradient",),
    ),
    # ---- annealing
    Mistake(
        "q08-annealing-unbounded", 8, "vae", "the weight goes on rising",
        ("q8.annealing",), ((SCHEDULE, "return beta_max * step / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-restarts", 8, "vae", "the weight restarts after the warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * (step % warmup_steps) / warmup_steps if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-off-by-one", 8, "vae", "starts above 0",
        ("q8.annealing",),
        ((SCHEDULE, "return beta_max * min(1.0, (step + 1) / warmup_steps) if warmup_steps else float(beta_max)"),),
    ),
    Mistake(
        "q08-annealing-stops-at-one", 8, "vae", "caps at 1 in place of beta_max",
        ("q8.annealing",), ((SCHEDULE, "return min(1.0, beta_max * step / warmup_steps) if warmup_steps else 1.0"),),
    ),
    Mistake(
        "q08-annealing-no-warmup", 8, "vae", "divides by warmup_steps = 0",
        ("q8.annealing",), ((SCHEDULE, "return beta_max * min(1.0, step / warmup_steps)"),),
    ),
    Mistake(
        "q08-annealing-zero-at-zero", 8, "vae", "0 at step 0 even without warm-up",
        ("q8.annealing",),
        ((SCHEDULE, "return 0.0 if step == 0 else beta_max * min(1.0, step / max(1, warmup_steps))"),),
    ),
    Mistake(
        "q08-annealing-sigmoid", 8, "vae", "another curve than a line",
        ("q8.annealing",),
        ((SCHEDULE, "t = 1.0 if step >= warmup_steps else step / warmup_steps\n    return beta_max * t * t * (3 - 2 * t)"),),
    ),
    # ---- free bits
    Mistake(
        "q08-freebits-ceiling", 8, "vae", "a ceiling in place of a floor",
        ("q8.freebits.value", "q8.freebits.gradient"), ((FLOOR, FLOOR.replace("clamp(min=", "clamp(max=")),),
    ),
    Mistake(
        "q08-freebits-per-example", 8, "vae", "the floor comes before the batch mean",
        ("q8.freebits.value",),
        ((FLOOR, "return kl.clamp(min=free_bits).reshape(-1, latent_dim // group_size).mean(dim=0).sum()"),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-of-total", 8, "vae", "one floor for the whole KL",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return kl.reshape(-1, latent_dim // group_size).mean(dim=0).sum().clamp(min=free_bits)"),),
    ),
    Mistake(
        "q08-freebits-batch-sum", 8, "vae", "the floor is compared with the batch's sum",
        ("q8.freebits.value",), ((FLOOR, FLOOR.replace(".mean(dim=0)", ".sum(dim=0)")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-mean-of-groups", 8, "vae", "averages the groups",
        ("q8.freebits.value", "q8.freebits.gradient"), ((FLOOR, FLOOR.replace(".sum()", ".mean()")),),
    ),
    Mistake(
        "q08-freebits-strided-groups", 8, "vae", "groups every G-th dimension in place of successive ones",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "kl = nn.functional.relu(0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
          "    return kl.reshape(group_size, -1).sum(dim=0).clamp(min=free_bits).sum()"),),
    ),
    Mistake(
        "q08-freebits-group-ignored", 8, "vae", "always one dimension per group",
        ("q8.freebits.value",),
        ((FLOOR, "kl = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)\n"
          "    return kl.clamp(min=free_bits).sum()"),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-floor-times-size", 8, "vae", "a floor per dimension in place of one per group",
        ("q8.freebits.value",), ((FLOOR, FLOOR.replace("min=free_bits", "min=free_bits * group_size")),),
        may_fail=("q8.freebits.gradient",),
    ),
    Mistake(
        "q08-freebits-added", 8, "vae", "adds the free bits",
        ("q8.freebits.value", "q8.freebits.gradient"),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) + free_bits).sum()"),),
    ),
    Mistake(
        "q08-freebits-subtracted", 8, "vae", "penalises only what exceeds the floor",
        ("q8.freebits.value",),
        ((FLOOR, "return (kl.reshape(-1, latent_dim // group_size).mean(dim=0) - free_bits).clamp(min=0).sum()"),),
    ),
    Mistake(
        "q08-freebits-pressure-below", 8, "vae", "a straight-through floor: dimensions below it are still pushed",
        ("q8.freebits.gradient",),
        ((FLOOR, "means = kl.reshape(-1, latent_dim // group_size).mean(dim=0)\n"
          "    return (means + (means.clamp(min=free_bits) - means).detach()).sum()"),),
    ),
    # ---- generate, interpolate
    Mistake(
        "q08-generates-from-rand", 8, "vae", "latents of new images from rand",
        ("q8.generate.prior",),
        (("    return torch.randn(shape, generator=generator, device=anchor.device, dtype=anchor.dtype)",
          "    return torch.rand(shape, generator=generator, device=anchor.device, dtype=anchor.dtype)"),),
        may_fail=("q9.generate",),
    ),
    Mistake(
        "q08-one-image-repeated", 8, "vae", "one draw repeated",
        ("q8.generate.prior",),
        (("    with evaluation_mode(model):\n        return model.decode(prior_sample(model, num_samples, generator))",
          "    with evaluation_mode(model):\n"
          "        return model.decode(prior_sample(model, 1, generator).repeat(num_samples, 1))"),),
    ),
    Mistake(
        "q08-generate-narrow", 8, "vae", "a prior of standard deviation .8, for nicer images",
        ("q8.generate.prior",), ((GENERATE, GENERATE.replace("generator))", "generator) * 0.8)")),),
    ),
    Mistake(
        "q08-generate-in-training-mode", 8, "vae", "no eval()",
        ("q8.generate.model",), ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()")),),
    ),
    Mistake(
        "q08-generate-with-graph", 8, "vae", "no no_grad()",
        ("q8.generate.model",),
        ((GENERATE, "    mode = model.training\n    model.eval()\n"
          "    images = model.decode(prior_sample(model, num_samples, generator))\n"
          "    model.train(mode)\n    return images"),),
    ),
    Mistake(
        "q08-generate-leaves-eval", 8, "vae", "the model stays in evaluation mode",
        ("q8.generate.model",),
        ((GENERATE, GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace(
            "        return", "        model.eval()\n        return")),),
    ),
    Mistake(
        "q08-generate-leaves-train", 8, "vae", "the model is always put into training mode",
        ("q8.generate.model",),
        ((GENERATE, "    model.eval()\n    with torch.no_grad():\n"
          "        images = model.decode(prior_sample(model, num_samples, generator))\n"
          "    model.train()\n    return images"),),
    ),
    Mistake(
        "q08-generate-float32", 8, "vae", "latents are float32 whatever the model is",
        ("q8.generate.model",), ((GENERATE, GENERATE.replace("generator))", "generator).float())")),),
        may_fail=("q8.generate.prior",),
    ),
    Mistake(
        "q08-generate-20-latents", 8, "vae", "always 20 latents",
        ("q8.generate.prior", "q8.generate.model"),
        ((GENERATE, "    with evaluation_mode(model):\n        weight = next(model.parameters())\n"
          "        z = torch.randn(num_samples, 20, generator=generator, dtype=weight.dtype, device=weight.device)\n"
          "        return model.decode(z)"),),
    ),
    Mistake(
        "q08-generate-ignores-generator", 8, "vae", "the generator is not handed on",
        ("q8.generate.prior",), ((GENERATE, GENERATE.replace("num_samples, generator", "num_samples, None")),),
    ),
    Mistake(
        "q08-interpolation-reversed", 8, "vae", "starts at image 2, as the study guide does",
        ("q8.interpolate.path",), ((LERP, "return model.decode(torch.lerp(mu2, mu1, weight.unsqueeze(1)))"),),
    ),
    Mistake(
        "q08-interpolation-misses-end", 8, "vae", "the last frame does not reach image 2",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (("weight = torch.linspace(0, 1, steps, device=mu1.device, dtype=mu1.dtype)",
          "weight = torch.arange(steps, device=mu1.device, dtype=mu1.dtype) / steps"),),
    ),
    Mistake(
        "q08-interpolates-images", 8, "vae", "mixes pixels, then reconstructs",
        ("q8.interpolate.model",),
        ((LERP, "mixed = torch.lerp(x1, x2, weight.view(-1, 1, 1, 1))\n        return model.decode(model.encode(mixed)[0])"),),
    ),
    Mistake(
        "q08-interpolates-reconstructions", 8, "vae", "cross-fades the two decoded images",
        ("q8.interpolate.model",),
        ((LERP, "return torch.lerp(model.decode(mu1), model.decode(mu2), weight.view(-1, 1, 1, 1))"),),
    ),
    Mistake(
        "q08-interpolates-samples", 8, "vae", "between draws, not means",
        ("q8.interpolate.path", "q8.interpolate.model"),
        (("        mu1, _ = model.encode(x1)\n", "        mu1 = reparameterize(*model.encode(x1))\n"),),
    ),
    Mistake(
        "q08-interpolates-on-sphere", 8, "vae", "keeps the norm: not equally spaced on the line",
        ("q8.interpolate.path", "q8.interpolate.model"),
        ((LERP, "z = torch.lerp(mu1, mu2, weight.unsqueeze(1))\n"
          "        norm = torch.lerp(mu1.norm(), mu2.norm(), weight.unsqueeze(1))\n"
          "        return model.decode(z / z.norm(dim=1, keepdim=True) * norm)"),),
    ),
    Mistake(
        "q08-interpolate-in-training-mode", 8, "vae", "no eval()",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _", "    with torch.no_grad():\n        mu1, _"),),
    ),
    Mistake(
        "q08-interpolate-with-graph", 8, "vae", "no no_grad()",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _",
          "    with evaluation_mode(model), torch.enable_grad():\n        mu1, _"),),
    ),
    Mistake(
        "q08-interpolate-leaves-eval", 8, "vae", "the model stays in evaluation mode",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _",
          "    model.eval()\n    with torch.no_grad():\n        mu1, _"),),
    ),
    Mistake(
        "q08-no-errors-for-beta", 8, "vae", "a negative beta passes",
        ("q8.errors",), (("    if beta < 0:", "    if False:"),),
    ),
    Mistake(
        "q08-no-errors-for-groups", 8, "vae", "a group size that does not divide falls on reshape",
        ("q8.errors",), (("    if group_size < 1 or latent_dim % group_size:", "    if False:"),),
    ),
    Mistake(
        "q08-no-errors-for-steps", 8, "vae", "one frame passes",
        ("q8.errors",), (("    if steps < 2:", "    if steps < 1:"),),
    ),
    Mistake(
        "q08-no-errors-for-schedule", 8, "vae", "negative arguments of the schedule pass",
        ("q8.errors",), (("        if value < 0:\n", "        if False:\n"),),
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q08-logvar-clamped", 8, "vae", "clamps the log-variance to -6 ... 2",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu, logvar.clamp(-6, 2)\n"),
    ),
    Mistake(
        "q08-conv-squashed-mean", 8, "vae", "the mean of ConvVAE goes through a tanh",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return 3 * torch.tanh(mu), logvar\n"),
    ),
    Mistake(
        "q08-conv-isotropic", 8, "vae", "one log-variance per image, repeated over the dimensions",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu, logvar[:, :1].expand_as(mu)\n"),
    ),
    Mistake(
        "q08-batch-maximum", 8, "vae", "divides the images by the maximum of their batch",
        ("q8.vae.heads",),
        append=changed("VAE", "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"),
        may_fail=("q8.vae.gradient", "q8.interpolate.model", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-batch-maximum", 8, "vae", "ConvVAE divides the images by the maximum of their batch",
        ("q8.conv.posterior",),
        append=changed("ConvVAE",
                       "    def encode(self, x):\n        return super().encode(x / x.max().clamp(min=1e-6))\n"),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-decodes-relative-to-batch", 8, "vae", "stretches the decoded images of a batch to 0 ... 1",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        shown = super().decode(z)\n"
                       "        return (shown - shown.min()) / (shown.max() - shown.min()).clamp(min=1e-6)\n"),
        may_fail=("q8.vae.fresh", "q8.vae.gradient", "q8.generator", "q8.elbo.zero", "q8.interpolate.model",
                  "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-scale-not-registered", 8, "vae", "a random scale of the features is a plain tensor, in no state_dict",
        ("q8.vae.forward",),
        append=changed("VAE", "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
                       "        super().__init__(input_dim, hidden_dim, latent_dim)\n"
                       "        self.scale = 1 + torch.rand(latent_dim)\n\n"
                       "    def decode(self, z):\n        return super().decode(z * self.scale.to(z))\n"),
        may_fail=("q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-scale-not-registered", 8, "vae", "a random scale of ConvVAE's mean is a plain tensor",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def __init__(self, latent_dim=20):\n        super().__init__(latent_dim)\n"
                       "        self.scale = 1 + torch.rand(latent_dim)\n\n"
                       "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu * self.scale.to(mu), logvar\n"),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-elbo-clamps-in-place", 8, "vae", "keeps the caller's probabilities away from 0 and 1",
        ("q8.elbo.finite",), ((TERMS, "x_recon.data.clamp_(1e-6, 1 - 1e-6)\n    " + TERMS),),
    ),
    Mistake(
        "q08-no-warmup-no-checks", 8, "vae", "returns beta_max without warm-up before it looks at the other arguments",
        ("q8.errors",),
        (("    for name, value in ((\"step\", step)",
          "    if warmup_steps == 0:\n        return float(beta_max)\n    for name, value in ((\"step\", step)"),),
    ),
    Mistake(
        "q08-generate-switches-gradients-off", 8, "vae", "gradients are switched off for good",
        ("q8.generate.model",), ((GENERATE, "    torch.set_grad_enabled(False)\n" + GENERATE),),
    ),
    Mistake(
        "q08-interpolate-switches-gradients-off", 8, "vae", "gradients are switched off for good by interpolate",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _",
          "    torch.set_grad_enabled(False)\n    with evaluation_mode(model):\n        mu1, _"),),
    ),
    Mistake(
        "q08-generate-standardized", 8, "vae", "gives the draws of a call exactly mean 0 and variance 1",
        ("q8.generate.prior",),
        ((GENERATE, "    with evaluation_mode(model):\n        z = prior_sample(model, num_samples, generator)\n"
          "        return model.decode((z - z.mean(dim=0)) / z.std(dim=0))"),),
    ),
    Mistake(
        "q08-generate-centred", 8, "vae", "takes the mean of the draws of a call off them if there are several",
        ("q8.generate.prior",),
        ((GENERATE, "    with evaluation_mode(model):\n        z = prior_sample(model, num_samples, generator)\n"
          "        return model.decode(z - z.mean(dim=0) if len(z) > 1 else z)"),),
    ),
    Mistake(
        "q08-mean-without-gradients", 8, "vae", "takes gradients that are off for an evaluation, and decodes the mean then",
        ("q8.vae.fresh",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        if eps is None and not torch.is_grad_enabled():\n"
                       "            eps = torch.zeros_like(self.encode(x)[0])\n"
                       "        return super().forward(x, eps, generator)\n"),
    ),
    Mistake(
        "q08-conv-mean-without-gradients", 8, "vae", "ConvVAE decodes the mean where gradients are off",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        if eps is None and not torch.is_grad_enabled():\n"
                       "            eps = torch.zeros_like(self.encode(x)[0])\n"
                       "        return super().forward(x, eps, generator)\n"),
    ),
    Mistake(
        "q08-latent-dim-on-class", 8, "vae", "writes latent_dim to the class: the last VAE made decides for all",
        ("q8.vae.shapes",),
        (("        self.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()",
          "        VAE.latent_dim = latent_dim\n        self.encoder = nn.Sequential(nn.Flatten()"),),
    ),
    Mistake(
        "q08-conv-latent-dim-on-class", 8, "vae", "writes latent_dim to the class: the last ConvVAE made decides for all",
        ("q8.conv.shapes",),
        (("        self.latent_dim = latent_dim\n        # A kernel", "        ConvVAE.latent_dim = latent_dim\n        # A kernel"),),
    ),
    Mistake(
        "q08-side-on-class", 8, "vae", "writes the side of the images to the class: a VAE of another size breaks the first",
        ("q8.vae.shapes",),
        append=changed("VAE", "    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):\n"
                       "        super().__init__(input_dim, hidden_dim, latent_dim)\n        VAE.side = _image_side(input_dim)\n\n"
                       "    def decode(self, z):\n        return super().decode(z).flatten(1).unflatten(1, (1, self.side, self.side))\n"),
    ),
    Mistake(
        "q08-logits-while-training", 8, "vae", "decode returns logits in training mode, probabilities in evaluation mode",
        ("q8.vae.probabilities",),
        append=changed("VAE", "    def decode(self, z):\n        found = super().decode(z)\n"
                       "        return torch.logit(found, 1e-6) if self.training else found\n"),
        may_fail=("q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-conv-logits-while-training", 8, "vae", "ConvVAE.decode returns logits in training mode",
        ("q8.conv.posterior",),
        append=changed("ConvVAE", "    def decode(self, z):\n        found = super().decode(z)\n"
                       "        return torch.logit(found, 1e-6) if self.training else found\n"),
        may_fail=("q8.trained.conv",),
    ),
    Mistake(
        "q08-forward-logits-while-training", 8, "vae", "forward, not decode, returns logits in training mode",
        ("q8.vae.forward",),
        append=changed("VAE", "    def forward(self, x, eps=None, generator=None):\n"
                       "        found, mu, logvar = super().forward(x, eps, generator)\n"
                       "        return torch.logit(found, 1e-6) if self.training else found, mu, logvar\n"),
        may_fail=("q8.vae.gradient", "q8.trained.elbo", "q8.trained.beta"),
    ),
    Mistake(
        "q08-freebits-gradient-by-image", 8, "vae", "no gradient for images below the floor whose group is above it",
        ("q8.freebits.gradient",), ((FLOOR, "kl = torch.where(kl > free_bits, kl, kl.detach())\n    " + FLOOR),),
    ),
    Mistake(
        "q08-elbo-xlogy", 8, "vae", "xlogy makes 0 log 0 = 0, but its gradient at certain pixels that are right is 0 / 0",
        ("q8.elbo.finite",),
        ((TERMS, "log_p = torch.xlogy(x, x_recon) + torch.xlogy(1 - x, 1 - x_recon)\n"
          "    return -log_p.clamp(min=-100).flatten(1).sum(1).mean(), kl_divergence(mu, logvar).mean()"),),
    ),
    Mistake(
        "q08-interpolate-walks-in-place", 8, "vae", "adds the step to the first mean in place: an image of which it is a view",
        ("q8.interpolate.path",),
        ((LERP, "step = (mu2 - mu1) / (steps - 1)\n        frames = [model.decode(mu1)]\n        for _ in range(steps - 1):\n"
          "            mu1 += step\n            frames.append(model.decode(mu1))\n        return torch.cat(frames)"),),
    ),
    Mistake(
        "q08-interpolate-switches-gradients-on", 8, "vae", "switches gradients on afterwards, whatever they were",
        ("q8.interpolate.model",),
        ((LERP, f"frames: Tensor = {LERP.removeprefix('return ')}\n    torch.set_grad_enabled(True)\n    return frames"),),
    ),
    Mistake(
        "q08-generate-switches-gradients-on", 8, "vae", "switches gradients on afterwards, whatever they were",
        ("q8.generate.model",),
        ((GENERATE, f"{GENERATE.replace('return', 'images: Tensor =')}\n    torch.set_grad_enabled(True)\n    return images"),),
    ),
    Mistake(
        "q08-generate-unfreezes", 8, "vae", "freezes the model for the time of the call, then frees what was frozen before too",
        ("q8.generate.model",),
        ((GENERATE, "    model.requires_grad_(False)\n" + GENERATE.replace("return", "images: Tensor =")
          + "\n    model.requires_grad_(True)\n    return images"),),
    ),
    Mistake(
        "q08-interpolate-freezes", 8, "vae", "freezes the model for the call and leaves it so",
        ("q8.interpolate.model",),
        (("    with evaluation_mode(model):\n        mu1, _", "    model.requires_grad_(False)\n"
          "    with evaluation_mode(model):\n        mu1, _"),),
    ),
    Mistake(
        "q08-generate-flag-only", 8, "vae", "sets model.training by hand, which the layers inside do not notice",
        ("q8.generate.model",),
        ((GENERATE, "    before, model.training = model.training, False\n"
          + GENERATE.replace("evaluation_mode(model)", "torch.no_grad()").replace("return", "images: Tensor =")
          + "\n    model.training = before\n    return images"),),
    ),
    Mistake(
        "q08-beta-error-without-value", 8, "vae", "the error of vae_loss does not say what it got",
        ("q8.errors",), (('f"beta must be at least 0, got {beta}"', '"beta must not be negative"'),),
    ),
)  # fmt: skip


OTHER_VAE = """
class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        side = int(round(input_dim ** 0.5))
        if side * side != input_dim:
            raise ValueError("input_dim=%d is no square" % input_dim)
        self.latent_dim, self.side = latent_dim, side
        self.norm = nn.BatchNorm1d(hidden_dim)
        self.drop = nn.Dropout(0.3)
        self.w1 = nn.Parameter(torch.randn(input_dim, hidden_dim) / input_dim ** 0.5)
        self.head = nn.Linear(hidden_dim, 2 * latent_dim, bias=False)
        self.up = nn.ModuleList([nn.Linear(latent_dim, hidden_dim), nn.Linear(hidden_dim, input_dim)])

    def encode(self, x):
        h = torch.tanh(self.drop(self.norm(x.reshape(x.size(0), -1) @ self.w1)))
        return torch.chunk(self.head(h), 2, dim=-1)

    def decode(self, z):
        h = nn.functional.silu(self.up[0](z))
        return ((1 + torch.tanh(self.up[1](h))) / 2).view(z.size(0), 1, self.side, self.side)

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        if eps is None:
            eps = torch.empty_like(mu).normal_(generator=generator)
        sigma = torch.sqrt(torch.exp(logvar))
        return [self.decode(torch.addcmul(mu, sigma, eps)), mu, logvar]
"""

OTHER_CONV = """
class ConvVAE(nn.Module):
    def __init__(self, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.fc_mu, self.fc_logvar = nn.Linear(784, latent_dim), nn.Linear(784, latent_dim)
        nn.init.zeros_(self.fc_logvar.weight)
        nn.init.constant_(self.fc_logvar.bias, -3.0)
        self.fc = nn.Linear(latent_dim, 784)
        self.up1, self.up2 = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def encode(self, x):
        h = nn.functional.max_pool2d(nn.functional.gelu(self.down1(x)), 2)
        h = nn.functional.avg_pool2d(nn.functional.gelu(self.norm(self.down2(h))), 2)
        h = h.permute(0, 2, 3, 1).reshape(len(x), -1)
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z):
        h = self.fc(z).view(-1, 16, 7, 7)
        h = nn.functional.gelu(self.up1(nn.functional.interpolate(h, scale_factor=2)))
        return torch.sigmoid(self.up2(nn.functional.interpolate(h, scale_factor=2, mode="bilinear")))

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        z = reparameterize(mu, logvar, eps=eps, generator=generator)
        return self.decode(z), mu, logvar
"""

OTHER_LOSSES = """
from torch.distributions import Normal
from torch.distributions import kl_divergence as kl_of_torch


def elbo_terms(x_recon, x, mu, logvar):
    p = x_recon.clamp(1e-7, 1 - 1e-7)
    nats = nn.functional.binary_cross_entropy(p, x, reduction="none")
    kl = kl_of_torch(Normal(mu, (logvar / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    return nats.sum(dim=(1, 2, 3)).mean(), kl.sum(-1).mean()


def vae_loss(x_recon, x, mu, logvar, beta=1.0):
    if not beta >= 0:
        raise ValueError(f"beta={beta} is negative")
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        recon, kl = elbo_terms(x_recon[i : i + 1], x[i : i + 1], mu[i : i + 1], logvar[i : i + 1])
        total = total + recon + beta * kl
    return total / len(x)


def kl_annealing(step, warmup_steps, beta_max=1.0):
    if min(step, warmup_steps, beta_max) < 0:
        raise ValueError(f"negative argument in step={step}, warmup_steps={warmup_steps}, beta_max={beta_max}")
    return beta_max * (1 if warmup_steps == 0 else min(1, step / warmup_steps))


def free_bits_kl(mu, logvar, free_bits, group_size=1):
    if free_bits < 0 or group_size <= 0 or mu.size(1) % group_size != 0:
        raise ValueError(f"bad free_bits={free_bits} or group_size={group_size}")
    per_dimension = -0.5 * torch.mean(1 + logvar - mu ** 2 - torch.exp(logvar), dim=0)
    floor = torch.as_tensor(free_bits, dtype=mu.dtype)
    return sum(torch.maximum(group.sum(), floor) for group in per_dimension.split(group_size))
"""

OTHER_SAMPLING = """
@torch.no_grad()
def generate(model, num_samples, generator=None):
    was = model.training
    model.eval()
    try:
        like = next(iter(model.parameters()))
        images = []
        for _ in range(0, num_samples, 100):
            z = torch.empty(min(100, num_samples - 100 * len(images)), model.latent_dim, dtype=like.dtype)
            images.append(model.decode(z.normal_(generator=generator).to(like.device)))
        return torch.cat(images)
    finally:
        model.train(was)


def interpolate(model, x1, x2, steps=10):
    if steps <= 1:
        raise ValueError("steps=%s: a path needs its two ends" % steps)
    mode = model.training
    model.train(False)
    with torch.inference_mode():
        start, end = model.encode(torch.cat([x1, x2]))[0]
        frames = [model.decode((start + (end - start) * i / (steps - 1))[None]) for i in range(steps)]
    model.train(mode)
    return torch.cat(frames, dim=0)
"""

REPARAMETERIZE_RSAMPLE = """
def reparameterize(mu, logvar, eps=None, generator=None):
    sigma = logvar.exp().sqrt()
    if eps is not None:
        return torch.addcmul(mu, eps, sigma)
    if generator is None:
        return torch.distributions.Normal(mu, sigma).rsample()
    columns = [torch.randn(len(mu), generator=generator, dtype=torch.float32) for _ in range(mu.shape[1])]
    return mu + sigma * torch.stack(columns, dim=1).to(mu)
"""

SOFTPLUS_MODEL = """
from typing import NamedTuple

from .autoencoders import _image_side as _side_of


class VAEOutput(NamedTuple):
    x_recon: Tensor
    mu: Tensor
    logvar: Tensor


class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.side = _side_of(input_dim)
        self.register_buffer("centre", torch.full((1, 1, 1, 1), 0.5), persistent=False)
        self.layers = nn.ModuleDict(
            {
                "body": nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ELU(), nn.Linear(hidden_dim, hidden_dim), nn.ELU()),
                "mean": nn.Linear(hidden_dim, latent_dim),
                "scale": nn.Linear(hidden_dim, latent_dim),
                "back": nn.Sequential(nn.Linear(latent_dim, hidden_dim), nn.PReLU(), nn.Linear(hidden_dim, input_dim)),
            }
        )

    def _posterior(self, x):
        h = self.layers["body"]((x - self.centre).flatten(1))
        raw = self.layers["scale"](h)
        exact = torch.log(nn.functional.softplus(raw.clamp(min=-15.0)))
        return self.layers["mean"](h), 2 * torch.where(raw < -15.0, raw, exact)

    def _logits(self, z):
        return self.layers["back"](z).view(-1, 1, self.side, self.side)

    def encode(self, x):
        return self._posterior(x)

    def decode(self, z):
        return self._logits(z).sigmoid()

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self._posterior(x)
        return VAEOutput(self._logits(reparameterize(mu, logvar, eps, generator)).sigmoid(), mu, logvar)
"""

TIED_MODEL = """
import math


class VAE(nn.Module):
    def __init__(self, input_dim=784, hidden_dim=400, latent_dim=20):
        super().__init__()
        self._side = math.isqrt(input_dim) if input_dim > 0 else 0
        if self._side < 1 or self._side**2 != input_dim:
            raise ValueError(f"input_dim: {input_dim} is not s**2")
        self.W = nn.Parameter(nn.init.xavier_normal_(torch.empty(hidden_dim, input_dim)))
        self.V = nn.Parameter(0.1 * torch.randn(2, latent_dim, hidden_dim))
        self.bias_hidden = nn.Parameter(torch.zeros(2, hidden_dim))
        self.bias_code = nn.Parameter(torch.zeros(2, 1, latent_dim))
        self.bias_pixel = nn.Parameter(torch.zeros(input_dim))
        self.U = nn.Linear(latent_dim, hidden_dim, bias=False)

    @property
    def latent_dim(self):
        return self.V.shape[1]

    def encode(self, x):
        h = torch.tanh(nn.functional.linear(x.flatten(1), self.W, self.bias_hidden[0]))
        mu, logvar = torch.einsum("klh,bh->kbl", self.V, h) + self.bias_code
        return mu, logvar

    def decode(self, z):
        h = torch.tanh(self.U(z) + self.bias_hidden[1])
        logits = torch.addmm(self.bias_pixel, h, self.W)
        return logits.sigmoid().view(len(z), 1, self._side, self._side)

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
"""

PIXEL_SHUFFLE = """
class _ConvResidual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h):
        return h + self.conv2(nn.functional.silu(self.conv1(nn.functional.silu(h))))


class ConvVAE(nn.Module):
    def __init__(self, latent_dim=20):
        super().__init__()
        self.latent_dim = latent_dim
        self.stem = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.MaxPool2d(2), _ConvResidual(12),
            nn.Conv2d(12, 24, 3, padding=1), nn.AvgPool2d(2), _ConvResidual(24), nn.SiLU(),
        )
        self.heads = nn.ModuleList(nn.Conv2d(24, latent_dim, 7) for _ in range(2))
        self.unstem = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 24, 7), _ConvResidual(24), nn.SiLU(),
            nn.Conv2d(24, 48, 3, padding=1), nn.PixelShuffle(2), nn.SiLU(),
            nn.Conv2d(12, 4, 3, padding=1), nn.PixelShuffle(2),
        )

    def encode(self, x):
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        return tuple(head(h).flatten(1) for head in self.heads)

    def decode(self, z):
        return torch.sigmoid(self.unstem(z[:, :, None, None]))

    def forward(self, x, eps=None, generator=None):
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
"""

NUMPY_SCHEDULE = """
import numpy as np


def kl_annealing(step, warmup_steps, beta_max=1.0):
    arguments = {"step": step, "warmup_steps": warmup_steps, "beta_max": beta_max}
    bad = {name: value for name, value in arguments.items() if value < 0}
    if bad:
        raise ValueError("negative: " + ", ".join(f"{name}={value}" for name, value in bad.items()))
    if warmup_steps == 0:
        return np.float64(beta_max)
    return np.interp(step, [0, warmup_steps], [0.0, beta_max])
"""

ON_A_COPY = """
import copy


def generate(model, num_samples, generator=None):
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    like = next(frozen.parameters(), torch.zeros(()))
    z = torch.normal(
        mean=0.0, std=1.0, size=(num_samples, frozen.latent_dim), generator=generator, device=like.device, dtype=like.dtype
    )
    with torch.no_grad():
        return frozen.decode(z).clone()
"""

ONE_BATCH = """
def interpolate(model, x1, x2, steps=10):
    if steps < 2:
        raise ValueError(f"steps={steps} is too small, 2 is the least")
    modes = {module: module.training for module in model.modules()}
    model.train(False)
    with torch.inference_mode():
        mu, _ = model.encode(torch.cat((x1, x2)))
        line = nn.functional.interpolate(mu.t().unsqueeze(0), size=steps, mode="linear", align_corners=True)
        frames = model.decode(line[0].t().contiguous())
    for module, mode in modes.items():
        module.training = mode
    return frames
"""

ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative("q08-alt-rsample", 8, "vae", "rsample, draws by column, square root of the exponential",
                append=REPARAMETERIZE_RSAMPLE),
    Alternative("q08-alt-model", 8, "vae", "chunked head, bare parameters, batch norm, dropout, rescaled tanh, a list out",
                append=OTHER_VAE),
    Alternative("q08-alt-conv", 8, "vae", "pooling and upsampling, group norm, a log-variance that starts constant",
                append=OTHER_CONV),
    Alternative("q08-alt-losses", 8, "vae", "torch.distributions, loops over examples and groups, clamped probabilities",
                append=OTHER_LOSSES),
    Alternative("q08-alt-sampling", 8, "vae", "in chunks, frame by frame, inference mode, try and finally",
                append=OTHER_SAMPLING),
    Alternative("q08-alt-everything", 8, "vae", "all of these together",
                append=REPARAMETERIZE_RSAMPLE + OTHER_VAE + OTHER_CONV + OTHER_LOSSES + OTHER_SAMPLING),
    Alternative(
        "q08-alt-weight-norm", 8, "vae", "weight normalisation and clamped log-variances and probabilities",
        append=changed("VAE", "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
                       "        for layer in self.modules():\n            if isinstance(layer, nn.Linear):\n"
                       "                nn.utils.parametrizations.weight_norm(layer)\n\n"
                       "    def encode(self, x):\n        mu, logvar = super().encode(x)\n"
                       "        return mu, logvar.clamp(-12, 12)\n\n"
                       "    def decode(self, z):\n        return super().decode(z).clamp(1e-6, 1 - 1e-6)\n"),
    ),
    Alternative("q08-alt-softplus", 8, "vae", "sigma by softplus, its logarithm twice; NamedTuple",
                append=SOFTPLUS_MODEL),
    Alternative("q08-alt-tied", 8, "vae", "the decoder uses the encoder's weight, latent_dim is a property",
                append=TIED_MODEL),
    Alternative("q08-alt-pixel-shuffle", 8, "vae", "residual convolutions, heads by convolution, pixel shuffle",
                append=PIXEL_SHUFFLE),
    Alternative("q08-alt-numpy-schedule", 8, "vae", "numpy.interp and its float64",
                append=NUMPY_SCHEDULE),
    Alternative("q08-alt-copy", 8, "vae", "generates with a copy; the model is never touched",
                append=ON_A_COPY),
    Alternative("q08-alt-one-batch", 8, "vae", "both images in one batch, functional.interpolate",
                append=ONE_BATCH),
)  # fmt: skip
