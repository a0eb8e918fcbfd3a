"""Calls as a student would type them."""

from __future__ import annotations

import pytest
import torch

from grader.boundary.log import Call, Log
from grader.boundary.values import Gen, Handle, Params, Probe, Ref, TorchRef
from grader.check.typed import argument_names, typed

X = torch.tensor([[0.5, 1.0]])


def handle(log: Log, number: int, kind: str, made: Call) -> Handle:
    log.made[number] = made
    return Handle(None, number, kind)  # type: ignore[arg-type]  # nothing is asked of it


def test_arguments_have_their_names() -> None:
    log = Log()
    call = Call("gaussians.kl_divergence", (X, X.double()), {})
    assert typed(log, call) == ("kl_divergence(mu=tensor([[0.5, 1.0]]), logvar=tensor([[0.5, 1.0]], dtype=float64))")
    assert argument_names(log, "gaussians.kl_divergence", 3) == ["mu", "logvar", "3"]


def test_an_object_is_made_before_it_is_called_with_its_precision_and_mode() -> None:
    log = Log()
    vae = handle(log, 0, "VAE", Call("vae.VAE", (16, 8), {"latent_dim": 3}))
    log.note((vae, "double"), (), {})
    log.note((vae, "train"), (False,), {})
    assert log.last is None
    assert typed(log, Call(vae, (X,), {"generator": Gen(7)})) == (
        "vae = VAE(input_dim=16, hidden_dim=8, latent_dim=3).double().eval(); "
        "vae(x=tensor([[0.5, 1.0]]), generator=torch.Generator().manual_seed(7))"
    )
    log.note((vae, "train"), (), {})
    assert ".double().train(); vae.encode(x=" in typed(log, Call((vae, "encode"), (X,), {}))


def test_objects_that_are_given_have_the_parameters_name_and_are_defined_once() -> None:
    log = Log()
    model = handle(log, 0, "Linear", Call(TorchRef("nn.Linear"), (4, 4), {}))
    optimizer = handle(log, 1, "SGD", Call(TorchRef("optim.SGD"), (Params(model),), {"lr": 0.1}))
    words = typed(log, Call("training.train_step", (model, X, Ref("autoencoders.mse_loss"), optimizer), {}))
    assert words == (
        "model = torch.nn.Linear(4, 4); optimizer = torch.optim.SGD(model.parameters(), lr=0.1); "
        "train_step(model=model, x=tensor([[0.5, 1.0]]), loss_fn=mse_loss, optimizer=optimizer)"
    )


def test_a_helper_of_ours_shows_what_it_calls_or_nothing() -> None:
    assert (
        typed(Log(), Call(Probe("grad_left"), (Ref("vae.kl_annealing"), 3, 10), {}))
        == "kl_annealing(step=3, warmup_steps=10)"
    )
    assert typed(Log(), Call(Probe("grad_left"), (3,), {})) == ""
    assert typed(Log()) == ""


def test_large_tensors_are_described() -> None:
    words = typed(Log(), Call("autoencoders.mse_loss", (torch.zeros(5, 1, 28, 28), [1, (2.0, "a")]), {}))
    assert words == "mse_loss(x_recon=<float32 tensor (5, 1, 28, 28), from 0 to 0, mean 0>, x=[1, (2.0, 'a')])"


@pytest.mark.parametrize("method", ["train", "double", "to"])
def test_settings_are_no_calls(method: str) -> None:
    log = Log()
    log.note((Handle(None, 0, "VAE"), method), (), {})  # type: ignore[arg-type]
    assert log.last is None


def test_an_object_of_ours_alone_is_not_the_call_that_failed() -> None:
    log = Log()
    student = handle(log, 0, "VAE", Call("vae.VAE", (16,), {}))
    ours = handle(log, 1, "Watched", Call(Probe("Watched"), (16, 6), {}))
    around = handle(log, 2, "Recorder", Call(Probe("Recorder"), (student,), {}))
    log.note("training.fit", (ours,), {})
    log.note(ours, (X,), {})
    assert log.last is not None
    assert log.last.target == "training.fit"
    log.note(around, (X,), {})
    assert isinstance(log.last.target, Handle)
