"""Question 5: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative

Q, M = 5, "denoising"


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q5-alt-noise-like", Q, M, "normal_ and bernoulli_ on new tensors, multiplication by a mask",
        append="""def gaussian_noise(x, std, generator=None):
    if std < 0:
        raise ValueError(f"std={std} is negative")
    noise = torch.empty_like(x).normal_(0, 1, generator=generator) * std
    return torch.clamp(x + noise, min=0.0, max=1.0)


def masking_noise(x, drop_prob, generator=None):
    if drop_prob < 0 or drop_prob > 1:
        raise ValueError(f"drop_prob={drop_prob}")
    keep = torch.empty_like(x).bernoulli_(1 - drop_prob, generator=generator)
    return x * keep


def salt_and_pepper_noise(x, prob, generator=None):
    if prob < 0 or prob > 1:
        raise ValueError(f"prob={prob}")
    colour = torch.bernoulli(torch.full_like(x, 0.5), generator=generator)
    which = torch.bernoulli(torch.full_like(x, prob), generator=generator)
    return which * colour + (1 - which) * x
""",
    ),
    Alternative(
        "q5-alt-one-uniform", Q, M, "salt and pepper from one uniform number, split in two; masks by >=",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not (0.0 <= prob <= 1.0):
        raise ValueError(f"prob has to be in [0, 1] but is {prob}")
    u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    out = x.clone()
    out[u < prob / 2] = 0.0
    out[(u >= prob / 2) & (u < prob)] = 1.0
    return out


def masking_noise(x, drop_prob, generator=None):
    if not (0.0 <= drop_prob <= 1.0):
        raise ValueError(f"drop_prob has to be in [0, 1] but is {drop_prob}")
    u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    return torch.where(u >= drop_prob, x, torch.zeros_like(x))
""",
    ),
    Alternative(
        "q5-alt-corrupt-inline", Q, M, "one function that does all three, in another order of draws, and a table of names",
        append="""def corrupt(x, kind, level, generator=None):
    known = ("gaussian", "masking", "salt_and_pepper")
    if kind not in known:
        raise ValueError(f"kind {kind!r} is not in {known}")
    if level < 0 or (level > 1 and kind != "gaussian"):
        raise ValueError(f"level {level} is out of range for {kind}")
    coin = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < 0.5
    hit = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < level
    if kind == "gaussian":
        return torch.clip(torch.normal(x, torch.full_like(x, level), generator=generator), 0, 1)
    return torch.where(hit, coin.to(x.dtype) if kind == "salt_and_pepper" else torch.zeros_like(x), x)
""",
    ),
    Alternative(
        "q5-alt-dae-own-layers", Q, M, "its own encoder and decoder with batch norm and dropout",
        append="""class DenoisingAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__()
        if noise not in ("gaussian", "masking", "salt_and_pepper"):
            raise ValueError(f"unknown noise {noise!r}")
        self.kind, self.level, self.side = noise, noise_level, round(input_dim ** 0.5)
        if self.side ** 2 != input_dim:
            raise ValueError(f"no square has {input_dim=} pixels")
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, 400), nn.BatchNorm1d(400), nn.ReLU(), nn.Dropout(0.02),
                                 nn.Linear(400, latent_dim))
        self.dec = nn.Sequential(nn.Linear(latent_dim, 400), nn.ReLU(), nn.Linear(400, input_dim))

    def encode(self, x):
        return self.enc(x)

    def decode(self, z):
        return torch.sigmoid(self.dec(z)).unflatten(1, (1, self.side, self.side))

    def forward(self, x, add_noise=None, generator=None):
        corrupted = x
        if add_noise or (add_noise is None and self.training):
            corrupted = corrupt(x, self.kind, self.level, generator=generator)
        code = self.encode(corrupted)
        return self.decode(code), code
""",
    ),
    Alternative(
        "q5-alt-dae-subclass", Q, M, "inherits from VanillaAutoencoder, overrides forward",
        append="""class DenoisingAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__(input_dim, latent_dim)
        corrupt(torch.zeros(1), noise, noise_level)  # raises for an unknown name
        self.corruption = lambda x, g: corrupt(x, noise, noise_level, g)

    def forward(self, x, add_noise=None, generator=None):
        noisy = self.training if add_noise is None else bool(add_noise)
        return super().forward(self.corruption(x, generator) if noisy else x)
""",
    ),
    Alternative(
        "q5-alt-loss-written-out", Q, M, "positional arguments, the squared error written out",
        append="""def denoising_loss(model, x, generator=None):
    output = model(x, True, generator)
    return ((output[0] - x) ** 2).flatten(1).sum(1).mean()
""",
    ),
    Alternative(
        "q5-alt-noise-without-gradient", Q, M, "noise is made under no_grad, on a detached copy",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    with torch.no_grad():
        noisy = x.detach().clone()
        where = torch.rand(noisy.shape, generator=generator, dtype=x.dtype, device=x.device) < prob
        colours = torch.randint(0, 2, noisy.shape, generator=generator, device=x.device).to(x.dtype)
        noisy[where] = colours[where]
    return noisy
""",
    ),
    Alternative(
        "q5-alt-masking-binomial", Q, M, "first how many pixels go, then which: the same distribution",
        append="""def masking_noise(x, drop_prob, generator=None):
    if not (drop_prob >= 0 and drop_prob <= 1):
        raise ValueError('drop_prob must be a probability, but is %r' % drop_prob)
    n = x.numel()
    how_many = torch.binomial(torch.tensor(float(n), device=x.device, dtype=torch.float64), torch.tensor(float(drop_prob), device=x.device, dtype=torch.float64), generator=generator)
    which = torch.randperm(n, generator=generator, device=x.device)[:int(how_many)]
    keep = torch.ones(n, dtype=torch.bool, device=x.device)
    keep[which] = False
    return torch.where(keep.view(x.shape), x, torch.zeros_like(x))
""",
    ),
    Alternative(
        "q5-alt-salt-multinomial", Q, M, "one categorical draw per pixel",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if prob < 0 or prob > 1:
        raise ValueError(f'salt_and_pepper_noise: prob={prob} must be in [0, 1]')
    if x.numel() == 0:
        return x.clone()
    weights = torch.tensor([1 - prob, prob / 2, prob / 2], device=x.device, dtype=torch.float64)
    choice = torch.multinomial(weights, x.numel(), replacement=True, generator=generator)
    options = torch.stack([x.reshape(-1), torch.zeros_like(x).reshape(-1), torch.ones_like(x).reshape(-1)])
    return options.gather(0, choice[None]).reshape(x.shape)
""",
    ),
    Alternative(
        "q5-alt-corrupt-enum", Q, M, "an Enum and a match statement; level is checked first, two of the kinds are written out",
        append="""import enum

class _Kind(str, enum.Enum):
    GAUSSIAN = 'gaussian'
    MASKING = 'masking'
    SALT_AND_PEPPER = 'salt_and_pepper'

def corrupt(x, kind, level, generator=None):
    try:
        chosen = _Kind(kind)
    except ValueError as error:
        raise ValueError(f'no such kind of noise: kind = {kind}') from error
    if level < 0:
        raise ValueError(f'level must not be negative, got {level}')
    if chosen is not _Kind.GAUSSIAN and level > 1:
        raise ValueError(f'level must be a probability, got {level}')
    match chosen:
        case _Kind.GAUSSIAN:
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return torch.clamp(torch.add(x, noise, alpha=level), min=0, max=1)
        case _Kind.MASKING:
            return x * (torch.rand(x.shape, generator=generator, device=x.device) >= level).to(x.dtype)
        case _Kind.SALT_AND_PEPPER:
            return salt_and_pepper_noise(x, level, generator)
""",
    ),
    Alternative(
        "q5-alt-dae-noise-layer", Q, M, "the corruption is a submodule with its level in a buffer; BatchNorm",
        append="""class _NoiseLayer(nn.Module):

    def __init__(self, kind, level):
        super().__init__()
        if kind not in ('gaussian', 'masking', 'salt_and_pepper'):
            raise ValueError(f'unknown noise {kind!r}')
        self.kind = kind
        self.register_buffer('level', torch.tensor(float(level), dtype=torch.float64), persistent=False)

    def forward(self, x, generator):
        return corrupt(x, self.kind, self.level.item(), generator=generator)

class DenoisingAutoencoder(nn.Module):

    def __init__(self, input_dim=784, latent_dim=32, noise='gaussian', noise_level=0.3):
        super().__init__()
        side = round(max(input_dim, 0) ** 0.5)
        if side < 1 or side ** 2 != input_dim:
            raise ValueError(f'input_dim={input_dim} is not a square')
        self.corruption = _NoiseLayer(noise, noise_level)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, 320), nn.BatchNorm1d(320), nn.GELU(), nn.Linear(320, latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, 320), nn.BatchNorm1d(320), nn.GELU(), nn.Linear(320, input_dim), nn.Hardsigmoid(), nn.Unflatten(1, (1, side, side)))

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, add_noise=None, generator=None):
        noisy = {None: self.training, True: True, False: False}[add_noise]
        seen = self.corruption(x, generator) if noisy else x
        z = self.encoder(seen)
        return (self.decoder(z), z)
""",
    ),
)  # fmt: skip
