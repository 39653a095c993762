"""Furnace and its pieces: oracles in float64, bases that are bases, routes, memory, exact swaps."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim import average, direction, modify, moment, rate, store
from danlu.optim.formulas.tiles import tiles_of
from tests.golden.replay import descend, gap
from tests.optim.stepping import advance, gradients, same, snapshot, start
from tests.papers import furnace as paper

EXACT = 1e-9  # eigenvectors of gaps of a few hundredths lose some digits
SHAPES = {"scalar": (), "vector": (5,), "matrix": (4, 3), "wide": (4, 8), "kernel": (3, 2, 1, 2), "prime": (3, 7)}
SETS = {
    "furnace": [
        {},
        {"every": 3, "betas": (0.8, 0.9), "weight_decay": 0.3, "floor": 2.0},
        {"side": 4, "every": 2},
        {"matrix": False},
        {"matrix": False, "floor": 2.0, "weight_decay": 0.3},
        {"decay_to": 9, "every": 4},
    ],
    "furnace_lean": [
        {},
        {"betas": (0.8, 0.95), "weight_decay": 0.3, "floor": 2.0},
        {"matrix": False},
        {"matrix": False, "floor": 2.0, "weight_decay": 0.3},
        {"decay_to": 9},
    ],
}
CASES = [(name, options) for name, sets in SETS.items() for options in sets]


def problem(seed, steps=14):
    rng = np.random.default_rng(seed)
    p0 = {name: np.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}
    scales = {name: 10.0 ** rng.uniform(-1, 1, size=shape) for name, shape in SHAPES.items()}
    grads = {name: scales[name] * rng.normal(size=(steps, *shape)) for name, shape in SHAPES.items()}
    return p0, grads, rng.uniform(0.5, 1.5, size=steps)


def walk(name, p0, grads, lrs, **options):
    """The oracle's paths of p, and of the mean."""
    both = {n: getattr(paper, name)(p0[n], grads[n], lrs, **options) for n in p0}
    return {n: p for n, (p, _) in both.items()}, {n: mean for n, (_, mean) in both.items()}


def smooth(problem, name):
    """Without the shapes whose first gradient leaves a plane of eigenvectors open: there is no one answer for those."""
    p0, grads, lrs = problem
    left = {n for n in p0 if name == "furnace" and n in {"wide", "prime"}}
    return {n: p for n, p in p0.items() if n not in left}, grads, lrs


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_presets_meet_their_oracles(name, options):
    p0, grads, lrs = problem(seed=31)
    if name == "furnace" and options.get("matrix", True) and "side" not in options:
        p0, grads, lrs = smooth((p0, grads, lrs), name)
    elif "side" in options:
        p0 = {n: p for n, p in p0.items() if n != "prime"}  # 7 has no divisor: whole, and then as above
    wide = {"exp_avg_sq": store.Factored()} if name == "furnace_lean" and "matrix" in options else store.Dense()
    ours = descend(lambda params: optim.create(name, params.values(), store=wide, **options), p0, grads, lrs)
    want, _ = walk(name, p0, grads, lrs, **options)
    assert gap(ours, want) <= EXACT


@pytest.mark.parametrize("shape", [(4, 3), (5,)], ids=str)
def test_the_direction_may_look_ahead(shape):
    """`nesterov` is the paper's reading, of tiles as of vectors, and moves them."""
    rng = np.random.default_rng(33)
    p0, grads, lrs = {"p": np.zeros(shape)}, {"p": rng.normal(size=(9, *shape))}, np.ones(9)
    ours, plain = (
        descend(lambda ps, x=x: optim.Optimizer(ps.values(), optim.Rule(x), lr=1.0), p0, grads, lrs)
        for x in (direction.Eigenbasis(every=4, nesterov=True), direction.Eigenbasis(every=4))
    )
    steps = paper.eigenbasis(shape, grads["p"], every=4, nesterov=True)
    want = {"p": -np.cumsum([np.zeros(shape) if u is None else u for u in steps], axis=0)}
    assert gap(ours, want) <= EXACT
    assert gap(plain, want) > 100 * EXACT


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_option_moves_the_oracle(name, options):
    p0, grads, lrs = problem(seed=32)
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(walk(name, p0, grads, lrs, **rest)[1], walk(name, p0, grads, lrs, **options)[1]) >= 1e-3, knob


@pytest.mark.parametrize("name", SETS)
def test_it_is_evaluated_at_the_mean(name):
    p0, grads, lrs = smooth(problem(seed=33), "furnace")
    params = {n: nn.Parameter(torch.tensor(p)) for n, p in p0.items()}
    optimizer = optim.create(name, params.values(), store=store.Dense())
    for k, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for n, p in params.items():
            p.grad = torch.tensor(grads[n][k])
        optimizer.step()
    _, means = walk(name, p0, grads, lrs)
    here = [p.detach().clone() for p in params.values()]
    with optimizer.averaged():
        assert max(np.abs(p.detach().numpy() - means[n][-1]).max() for n, p in params.items()) <= EXACT
    assert same(here, [p.detach() for p in params.values()])


# ---- the pieces ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "side", "rows", "columns", "turned"),
    [
        ((96, 288), 128, 1, 3, (True, True)),
        ((64, 64, 3, 3), 128, 1, 6, (True, True)),  # five parts do not divide 576
        ((50257, 768), 128, 1, 6, (False, True)),  # 29 · 1733
        ((103, 96), 128, 1, 1, (True, True)),
        ((131, 131), 128, 1, 1, (False, False)),
        ((7,), 4, 1, 1, (False, False)),
        ((8, 1, 1, 1), 4, 1, 1, (False, False)),
        ((), 4, 1, 1, (False, False)),
    ],
)
def test_tiles(shape, side, rows, columns, turned):
    tiles = tiles_of(shape, side)
    assert (tiles.rows, tiles.columns, tiles.turned) == (rows, columns, turned)
    if np.prod(shape) < 1e5:
        x = torch.randn(shape)
        assert torch.equal(tiles.join(tiles.cut(x)), x)


def bases_of(optimizer, p, side):
    tiles = tiles_of(p.shape, side)
    flat = optimizer.state[p]["bases"].double()
    count = tiles.rows * tiles.columns
    return [x.view(count, n, n) for x, n in zip(flat.split([count * n * n for n in tiles.sizes]), tiles.sizes, strict=True)]


@pytest.mark.parametrize("codec", [store.Dense(), store.Dense(torch.bfloat16)], ids=repr)
def test_bases_stay_orthogonal_however_often_they_move(codec):
    """In bfloat16 to its rounding, of 2⁻⁹ per element, which does not add up over two hundred iterations."""
    [p] = start([(8, 24)], torch.float32)
    optimizer = optim.create("furnace", [p], every=1, side=12, store={"bases": codec})
    advance(optimizer, gradients([p], 200))
    off = max((q.mT @ q - torch.eye(q.shape[-1], dtype=q.dtype)).abs().max().item() for q in bases_of(optimizer, p, 12))
    assert off < (1e-5 if codec == store.Dense() else 1e-2)


def test_the_bases_find_the_eigenvectors_without_the_covariance():
    """Gradients L·n·Rᵀ with known covariances: in the bases little of those is left beside the diagonal."""
    torch.manual_seed(0)
    q, r = (torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0] for n in (6, 5))
    left, right = q * torch.logspace(0, -1.5, 6, dtype=torch.float64), r * torch.logspace(0, -1.5, 5, dtype=torch.float64)
    p = nn.Parameter(torch.randn(6, 5, dtype=torch.float64))
    optimizer = optim.create("furnace", [p], every=5, betas=(0.95, 0.99), store=store.Dense())
    for _ in range(600):
        p.grad = left @ torch.randn(6, 5, dtype=torch.float64) @ right.T
        optimizer.step()
    for found, true in zip(bases_of(optimizer, p, 128), (left @ left.T, right @ right.T), strict=True):
        inside = found[0].T @ true @ found[0]
        beside = inside - inside.diag().diag()
        before = true - true.diag().diag()
        assert beside.norm() < 0.2 * before.norm()


def test_the_direction_is_bounded_and_blind_to_the_gradients_scale():
    rule = optim.Rule(direction.Eigenbasis(every=2))
    ends = []
    for scale in (1.0, 2.0**-20):
        params = start([(6, 6), (5,), ()])
        optimizer = optim.Optimizer(params, rule, lr=1.0)
        before = [p.detach().clone() for p in params]
        for row in gradients(params, 6):
            old = [p.detach().clone() for p in params]
            advance(optimizer, [[g * scale for g in row]])
            for p, q in zip(params, old, strict=True):
                assert (p.detach() - q).square().mean().sqrt() <= 1.27 * np.pi / 2 + 1e-12
        ends.append([p.detach() - q for p, q in zip(params, before, strict=True)])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beta", [0.9, 0.95])
def test_the_share_of_signal(beta):
    """1 where all gradients agree, about √((1 − β)/(1 + β)) where they have nothing in common."""
    same_g = torch.ones(50, 40, dtype=torch.float64)
    for noisy, want in ((False, 1.0), (True, ((1 - beta) / (1 + beta)) ** 0.5)):
        p = nn.Parameter(torch.zeros(50, 40, dtype=torch.float64))
        rule = optim.Rule(direction.Sign(), {"m": moment.Ema(beta)}, modify=modify.NoiseScale(beta))
        optimizer = optim.Optimizer([p], rule, lr=1.0)
        source = torch.Generator().manual_seed(1)
        for _ in range(200):
            before = p.detach().clone()
            p.grad = torch.randn(50, 40, dtype=torch.float64, generator=source) if noisy else same_g
            optimizer.step()
        assert (p.detach() - before).abs().mean().item() == pytest.approx(want, rel=0.05 if noisy else 1e-12)


def test_the_share_of_signal_is_bounded_and_growing_gradients_reach_the_bound():
    """By Cauchy and Schwarz; gradients that grow by β/α per step are the worst case."""
    alpha, beta = 0.9, 0.99
    bound = (1 - alpha) / ((1 - beta) * (1 - alpha**2 / beta)) ** 0.5
    p = nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
    rule = optim.Rule(direction.Sign(), {"m": moment.Ema(alpha)}, modify=modify.NoiseScale(beta))
    optimizer = optim.Optimizer([p], rule, lr=1.0)
    found = []
    for k in range(1000):
        before = p.detach().clone()
        p.grad = torch.full_like(p, (beta / alpha) ** k)
        optimizer.step()
        found.append((p.detach() - before).abs().max().item())
    assert max(found) <= bound * (1 + 1e-12)
    assert found[-1] == pytest.approx(bound, rel=1e-3)
    assert bound == pytest.approx(2.345, abs=1e-3)


def test_a_linear_decay_ends_at_its_horizon():
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    rule = optim.Rule(direction.Plain(), rate=(rate.Calibrated(0.5), rate.LinearDecay(4)))
    optimizer = optim.Optimizer([p], rule, lr=2.0)
    steps = []
    for _ in range(6):
        before = p.item()
        p.grad = torch.full_like(p, -1.0)
        optimizer.step()
        steps.append(p.item() - before)
    assert steps == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0], abs=1e-15)


# ---- the offset ------------------------------------------------------------------------------------------------------------

MEANS = [average.Polynomial(8.0), average.Ema(0.9), average.Swa(every=3, start=2)]


def noisy_walk(piece, codec, steps=400, dtype=torch.float32, **options):
    [p] = start([(200,)], dtype)
    if codec is not None:
        options["store"] = {"offset" if isinstance(piece, average.Offset) else "average": codec}
    optimizer = optim.create("sgd", [p], lr=0.02, average=piece, **options)
    target = torch.linspace(-2, 2, 200).to(dtype)
    source = torch.Generator().manual_seed(5)
    for _ in range(steps):
        p.grad = (p.detach() - target) + 2.0 * torch.randn(200, generator=source).to(dtype)
        optimizer.step()
    with optimizer.averaged():
        return p.detach().double().clone()


@pytest.mark.parametrize("mean", MEANS, ids=repr)
def test_an_offset_is_the_mean_itself(mean):
    assert torch.allclose(
        noisy_walk(average.Offset(mean), None, dtype=torch.float64),
        noisy_walk(mean, None, dtype=torch.float64),
        rtol=1e-11,
        atol=1e-12,
    )


def test_in_bfloat16_an_offset_is_much_nearer_than_the_mean():
    exact = noisy_walk(average.Polynomial(8.0), None)
    offset = (noisy_walk(average.Offset(), store.BFloat16()) - exact).abs().mean()
    itself = (noisy_walk(average.Polynomial(8.0), store.BFloat16()) - exact).abs().mean()
    assert 4 * offset < itself


def test_an_offset_does_not_leave_a_parameter_that_rounding_holds():
    """A bfloat16 parameter that steps too small for it never moves, and nor does its mean."""
    p = nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    optimizer = optim.create("sgd", [p], lr=1e-4, average=average.Offset())
    for _ in range(300):
        p.grad = torch.ones_like(p)
        optimizer.step()
    with optimizer.averaged():
        assert p.tolist() == [1.0] * 8


def test_buffers_follow_the_mean_itself():
    def net(piece):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
        optimizer = optim.create("sgd", model, lr=0.1, average=piece, buffers="average")
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
        with optimizer.averaged():
            return copy.deepcopy(model.state_dict())

    ours, theirs = net(average.Offset(average.Ema(0.8))), net(average.Ema(0.8))
    for key, x in theirs.items():
        torch.testing.assert_close(ours[key], x, rtol=1e-5, atol=1e-6)


def test_a_modules_buffers_are_averaged_unasked():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    for optimizer, there in (
        (optim.Furnace(model), True),
        (optim.create("furnace_lean", model), True),
        (optim.Furnace(model, buffers="copy"), False),
        (optim.Furnace(model, decay_to=10), False),  # nothing is averaged
        (optim.Furnace(model.parameters()), False),
        (optim.create("furnace", model, average="lookahead"), False),
        (optim.AdamW(model), False),
        (optim.Furnace(nn.Linear(4, 6)), False),
    ):
        assert ("buffers" in optimizer.state_dict()) == there


# ---- the presets -------------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        self.body = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 32))
        self.conv = nn.Conv1d(1, 4, 3)
        self.head = nn.Linear(32, 11)

    def forward(self, x):
        return self.head(self.body(self.embedding(x))) + self.conv(self.embedding(x).unsqueeze(1)).mean((1, 2))[:, None]


@pytest.mark.parametrize(
    ("make", "turned"),
    [
        (optim.Furnace, {"body.0.weight", "body.2.weight", "conv.weight"}),
        (optim.FurnaceLean, {"body.0.weight", "body.2.weight", "conv.weight"}),
    ],
)
def test_a_module_is_routed_by_role(make, turned):
    optimizer = make(Net())
    assert {name for group in optimizer.param_groups if group["matrix"] for name in group["param_names"]} == turned
    given = make(Net(), matrix=True)  # what is said holds for every role
    assert len(given.param_groups) == 1


def test_a_groups_own_word_holds():
    made = optim.groups(Net(), optim.when("embedding", matrix=True), optim.when("head", optimizer="adamw"))
    optimizer = optim.create("furnace", made)
    found = {name: group.get("matrix") for group in optimizer.param_groups for name in group["param_names"]}
    assert found["embedding.weight"] is True
    assert found["body.0.weight"] is True
    assert found["body.0.bias"] is False
    assert found["head.weight"] is None


def test_routes_are_explained():
    said = optim.explain("furnace")
    assert "embedding, head, vector, scalar: matrix=False" in said
    assert "Cautious(rate=0.15)" in said  # three times 0.05, without the rounding of the product


@pytest.mark.parametrize(("make", "most"), [(optim.Furnace, 10.0), (optim.FurnaceLean, 4.01)])
@pytest.mark.parametrize("size", [512, 1024])
def test_memory_of_square_matrices(make, most, size):
    matrix = nn.Parameter(torch.empty(size, size, device="meta"))
    assert make([matrix]).memory().per_parameter <= most
    if make is optim.Furnace:
        assert make([matrix], int8=True).memory().per_parameter <= 8.04
    assert make([matrix], decay_to=100).memory().per_parameter <= most - 2


@pytest.mark.parametrize("name", SETS)
def test_a_run_stopped_and_resumed_is_the_same_bit_for_bit(name):
    x = torch.randint(0, 11, (64,), generator=torch.Generator().manual_seed(0))

    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), x).backward()
            optimizer.step()

    torch.manual_seed(1)
    model = Net()
    whole, stopped, other = model, copy.deepcopy(model), Net()
    ours, before, after = (optim.create(name, m, compile=False) for m in (whole, stopped, other))
    train(whole, ours, 45)
    train(stopped, before, 21)
    other.load_state_dict(stopped.state_dict())
    after.load_state_dict(before.state_dict())
    train(other, after, 24)
    assert same(snapshot(ours), snapshot(after))


@pytest.mark.parametrize("name", SETS)
def test_pieces_can_be_replaced_with_what_they_kept(name):
    """Smoke: the stores of slots that are gone go with them."""
    [p] = start([(4, 6)])
    for change in ({"average": None}, {"direction": "sign"}, {"store": "int8"}, {"modify": ["cautious"]}):
        optimizer = optim.create(name, [p], **change)
        advance(optimizer, gradients([p], 2))
        assert torch.isfinite(p).all()
    assert "offset" not in optim.create(f"{name}+average.ema", [p]).rule().slots
