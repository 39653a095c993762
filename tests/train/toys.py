"""Small exact problems: models in float64, data with masks, optimizers that ask for unusual things."""

import copy
import math

import torch
from torch import nn

from danlu.loss import cross_entropy
from danlu.train import Observer, Trainer

CLASSES = 4


def network(seed=0, *extra):
    """Tokens (N, T, 3) to logits (N, T, 4)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), *extra, nn.Linear(5, CLASSES)).double()


def tokens(n, seed=0, length=3, masked=0.4):
    """Inputs and targets; a share of the targets is ignored, but never all of them."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, length, 3, generator=draw, dtype=torch.float64)
    y = torch.randint(CLASSES, (n, length), generator=draw)
    y[torch.rand(n, length, generator=draw) < masked] = -100
    y[0, 0] = 1
    return x, y


def loss(model, batch):
    x, y = batch
    return cross_entropy(model(x), y)


def cut(batch, sizes):
    """Cut a batch into micro-batches of the given sizes."""
    return list(zip(*(part.split(sizes) for part in batch), strict=True))


def state(model, optimizer):
    """Everything that an update may change, by value, to be compared bit for bit."""
    tensors = {name: t.detach().clone() for name, t in model.state_dict().items()}
    return tensors, copy.deepcopy(optimizer.state_dict()), torch.get_rng_state()


def same(a, b):
    """Bit equality of nested containers; nan equals nan."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a.nan_to_num(7), b.nan_to_num(7))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


class Probing(torch.optim.SGD):
    """Evaluates `times` times, at moved weights if `move` is not 0, then makes a step of SGD with momentum."""

    needs = frozenset({"closure"})

    def __init__(self, params, lr=0.1, times=3, move=0.0):
        super().__init__(params, lr=lr, momentum=0.9)
        self.times, self.move, self.seen = times, move, []

    def step(self, evaluate):
        parameters = self.param_groups[0]["params"]
        for _ in range(self.times):
            self.seen.append((evaluate(), [p.grad.clone() for p in parameters]))
            with torch.no_grad():
                for p in parameters:
                    p.add_(self.move)
                    self.state[p]["probes"] = self.state[p].get("probes", 0) + 1
        with torch.no_grad():
            for p in parameters:
                p.sub_(self.move * self.times)
        super().step()


class WantsLoss(torch.optim.SGD):
    """Keeps the loss that it is given."""

    needs = frozenset({"grad", "loss"})

    def __init__(self, params):
        super().__init__(params, lr=0.1)
        self.given = []

    def step(self, *, loss):
        self.given.append(loss)
        super().step()


def bad(batch):
    """A batch with nan for its inputs."""
    return [torch.full_like(batch[0], math.nan), batch[1]]


OPTIMIZERS = {
    "sgd momentum": lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4),
    "closure": lambda p: Probing(p, times=3, move=1e-3),
}


class Watch(Observer):
    """Keeps all that it is told, and does `at[k]()` after window k."""

    def __init__(self, at=None):
        self.at, self.events, self.reports = at or {}, [], []

    def start(self, clock):
        self.events.append("start")

    def update(self, clock, report):
        self.events.append("update")
        self.reports.append(report)
        self.at.get(clock.done, lambda: None)()

    def evaluated(self, clock, row):
        self.events.append("evaluated")

    def end(self, clock, result):
        self.events.append("end")
        self.result = result


def trainer(model=None, watch=None, **options):
    model = model or network()
    optimizer = options.pop("optimizer", None) or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Trainer(model, options.pop("loss", loss), optimizer, observers=[watch] if watch else [], **options)


def batches(n=5, masked=()):
    """Ragged batches; those in `masked` have no target that counts."""
    found = [tokens(2 + k % 3, seed=k) for k in range(n)]
    return [(x, torch.full_like(y, -100)) if k in masked else (x, y) for k, (x, y) in enumerate(found)]
