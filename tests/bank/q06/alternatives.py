"""Question 6: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative


def alternative(id: str, story: str, append: str) -> Alternative:
    """A rewrite of part of training.py."""
    return Alternative(f"q6-{id}", 6, "training", story, (), append)


ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "dataloader",
        "loops over DataLoaders, weights by hand, mode flags, state dict cloned tensor by tensor",
        """from torch.utils.data import DataLoader, TensorDataset


def train_step(model, x, loss_fn, optimizer):
    device = next(model.parameters()).device
    model.train(True)
    for parameter in model.parameters():
        parameter.grad = None
    x = x.to(device, non_blocking=True)
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def evaluate(model, data, loss_fn, batch_size=128):
    former = model.training
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for (x,) in DataLoader(TensorDataset(data), batch_size=batch_size):
        x = x.to(device)
        total += loss_fn(model(x), x).item() * x.size(0)
        count += x.size(0)
    model.train(former)
    return total / count


def fit(model, data, loss_fn, optimizer, epochs, batch_size=128, validation=None, patience=None, generator=None):
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation data, got validation={validation}")
    former = model.training
    loader = DataLoader(TensorDataset(data), batch_size=batch_size, shuffle=True, generator=generator)
    history = {"train": [], "validation": [], "seconds": []}
    best, bad, saved = float("inf"), 0, None
    for epoch in range(epochs):
        total = 0.0
        for (x,) in loader:
            total += train_step(model, x, loss_fn, optimizer) * len(x)
        history["train"].append(total / len(data))
        if validation is None:
            continue
        value = evaluate(model, validation, loss_fn, batch_size)
        history["validation"].append(value)
        if patience is None:
            continue
        if value < best:
            best, bad = value, 0
            saved = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            bad += 1
        if bad == patience:
            break
    if saved is not None:
        model.load_state_dict(saved)
    model.train(former)
    return history
""",
    ),
    alternative(
        "own-stopping",
        "early stopping with an explicit NaN test and a list of all values",
        """import math


class EarlyStopping:
    def __init__(self, patience, min_delta=0.0):
        self.wait, self.delta, self.values, self.since = patience, min_delta, [], 0

    @property
    def best(self):
        return min((v for v in self.values if not math.isnan(v)), default=math.inf)

    def step(self, value):
        better = not math.isnan(value) and value < self.best - self.delta
        self.values.append(value)
        self.since = 0 if better else self.since + 1
        return bool(self.since >= self.wait)
""",
    ),
    alternative(
        "stage-by-hand",
        "the codes are computed batch by batch, with RMSprop, and one step per batch through train_step",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    own = [*encoders[stage].parameters(), *decoders[stage].parameters()]
    optimizer = torch.optim.RMSprop(own, lr=lr)
    former = [encoder.training for encoder in encoders]
    for encoder in encoders[:stage]:
        encoder.eval()
    encoders[stage].train()
    decoders[stage].train()
    history = []
    for _ in range(epochs):
        order = torch.randperm(len(data), generator=generator)
        total = 0.0
        for start in range(0, len(data), batch_size):
            h = data[order[start : start + batch_size]]
            with torch.no_grad():
                for encoder in encoders[:stage]:
                    h = encoder(h)
            loss = ((decoders[stage](encoders[stage](h)) - h) ** 2).sum(dim=1).mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(h)
        history.append(total / len(data))
    for encoder, mode in zip(encoders, former):
        encoder.train(mode)
    return history


def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    history = []
    for stage, _ in enumerate(encoders):
        history.append(pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator))
    return history
""",
    ),
    alternative(
        "frozen-below",
        "the layers below are frozen while the stage is trained, and thawed again",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=1e-3, generator=None):
    below = nn.Sequential(*encoders[:stage])
    modes = [module.training for module in below.modules()]
    asked = [parameter.requires_grad for parameter in below.parameters()]
    for parameter in below.parameters():
        parameter.requires_grad = False
    below.eval()
    with torch.inference_mode():
        h = below(data)
    h = h.clone()
    pair = nn.Sequential(encoders[stage], decoders[stage])
    optimizer = torch.optim.AdamW(pair.parameters(), lr=lr, weight_decay=0.0)
    history = fit(pair, h, mse_loss, optimizer, epochs, batch_size, generator=generator)
    for module, mode in zip(below.modules(), modes):
        module.training = mode
    for parameter, value in zip(below.parameters(), asked):
        parameter.requires_grad = value
    return list(history["train"])
""",
    ),
    alternative(
        "stack-modulelist",
        "module lists and loops",
        """class DeepAutoencoder(nn.Module):
    def __init__(self, down, up):
        super().__init__()
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)

    def encode(self, x):
        for layer in self.down:
            x = layer(x)
        return x

    def decode(self, z):
        for layer in list(self.up)[::-1]:
            z = layer(z)
        return z

    def forward(self, x):
        code = self.encode(x)
        return self.decode(code), code


def assemble_stack(encoders, decoders):
    return DeepAutoencoder(encoders, decoders)
""",
    ),
    alternative(
        "checkpoint-sequential",
        "torch's own checkpoint_sequential, one segment per layer",
        """from torch.utils.checkpoint import checkpoint_sequential


def checkpointed_forward(layers, x):
    layers = list(layers)
    return checkpoint_sequential(layers, len(layers), x, use_reentrant=False)
""",
    ),
    alternative(
        "checkpoint-function",
        "a Function that keeps each layer's input and the random state",
        """class Recompute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layer, x, *weights):
        ctx.layer, ctx.state = layer, torch.get_rng_state()
        ctx.save_for_backward(x)
        with torch.no_grad():
            return layer(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        now = torch.get_rng_state()
        torch.set_rng_state(ctx.state)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = ctx.layer(x)
        torch.set_rng_state(now)
        weights = list(ctx.layer.parameters())
        return (None, *torch.autograd.grad(y, [x, *weights], grad))


def checkpointed_forward(layers, x):
    for layer in layers:
        x = Recompute.apply(layer, x, *layer.parameters())
    return x
""",
    ),
    alternative(
        "mixed-unscaled",
        "loss in a region without autocast; gradients unscaled before the step",
        """def mixed_precision_step(model, x, loss_fn, optimizer, scaler=None, dtype=torch.bfloat16):
    device = next(model.parameters()).device
    x = x.to(device)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    scaler = torch.amp.GradScaler(device.type, enabled=False) if scaler is None else scaler
    with torch.amp.autocast(device.type, dtype=dtype):
        output = model(x)
        output = tuple(o.float() if o.is_floating_point() else o for o in output) if isinstance(output, tuple) else output.to(torch.float32)
        with torch.amp.autocast(device.type, enabled=False):
            loss = loss_fn(output, x.float())
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return loss.detach().cpu().item()
""",
    ),
    alternative(
        "decay-by-name",
        "a loop that adds squared norms",
        """def weight_decay_penalty(model, coefficient):
    total = 0.0
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            total = total + torch.linalg.vector_norm(parameter) ** 2
    return 0.5 * coefficient * total
""",
    ),
    alternative(
        "stopping-accepted-best",
        "the best value is lowered only by what counts as an improvement",
        """class EarlyStopping:
    def __init__(self, patience, min_delta=0.0):
        self.patience, self.min_delta, self.best, self.bad_epochs = patience, min_delta, float("inf"), 0

    def step(self, value):
        if value < self.best - self.min_delta:
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        return self.bad_epochs >= self.patience
""",
    ),
    alternative(
        "fit-numpy-order",
        "NumPy shuffles, seeded by one draw from the generator; the best weights are copied back in place",
        """def fit(model, data, loss_fn, optimizer, epochs, batch_size=128, validation=None, patience=None, generator=None):
    import numpy as np
    if patience is not None:
        if validation is None:
            raise ValueError(f'patience={patience!r} requires validation, which is {validation!r}')
        early = EarlyStopping(patience=patience)
    on = None if generator is None else generator.device
    rng = np.random.default_rng(int(torch.randint(2 ** 62, (), generator=generator, device=on)))
    order = np.arange(len(data))
    train, val = ([], [])
    snapshot = []
    with modes_kept(model):
        epoch = 0
        while epoch < epochs:
            epoch += 1
            rng.shuffle(order)
            pieces = np.split(order, range(batch_size, len(order), batch_size))
            losses = [train_step(model, data[torch.from_numpy(piece.copy()).to(data.device)], loss_fn, optimizer) for piece in pieces]
            train.append(float(np.average(losses, weights=[len(piece) for piece in pieces])))
            if validation is not None:
                val.append(evaluate(model, validation, loss_fn, batch_size))
            if patience is not None:
                if val[-1] < early.best:
                    snapshot = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
                if early.step(val[-1]):
                    epoch = epochs
        with torch.no_grad():
            for live, old in snapshot:
                live.copy_(old)
    return dict(train=train, validation=val)
""",
    ),
    alternative(
        "stage-frozen-copies",
        "frozen copies of the encoders below, codes anew for every batch, NAdam with a schedule",
        """def pretrain_stage(encoders, decoders, stage, data, epochs=1, batch_size=128, lr=0.001, generator=None):
    below = [copy.deepcopy(encoders[i]).eval().requires_grad_(False) for i in range(stage)]
    encoder, decoder = (encoders[stage], decoders[stage])
    encoder.train()
    decoder.train()
    trained = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.NAdam(trained, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2 * max(epochs, 1))
    device = trained[0].device if trained else data.device
    numbers = []
    for _ in range(epochs):
        where = None if generator is None else generator.device
        order = torch.randperm(data.shape[0], generator=generator, device=where).to(data.device)
        total = 0.0
        for rows in order.split(batch_size):
            with torch.no_grad():
                h = data[rows].to(device)
                for layer in below:
                    h = layer(h)
            loss = mse_loss(decoder(encoder(h)), h)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        schedule.step()
        numbers.append(total / data.shape[0])
    return numbers
""",
    ),
    alternative(
        "layerwise-carries-codes",
        "each pair is trained as stage 0 of one-element lists",
        """def pretrain_layerwise(encoders, decoders, data, epochs=1, batch_size=128, lr=0.001, generator=None):
    h = data
    losses = []
    for encoder, decoder in zip(encoders, decoders):
        losses.append(pretrain_stage([encoder], [decoder], 0, h, epochs, batch_size, lr, generator))
        with evaluation_mode(encoder):
            h = torch.cat([encoder(to_model(part, encoder)) for part in h.split(batch_size)])
    return losses
""",
    ),
    alternative(
        "mixed-casts-anything",
        "casts named tuples and mappings too, gives the mode back, clears gradients after the step",
        """from collections.abc import Mapping

def _up(value):
    if isinstance(value, Tensor):
        return value.float() if value.dtype.is_floating_point else value
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return type(value)(*map(_up, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(_up, value))
    if isinstance(value, Mapping):
        return type(value)(((k, _up(v)) for k, v in value.items()))
    return value

def mixed_precision_step(model, x, loss_fn, optimizer, scaler=None, dtype=torch.bfloat16):
    with modes_kept(model):
        model.train()
        x = to_model(x, model)
        optimizer.zero_grad()
        forward = torch.autocast(x.device.type, dtype, cache_enabled=False)(model.__call__)
        loss = loss_fn(_up(forward(x)), _up(x))
        value = float(loss.detach())
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()
    return value
""",
    ),
)
