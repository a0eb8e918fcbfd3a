"""Whatever a submission does instead of learning, its trained checks earn nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import torch

from grader.boundary.session import Session
from grader.boundary.values import Image8, Probe
from grader.check.datasets import Dataset
from grader.check.declaration import Check
from grader.check.outcome import Outcome
from grader.check.thresholds import load_thresholds
from grader.check.trained import X, out
from grader.classes.ingest import Submission
from grader.grading.judge import TRAINED, Bench, Setting, judge
from grader.rubric import CHECKS

from .cheats import CHEATS, PRETRAINED, Cheat
from .unlearned import SPOILED, UNLEARNED, late_weights

BY_ID = {check.id: check for check in CHECKS}
CASES = [(cheat, BY_ID[name]) for cheat in [*CHEATS, *UNLEARNED] for name in cheat.checks]


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


def outcome_of(bench: Bench, sources: dict[str, str], check: Check, data: Dataset, *, repeat: bool = True) -> Outcome:
    bench.submission = Submission("cheat", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    setting = Setting(21, "cpu", data, load_thresholds(data.name))
    return judge(check, bench, setting, repeat=repeat)


@pytest.mark.slow
@pytest.mark.parametrize(("cheat", "check"), CASES, ids=[f"{cheat.id}-{check.id}" for cheat, check in CASES])
def test_a_cheat_earns_nothing(
    cheat: Cheat, check: Check, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    sources = {**reference.sources, cheat.module: reference.sources[cheat.module] + "\n\n" + cheat.append}
    # a second, longer training is given to what falls short, cheats too: every third here, as it takes most of the time
    outcome = outcome_of(bench, sources, check, digits, repeat=(cheat, check) in CASES[::3])
    assert outcome.status not in ("passed", "partial", "error", "not_run"), outcome
    assert outcome.earned == 0


@pytest.mark.slow
def test_a_spoiled_baseline_is_no_gain(bench: Bench, reference: Submission, digits: Dataset) -> None:
    """What never pre-trains gains what chance gives it, a point or two of accuracy, whatever it does elsewhere."""
    text = reference.sources["semi_supervised"] + "\n\n" + SPOILED
    outcome = outcome_of(
        bench, {**reference.sources, "semi_supervised": text}, BY_ID["q7.trained.labels"], digits, repeat=False
    )
    assert outcome.status in ("partial", "failed"), outcome
    assert abs(outcome.measured["gain"].value) < 0.03


def weights_of(bench: Bench, reference: Submission, data: Dataset, name: str, latent_dim: int) -> str:
    """Parameters of the reference's autoencoder after an honest training, as text for a source file."""
    bench.worker.submit(dict(reference.sources), ["starter", "solution"])
    with Session(bench.worker, 0, TRAINED) as session:
        model = session.new(f"autoencoders.{name}", latent_dim=latent_dim)
        objective = [{"fn": Probe("image_mse"), "args": [out(0), X]}]
        session.train(model, {"x": Image8(data.train_x)}, objective, epochs=20, batch_size=32, lr=3e-3, seed=0)
        flat = torch.cat([value.flatten() for value in model.state().values()])
    return base64.b64encode(flat.to(torch.float16).numpy().tobytes()).decode()


@pytest.fixture(scope="module")
def weights(bench: Bench, reference: Submission, digits: Dataset) -> str:
    return weights_of(bench, reference, digits, "VanillaAutoencoder", 8)


@pytest.fixture(scope="module")
def convolutions(bench: Bench, reference: Submission, digits: Dataset) -> str:
    return weights_of(bench, reference, digits, "ConvAutoencoder", 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("methods", "when"),
    [("forward", "self.training"), ("encode decode", "not self.training"), ("train", "True")],
)
def test_weights_brought_along_earn_nothing(
    methods: str, when: str, weights: str, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    cheat, base = "", "VanillaAutoencoder"
    for method in methods.split():
        cheat += PRETRAINED.format(weights=weights, base=base, method=method, when=when)
        base = "Pretrained"
    cheat += "\n\nVanillaAutoencoder = Pretrained\n"
    sources = {**reference.sources, "autoencoders": reference.sources["autoencoders"] + "\n\n" + cheat}
    outcome = outcome_of(bench, sources, BY_ID["q4.trained.vanilla"], digits, repeat=False)
    assert outcome.status == "failed", outcome
    assert outcome.earned == 0


@pytest.mark.slow
def test_a_state_dict_of_its_own_is_not_asked(
    weights: str, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    """What has been trained is read where it lies: weights that come with `state_dict` are those of nobody."""
    check = BY_ID["q4.trained.vanilla"]
    cheat = PRETRAINED.format(weights=weights, base="VanillaAutoencoder", method="state_dict", when="True")
    text = f"{reference.sources['autoencoders']}\n\n{cheat}\n\nVanillaAutoencoder = Pretrained\n"
    found = outcome_of(bench, {**reference.sources, "autoencoders": text}, check, digits, repeat=False)
    honest = outcome_of(bench, dict(reference.sources), check, digits, repeat=False)
    assert found.measured["mse"].value == honest.measured["mse"].value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VanillaAutoencoder", "ConvAutoencoder"])
def test_weights_that_appear_late_earn_nothing(
    name: str, weights: str, convolutions: str, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    """They fit the images as the file has them, and no run shows them so: no count of steps is of use."""
    made, check = {
        "VanillaAutoencoder": (weights, "q4.trained.vanilla"), "ConvAutoencoder": (convolutions, "q4.trained.conv"),
    }[name]  # fmt: skip
    text = reference.sources["autoencoders"] + "\n\n" + late_weights(name, made)
    outcome = outcome_of(bench, {**reference.sources, "autoencoders": text}, BY_ID[check], digits, repeat=False)
    assert outcome.status == "failed", outcome
    assert outcome.earned == 0
