"""What torch users do around an optimizer: closures, hooks, schedulers, loss scaling, compiled code."""

import inspect

import pytest
import torch
from torch import nn

from danlu import optim
from tests.optim.stepping import GRADIENTS, advance, gradients, make, parameters, same, snapshot, start

BOTH = [name for name in optim.__all__ if isinstance(getattr(optim, name), type) and hasattr(torch.optim, name)]
BOTH.remove("Optimizer")
RUNNING = {"foreach", "fused", "capturable", "differentiable", "maximize"}  # how, not which rule
KINDS = inspect.Parameter


def positional(cls):
    kinds = (KINDS.POSITIONAL_ONLY, KINDS.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(cls).parameters.values() if p.kind in kinds and p.name not in RUNNING]


def test_there_are_drop_ins():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adamax", "NAdam", "RAdam"} <= set(BOTH)


@pytest.mark.parametrize("name", BOTH)
def test_signatures_begin_as_torchs(name):
    ours, theirs = positional(getattr(optim, name)), positional(getattr(torch.optim, name))
    assert [(p.name, p.default) for p in ours[: len(theirs)]] == [(p.name, p.default) for p in theirs]
    known = inspect.signature(getattr(optim, name)).parameters
    assert set(inspect.signature(getattr(torch.optim, name)).parameters) <= set(known)


@pytest.mark.parametrize("name", BOTH)
def test_positional_arguments_mean_what_they_mean_in_torch(name):
    special = {"betas": (0.5, 0.75), "dampening": 0.0}  # dampening goes with no nesterov
    special |= {"eps": (0.5, 0.75), "beta2_decay": -0.25, "d": 1.5} if name == "Adafactor" else {}
    special |= {"ns_coefficients": (1.0, 2.0, 3.0), "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw"}
    names = [(p.name, isinstance(p.default, bool)) for p in positional(getattr(torch.optim, name))[1:]]
    given = [special.get(key, True if flag else (i + 1) / 16) for i, (key, flag) in enumerate(names)]
    ours, theirs = (getattr(home, name)(start([(3, 4)]), *given) for home in (optim, torch.optim))
    shared = (set(ours.param_groups[0]) & set(theirs.param_groups[0])) - {"params"}
    assert {p.name for p in positional(type(theirs))[1:]} <= shared
    assert {key: ours.param_groups[0][key] for key in shared} == {key: theirs.param_groups[0][key] for key in shared}


def test_how_torch_runs_is_accepted():
    assert len(optim.AdamW(start(), foreach=True, fused=False, capturable=False, differentiable=False).param_groups) == 1


def test_a_closure_is_evaluated_with_gradients_on_and_its_loss_returned():
    [p] = start([(3,)], torch.float32)
    optimizer, loss_of = make("adamw", [p]), lambda: (p**2).sum()

    def closure():
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    before = loss_of().detach()
    assert torch.equal(optimizer.step(closure), before)
    assert loss_of() < before
    assert optimizer.step() is None


def test_zero_grad():
    params = start()
    optimizer = make("adamw", params)
    advance(optimizer, gradients(params, 1))
    optimizer.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_step_hooks_run_around_every_step():
    calls, optimizer = [], make("adamw", start())
    removers = [
        optimizer.register_step_pre_hook(
            lambda o, args, kwargs: calls.append(("pre", o.state[parameters(o)[0]].get("step", 0)))
        ),
        optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o.state[parameters(o)[0]]["step"]))),
    ]
    advance(optimizer, gradients(parameters(optimizer), 2))
    for handle in removers:
        handle.remove()
    advance(optimizer, gradients(parameters(optimizer), 1))
    assert calls == [("pre", 0), ("post", 1), ("pre", 1), ("post", 2)]


def test_state_hooks_may_change_what_is_saved_and_loaded():
    optimizer = make("adamw", [("w", nn.Parameter(torch.ones(2)))])
    calls = []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("save"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": "kept"})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {**state, "state": {}})
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append(("loaded", len(o.state))))
    advance(optimizer, [[torch.ones(2)]])
    state = optimizer.state_dict()
    assert state["note"] == "kept"
    optimizer.load_state_dict(state)
    assert calls == ["save", ("loaded", 0)]
    assert len(state["state"]) == 1


SCHEDULERS = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, gamma=0.5),
    "Cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=10),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("RMSprop", {"momentum": 0.9})])
def test_torch_schedulers_write_the_same_values_and_they_count(name, options, scheduler):
    """OneCycleLR and CyclicLR write betas or momentum too."""
    walks = []
    for cls in (getattr(optim, name), getattr(torch.optim, name)):
        optimizer = cls(start(), lr=0.05, **options)
        schedule, seen = SCHEDULERS[scheduler](optimizer), []
        for row in gradients(parameters(optimizer), 8):
            advance(optimizer, [[g.clone() for g in row]])
            schedule.step(*([1.0] if scheduler == "ReduceLROnPlateau" else []))
            group = optimizer.param_groups[0]
            seen.append((group["lr"], group.get("momentum"), group.get("betas")))
        walks.append((seen, [p.detach() for p in parameters(optimizer)]))
    (seen, moved), (want, theirs) = walks
    assert seen == want
    assert len(set(want)) > 2
    assert max(float((a - b).abs().max()) for a, b in zip(moved, theirs, strict=True)) < 1e-12


@pytest.mark.parametrize("name", GRADIENTS)  # torch's scaler takes no closure
def test_loss_scaling_skips_a_step_with_inf_and_touches_nothing(name):
    params, twins = start([(4,)], torch.float32), start([(4,)], torch.float32)
    optimizer, twin = make(name, params), make(name, twins)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    given = {"loss": 1.0} if "loss" in optimizer.needs else {}

    def scaled(bad):
        optimizer.zero_grad()
        scaler.scale((params[0] ** 2).sum()).backward()
        if bad:
            params[0].grad[1] = torch.inf
        scaler.step(optimizer, **given)
        scaler.update()

    def plain():
        twin.zero_grad()
        (twins[0] ** 2).sum().backward()
        twin.step(**given)

    for _ in range(2):
        scaled(bad=False)
        plain()
    before = snapshot(optimizer)
    scaled(bad=True)
    assert same(snapshot(optimizer), before)
    assert scaler.get_scale() == 512.0
    scaled(bad=False)
    plain()
    assert same(snapshot(optimizer), snapshot(twin))


@pytest.mark.parametrize("name", [name for name in GRADIENTS if optim.preset(name)().scope == "matrix"])
def test_autocast_around_a_step_changes_nothing(name):
    """Products in 16 bits would be another rule; some decompositions refuse them."""
    params, twins = start(dtype=torch.float32), start(dtype=torch.float32)
    rows = gradients(params, 3)
    with torch.autocast("cpu", torch.bfloat16):
        moved = advance(make(name, params), rows)
        assert torch.is_autocast_enabled("cpu")
    assert same(moved, advance(make(name, twins), rows))


def test_a_closure_keeps_the_autocast_around_its_step():
    [p] = start([(3,)])
    p.grad = torch.ones_like(p)
    with torch.autocast("cpu", torch.bfloat16):
        assert make("adamw", [p]).step(lambda: torch.is_autocast_enabled("cpu"))


def test_compiled_user_code_may_step():
    params, twins = start(), start()
    optimizer, twin = make("adamw", params), make("adamw", twins)
    rows = gradients(params, 4)
    torch._dynamo.reset()
    step = torch.compile(optimizer.step, backend="eager")
    for row in rows:
        for p, g in zip(params, row, strict=True):
            p.grad = g
        optimizer.param_groups[0]["lr"] *= 0.9
        step()
        twin.param_groups[0]["lr"] *= 0.9
        advance(twin, [row])
    assert same(snapshot(optimizer), snapshot(twin))


def test_a_compiled_training_step_gives_the_same_numbers():
    results = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, backend="eager")):
        torch._dynamo.reset()
        [w] = start([(3,)], torch.float32)
        optimizer = make("sgd", [w])

        @wrap
        def train(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            ((w * x) ** 2).sum().backward()
            optimizer.step()

        for k in range(4):
            train(torch.full((3,), float(k)))
        results.append(snapshot(optimizer))
    assert same(*results)


def test_what_a_closure_returns_is_the_callers_business():
    """Only a rule that reads the loss looks at it; closures that return nothing or something else work as in torch."""
    for returned in (None, {"loss": torch.ones(())}, "done"):
        [p] = start([(3,)])
        optimizer = make("adamw", [p])

        def closure(p=p, returned=returned):
            p.grad = torch.ones(3, dtype=p.dtype)
            return returned

        assert optimizer.step(closure) is returned
        assert optimizer.state[p]["step"] == 1
