import pytest
import torch

from danlu.keyed import default_generators, generator, key, seed_all


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ((), 8238016292129134938),
        ((0,), 6148773199958884930),
        ((0, "step", 12), 7849220262617239870),
        (("ünï", -(10**30)), 559656612610494172),
    ],
)
def test_key_is_the_same_for_ever(parts, number):
    assert key(*parts) == number


def test_key_tells_types_borders_and_order_apart():
    ways = [(1, 2), (2, 1), ("1", 2), ("1", "2"), (12,), ("12",), ("1i1:2",), ("ab", "c"), ("a", "bc"), ("abc",), ("",)]
    assert len({key(*way) for way in ways}) == len(ways)


def test_key_fills_63_bits():
    keys = [key(i) for i in range(4000)]
    assert len(set(keys)) == 4000
    assert all(0 <= k < 2**63 for k in keys)
    for bit in range(63):  # 4000 fair coins: sd 0.8 %, so 4 % is five of them
        assert abs(sum(k >> bit & 1 for k in keys) / 4000 - 0.5) < 0.04


def test_key_takes_whole_numbers_of_any_kind_and_no_floats():
    assert key(torch.tensor(7)) == key(7)
    with pytest.raises(TypeError, match=r"key: a part must be a whole number or a word, got 0\.5"):
        key(0, 0.5)


def test_generator_draws_by_its_parts():
    first, again, other = (torch.rand(5, generator=generator(*parts)) for parts in ((0, "a"), (0, "a"), (0, "b")))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_seed_all_seeds_what_dropout_draws_from():
    torch.manual_seed(key(3, "step", 4))
    wanted = torch.rand(5)
    seed_all(3, "step", 4)
    assert torch.equal(torch.rand(5), wanted)
    assert default_generators()[0] is torch.default_generator
