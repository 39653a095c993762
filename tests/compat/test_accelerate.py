"""Every preset behind Accelerate's wrapped optimizer ends where a hand-written loop ends."""

import pytest

from danlu import optim
from tests.compat.problem import EPOCHS, PRESETS, build, loader, mse, plain_loop, same, weights

accelerate = pytest.importorskip("accelerate", reason="the compat group is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


def prepared(name):
    accelerator = accelerate.Accelerator(cpu=True)
    model = build()
    return accelerator, *accelerator.prepare(model, optim.create(name, model, 0.01, compile=False), loader())


@pytest.mark.parametrize("name", PRESETS)
def test_accelerate_equals_a_plain_loop(name):
    accelerator, model, optimizer, batches = prepared(name)
    for _ in range(EPOCHS):
        for batch in batches:

            def closure(batch=batch):
                optimizer.zero_grad()
                loss = mse(model, batch)
                accelerator.backward(loss)
                return loss

            optimizer.step(closure)
    assert same(plain_loop(name), weights(accelerator.unwrap_model(model)))


@pytest.mark.parametrize("name", ["adamw", "muon", "schedule_free_adamw", "adafactor"])
def test_accelerate_saves_and_loads_the_state(name, tmp_path):
    """A run that is saved, ruined and loaded goes on as if nothing had happened."""
    accelerator, model, optimizer, batches = prepared(name)

    def epoch():
        for batch in batches:
            optimizer.zero_grad()
            accelerator.backward(mse(model, batch))
            optimizer.step()
        return weights(accelerator.unwrap_model(model))

    epoch()
    accelerator.save_state(tmp_path)
    through = epoch()
    epoch()
    accelerator.load_state(tmp_path)
    again = epoch()
    assert all(through[key].equal(again[key]) for key in through)
