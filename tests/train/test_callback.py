"""Where callbacks take part, in which order, and what is refused."""

from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from danlu.keyed import generator
from danlu.loss import LossSum
from danlu.train import Callback, Trainer, evaluate, on
from danlu.train.callback import taking

from .toys import batches, loss, network, same


def made(callbacks=(), model=None, **options):
    model = model or network()
    optimizer = options.pop("optimizer", None) or torch.optim.SGD(model.parameters(), lr=0.1)
    return Trainer(model, options.pop("loss", loss), optimizer, callbacks=callbacks, observers=[], **options)


def weights(run, data=None, valid=None):
    run.fit(data or batches(), valid)
    return [p.detach().clone() for p in run.model.parameters()]


class Named(Callback):
    def __init__(self, name, log=None):
        self.called, self.log = name, log

    @property
    def name(self):
        return self.called


class All(Callback):
    def __init__(self):
        self.log = []

    def attach(self, trainer):
        self.log.append("attach")

    def model(self, model):
        self.log.append("model")
        return model

    def loss(self, loss):
        self.log.append("loss")
        return loss

    def batch(self, batch, draw, clock):
        self.log.append(f"batch {clock.done}")
        return batch

    def grads(self, parameters, clock):
        self.log.append(f"grads {clock.done} {len(parameters)}")

    def after_update(self, clock, report):
        self.log.append(f"after_update {clock.done}")

    @contextmanager
    def eval_weights(self):
        self.log.append("eval in")
        yield
        self.log.append("eval out")

    def stops(self, clock):
        self.log.append(f"stops {clock.done}")
        return "enough" if clock.done == 2 else ""

    def start(self, clock):
        self.log.append("start")

    def update(self, clock, report):
        self.log.append(f"update {clock.done}")

    def evaluated(self, clock, row):
        self.log.append("evaluated")

    def settled(self, clock):
        self.log.append(f"settled {clock.done}")

    def end(self, clock, result):
        self.log.append(f"end {result.stopped}")


def test_points_are_called_where_they_should_be():
    every = All()
    run = made([every], until=9, evaluate_every=9, accumulate=2, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    result = run.fit(batches(), batches(1))
    window = ["batch {0}", "batch {0}", "grads {0} 4", "after_update {1}", "update {1}", "stops {1}"]
    first, second = ([x.format(k, k + 1) for x in window] for k in (0, 1))
    start, last = (
        ["model", "loss", "attach", "start", "stops 0"],
        ["eval in", "eval out", "evaluated", "settled 2", "end enough"],
    )
    assert every.log == [*start, *first, "settled 1", *second, *last]
    assert (result.steps, result.stopped, result.interrupted) == (2, "enough", False)
    assert result.final["step"] == 2


def test_what_is_not_overridden_is_not_called():
    assert taking([Callback()], "batch") == []
    assert same(weights(made([Callback()], until=7)), weights(made(until=7)))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_batch_is_what_the_callback_makes_of_it(accumulate):
    def scaled(batch, draw, clock):
        x, y = batch
        return x * torch.rand((), generator=draw, dtype=x.dtype), y

    found = weights(made([on("batch", scaled)], until=7, accumulate=accumulate))
    assert not same(found, weights(made(until=7, accumulate=accumulate)))
    model = network()
    run = made(model=model, until=7, accumulate=accumulate)
    for step in run.steps(batches()):
        draw = generator(0, "batch", "scaled", step.clock.step)
        step.update([scaled(batch, draw, step.clock) for batch in step.window])
    assert same(found, [p.detach() for p in model.parameters()])


def test_batches_are_keyed_by_seed_name_and_step():
    def drawn(name, seed, extra=()):
        found = []
        one = Named(name)
        one.batch = lambda batch, draw, clock: found.append(torch.rand((), generator=draw).item()) or batch
        made([one, *extra], until=4, seed=seed).fit(batches())
        return found

    other = Named("other")
    other.batch = lambda batch, draw, clock: torch.rand(9, generator=draw) is None or batch
    first = drawn("one", 0)
    assert drawn("one", 0, [other]) == first
    assert len({*first, *drawn("two", 0), *drawn("one", 1)}) == 12


def test_the_loss_of_training_is_wrapped_and_that_of_evaluation_is_not():
    def doubled(f):
        def twice(model, batch):
            found = f(model, batch)
            return LossSum(2 * found.total, found.count)

        return twice

    run = made([on("loss", doubled)], until=1)
    plain = made(until=1)
    double = made(until=1, optimizer=None, loss=doubled(loss))
    assert same(weights(run, valid=batches()), weights(double))
    assert not same(weights(plain, valid=batches()), weights(double))
    assert run.result.final["train/loss"] == pytest.approx(2 * plain.result.final["train/loss"], rel=1e-12)
    assert run.result.final["valid/loss"] == evaluate(run.model, loss, batches())["valid/loss"]


def test_gradients_are_changed_before_they_are_clipped():
    def hundredfold(parameters, clock):
        for p in parameters:
            p.grad.mul_(100)

    found = weights(made([on("grads", hundredfold)], until=7, clip=1e-3))
    assert not same(found, weights(made(until=7)))
    for a, b in zip(found, weights(made(until=7, clip=1e-3)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)  # of the same direction and length


def test_a_model_is_changed_before_its_optimizer_is_made():
    def widened(model):
        return nn.Sequential(*model, nn.Linear(4, 4).double())

    run = made([on("model", widened)], optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.1), until=2)
    assert len(run.model) == 4
    assert len(run.optimizer.param_groups[0]["params"]) == 6
    with pytest.raises(
        TypeError, match="widened changes the model, whose optimizer is made already; give the optimizer as a func"
    ):
        made([on("model", widened)])


def test_after_update_comes_after_applied_updates_only_and_may_change_weights():
    seen = []

    def halved(clock, report):
        seen.append(clock.done)
        with torch.no_grad():
            for p in run.model.parameters():
                p.mul_(0.5)

    data = batches()
    data[1] = (data[1][0], torch.full_like(data[1][1], -100))
    run = made([on("after_update", halved)], until=5)
    found = weights(run, data)
    assert seen == [1, 3, 4, 5]
    assert not same(found, weights(made(until=5), data))


def test_eval_weights_are_those_that_are_judged_and_shipped(tmp_path):
    class Zero(Callback):
        @contextmanager
        def eval_weights(self):
            before = [p.detach().clone() for p in run.model.parameters()]
            with torch.no_grad():
                for p in run.model.parameters():
                    p.zero_()
            yield
            with torch.no_grad():
                for p, old in zip(run.model.parameters(), before, strict=True):
                    p.copy_(old)

    run = made([Zero()], until=3, out=tmp_path, evaluate_raw=True)
    result = run.fit(batches(), batches(2))
    assert result.final["valid/loss"] == pytest.approx(torch.tensor(4.0).log().item(), rel=1e-6)  # four equal logits
    assert result.final["raw/loss"] != pytest.approx(result.final["valid/loss"], rel=1e-3)
    assert all(not t.any() for t in load_file(tmp_path / "model.safetensors").values())
    assert any(p.any() for p in run.model.parameters())
    with pytest.raises(ValueError, match="evaluate_raw=True, but nothing keeps an average"):
        made(evaluate_raw=True)


def test_a_function_at_intervals():
    seen = []

    def look(clock, report):
        seen.append(clock.done)

    made([on("after_update", look, every="1ep")], until="3ep").fit(batches())
    assert seen == [5, 10, 15]


def test_the_order_is_that_of_phases_then_as_given():
    class Early(Named):
        phase = -1

    class Late(Named):
        phase = 1

        def after_update(self, clock, report): ...

    class Mid(Named):
        def after_update(self, clock, report): ...

        def stops(self, clock):
            return ""

    run = made([Late("late"), Mid("a"), Early("early"), Mid("b")], until="2h", evaluate_every="10min")
    assert run.plan().splitlines() == [
        "until           2h",
        "evaluate_every  10min",
        "log_every       -",
        "after_update    a, then b, then late",
        "stops           a, then b",
        "observe         early, then a, then b, then late",
    ]


def test_conflicts_are_refused_in_a_sentence():
    class Mixup(Callback):
        kinds = excludes = frozenset({"target-mixing"})

    class CutMix(Mixup):
        pass

    class Alone(Callback):
        excludes = frozenset({"Mixup"})

    with pytest.raises(ValueError, match=r"^callbacks: Mixup and CutMix exclude each other \(target-mixing\); drop one$"):
        made([Mixup(), CutMix()])
    with pytest.raises(ValueError, match=r"Mixup and Alone exclude each other \(Mixup\)"):
        made([Mixup(), Alone()])
    with pytest.raises(ValueError, match="two are called 'Callback'; give one of them another name"):
        made([Callback(), Callback()])
    with pytest.raises(TypeError, match=r"is no Callback; derive from it, or wrap a function: on\('after_update', fn\)"):
        made([lambda: None])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("after_updates", print), "on: no point 'after_updates'; did you mean 'after_update'"),
        (("batch", print, "1ep"), "on: every is for after_update, update, evaluated, not for batch"),
        (("update", print, "often"), "duration 'often' is not understood"),
    ],
)
def test_bad_points_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        on(*arguments[:2], every=arguments[2] if len(arguments) > 2 else None)
