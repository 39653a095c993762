"""Augmentation and mixing in a run: keyed, resumable at every step, with the loss of what was mixed."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from danlu.data import Augmented, Chain, Cutmix, ImageFolder, Loader, Mixed, Mixup, TensorLoader, image, text
from danlu.keyed import generator
from danlu.loss import LossSum, cross_entropy
from danlu.optim import create
from danlu.train import Augment, Callback, Mix, Observer, Trainer, Update, of_mixed

from .toys import same

CHAIN = Chain(image.Flip(), image.Shift(1), image.Jitter(0.1), image.Erase(0.5))


def loss(model, batch):
    x, y = batch
    return cross_entropy(model(x), y)


def pictures(n=22):
    x = torch.randn(n, 1, 6, 6, generator=generator("x"))
    return x, (x.flatten(1).sum(1) > 0).long()


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 2))


class StopHere(Exception):  # noqa: N818 - it is no error
    pass


class Sees(Callback):
    """Keeps what the model is about to be trained on; saves at window `at` and stops there."""

    phase = 100

    def __init__(self, at=None):
        self.seen, self.at = [], at

    def batch(self, batch, draw, clock):
        self.seen.append((clock.done, copy.deepcopy(batch)))
        return batch


class Save(Observer):
    def __init__(self, at):
        self.at = at

    def settled(self, clock):
        if clock.done == self.at:
            own = self.trainer
            self.saved = copy.deepcopy((own.model.state_dict(), own.optimizer.state_dict(), own.state_dict()))
            raise StopHere


def augmented(batch=5):
    return Augmented(TensorLoader(*pictures(), batch=batch, seed=1), CHAIN, seed=1)


def plain(batch=5):
    return TensorLoader(*pictures(), batch=batch, seed=1)


WAYS = {
    "loader": (augmented, list),
    "callback": (plain, lambda: [Augment(CHAIN)]),
    "mixed": (augmented, lambda: [Mix(Mixup(0.5), Cutmix(1.0), last=0.2)]),
    "all": (plain, lambda: [Mix(Mixup(0.5), Cutmix(1.0)), Augment(CHAIN)]),
}


def trainer(callbacks, observers=()):
    model = network()
    return Trainer(
        model,
        loss,
        create("adamw", model, 0.01),
        until="2.4ep",
        accumulate=2,
        callbacks=callbacks,
        observers=list(observers),
        seed=4,
    )


def check_resume(data, callbacks, stops):
    """Stopped after each of the windows `stops` and resumed, a run is what it would have been, bit for bit."""
    whole, seen = trainer([*callbacks(), sees := Sees()]), sees
    result = whole.fit(data())
    for at in stops:
        save = Save(at)
        cut = trainer([*callbacks(), Sees()], [save])
        save.trainer = cut
        with pytest.raises(StopHere):
            cut.fit(data())
        again = Sees()
        resumed = trainer([*callbacks(), again])
        model, optimizer, state = save.saved
        resumed.model.load_state_dict(model)
        resumed.optimizer.load_state_dict(optimizer)
        resumed.load_state_dict(state)
        found = resumed.fit(data())
        assert same(again.seen, [pair for pair in seen.seen if pair[0] >= at])
        assert same(resumed.model.state_dict(), whole.model.state_dict())
        assert {**found.final, "seconds": 0} == {**result.final, "seconds": 0}
    return seen.seen


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_resumed_run_sees_the_same_pixels(way):
    data, callbacks = WAYS[way]
    check_resume(data, callbacks, (1, 3, 4, 6))


def test_workers_and_resumed_runs_see_the_same_pixels(tmp_path):
    """Pictures from files, augmented one by one, by this process and by two others."""
    pil = pytest.importorskip("PIL.Image")
    for i in range(22):
        (tmp_path / str(i % 2)).mkdir(exist_ok=True)
        pixels = torch.randint(256, (6, 6), generator=generator("file", i), dtype=torch.uint8)
        pil.fromarray(pixels.numpy()).save(tmp_path / str(i % 2) / f"{i}.png")
    files = ImageFolder(tmp_path, CHAIN, grey=True)

    def read(workers):
        return lambda: Loader(files, batch=5, seed=1, workers=workers)

    def mix():
        return [Mix(Mixup(0.5), Cutmix(1.0))]

    assert same(check_resume(read(0), mix, (1, 3, 4)), check_resume(read(2), mix, (3,)))


def test_augmentation_comes_before_mixing_whatever_the_order_given():
    names = [each.name for each in trainer([Mix(Mixup()), Augment(CHAIN)]).callbacks]
    assert names == ["Augment", "Mix"]


def test_evaluations_see_the_data_as_they_are():
    whole = trainer([Augment(CHAIN), Mix(Mixup(1.0))])
    result = whole.fit(plain(), valid := TensorLoader(*pictures(), batch=22, shuffle=False))
    whole.model.eval()
    assert result.final["valid/loss"] == pytest.approx(loss(whole.model, next(valid.epoch(0))).mean.item(), abs=1e-7)


def mixed(dtype=torch.float64):
    x, y = pictures()
    return Mixup(1.0)(x.to(dtype), y, generator(3))


def test_the_loss_of_a_mixture_is_that_of_soft_targets():
    model, batch = network().double().eval(), mixed()
    found = of_mixed(loss, model, batch)
    expected = functional.cross_entropy(model(batch.inputs), batch.soft(2).double(), reduction="sum")
    torch.testing.assert_close(found.total, expected, rtol=0, atol=1e-6)  # soft targets are of float32
    assert float(found.count) == 22
    right, count = found.measures["accuracy"]
    guess = model(batch.inputs).argmax(-1)
    share = batch.weight * (guess == batch.targets).double() + (1 - batch.weight) * (guess == batch.partners).double()
    assert float(right) == pytest.approx(float(share.sum()), abs=1e-5)
    assert float(count) == 22


def test_absent_targets_count_by_their_weight():
    x, y = pictures()
    y[::3] = -100
    batch = Mixup(1.0)(x, y, generator(3))
    found = of_mixed(loss, network().eval(), batch)
    a, b = (loss(network().eval(), (batch.inputs, t)) for t in (batch.targets, batch.partners))
    w = batch.weight
    assert 0.05 < w < 0.95
    assert found.total.item() == pytest.approx((w * a.total + (1 - w) * b.total).item(), rel=1e-5)
    assert float(found.count) == pytest.approx(float(w * a.count + (1 - w) * b.count), rel=1e-6)


def test_the_model_runs_once_and_draws_one_mask():
    calls = []
    model = network()
    model.register_forward_hook(lambda *_: calls.append(1))
    of_mixed(loss, model, mixed(torch.float32))
    assert len(calls) == 1


def test_a_window_of_mixtures_is_exact_however_it_is_cut():
    """The gradient of 22 mixtures in one batch is that of 9 and 13 in two."""
    x, y, partners, weight = mixed()
    found = []
    for sizes in ([22], [9, 13]):
        model = network().double().eval()
        callback = Mix(Mixup())
        update = Update(model, callback.loss(loss), torch.optim.SGD(model.parameters(), lr=0.5))
        update([Mixed(*parts, weight) for parts in zip(*(t.split(sizes) for t in (x, y, partners)), strict=True)])
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_mixing_can_end_before_the_run():
    sees = Sees()
    trainer([Mix(Mixup(), last=0.5), sees]).fit(plain())
    kinds = [isinstance(batch, Mixed) for _, batch in sees.seen]
    assert kinds == sorted(kinds, reverse=True)
    assert {True, False} == set(kinds)


def test_all_ways_are_taken():
    mix = Mix(lambda *_: "a", lambda *_: "b")
    assert {mix.batch(pictures(), generator(k), None) for k in range(12)} == {"a", "b"}


def test_targets_made_by_an_augmentation_stand_beside_its_inputs():
    law = text.MaskTokens(1, 30, 0.5)
    rows = torch.randint(2, 30, (4, 6), generator=generator(0))
    found = Augment(law).batch((rows,), generator(1), None)
    assert same(found, law(rows, generator(1)))
    inputs, targets, labels = Augment(law).batch([rows, torch.arange(4)], generator(1), None)
    assert torch.equal(labels, torch.arange(4))
    assert same((inputs, targets), found)
    assert same(Augment(law).batch(rows, generator(1), None), found)


def test_what_cannot_mix_is_refused():
    with pytest.raises(ValueError, match="Mix: needs a way to mix"):
        Mix()
    with pytest.raises(ValueError, match=r"Mix: last must be in \[0, 1\], got 2"):
        Mix(Mixup(), last=2.0)
    x, y = pictures()
    for batch, what in (({"x": x, "y": y}, "a dict of 2"), ((x, y, y), "a tuple of 3"), ([x], "a list of 1")):
        with pytest.raises(TypeError, match=rf"Mix: takes batches \(inputs, targets\), got {what}; let the loader make pairs"):
            Mix(Mixup()).batch(batch, generator(0), None)
    with pytest.raises(ValueError, match="two are called 'Augment'; give one of them another name"):
        trainer([Augment(CHAIN), Augment(CHAIN)])
    with pytest.raises(TypeError, match="bare tensor"):
        of_mixed(lambda model, batch: model(batch[0]).mean(), network(), mixed(torch.float32))


def test_measures_of_one_side_are_left_out():
    def odd(model, batch):
        found = loss(model, batch)
        return LossSum(found.total, found.count, {} if batch[1][0] else {"first": (1, 1)})

    x, y = pictures()
    y[0], partners = 0, y.clone()
    partners[0] = 1
    assert dict(of_mixed(odd, network(), Mixed(x, y, partners, 0.5)).measures) == {}


def test_parts_of_a_loss_are_mixed_too():
    def parted(model, batch):
        found = loss(model, batch)
        return LossSum(found.total, found.count, parts={"second": (2 * found.total, found.count)})

    model, batch = network().double().eval(), mixed()
    plain, found = of_mixed(loss, model, batch), of_mixed(parted, model, batch)
    torch.testing.assert_close(found.mean, 3 * plain.mean)

    def lopsided(model, batch):
        return loss(model, batch) if batch[1][0] else parted(model, batch)

    x, y = pictures()
    y[0], partners = 0, y.clone()
    partners[0] = 1
    with pytest.raises(ValueError, match="only one of the two mixed targets has the part 'second'"):
        of_mixed(lopsided, network(), Mixed(x, y, partners, 0.5))
