"""What other engines get wrong, row by row: a small faithful imitation goes wrong by the number stated, ours does not.

The numbers of the tests are the rows of the table; where the code was read is said in each.
"""

import copy
import math

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn import functional

from danlu import optim
from danlu.keyed import seed_all
from danlu.optim import around, average, grad
from danlu.train import Update, windows

from .toys import Probing, cut, loss, network, same, tokens

GONE = 0.02  # an error of a fiftieth of the gradient and more is a defect, 1e-10 is rounding


def vector(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


def mean(model, batch):
    """What the engines are given: torch's mean over the targets of one micro-batch."""
    x, y = batch
    return functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def full_gradient(batch):
    model = network()
    return vector(torch.autograd.grad(mean(model, batch), list(model.parameters())))


def divided(window, weight):
    """The gradient of Σ weight(j)·meanⱼ, as an accumulating engine leaves it."""
    model = network()
    for j, batch in enumerate(window):
        (mean(model, batch) * weight(j)).backward()
    return vector(p.grad for p in model.parameters())


def ours(window, function=loss, make=lambda p: torch.optim.SGD(p, lr=1.0), **options):
    """What a step of SGD with lr 1 went against: the gradient."""
    model = network()
    before = vector(model.parameters())
    report = Update(model, function, make(model.parameters()), **options)(window)
    return before - vector(model.parameters()), report


def error(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


def test_1_a_short_last_window_is_divided_by_the_configured_number():
    """Lightning, loops/optimization/automatic.py:329: half the gradient for two batches of four."""
    batch = tokens(6, masked=0.0)
    window = cut(batch, [3, 3])
    assert error(divided(window, lambda j: 1 / 4), full_gradient(batch)) == pytest.approx(0.5, abs=1e-10)
    assert error(ours(window)[0], full_gradient(batch)) < 1e-10


def test_2_masked_targets_are_divided_by_the_configured_number():
    """Torchtnt auto_unit.py, lingua apps/main/train.py, nanochat base_train.py: a mean of means, whatever counts."""
    batch = tokens(6, masked=0.7)
    window = cut(batch, [1, 2, 3])
    assert error(divided(window, lambda j: 1 / 3), full_gradient(batch)) > 10 * GONE
    assert error(ours(window)[0], full_gradient(batch)) < 1e-10


def test_3_a_ragged_last_batch_is_overweighted_and_skipped_steps_are_counted():
    """Timm train.py:1266-1300 divides by the number of batches; an overflow advances its schedule."""
    batch = tokens(9, masked=0.0)
    window = cut(batch, [4, 4, 1])
    assert error(divided(window, lambda j: 1 / 3), full_gradient(batch)) > 5 * GONE
    assert error(ours(window)[0], full_gradient(batch)) < 1e-10

    model = network().float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler, updates = torch.amp.GradScaler("cpu", init_scale=2.0**127), 0
    single = [(x.float(), y) for x, y in window]
    before = vector(model.parameters())
    for each in single:
        optimizer.zero_grad()
        scaler.scale(100 * loss(model, each).total).backward()
        scaler.step(optimizer)
        scaler.update()
        updates += 1
    assert updates == 3
    assert torch.equal(vector(model.parameters()), before)  # nothing was learnt in three updates
    update = Update(model, lambda m, b: loss(m, b).total * math.nan, optimizer, nonfinite="skip")
    update([single[0]])
    assert update.applied == 0


def test_4_a_partial_window_leaks_into_the_next_epoch():
    """Fastai callback/training.py:25: what was not stepped at the end of an epoch is there at the next step."""
    first, second = tokens(3, 0, masked=0.0), tokens(6, 1, masked=0.0)
    model = network()
    mean(model, first).backward()  # the epoch ends here, one batch short of the two that make a window
    for batch in cut(second, [3, 3]):
        (mean(model, batch) / 2).backward()
    assert error(vector(p.grad for p in model.parameters()), full_gradient(second)) > 10 * GONE

    gradients = [ours(window)[0] for window in (*windows([first], 2), *windows(cut(second, [3, 3]), 2))]
    assert error(gradients[0], full_gradient(first)) < 1e-10
    assert error(gradients[1], full_gradient(second)) < 1e-10


def test_5_a_micro_batch_with_no_target_makes_the_mean_times_its_count_nan():
    """Torchtune full_finetune_distributed.py:1016: nan · 0 is not 0."""
    batch = tokens(6)
    batch[1][2:4] = -100
    window = cut(batch, [2, 2, 2])
    counts = [int((t != -100).sum()) for _, t in window]
    model = network()
    assert torch.isnan(sum(mean(model, each) * n for each, n in zip(window, counts, strict=True)))
    found, report = ours(window)
    assert report.loss == pytest.approx(mean(model, batch).item(), rel=1e-12)
    assert error(found, full_gradient(batch)) < 1e-10


def test_6_gradscaler_refuses_a_closure():
    """Torch amp/grad_scaler.py, step()."""
    model = network().float()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(RuntimeError, match="Closure use is not currently supported"):
        scaler.step(optimizer, closure=lambda: 0.0)
    update = Update(model, loss, optimizer, precision="fp16")
    batch = (tokens(6)[0].float(), tokens(6)[1])
    reports = [update([batch]) for _ in range(4)]
    assert [r.evaluations for r in reports] == [3] * 4
    assert reports[-1].loss < reports[0].loss


def test_7_a_closure_past_the_guard_steps_with_scaled_gradients():
    """Accelerate optimizer.py:166 passes it by position: checked and unscaled are gradients that it then replaces."""
    batch = (tokens(6)[0].float(), tokens(6)[1])
    model = network().float()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu")
    before = vector(model.parameters())

    def closure():
        optimizer.zero_grad()
        found = mean(model, batch)
        scaler.scale(found).backward()
        return found

    closure()
    scaler.step(optimizer, closure)
    wanted = full_gradient(tokens(6)).float()
    step = before - vector(model.parameters())
    assert float(step.norm() / wanted.norm()) == pytest.approx(2**16, rel=1e-3)

    model = network().float()
    Update(model, loss, Probing(model.parameters(), lr=1.0, times=2), precision="fp16")([batch])
    assert error(before - vector(model.parameters()), wanted) < 5e-3


def test_8_with_accumulation_the_closure_covers_the_last_micro_batch():
    """Lightning automatic.py, `run`: the optimizer evaluates a part of the window, divided by the whole's number."""
    batch = tokens(6, masked=0.0)
    window = cut(batch, [3, 3])
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = vector(model.parameters())
    (mean(model, window[0]) / 2).backward()
    gathered = [p.grad.clone() for p in model.parameters()]

    def closure():  # the gradients so far are there at its first call only; later ones begin with the last micro-batch
        optimizer.zero_grad()
        found = mean(model, window[-1]) / 2
        found.backward()
        return found

    for p, g in zip(model.parameters(), gathered, strict=True):
        p.grad = g
    with torch.enable_grad():
        optimizer.step(closure)
    assert error(before - vector(model.parameters()), full_gradient(batch)) > 10 * GONE
    found, report = ours(window, make=lambda p: Probing(p, lr=1.0, times=2))
    assert error(found, full_gradient(batch)) < 1e-10
    assert report.evaluations == 2


def test_9_a_loss_of_exactly_zero_is_taken_for_a_failure():
    """Composer algorithms/sam/sam.py tests ``if loss:``."""
    line, x = nn.Linear(2, 1, bias=False), torch.tensor([[1.0, -1.0]])
    nn.init.ones_(line.weight)
    loss_function = lambda model, batch: (model(batch).sum(), 1)  # noqa: E731 - 0 at these weights, with a gradient of (1, -1)
    theirs, before = copy.deepcopy(line), line.weight.detach().clone()
    found = loss_function(theirs, x)[0]
    found.backward()
    if found:
        with torch.no_grad():
            theirs.weight -= 0.1 * theirs.weight.grad
    assert torch.equal(theirs.weight, before)

    optimizer = optim.create("sgd", line.parameters(), lr=0.1, around=around.Sam(0.05))
    report = Update(line, loss_function, optimizer)([x])
    assert report.loss == 0.0
    torch.testing.assert_close(line.weight.detach(), torch.tensor([[0.9, 1.1]]))


def test_10_without_a_floor_weights_that_start_at_zero_never_train():
    """Composer algorithms/gradient_clipping.py:173 clips the gradient to λ·‖p‖, which is 0."""
    layer, x = nn.Linear(3, 2, bias=False), torch.ones(1, 3)
    nn.init.zeros_(layer.weight)
    theirs = copy.deepcopy(layer)
    for _ in range(5):
        theirs.zero_grad()
        (theirs(x) - 1).square().sum().backward()
        p, g = theirs.weight, theirs.weight.grad
        with torch.no_grad():
            p -= 0.1 * g * (0.01 * p.norm(dim=1, keepdim=True) / g.norm(dim=1, keepdim=True)).clamp(max=1)
    assert not theirs.weight.any()

    optimizer = optim.create("sgd", layer.parameters(), lr=0.1, grad=[grad.AdaptiveClip(0.01)])
    update = Update(layer, lambda m, b: ((m(b) - 1).square().sum(), 2), optimizer)
    losses = [update([x]).loss for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert layer.weight.all()


def test_11_a_nan_is_logged_as_the_mean_of_what_was_before_and_optimizers_get_no_loss():
    """Hugging Face trainer.py:1912, logging_nan_inf_filter; its step() has no arguments."""
    logged, losses = 0.0, [2.0, 1.0, math.nan]
    for step, value in enumerate(losses):
        logged += value if math.isfinite(value) else logged / (1 + step)
    assert math.isfinite(logged)  # nobody hears of it
    model = network()
    optimizer = optim.AdaLo(model.parameters())
    update = Update(model, lambda m, b: loss(m, b).total * math.nan, optimizer, nonfinite="skip")
    assert math.isnan(update([tokens(3)]).loss)

    mean(model, tokens(3)).backward()
    with pytest.raises(ValueError, match="this rule reads the loss"):
        optimizer.step()
    assert not Update(model, loss, optimizer)([tokens(3)]).skipped


def test_12_an_optimizer_that_does_the_backward_itself_cannot_accumulate():
    """Source 003, adalo.py:56-66: every micro-batch is an update of its own."""

    class Backward(torch.optim.SGD):
        def step(self, closure):
            self.zero_grad()
            found = closure()
            found.backward()
            super().step()
            return found

    batch = tokens(6, masked=0.0)
    model = network()
    optimizer = Backward(model.parameters(), lr=1.0)
    before = vector(model.parameters())
    for each in cut(batch, [3, 3]):
        optimizer.step(lambda each=each: mean(model, each))
    assert error(before - vector(model.parameters()), full_gradient(batch)) > 10 * GONE

    model, twin = network(), network()
    for m, window in ((model, cut(batch, [3, 3])), (twin, [batch])):
        Update(m, loss, optim.AdaLo(m.parameters(), lr=1e4))(window)
    assert error(vector(model.parameters()) - before, vector(twin.parameters()) - before) < 1e-10
    assert float((vector(model.parameters()) - before).norm()) > GONE


def averaging(model):
    return optim.create("adamw", model, lr=0.05, average=average.Ema(0.9))


def test_13_a_run_is_resumed_from_half_precision_averages():
    """Ultralytics engine/trainer.py:805 keeps nothing else: the weights jump, and their low bits are gone."""
    model = network().float()
    optimizer = averaging(model)
    data = [(x.float(), y) for x, y in (tokens(6, k) for k in range(8))]
    update = Update(model, loss, optimizer)
    for batch in data[:4]:
        update([batch])
    with optimizer.averaged():
        theirs = copy.deepcopy(model).half().float()
    way = vector(model.parameters()) - vector(network().float().parameters())
    assert (vector(theirs.parameters()) - vector(model.parameters())).norm() > 0.2 * way.norm()

    again = network().float()
    again.load_state_dict(model.state_dict())
    resumed = Update(again, loss, averaging(again))
    resumed.optimizer.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(update.state_dict())
    for batch in data[4:]:
        assert update([batch]) == resumed([batch])
    assert same(model.state_dict(), again.state_dict())
    with optimizer.averaged(), resumed.optimizer.averaged():
        assert same(model.state_dict(), again.state_dict())


def test_14_adafactor_fails_on_shards_in_the_middle_of_a_step():
    """Torch.optim, with an in-place power of a partial norm. Ours says so when it is made, and names the parameter."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        p = nn.Parameter(distribute_tensor(torch.ones(5, 3), mesh, [Shard(0)]))
        p.grad = distribute_tensor(torch.ones(5, 3), mesh, [Shard(0)])
        optimizer = torch.optim.Adafactor([p])
        with pytest.raises(RuntimeError, match="in-place operations that require placement changes"):
            optimizer.step()
        assert optimizer.state[p]  # half of a step
        with pytest.raises(ValueError, match=r"adafactor: parameter 0 is a DTensor"):
            optim.create("adafactor", [p])
    finally:
        dist.destroy_process_group()


def test_15_random_numbers_of_a_resumed_run_are_others():
    """Torchdata 0.11: the indices are those of the uninterrupted run, what is drawn for them is not.

    A stream of random numbers depends on how much was drawn before; a key does not.
    """

    def noisy(x):
        return x + torch.randn(3)

    torch.manual_seed(0)
    whole = [noisy(float(index)) for index in range(6)]
    torch.manual_seed(0)
    resumed = [noisy(float(index)) for index in range(3, 6)]  # the right indices
    assert not any(torch.equal(a, b) for a, b in zip(whole[3:], resumed, strict=True))

    ends = []
    for start in (0, 3):
        model = network(0, nn.Dropout(0.5))
        update = Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.0))
        reports = []
        for step in range(start, 6):
            seed_all(0, "step", step)
            reports.append(update([tokens(4, step)]))
        ends.append(reports[-3:])
    assert ends[0] == ends[1]


def test_16_an_average_in_bfloat16_does_not_move():
    """Any ``lerp_`` on a bfloat16 shadow: at 1, 10⁻⁴ of the way to 2 is less than half a place."""
    shadow = torch.ones(4, dtype=torch.bfloat16)
    for _ in range(300):
        shadow.lerp_(torch.full_like(shadow, 2.0), 1e-4)
    assert torch.equal(shadow, torch.ones_like(shadow))

    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = optim.create("sgd", [weight], lr=1.0, average=average.Ema(1 - 1e-4))
    weight.grad = torch.zeros_like(weight)
    optimizer.step()  # the average begins here, at 1
    weight.data.fill_(2.0)
    for _ in range(300):
        optimizer.step()
    kept = next(t for key, t in optimizer.state[weight].items() if isinstance(t, torch.Tensor) and t.dtype == torch.float32)
    torch.testing.assert_close(kept, torch.full((4,), 2 - (1 - 1e-4) ** 300), rtol=0, atol=1e-4)
