"""Small tensors step together, in stacks, end to end, or with their directions taken jointly.

The numbers are those of single ones to rounding, and the same after a resume.
"""

import pytest
import torch

from danlu import optim
from danlu.optim.direction.plain import Plain
from danlu.optim.piece import Direction
from danlu.optim.run import batch
from danlu.optim.run.kernel import compiler_for
from danlu.optim.run.lane import Lane
from danlu.optim.store import Dense
from tests.laws.samples import dtype_for, host, infos, sample
from tests.optim.stepping import GRADIENTS, Peeking, advance, agree, gradients, make, parameters, parted, same, snapshot, start

NARROW = [name for name in GRADIENTS if optim.preset(name)().scope == "element"]
WIDE = [name for name in GRADIENTS if optim.preset(name)().scope != "element"]
PIECES = [info for info in infos() if info.axis != "around"]
SHAPES = ((4, 6),) * 5 + ((5,),) * 3 + ((2, 3, 2, 2),) * 2 + ((),) * 2 + ((6, 4),)


@pytest.fixture
def alone(monkeypatch):
    """Call it, and nothing is stacked from then on."""
    return lambda: monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1))


@pytest.fixture
def stacks(monkeypatch):
    """The sizes of the stacks that were stepped, in order."""
    sizes, stacked = [], batch._stacked

    def count(bucket):
        sizes.append(len(bucket))
        return stacked(bucket)

    monkeypatch.setattr(batch, "_stacked", count)
    return sizes


@pytest.fixture
def joint(monkeypatch):
    """How many tensors had their directions taken jointly, in order."""
    sizes, advanced = [], batch.advance_jointly

    def count(members):
        sizes.append(len(members))
        advanced(members)

    monkeypatch.setattr(batch, "advance_jointly", count)
    return sizes


@pytest.fixture
def lines(monkeypatch):
    """The elements of the lines that were stepped, in order."""
    sizes, advanced = [], batch.advance_line

    def count(line):
        sizes.append(sum(lane.p.numel() for _, (lane, _, _) in line))
        advanced(line)

    monkeypatch.setattr(batch, "advance_line", count)
    return sizes


def close(a, b):
    """Whether two snapshots agree to rounding; where signs and codes flip by rounding, few do."""
    for (p, state), (q, other) in zip(a, b, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)
        assert state.keys() == other.keys()
        for key, x in state.items():
            torch.testing.assert_close(x, other[key], rtol=1e-9, atol=1e-11, msg=f"{key} differs")


@pytest.mark.parametrize("name", WIDE)
def test_a_stack_steps_as_its_tensors_do(name, alone, stacks, joint):
    ours, theirs = make(name, start(SHAPES)), make(name, start(SHAPES))
    rows = gradients(parameters(ours), 12)
    advance(ours, rows)
    assert (stacks, joint) == (([], [13] * 12) if joins(ours.rule()) else ([5, 3, 2, 2] * 12, []))
    stacks.clear(), joint.clear()
    alone()
    advance(theirs, rows)
    assert not stacks
    assert {*joint} <= {1}
    close(snapshot(ours), snapshot(theirs))


def joins(rule):
    return type(rule.direction).jointly is not Direction.jointly


@pytest.mark.parametrize("info", PIECES, ids=lambda info: f"{info.axis}.{info.name}")
def test_every_piece_maps_over_a_stack(info, alone, stacks, joint, monkeypatch):
    rule = host(info.axis, sample(info))
    monkeypatch.setattr(Lane, "stackable", True)  # element-wise rules too: in a rule with a wide piece they are stacked
    ours, theirs = (optim.Optimizer(start(SHAPES, dtype_for(rule)), rule, lr=0.01) for _ in range(2))
    rows = gradients(parameters(ours), 4)
    advance(ours, rows)
    assert (stacks, joint) == (([], [13] * 4) if joins(rule) else ([5, 3, 2, 2] * 4, []))
    alone()
    advance(theirs, rows)
    for p, q in zip(parameters(ours), parameters(theirs), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


def test_element_wise_rules_are_not_stacked(stacks):
    advance(make("adamw", start(SHAPES)), gradients(start(SHAPES), 1))
    assert not stacks


@pytest.mark.parametrize("name", ["lamb", "muon"])
def test_what_differs_is_not_stepped_together(name, stacks, joint):
    """Another group's lr, another step count, another dtype, no gradient."""
    sizes = joint if name == "muon" else stacks
    params = start(((3, 4),) * 8)
    optimizer = make(name, [{"params": params[:3]}, {"params": params[3:], "lr": 0.02}])
    [row] = gradients(params, 1)
    advance(optimizer, [[*row[:3], *row[3:7], None]])
    assert sizes == [3, 4]
    sizes.clear()
    advance(optimizer, [row])
    assert sizes == [3, 4, 1][: 3 if name == "muon" else 2]  # the one that stayed behind has numbers of its own
    sizes.clear()
    mixed = [*start(((3, 4),) * 2), *start(((3, 4),) * 2, torch.float32)]
    advance(make(name, mixed), [[p.detach() for p in mixed]])
    assert sizes == [2, 2]


def test_a_stack_is_bounded_in_bytes(stacks, monkeypatch):
    params = start(((4, 4),) * 7)
    each = 4 * 16 * 8  # p, g and two moments
    rows = gradients(params, 1)
    for bytes_, sizes in ((7 * each, [7]), (7 * each - 1, [4, 3]), (2 * each, [2, 2, 2, 1]), (1, [2, 2, 2, 1])):
        stacks.clear()
        monkeypatch.setattr(batch, "_CPU", batch.Limits(16, bytes_))
        advance(make("lamb", params), rows)
        assert stacks == [size for size in sizes if size > 1]
    stacks.clear()
    monkeypatch.setattr(batch, "_CPU", batch.Limits(15, 1 << 20))
    advance(make("lamb", params), rows)
    assert not stacks


def test_joint_directions_are_bounded_in_bytes(joint, monkeypatch):
    params = start(((4, 4),) * 7)
    each = 3 * 16 * 8  # p, g and the momentum
    rows = gradients(params, 1)
    for bytes_, sizes in ((7 * each, [7]), (7 * each - 1, [6, 1]), (2 * each, [2, 2, 2, 1]), (1, [1] * 7)):
        joint.clear()
        monkeypatch.setattr(batch, "_CPU", batch.Limits(0, bytes_, joint_elements=16))
        advance(make("muon", params), rows)
        assert joint == sizes
    joint.clear()
    monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1 << 20, joint_elements=15))
    advance(make("muon", params), rows)
    assert joint == [1] * 7


@pytest.mark.parametrize("name", ["muon", "soap", "shampoo", "smmf", "came"])
def test_a_resumed_run_forms_the_same_stacks_bit_for_bit(name):
    """In the middle of a run in which gradients come and go."""
    rows = gradients(start(SHAPES, torch.float32), 8)
    rows = [[g if (i + k) % 5 else None for k, g in enumerate(row)] for i, row in enumerate(rows)]
    assert same(*parted(name, SHAPES, rows, 5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64])
def test_narrow_and_complex_parameters(dtype, alone):
    shapes = ((4, 6),) * 3
    ours, theirs = make("muon", start(shapes, dtype)), make("muon", start(shapes, dtype))
    rows = gradients(parameters(ours), 3)
    advance(ours, rows)
    alone()
    advance(theirs, rows)
    for p, q in zip(parameters(ours), parameters(theirs), strict=True):
        torch.testing.assert_close(p, q)
        assert p.dtype == dtype


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layouts_may_be_mixed_in_a_stack(memory_format, alone):
    params = start(((2, 3, 4, 5),) * 3)
    params[1] = torch.nn.Parameter(params[1].detach().to(memory_format=memory_format))
    strides = params[1].stride()
    ours, theirs = make("muon", params), make("muon", start(((2, 3, 4, 5),) * 3))
    rows = gradients(params, 3)
    advance(ours, rows)
    alone()
    advance(theirs, rows)
    assert params[1].stride() == strides
    close(snapshot(ours), snapshot(theirs))


def test_a_rule_that_does_not_map_is_stepped_one_by_one_with_a_warning(alone):
    params, other = start(((3, 4),) * 3), start(((3, 4),) * 3)
    rows = gradients(params, 3)
    ours = optim.Optimizer(params, optim.Rule(Plain(), modify=Peeking()), lr=0.01)
    with pytest.warns(UserWarning, match="one by one"):
        advance(ours, rows[:1])
    advance(ours, rows[1:])  # said once
    alone()
    theirs = optim.Optimizer(other, optim.Rule(Plain(), modify=Peeking()), lr=0.01)
    advance(theirs, rows)
    assert same(snapshot(ours), snapshot(theirs))


# ---- end to end -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NARROW)
def test_a_line_steps_as_its_tensors_do(name, alone, lines):
    ours, theirs = make(name, start(SHAPES)), make(name, start(SHAPES))
    rows = gradients(parameters(ours), 12)
    advance(ours, rows)
    assert lines == [sum(p.numel() for p in parameters(ours))] * 12
    alone()
    advance(theirs, rows)
    assert len(lines) == 12
    close(snapshot(ours), snapshot(theirs))


def test_what_differs_is_in_no_common_line(lines):
    """Another group's lr, another step count, another dtype, no gradient, no elements, an order of its own."""
    params = start(((3, 4), (5,), (2, 2), (3,)))
    optimizer = make("adamw", [{"params": params[:2]}, {"params": params[2:], "lr": 0.02}])
    [row] = gradients(params, 1)
    advance(optimizer, [[*row[:3], None]])
    assert lines == [17]
    advance(optimizer, [row])
    assert lines == [17, 17]  # the one that stayed behind has numbers of its own
    advance(optimizer, [[*row[:3], None]])
    lines.clear()
    mixed = [*start(((3, 4), (5,))), *start(((2, 2), (3,)), torch.float32), *start(((0,), (2,)))]
    mixed.append(torch.nn.Parameter(torch.ones(4, 3).T))
    advance(make("adamw", mixed), [[torch.ones_like(p) for p in mixed]])
    assert sorted(lines) == [7, 19]


def test_a_line_is_bounded_in_bytes_and_elements(lines, monkeypatch):
    params = start(((4, 4),) * 7)
    each = 3 * 16 * 8  # p and two moments
    rows = gradients(params, 1)
    for bytes_, tensors in ((7 * each, [7]), (7 * each - 1, [6]), (2 * each, [2, 2, 2]), (1, [])):
        lines.clear()
        monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1, 16, bytes_))
        advance(make("adamw", params), rows)
        assert lines == [16 * count for count in tensors]
    lines.clear()
    monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1, 15, 1 << 20))
    advance(make("adamw", params), rows)
    assert not lines


@pytest.mark.skipif(compiler_for("cpu") is None, reason="no compiler")
@pytest.mark.parametrize(("name", "store"), [("adamw", {}), ("lion", {}), ("adamw", {"exp_avg": Dense(torch.bfloat16)})])
def test_a_kernel_takes_a_line_as_its_tensors(name, store, lines, monkeypatch):
    """As on an accelerator, where a launch costs more than laying small tensors end to end."""
    monkeypatch.setenv("DANLU_ENGINE", "captured")
    shapes = ((3, 4), (5,), (2, 3, 4), (), (40, 50))
    ours, theirs = (make(name, start(shapes, torch.float32), compile=True, store=store) for _ in range(2))
    rows = gradients(parameters(ours), 4)
    advance(theirs, rows)
    assert not lines
    monkeypatch.setattr(batch, "_CPU", batch.Limits(0, 1, 0, 1 << 20, kernel_line_elements=1 << 10))
    monkeypatch.setattr(optim.Rule, "step", None)
    advance(ours, rows)
    assert lines == [42] * 4
    for p, q in zip(parameters(ours), parameters(theirs), strict=True):
        assert torch.equal(p, q)
    assert all(torch.equal(x, y) for x, y in zip(tensors(ours), tensors(theirs), strict=True))


def tensors(optimizer):
    return [x for state in optimizer.state.values() for x in state.values() if isinstance(x, torch.Tensor)]


def test_a_codec_that_goes_by_size_sees_that_of_the_tensor(alone, lines):
    """Not that of the line: what it leaves dense stays so."""
    rule = optim.adamw().but(store=optim.store.BFloat16(min_size=10))
    ours, theirs = (optim.Optimizer(start(((3, 4), (5,), (4, 4), (2, 2)), torch.float32), rule, lr=0.01) for _ in range(2))
    rows = gradients(parameters(ours), 6)
    advance(ours, rows)
    assert lines == [28, 9] * 6
    alone()
    advance(theirs, rows)
    assert same(snapshot(ours), snapshot(theirs))
    assert [ours.state[p]["exp_avg"].dtype for p in parameters(ours)] == [torch.bfloat16, torch.float32] * 2


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("moving", ["parameters", "state"])
@pytest.mark.parametrize(("name", "store"), [("adamw", "dense"), ("adamw", "bfloat16"), ("muon", "dense"), ("furnace", "")])
def test_what_moves_in_memory_is_followed(name, store, moving, compiled):
    """``x.data = …`` keeps the tensor and leaves its memory: in lines, in stacks, alone, by kernels."""
    shapes = ((3, 4), (3, 4), (5,))
    options = {"store": store} if store else {}
    ours, theirs = (make(name, start(shapes, torch.float32), compile=compiled, **options) for _ in range(2))
    rows = gradients(parameters(ours), 6)
    advance(theirs, rows)
    for row in rows:
        advance(ours, [row])
        for p in parameters(ours):
            state = [x for x in ours.state[p].values() if isinstance(x, torch.Tensor)]
            for x in [p] if moving == "parameters" else state:
                x.data, left = x.data.clone(), x.data
                left.fill_(7.0)
    assert agree(name, snapshot(ours), snapshot(theirs))  # halves of words that moved apart are stepped by another kernel


def test_gradients_in_another_order_are_put_right(alone, lines):
    params, other = start(((3, 4), (5,))), start(((3, 4), (5,)))
    ours, theirs = make("adamw", params), make("adamw", other)
    rows = [[g.T.contiguous().T, h] for g, h in gradients(params, 3)]
    assert not rows[0][0].is_contiguous()
    advance(ours, rows)
    assert lines == [17] * 3
    alone()
    advance(theirs, rows)
    assert same(snapshot(ours), snapshot(theirs))


@pytest.mark.parametrize("name", ["adamw", "sgd", "adan", "lion"])
def test_a_resumed_run_forms_the_same_lines_bit_for_bit(name):
    shapes = ((3, 4), (5,), (2, 2), (3,))
    rows = gradients(start(shapes, torch.float32), 8)
    rows = [[g if (i + k) % 3 else None for k, g in enumerate(row)] for i, row in enumerate(rows)]
    assert same(*parted(name, shapes, rows, 5))
