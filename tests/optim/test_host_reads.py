"""How often a step reads a tensor's value on the host: on a GPU each time waits for the device, so never once per tensor."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from danlu import optim
from tests.optim.stepping import GRADIENTS, advance, gradients, make, parameters, start


class Reads(TorchDispatchMode):
    """Counts the values that leave their device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def reads(name, tensors, **options):
    optimizer = make(name, start([(3, 4 + i) for i in range(tensors)]), **options)
    rows = gradients(parameters(optimizer), 3)
    advance(optimizer, rows[:2])
    with Reads() as seen:
        advance(optimizer, rows[2:])
    return seen.count


@pytest.mark.parametrize("name", GRADIENTS)
def test_reads_do_not_grow_with_the_number_of_tensors(name):
    assert reads(name, 12) == reads(name, 2)


@pytest.mark.parametrize("name", [name for name in GRADIENTS if not optim.preset(name)().measures])
def test_a_rule_without_sums_over_all_tensors_reads_nothing(name):
    assert reads(name, 2) == 0


@pytest.mark.parametrize("name", ["adamw", "lamb", "muon"])
def test_a_rate_that_is_a_tensor_is_read_once_per_group(name):
    few, many = (reads(name, count, lr=torch.tensor(0.01)) for count in (2, 12))
    assert 0 < few == many


def test_the_counter_sees_a_read():
    with Reads() as seen:
        float(torch.ones(()))
    assert seen.count == 1
