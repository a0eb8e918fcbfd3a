"""Question 7: correct answers in other styles."""

from __future__ import annotations

from .. import Alternative


def alternative(id: str, story: str, append: str, *edits: tuple[str, str]) -> Alternative:
    """A rewrite of part of semi_supervised.py."""
    return Alternative(f"q7-{id}", 7, "semi_supervised", story, edits, append)


ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "frozen-by-no-grad",
        "the frozen encoder runs under no_grad, always in evaluation mode; the head is a Sequential",
        """class EncoderClassifier(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10, freeze=False):
        super().__init__()
        self.body = copy.deepcopy(autoencoder)
        weight = next(self.body.parameters())
        self.top = nn.Sequential(nn.Linear(latent_dim, num_classes)).to(weight)
        self.frozen = freeze

    def forward(self, x):
        if not self.frozen:
            return self.top(self.body.encode(x))
        former = self.body.training
        self.body.eval()
        with torch.no_grad():
            z = self.body.encode(x)
        self.body.train(former)
        return self.top(z)
""",
    ),
    alternative(
        "frozen-by-optimizer",
        "the encoder is frozen by what the optimizer is given, and by the flag of every layer",
        """class EncoderClassifier(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10, freeze=False):
        super().__init__()
        self.encoder = copy.deepcopy(autoencoder)
        self.classify = nn.Linear(latent_dim, num_classes, dtype=next(autoencoder.parameters()).dtype)
        self.freeze = freeze
        self.train()

    def trainable(self):
        return list((self.classify if self.freeze else self).parameters())

    def train(self, mode=True):
        super().train(mode)
        for part in self.encoder.modules():
            part.training = mode and not self.freeze
        return self

    def forward(self, x):
        return self.classify(self.encoder.encode(x))


def finetune(classifier, images, labels, epochs, batch_size=32, lr=1e-3, generator=None):
    keep = (labels >= 0).nonzero(as_tuple=True)[0]
    if keep.numel() == 0:
        raise ValueError(f"labels: no row is labelled, got {labels.tolist()}")
    wanted = [p for p in classifier.parameters() if p.requires_grad]
    own = classifier.trainable() if hasattr(classifier, "trainable") else wanted
    optimizer = torch.optim.AdamW([p for p in own if p.requires_grad], lr=lr, weight_decay=0.0)
    history = []
    classifier.train()
    for _ in range(epochs):
        total = 0.0
        order = keep[torch.randperm(len(keep), generator=generator)]
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            loss = nn.functional.cross_entropy(classifier(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * rows.numel()
        history.append(total / len(keep))
    return history
""",
    ),
    alternative(
        "loss-by-mask",
        "log-softmax, one-hot and a mask that multiplies",
        """def classification_loss(logits, labels):
    mask = (labels != -1).to(logits.dtype)
    one_hot = nn.functional.one_hot(labels.clamp(min=0), logits.shape[1]).to(logits.dtype)
    each = -(one_hot * torch.log_softmax(logits, dim=-1)).sum(dim=-1)
    return (each * mask).sum() / mask.sum().clamp(min=1.0)
""",
    ),
    alternative(
        "loss-by-selection",
        "indexing, and a zero that hangs on the logits",
        """def classification_loss(logits, labels):
    chosen = labels != -1
    if chosen.sum() == 0:
        return 0.0 * logits.sum()
    return nn.CrossEntropyLoss()(logits[chosen], labels[chosen])


def joint_loss(x_recon, x, logits, labels, alpha):
    if not alpha >= 0:
        raise ValueError(f"alpha: {alpha} is negative")
    reconstruction = ((x_recon - x) ** 2).reshape(len(x), -1).sum(-1).mean()
    return reconstruction + alpha * classification_loss(logits, labels)
""",
    ),
    alternative(
        "loss-by-where",
        "where, gather and logsumexp",
        """def classification_loss(logits, labels):
    given = labels.ne(-1)
    safe = torch.where(given, labels, torch.zeros_like(labels))
    each = logits.logsumexp(dim=1) - logits.gather(1, safe[:, None])[:, 0]
    each = torch.where(given, each, torch.zeros_like(each))
    return each.sum() / max(int(given.sum()), 1)
""",
    ),
    alternative(
        "accuracy-by-loader",
        "a DataLoader over all rows, counted where there is a label",
        """from torch.utils.data import DataLoader, TensorDataset


@torch.no_grad()
def accuracy(model, images, labels, batch_size=256):
    was_training = model.training
    model.eval()
    right = count = 0
    for x, y in DataLoader(TensorDataset(images, labels), batch_size=batch_size):
        out = model(x)
        out = out[-1] if isinstance(out, (tuple, list)) else out
        known = y != -1
        right += int((out.max(dim=1).indices[known] == y[known]).sum())
        count += int(known.sum())
    model.train(was_training)
    if count == 0:
        raise ValueError("labels are all -1")
    return right / count
""",
    ),
    alternative(
        "pipelines-by-loader",
        "DataLoaders and own loops, without the functions of training.py",
        """from torch.utils.data import DataLoader, TensorDataset


def finetune(classifier, images, labels, epochs, batch_size=32, lr=1e-3, generator=None):
    known = labels != -1
    if not bool(known.any()):
        raise ValueError("labels holds -1 only")
    loader = DataLoader(TensorDataset(images[known], labels[known]), batch_size, shuffle=True, generator=generator)
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, classifier.parameters()), lr=lr)
    criterion = nn.CrossEntropyLoss()
    history = []
    for _ in range(epochs):
        classifier.train()
        seen = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(classifier(x), y)
            loss.backward()
            optimizer.step()
            seen += [loss.item()] * len(x)
        history.append(sum(seen) / len(seen))
    return history


def train_two_stage(
    autoencoder, images, labels, latent_dim, pretrain_epochs, finetune_epochs, batch_size=128, lr=1e-3, freeze=False,
    generator=None,
):
    loader = DataLoader(TensorDataset(images), batch_size, shuffle=True, generator=generator)
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=lr)
    autoencoder.train()
    for _ in range(pretrain_epochs):
        for (x,) in loader:
            loss = nn.functional.mse_loss(autoencoder(x)[0], x, reduction="sum") / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    classifier = EncoderClassifier(autoencoder, latent_dim, 10, freeze)
    finetune(classifier, images, labels, finetune_epochs, min(32, batch_size), lr, generator)
    return classifier


def train_joint(model, images, labels, alpha, epochs, batch_size=128, lr=1e-3, generator=None):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    loader = DataLoader(TensorDataset(images, labels), batch_size, shuffle=True, generator=generator)
    model.train()
    history = []
    for _ in range(epochs):
        total = 0.0
        for x, y in loader:
            recon, logits = model(x)
            loss = joint_loss(recon, x, logits, y, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(x) / len(images)
        history.append(total)
    return history
""",
    ),
    alternative(
        "joint-by-parts",
        "the joint model encodes and decodes by itself",
        """class JointModel(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10):
        super().__init__()
        self.ae = autoencoder
        self.fc = nn.Linear(latent_dim, num_classes).to(next(autoencoder.parameters()))

    def forward(self, images):
        out = self.ae(images)
        return out[0], self.fc(out[-1])
""",
    ),
    alternative(
        "wrapped-frozen-zero-head",
        "the frozen encoder in a module that knows evaluation mode only; a head that starts at zero",
        """class _Features(nn.Module):
    def __init__(self, source, frozen):
        super().__init__()
        self.source = copy.deepcopy(source)
        self.frozen = frozen
        if frozen:
            self.source.requires_grad_(False)
            self.train(False)

    def train(self, mode=True):
        return super().train(mode and not self.frozen)

    def forward(self, x):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.source.encode(x)


class EncoderClassifier(nn.Sequential):
    def __init__(self, autoencoder, latent_dim, num_classes=10, freeze=False):
        like = next(autoencoder.parameters(), torch.zeros(()))
        head = nn.Linear(latent_dim, num_classes, dtype=like.dtype, device=like.device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        super().__init__(_Features(autoencoder, freeze), head)
""",
    ),
    alternative(
        "train-overwritten",
        "the frozen encoder's train() is overwritten; an orthogonal head",
        '''def disabled_train(self, mode=True):
    """Overwrites model.train so that the mode of a frozen part does not change any more."""
    return self


class EncoderClassifier(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10, freeze=False):
        super().__init__()
        self.backbone = copy.deepcopy(autoencoder)
        if freeze:
            self.backbone.eval()
            for module in self.backbone.modules():
                module.train = disabled_train.__get__(module)
            for param in self.backbone.parameters():
                param.requires_grad = False
        like = next(self.backbone.parameters(), torch.zeros(()))
        self.classifier = nn.Linear(latent_dim, num_classes)
        nn.init.orthogonal_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        self.classifier.to(device=like.device, dtype=like.dtype)

    def forward(self, x):
        features = self.backbone.encode(x)
        return self.classifier(features.flatten(start_dim=1))
''',
    ),
    alternative(
        "named-zero-head",
        "a NamedTuple of reconstruction and logits; a head that starts at zero",
        """from typing import NamedTuple


class JointOutput(NamedTuple):
    x_recon: Tensor
    logits: Tensor


class JointModel(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10):
        super().__init__()
        self.ae = autoencoder
        like = next(autoencoder.parameters(), torch.zeros(()))
        self.out = nn.Linear(latent_dim, num_classes, dtype=like.dtype, device=like.device)
        for p in self.out.parameters():
            nn.init.constant_(p, 0.0)

    def forward(self, x):
        x_recon, z = self.ae(x)
        return JointOutput(x_recon=x_recon, logits=self.out(z))
""",
    ),
    alternative(
        "raw-head",
        "a head of two bare parameters, cast to the code's dtype",
        """class JointModel(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10):
        super().__init__()
        self.net = autoencoder
        device = next(autoencoder.parameters(), torch.zeros(())).device
        self.w = nn.Parameter(torch.randn(latent_dim, num_classes, device=device) / latent_dim**0.5)
        self.b = nn.Parameter(torch.zeros(num_classes, device=device))

    def forward(self, x):
        x_recon, code = self.net(x)
        logits = torch.einsum("bl,lc->bc", code, self.w.to(code)) + self.b.to(code)
        return x_recon, logits
""",
    ),
    alternative(
        "dropped-weight-norm-head",
        "a weight-normalised head behind dropout: random logits in training mode",
        """from torch.nn.utils.parametrizations import weight_norm


class JointModel(nn.Module):
    def __init__(self, autoencoder, latent_dim, num_classes=10):
        super().__init__()
        like = next(autoencoder.parameters(), torch.zeros(()))
        self.drop = nn.Dropout(p=0.1)
        self.to_logits = weight_norm(nn.Linear(latent_dim, num_classes).to(like))
        self.autoencoder = autoencoder

    def forward(self, x):
        outputs = self.autoencoder(x)
        return outputs[0], self.to_logits(self.drop(outputs[1]))
""",
    ),
    alternative(
        "accuracy-on-a-copy",
        "a copy in evaluation mode is judged, in chunks of equal size",
        """import math


def accuracy(model, images, labels, batch_size=256):
    mask = labels.ne(-1)
    n = int(mask.sum())
    if n == 0:
        raise ValueError("no row is labelled: labels == -1 for all rows")
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    xs = images[mask.to(images.device)].chunk(math.ceil(n / batch_size))
    ys = labels[mask].chunk(math.ceil(n / batch_size))
    correct = 0
    with torch.no_grad():
        for x, y in zip(xs, ys):
            out = twin(x)
            logits = out[-1] if isinstance(out, tuple) else out
            correct += int(logits.topk(1, dim=1).indices.squeeze(1).eq(y.to(logits.device)).sum())
    return correct / n
""",
    ),
)
