"""Schedules on the groups of an optimizer."""

import pickle

import pytest
import torch

from danlu.registry import UnknownNameError
from danlu.schedule import Constant, Cosine, Linear, Polynomial, Schedule, Scheduled, torch_scheduler

T = 10


def weight() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(3))


def two_groups() -> torch.optim.AdamW:
    return torch.optim.AdamW([{"params": [weight()]}, {"params": [weight()], "lr": 0.01}], lr=0.1, weight_decay=0.5)


def test_every_group_gets_its_initial_value_times_the_factor():
    optimizer, schedule = two_groups(), Schedule(Cosine(0.1), 3)
    scheduled = Scheduled(optimizer, schedule, T)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.01]  # nothing is written before set
    for k in (0, 5, 2, 10, 12):
        scheduled.set(k)
        assert [g["lr"] for g in optimizer.param_groups] == [0.1 * schedule.factor(k, T), 0.01 * schedule.factor(k, T)]
    assert [g["initial_lr"] for g in optimizer.param_groups] == [0.1, 0.01]


def test_any_hyper_parameter_and_one_element_of_a_tuple():
    optimizer = two_groups()
    scheduled = Scheduled(
        optimizer,
        {"weight_decay": Schedule(Linear()), "betas[0]": Schedule(Linear(0.5)), "betas[1]": Schedule(Constant())},
        T,
    )
    scheduled.set(5)
    for group in optimizer.param_groups:
        assert group["weight_decay"] == 0.25
        assert group["betas"] == (0.9 * 0.75, 0.999)
        assert group["initial_betas[0]"] == 0.9
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.01]


def test_momentum_of_sgd():
    optimizer = torch.optim.SGD([weight()], lr=0.1, momentum=0.8)
    Scheduled(optimizer, {"momentum": Schedule(Linear())}, T).set(5)
    assert optimizer.param_groups[0]["momentum"] == 0.4


def test_a_list_stays_a_list():
    optimizer = torch.optim.SGD([{"params": [weight()], "mix": [0.8, 0.9]}], lr=0.1)
    Scheduled(optimizer, {"mix[1]": Schedule(Linear())}, T).set(5)
    assert optimizer.param_groups[0]["mix"] == [0.8, 0.45]


def test_an_existing_initial_lr_is_the_base():
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.4
    Scheduled(optimizer, Schedule(Linear()), T).set(5)
    assert optimizer.param_groups[0]["lr"] == 0.2


def test_a_group_added_later():
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    scheduled = Scheduled(optimizer, Schedule(Linear()), T)
    scheduled.set(3)
    optimizer.add_param_group({"params": [weight()], "lr": 0.5})
    scheduled.set(5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.25]


def test_a_tensor_lr_is_filled_in_place():
    optimizer = torch.optim.AdamW([weight()], lr=torch.tensor(0.5), foreach=False)
    lr = optimizer.param_groups[0]["lr"]
    scheduled = Scheduled(optimizer, Schedule(Linear()), T)
    for k in (5, 8, 5):  # were the base not kept apart, the second 5 would be smaller
        scheduled.set(k)
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.25


def test_a_group_added_later_that_shares_the_default_tensor_lr():
    optimizer = torch.optim.AdamW([weight()], lr=torch.tensor(0.5), foreach=False)
    scheduled = Scheduled(optimizer, Schedule(Linear()), T)
    scheduled.set(5)
    optimizer.add_param_group({"params": [weight()]})
    scheduled.set(5)
    assert [g["initial_lr"] for g in optimizer.param_groups] == [0.5, 0.5]
    assert optimizer.param_groups[1]["lr"].item() == 0.25


def test_resuming_from_a_state_dict_goes_on_with_the_same_base():
    schedule, first, second = Schedule(Cosine(), 2), two_groups(), two_groups()
    Scheduled(first, schedule, T).set(6)
    second.load_state_dict(first.state_dict())  # holds the decayed lr and the initial one
    Scheduled(second, schedule, T).set(7)
    Scheduled(first, schedule, T).set(7)
    assert [g["lr"] for g in second.param_groups] == [g["lr"] for g in first.param_groups]
    assert first.param_groups[0]["lr"] == 0.1 * schedule.factor(7, T)


@pytest.mark.parametrize(
    ("key", "ending"),
    [
        ("weight_decy", "; did you mean 'weight_decay'?"),
        ("betas", "; did you mean 'betas[1]' or 'betas[0]'?"),
        ("betas[2]", "; did you mean 'betas[1]' or 'betas[0]'?"),
        ("lr[0]", "; there is betas[0], betas[1], eps, lr, weight_decay"),
        ("amsgrad", "; there is betas[0], betas[1], eps, lr, weight_decay"),
    ],
)
def test_what_is_no_number(key, ending):
    optimizer = two_groups()
    with pytest.raises(UnknownNameError) as error:
        Scheduled(optimizer, {"lr": Schedule(), key: Schedule()}, T)
    assert str(error.value) == f"AdamW's parameter groups have no number {key!r} to schedule{ending}"
    assert "initial_lr" not in optimizer.param_groups[0]


def test_what_is_missing_is_told_at_construction():
    with pytest.raises(ValueError, match="needs steps_per_epoch"):
        Scheduled(two_groups(), Schedule(per="epoch"), T)


@pytest.mark.parametrize(
    ("schedule", "steps_per_epoch"),
    [
        (Schedule(Cosine(0.1), 3), None),
        (Schedule(Polynomial(2.0), "1ep", "zero"), 4),
        (Schedule(Linear(), "1ep", per="epoch"), 4),
    ],
)
def test_torch_scheduler_gives_the_same_rates(schedule, steps_per_epoch):
    ours, theirs = two_groups(), two_groups()
    scheduled = Scheduled(ours, schedule, T, steps_per_epoch)
    scheduler = torch_scheduler(theirs, schedule, T, steps_per_epoch)
    for k in range(T + 3):
        scheduled.set(k)
        assert [g["lr"] for g in theirs.param_groups] == [g["lr"] for g in ours.param_groups]
        theirs.step()
        scheduler.step()


def test_torch_scheduler_resumes_pickles_and_saves_numbers_only(tmp_path):
    schedule, optimizer = Schedule(Cosine(), 3), two_groups()
    scheduler = torch_scheduler(optimizer, schedule, T)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.pt")
    again = torch_scheduler(two_groups(), schedule, T)
    again.load_state_dict(torch.load(tmp_path / "scheduler.pt", weights_only=True))
    again.optimizer.step()
    again.step()
    assert again.get_last_lr() == [0.1 * schedule.factor(5, T), 0.01 * schedule.factor(5, T)]
    assert pickle.loads(pickle.dumps(scheduler.lr_lambdas[0]))(5) == schedule.factor(5, T)
