"""Freezing: what does not move, until when, and that no trace is left."""

import copy

import pytest
import torch
from torch import nn

from danlu.optim import create
from danlu.train import Freeze, Observer, Trainer

from .toys import loss, network, same, tokens


def data():
    return [tokens(2 + k % 3, seed=k) for k in range(4)]


def made(callbacks, optimizer=None, until="3ep", **options):
    model = network(0, nn.BatchNorm1d(3))
    optimizer = (optimizer or (lambda m: create("adamw", m, 0.1, weight_decay=0.5)))(model)
    return Trainer(model, loss, optimizer, callbacks=callbacks, until=until, **{"observers": [], **options})


class Watch(Observer):
    def __init__(self):
        self.seen = []

    def settled(self, clock):
        names = [name for name, _ in self.run.model.named_parameters()]
        state = {name: copy.deepcopy(self.run.optimizer.state.get(p, {})) for name, p in self.run.model.named_parameters()}
        weights = {name: self.run.model.state_dict()[name].clone() for name in (*names, "2.running_mean")}
        self.seen.append((weights, state, self.run.model[2].training))


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, weight_decay=0.5),
        lambda m: torch.optim.LBFGS(m.parameters(), lr=0.05, max_iter=2),
    ],
)
def test_what_is_frozen_does_not_move_until_it_thaws(optimizer):
    watch = Watch()
    run = watch.run = made([Freeze("0.*", "2.*", until="2ep")], optimizer, observers=[watch])
    before = {name: t.clone() for name, t in run.model.state_dict().items()}
    result = run.fit(data(), data())
    assert result.steps == 12
    for k, (weights, state, training) in enumerate(watch.seen, 1):
        for name, tensor in weights.items():
            assert torch.equal(tensor, before[name]) == (k <= 8 and not name.startswith("3.")), (k, name)
        if not isinstance(run.optimizer, torch.optim.LBFGS):
            steps = {name: int(entries.get("step", 0)) for name, entries in state.items()}
            assert steps["3.weight"] == k
            assert steps["0.weight"] == max(0, k - 8)
        assert training == (k >= 8)
    assert run.model[2].training
    assert all(p.requires_grad for p in run.model.parameters())


def test_all_but_some():
    run = made([Freeze("*", but="3.*")])
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.fit(data())
    assert [name for name, p in run.model.named_parameters() if not torch.equal(p, before[name])] == ["3.weight", "3.bias"]
    assert all(p.requires_grad for p in run.model.parameters())


def test_what_was_frozen_before_stays_so():
    run = made([Freeze("0.*", until="1ep")])
    run.model[0].bias.requires_grad_(False)
    run.model[2].eval()
    run.fit(data())
    assert [name for name, p in run.model.named_parameters() if not p.requires_grad] == ["0.bias"]
    assert not run.model[2].training


@pytest.mark.parametrize("k", [2, 4, 6])
def test_a_resumed_run_thaws_at_the_same_step(k):
    def fitted(run):
        run.fit(data(), data())
        return dict(run.model.state_dict())

    wanted = fitted(made([Freeze("0.*", "2.*", until="1ep")]))
    run, saved = made([Freeze("0.*", "2.*", until="1ep")]), []

    class Save(Observer):
        def settled(self, clock):
            if clock.done == k:
                saved.extend(copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict(), run.state_dict())))
                raise StopHere

    class StopHere(BaseException):
        pass

    run.observers = [Save()]
    with pytest.raises(StopHere):
        run.fit(data(), data())
    run = made([Freeze("0.*", "2.*", until="1ep")])
    run.model.load_state_dict(saved[0])
    run.optimizer.load_state_dict(saved[1])
    run.load_state_dict(saved[2])
    assert same(fitted(run), wanted)


def test_what_is_refused():
    with pytest.raises(ValueError, match="give the names of parameters"):
        Freeze()
    with pytest.raises(ValueError, match=r"Freeze: no parameter is called 'O\.weight'; did you mean '3\.weight' or"):
        made([Freeze("O.weight")])
    with pytest.raises(ValueError, match="no parameter of the optimizer received a gradient"):
        made([Freeze("*")]).fit(data())
    made([Freeze("0.*"), Freeze("2.*", until="1ep")])  # two of them, told apart by their names
