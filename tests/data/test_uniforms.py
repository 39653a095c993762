import math

import pytest
import torch

from danlu.data.uniforms import normal, uniforms

WORD = 2**64 - 1


def splitmix64(state):
    """One output of the published generator, in whole numbers of Python."""
    z = (state + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_the_generator_is_the_published_one():
    """Its first outputs from state 1234567, as in the reference vectors of Rosetta Code."""
    state, found = 1234567, []
    for _ in range(3):
        found.append(splitmix64(state))
        state = (state + 0x9E3779B97F4A7C15) & WORD
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_numbers_are_splitmix64_of_seed_row_and_place(seed):
    rows = [0, 5, 2**40 + 3]
    expected = []
    for row in rows:
        at_row = splitmix64((seed + 0x9E3779B97F4A7C15 * row) & WORD)
        expected.append([((splitmix64((at_row + 0x9E3779B97F4A7C15 * j) & WORD) >> 41) + 0.5) / 2**23 for j in range(6)])
    found = uniforms(seed, torch.tensor(rows), 6)
    assert found.dtype == torch.float32
    assert found.double().tolist() == expected


def test_more_numbers_leave_the_first_ones():
    rows = torch.arange(4)
    assert torch.equal(uniforms(9, rows, 7)[:, :3], uniforms(9, rows, 3))
    assert uniforms(9, rows, 0).shape == (4, 0)


def test_they_are_uniform_and_uncorrelated_in_both_directions():
    """Within five standard deviations; rows and seeds are neighbours, the worst case for a hash."""
    n, k = 20_000, 6
    u = uniforms(1, torch.arange(n), k).double()
    assert 0 < float(u.min()) < float(u.max()) < 1
    counts = torch.histc(u, 64, 0, 1)
    assert float(((counts - n * k / 64) ** 2).sum() / (n * k / 64)) < 63 + 5 * math.sqrt(2 * 63)  # χ²
    z = (u - 0.5) * math.sqrt(12)
    other = (uniforms(2, torch.arange(n), k).double() - 0.5) * math.sqrt(12)
    for a, b in [(z[:, 0], z[:, 1]), (z[1:, 0], z[:-1, 0]), (z[:, 3], other[:, 3]), (z[1:, 2], other[:-1, 3])]:
        assert abs(float((a * b).mean())) < 5 / math.sqrt(n)


def test_normal_is_the_inverse_of_the_distribution():
    u = uniforms(0, torch.arange(1000), 3)
    back = 0.5 * torch.erfc(-normal(u).double() / math.sqrt(2))
    torch.testing.assert_close(back, u.double(), rtol=1e-5, atol=1e-6)
    ends = torch.tensor([0.5 / 2**23, 1 - 0.5 / 2**23])
    assert normal(ends).isfinite().all()
