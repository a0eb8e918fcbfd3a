"""Small modules and functions of the grader that stand in for what a student's function is given.

They make visible what cannot be seen from a return value: in which mode a model is called, in which precision, with
which rows. Each records what it sees in buffers or attributes, which the grader reads back as data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Notes(list[Any]):
    """A list that a deep copy shares: what copies of a probe see is noted in one place, in order."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Notes:
        return self


class Recorder(nn.Module):
    """Wraps a module; notes for each call the mode, whether gradients are on, the batch size and the output dtype."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.calls = Notes()
        self.seen = Notes()

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        output = self.inner(x, *args, **kwargs)
        first = output[0] if isinstance(output, tuple) else output
        self.calls.append(
            {"training": self.training, "grad": torch.is_grad_enabled(), "graph": first.requires_grad, "rows": len(x),
             "kwargs": sorted(kwargs),
             "dtype": str(first.dtype).removeprefix("torch."), "device": str(x.device)}
        )  # fmt: skip
        self.seen.append(x.detach().clone())
        return output


class Autoencoder(nn.Module):
    """MLP autoencoder of given widths on images: `encode`, `decode`, `forward` -> (x_recon, z)."""

    def __init__(
        self, widths: Sequence[int], batch_norm: bool = False, drop_prob: float = 0.0, squash: bool = True
    ) -> None:
        super().__init__()
        self.drop_prob = drop_prob
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        for index, (wide, narrow) in enumerate(pairs):
            encoder.append(nn.Linear(wide, narrow))
            if batch_norm:
                encoder.append(nn.BatchNorm1d(narrow))
            if index < len(pairs) - 1:
                encoder.append(nn.ReLU())
        for index, (wide, narrow) in enumerate(reversed(pairs)):
            decoder.append(nn.Linear(narrow, wide))
            if index < len(pairs) - 1:
                decoder.append(nn.ReLU())
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        self.squash = squash
        self.modes = Notes()

    def encode(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        flat = x.flatten(1)
        if self.training and self.drop_prob:
            flat = flat * (torch.rand_like(flat) >= self.drop_prob)
        codes: Tensor = self.encoder(flat)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        flat: Tensor = self.decoder(z)
        flat = torch.sigmoid(flat) if self.squash else flat
        side = int(flat.shape[1] ** 0.5)
        return flat.view(-1, 1, side, side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z).view_as(x), z


class IdentityDecoder(nn.Module):
    """A generative model whose decoder returns the latent itself as an image: shows what it was given to decode.

    The posterior mean of an image is its first `latent_dim` pixels, the log-variance is constant. With a `label_step`
    every pixel also shows the class it was decoded with: that many times the label is added. `modes` notes whether any
    layer is in training mode, `grads` whether what a call returned has a graph, `widths` the size of each latent. With
    `views` the mean is a view of the image. Images are off by 1000 where a latent has another size, and, if `strict`,
    where they are decoded or encoded in training mode or with a graph.
    """

    def __init__(
        self, side: int, num_classes: int = 10, logvar: float = 1.0, label_step: float = 0.0, views: bool = False,
        strict: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent_dim, self.side, self.num_classes, self.logvar = side * side, side, num_classes, logvar
        self.label_step, self.views, self.strict = label_step, views, strict
        self.scale = nn.Parameter(torch.ones(()))
        self.layer = nn.Identity()  # stands for dropout or a normalisation inside
        self.modes = Notes()
        self.grads = Notes()
        self.widths = Notes()

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mu = x.flatten(1)[:, : self.latent_dim]
        mu = mu if self.views else mu * self.scale
        self.modes.append(self.training or self.layer.training)
        self.grads.append(mu.requires_grad)
        mu = mu + 1000 if self.strict and (self.training or self.layer.training or mu.requires_grad) else mu
        return mu, torch.full_like(mu, self.logvar)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        self.widths.append(int(z.shape[-1]))
        shown = torch.nn.functional.pad(z, (0, self.latent_dim - z.shape[-1])) * self.scale  # of another width: cut
        if y is not None:
            shown = shown + self.label_step * y.to(z.dtype).unsqueeze(1)
        self.modes.append(self.training or self.layer.training)
        self.grads.append(shown.requires_grad)
        wrong = self.strict and (self.training or self.layer.training or shown.requires_grad)
        shown = shown + 1000 if wrong or z.shape[-1] != self.latent_dim else shown
        return shown.view(-1, 1, self.side, self.side)

    def forward(
        self, x: Tensor, y: Tensor | None = None, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x, y)
        if eps is None:
            eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return self.decode(mu + torch.exp(0.5 * logvar) * eps, y), mu, logvar


class TableModel(nn.Module):
    """An autoregressive prior with known probabilities: logits of each position from a fixed table.

    Position 0 uses `first` (K,), every later one row `previous code` of `table` (K, K): a Markov chain in raster order.
    If `strict`, all codes are 0 in training mode or with gradients on.
    """

    def __init__(self, first: Tensor, table: Tensor, strict: bool = False) -> None:
        super().__init__()
        self.register_buffer("first", first)
        self.register_buffer("table", table)
        self.weight = nn.Parameter(torch.zeros(()))
        self.num_embeddings, self.strict = len(first), strict
        self.modes = Notes()
        self.grads = Notes()

    def forward(self, indices: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.grads.append(torch.is_grad_enabled())
        flat = indices.flatten(1)
        first, table = self.get_buffer("first"), self.get_buffer("table")
        logits = torch.cat([first.expand(len(flat), 1, -1), table[flat[:, :-1]]], dim=1) + self.weight
        if self.strict and (self.training or torch.is_grad_enabled()):
            logits = logits - 1000 * (torch.arange(len(first), device=logits.device) > 0)
        return logits.transpose(1, 2).reshape(len(flat), -1, *indices.shape[1:])


def mse_of_first(output: Any, batch: Tensor) -> Tensor:
    """Mean squared error over all elements between the (first) output and the batch."""
    first: Tensor = output[0] if isinstance(output, tuple | list) else output
    return (first - batch).square().mean()


def mean_square(output: Any, batch: Tensor) -> Tensor:
    """Mean square of the (first) output, whatever the batch is."""
    first: Tensor = output[0] if isinstance(output, tuple) else output
    return first.square().mean()


class Several(nn.Module):
    """One output for each module given, in a tuple."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part(x) for part in self.parts)


class Largest(nn.Module):
    """The place of the largest number of each row: integers, as a quantizer returns them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1)


class Tied(nn.Module):
    """Two layers that share one weight, which so has two names."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(size, size), nn.Linear(size, size)
        self.other.weight = self.one.weight


class Offset(nn.Module):
    """One parameter w, which is its output whatever the input: gradient descent moves it along a known path."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.w.expand(x.shape)


class Tally(nn.Module):
    """Counts its calls in training mode in a buffer: state that moves without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.get_buffer("passes").add_(1)
        return x


class Watched(nn.Module):
    """Autoencoder with one tanh layer on images; it and all its copies note who comes in, and in which mode.

    `batch_norm` gives it running statistics, and a count of passes as another buffer. `noise` disturbs the code in
    training mode, `corruption` the images that go through `forward`, in both modes; `drift` is added to the
    reconstruction as many times as there have been passes.
    """

    def __init__(
        self, pixels: int, latent_dim: int, batch_norm: bool = False, noise: float = 0.0, corruption: float = 0.0,
        drift: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.narrow, self.widen = nn.Linear(pixels, latent_dim), nn.Linear(latent_dim, pixels)
        self.norm = nn.BatchNorm1d(latent_dim) if batch_norm else nn.Identity()
        self.tally = Tally() if batch_norm else nn.Identity()
        self.noise, self.corruption, self.drift = noise, corruption, drift
        self.calls, self.seen = Notes(), Notes()

    def encode(self, x: Tensor) -> Tensor:
        self.calls.append({"training": self.training, "grad": torch.is_grad_enabled(), "rows": len(x)})
        self.seen.append(x.detach().clone())
        z: Tensor = torch.tanh(self.tally(self.norm(self.narrow(x.flatten(1)))))
        return z + self.noise * torch.randn_like(z) if self.training else z

    def decode(self, z: Tensor) -> Tensor:
        flat: Tensor = self.widen(z)
        side = int(flat.shape[1] ** 0.5)
        return flat.view(-1, 1, side, side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x + self.corruption * torch.randn_like(x) if self.corruption else x)
        return self.decode(z).view_as(x) + self.drift * len(self.calls), z


class Undecoded(nn.Module):
    """An autoencoder that has encode and forward, and no decode."""

    def __init__(self, inner: Watched) -> None:
        super().__init__()
        self.inner = inner

    def encode(self, x: Tensor) -> Tensor:
        return self.inner.encode(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x_recon, z = self.inner(x)
        return x_recon, z


class Outputs:
    """Notes what a module is given and which two tensors it returns, on every call with gradients on, or on `every`."""

    def __init__(self, model: nn.Module, every: bool = False) -> None:
        self.calls, self.every = Notes(), every
        model.register_forward_hook(self, with_kwargs=True)

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if (self.every or torch.is_grad_enabled()) and isinstance(output, tuple | list):
            everything = [*args, *kwargs.values(), *output]
            self.calls.append([item.detach().clone() for item in everything if isinstance(item, Tensor)])


class NotingLoss:
    """`mse_of_first`, which notes what it is given: the types of all, and the batch; and whether autocast is on."""

    def __init__(self) -> None:
        self.calls, self.batches = Notes(), Notes()

    def __call__(self, output: Any, batch: Tensor) -> Tensor:
        outputs = output if isinstance(output, tuple | list) else [output]
        kinds = [str(getattr(part, "dtype", type(part).__name__)) for part in outputs]
        self.calls.append(
            {"output": kinds[0], "outputs": kinds, "batch": str(batch.dtype), "kind": type(output).__name__,
             "autocast": torch.is_autocast_enabled(batch.device.type)}
        )  # fmt: skip
        self.batches.append(batch.detach().clone())
        return mse_of_first(output, batch)


class DoublingLoss:
    """Whatever it is given: 1 the first time, and twice as much each time. `told` notes what it has answered."""

    def __init__(self) -> None:
        self.told = Notes()

    def __call__(self, output: Any, batch: Tensor) -> Tensor:
        self.told.append(2.0 ** len(self.told))
        loss: Tensor = 0 * mse_of_first(output, batch) + self.told[-1]
        return loss


def grad_left(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether gradients are on after a call that was made with them off."""
    with torch.no_grad():
        function(*args, **kwargs)
        return torch.is_grad_enabled()


def requires_left(function: Callable[..., Any], layers: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether x requires a gradient after function(layers, x), if it did not before."""
    function(layers, x)
    return x.requires_grad


def leave_gradients(model: nn.Module, value: float) -> None:
    """Old gradients, as an earlier backward pass would have left them."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, value)


class BernoulliVAE(nn.Module):
    """A VAE whose parts the grader knows: decode(z) = sigmoid(W z + b), posterior N(A x, diag exp(logvar)).

    `weight` (s², L), `bias` (s²,), `to_mu` (L, s²), `logvar` (L,). Notes mode and gradients of every call. If `strict`,
    every pixel is nearly black in training mode or with gradients on.
    """

    def __init__(self, weight: Tensor, bias: Tensor, to_mu: Tensor, logvar: Tensor, strict: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.to_mu, self.logvar = nn.Parameter(to_mu), nn.Parameter(logvar)
        self.latent_dim, self.side, self.strict = len(logvar), int(len(bias) ** 0.5), strict
        self.modes = Notes()
        self.grads = Notes()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.modes.append(self.training)
        self.grads.append(torch.is_grad_enabled())
        mu = x.flatten(1) @ self.to_mu.T
        return mu, self.logvar.expand_as(mu)

    def decode(self, z: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.grads.append(torch.is_grad_enabled())
        off = 9.0 * (self.strict and (self.training or torch.is_grad_enabled()))
        flat = torch.sigmoid(z.reshape(-1, self.latent_dim) @ self.weight.T + self.bias - off)
        return flat.view(-1, 1, self.side, self.side)

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        if eps is None:
            eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return self.decode(mu + torch.exp(0.5 * logvar) * eps), mu, logvar


def plain_step(model: nn.Module, x: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step that lowers the mean square of the output: any training of the model moves what it can move."""
    optimizer.zero_grad()
    mean_square(model(x), x).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


class Denoiser(nn.Module):
    """Stands in for a denoising autoencoder: notes how it is called, what with, and what it gives back.

    x_recon = scale (x + noise / 2) with uniform noise from `generator`, in [0, 1], where noise is asked for, and
    scale x where not; scale/4 more in training mode; the code is the mean pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.6, dtype=torch.float64))
        self.calls = Notes()
        self.seen = Notes()
        self.given = Notes()

    def forward(
        self, x: Tensor, add_noise: bool | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        seed = None if generator is None else generator.initial_seed()
        self.calls.append({"add_noise": add_noise, "seed": seed, "training": self.training})
        self.seen.append(x.detach().clone())
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device) / 2
        x_recon = self.scale * (x + noise * (add_noise is True) + self.training / 4)
        self.given.append(x_recon.detach().clone())
        return x_recon, x_recon.flatten(1).mean(1, keepdim=True)
