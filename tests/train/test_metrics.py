"""Metrics against NumPy over all items at once; metrics of another library by their form."""

import math

import numpy as np
import pytest
import torch

from danlu.loss import LossSum
from danlu.train import RMSE, Accuracy, Mean, Metric, Perplexity, TopK, Trainer, evaluate

from .toys import loss, network, tokens


def parts():
    draw = torch.Generator().manual_seed(0)
    for n in (3, 1, 7):
        target = torch.randint(6, (n, 2), generator=draw)
        target[torch.rand(n, 2, generator=draw) < 0.3] = -100
        yield torch.randn(n, 2, 6, generator=draw), target


def whole():
    logits, target = (
        torch.cat(part).numpy().astype(kind) for part, kind in zip(zip(*parts(), strict=True), (float, int), strict=True)
    )
    counted = target != -100
    return logits[counted], target[counted]


def log_p(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [
        (Accuracy(), lambda z, y: (z.argmax(-1) == y).mean()),
        (TopK(1), lambda z, y: (z.argmax(-1) == y).mean()),
        (TopK(3), lambda z, y: np.mean([t in np.argsort(-row)[:3] for row, t in zip(z, y, strict=True)])),
        (TopK(9), lambda z, y: 1.0),
        (Perplexity(), lambda z, y: np.exp(-log_p(z)[np.arange(len(y)), y].mean())),
    ],
)
def test_of_classes(metric, wanted):
    for _ in range(2):  # reset forgets
        metric.reset()
        for part in parts():
            metric.update(*part)
        assert metric.compute() == pytest.approx(wanted(*whole()), rel=1e-6)
    assert isinstance(metric, Metric)


def test_of_numbers():
    x = torch.linspace(-3, 5, 11)
    rmse, mean = RMSE(), Mean()
    for a, b in ((0, 2), (2, 3), (3, 11)):
        rmse.update(x[a:b], 0.5 * x[a:b] + 1)
        mean.update(x[a:b])
    assert rmse.compute() == pytest.approx(np.sqrt(np.mean((0.5 * x.numpy() - 1) ** 2)), rel=1e-6)
    assert mean.compute() == pytest.approx(1.0, rel=1e-6)
    with pytest.raises(ValueError, match=r"RMSE: prediction \[11, 1\] and target \[11\] must have one shape"):
        rmse.update(x[:, None], x)


def test_of_nothing_and_of_too_much():
    assert all(math.isnan(metric.compute()) for metric in (Accuracy(), TopK(), RMSE(), Mean(), Perplexity()))
    worst = Perplexity()
    worst.update(torch.tensor([[0.0, -1000.0]]), torch.tensor([1]))
    assert worst.compute() == math.inf
    with pytest.raises(ValueError, match="TopK: k must be in"):
        TopK(0)


class Foreign:
    """Of the form that torchmetrics has: a module with tensors."""

    def __init__(self):
        self.reset()

    def update(self, preds, target):
        keep = target != -100
        self.hits += (preds.argmax(-1)[keep] == target[keep]).sum()
        self.n += keep.sum()

    def compute(self):
        return self.hits / self.n

    def reset(self):
        self.hits, self.n = torch.tensor(0), torch.tensor(0)


def test_in_evaluations():
    model, data = network(), [tokens(3, 1), tokens(5, 2)]
    found = evaluate(model, loss, data, metrics={"acc": Accuracy(), "foreign": Foreign(), "ppl": Perplexity()})
    assert found["valid/acc"] == pytest.approx(found["valid/accuracy"], rel=1e-12)  # the loss counts it, too
    assert found["valid/foreign"] == pytest.approx(found["valid/accuracy"], rel=1e-6)
    assert found["valid/ppl"] == pytest.approx(math.exp(found["valid/loss"]), rel=1e-6)


def test_in_a_run_with_a_function_of_ones_own():
    model = network()
    run = Trainer(
        model,
        lambda m, batch: LossSum(loss(m, batch["pair"]).total, loss(m, batch["pair"]).count),
        torch.optim.SGD(model.parameters(), lr=0.1),
        until="2ep",
        metrics={"acc": Accuracy()},
        predict=lambda m, batch: (m(batch["pair"][0]), batch["pair"][1]),
        observers=[],
    )
    result = run.fit([{"pair": tokens(3)}], [{"pair": tokens(4, 9)}, {"pair": tokens(2, 8)}])
    assert result.final["valid/acc"] == evaluate(model, loss, [tokens(4, 9), tokens(2, 8)])["valid/accuracy"]


def test_what_is_refused():
    model, data = network(), [tokens(3)]
    with pytest.raises(ValueError, match="the loss has a measure 'accuracy' already; give the metric another name"):
        evaluate(model, loss, data, metrics={"accuracy": Accuracy()})
    with pytest.raises(TypeError, match=r"metrics: a batch is no pair \(x, y\); pass predict="):
        evaluate(model, lambda m, b: loss(m, b[0]), [(tokens(3),)], metrics={"acc": Accuracy()})
    vector = Foreign()
    vector.compute = lambda: torch.zeros(3)
    with pytest.raises(ValueError, match="metric 'vector' is no single number but Tensor; reduce it"):
        evaluate(model, loss, data, metrics={"vector": vector})
