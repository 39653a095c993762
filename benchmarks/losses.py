"""Losses against wrong labels and long tails, on scikit-learn's digits: paired over seeds.

    python benchmarks/losses.py [--seeds 5]

A multilayer perceptron (64-128-128-10), AdamW at lr 3e-3, cosine, batch 64, 40 epochs; 1,437 images to train on and 360
to test on, as in `danlu train digits`. "Wrong labels": 40 % of the training labels are replaced by another class.
"Long tail": class k keeps a share 100^(−k/9) of its images, and accuracy is the mean over classes.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from danlu.data import TensorLoader
from danlu.loss import (
    LossSum,
    SmoothAll,
    SoftMedian,
    TrimmedMean,
    WinsorizedMean,
    bi_tempered,
    class_balanced_weights,
    cross_entropy,
    focal,
    logit_adjusted,
)
from danlu.optim import AdamW
from danlu.schedule import Cosine, Schedule
from danlu.train import Trainer

Loss = Callable[[Tensor, Tensor], LossSum]


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found = load_digits()
    x, y = torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    train, test = order[360:], order[:360]
    return x[train], y[train], x[test], y[test]


def wrong(y: Tensor, share: float, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    other = (y + torch.randint(1, 10, y.shape, generator=draw)) % 10
    return torch.where(torch.rand(y.shape, generator=draw) < share, other, y)


def tail(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    kept = torch.cat([(y == k).nonzero()[:, 0][: round(int((y == k).sum()) * 100 ** (-k / 9))] for k in range(10)])
    return x[kept], y[kept]


def accuracy(loss: Loss, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor], seed: int) -> float:
    """Train; return the accuracy averaged over classes, in per cent."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = AdamW(model.parameters(), lr=3e-3)
    trainer = Trainer(
        model,
        lambda model, batch: loss(model(batch[0]), batch[1]),
        optimizer,
        until="40ep",
        schedule=Schedule(Cosine()),
        seed=seed,
        observers=[],
    )
    trainer.fit(TensorLoader(x, y, batch=64, seed=seed))
    with torch.no_grad():
        right = model(test[0]).argmax(-1) == test[1]
    return 100 * statistics.mean(float(right[test[1] == k].float().mean()) for k in range(10))


def noisy_losses(y: Tensor) -> dict[str, Loss]:
    return {
        "cross_entropy": cross_entropy,
        "SmoothAll(0.1)": lambda z, t: cross_entropy(z, t, smoothing=SmoothAll(0.1)),
        "SmoothAll(0.5)": lambda z, t: cross_entropy(z, t, smoothing=SmoothAll(0.5)),
        "bi_tempered(0.8, 1.2)": bi_tempered,
        "bi_tempered(0.2, 4.0)": lambda z, t: bi_tempered(z, t, t1=0.2, t2=4.0),
        "TrimmedMean(0, 0.4)": lambda z, t: cross_entropy(z, t, reduce=TrimmedMean(0.0, 0.4)),
        "WinsorizedMean(0, 0.4)": lambda z, t: cross_entropy(z, t, reduce=WinsorizedMean(0.0, 0.4)),
        "SoftMedian(0.1)": lambda z, t: cross_entropy(z, t, reduce=SoftMedian(0.1)),
        "SoftMedian(0.5)": lambda z, t: cross_entropy(z, t, reduce=SoftMedian(0.5)),
    }


def tail_losses(y: Tensor) -> dict[str, Loss]:
    counts = y.bincount(minlength=10)
    even, w = class_balanced_weights(counts, beta=1 - 1e-6), class_balanced_weights(counts, beta=0.99)
    return {
        "cross_entropy": cross_entropy,
        "class weights, β 0.99": lambda z, t: cross_entropy(z, t, class_weights=w),
        "class weights, 1/n": lambda z, t: cross_entropy(z, t, class_weights=even),
        "logit_adjusted(1)": lambda z, t: logit_adjusted(z, t, counts),
        "focal(2)": focal,
        "SoftMedian(0.1)": lambda z, t: cross_entropy(z, t, reduce=SoftMedian(0.1)),
    }


def table(title: str, found: dict[str, list[float]]) -> None:
    base = next(iter(found.values()))
    print(f"\n{title}, n = {len(base)} seeds\n")
    print("| loss | accuracy | minus cross_entropy, mean (lowest, highest) |\n| --- | --- | --- |")
    for name, values in found.items():
        apart = [a - b for a, b in zip(values, base, strict=True)]
        gain = "" if values is base else f"{statistics.mean(apart):+.1f} ({min(apart):+.1f}, {max(apart):+.1f})"
        print(f"| {name} | {statistics.mean(values):.1f} % | {gain} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    for title, losses in (("40 % wrong labels", noisy_losses), ("Long tail 100:1", tail_losses)):
        found: dict[str, list[float]] = {}
        for seed in seeds:
            x, y, *test = digits(seed)
            x, y = (x, wrong(y, 0.4, seed)) if losses is noisy_losses else tail(x, y)
            for name, loss in losses(y).items():
                found.setdefault(name, []).append(accuracy(loss, x, y, (test[0], test[1]), seed))
        table(title, found)


if __name__ == "__main__":
    main()
