"""Roles from module types, ordered rules, layer-wise lr, freezing, and two optimizers in one."""

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim import layer_decay, roles, table, when


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.pos = nn.Parameter(torch.zeros(1, 5, 6))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)) for _ in range(2))
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(6, 1, 1))
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Linear(6, 11)

    def forward(self, tokens):
        x = self.embed(tokens) + self.pos
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.conv(x.mT).mT * self.gain.view(-1) * self.scale)


def step(model, optimizer):
    torch.manual_seed(1)
    model.zero_grad()
    model(torch.randint(11, (2, 5))).square().mean().backward()
    optimizer.step()


def settings_of(made):
    return {name: {k: v for k, v in g.items() if k not in {"params", "roles"}} for g in made for name, _ in g["params"]}


def test_roles_come_from_modules_and_squeezed_shapes():
    assert roles(Tiny()) == {
        "pos": "matrix",
        "gain": "vector",
        "scale": "scalar",
        "embed.weight": "embedding",
        "blocks.0.0.weight": "matrix",
        "blocks.0.0.bias": "vector",
        "blocks.0.1.weight": "vector",
        "blocks.0.1.bias": "vector",
        "blocks.1.0.weight": "matrix",
        "blocks.1.0.bias": "vector",
        "blocks.1.1.weight": "vector",
        "blocks.1.1.bias": "vector",
        "conv.weight": "conv",
        "conv.bias": "vector",
        "head.weight": "head",
        "head.bias": "vector",
    }


def test_a_tied_head_is_an_embedding_and_is_named_once():
    model = Tiny()
    model.head.weight = model.embed.weight
    found = roles(model)
    assert found["embed.weight"] == "embedding"
    assert "head.weight" not in found
    assert found.keys() == dict(model.named_parameters()).keys()


def test_the_head_can_be_named():
    assert roles(Tiny(), head="blocks.1.0.*")["blocks.1.0.weight"] == "head"
    assert "head" not in roles(Tiny(), head="").values()


def test_each_setting_comes_from_the_first_rule_that_sets_it():
    made = optim.groups(
        Tiny(),
        when("head", lr_factor=0.5),
        when("vector", "scalar", "pos", weight_decay=0.0),
        when("blocks.0.*", lr_factor=0.1, weight_decay=0.3),
        when("head.*", lr_factor=7.0),
    )
    found = settings_of(made)
    assert found["head.weight"] == {"lr_factor": 0.5}
    assert found["head.bias"] == {"weight_decay": 0.0, "lr_factor": 7.0}
    assert found["blocks.0.0.weight"] == {"lr_factor": 0.1, "weight_decay": 0.3}
    assert found["blocks.0.0.bias"] == {"lr_factor": 0.1, "weight_decay": 0.0}
    assert found["conv.weight"] == {}
    assert sorted(found) == sorted(name for name, _ in Tiny().named_parameters())


def test_a_bare_table_is_taken_out_of_the_matrices_by_its_name():
    model = Tiny()
    muon = when("matrix", optimizer="muon", lr=0.02)
    named = when("pos*", optimizer="adamw", lr=1e-3, weight_decay=0.0)
    plain, told = (optim.create("adamw", optim.groups(model, *rules)) for rules in ((muon,), (named, muon)))

    def of(optimizer, p):
        return next(group for group in optimizer.param_groups if any(p is q for q in group["params"]))

    assert of(plain, model.pos)["rule"].name == "muon"
    found = of(told, model.pos)
    assert (found["rule"].name, found["lr"], found["weight_decay"]) == ("adamw", 1e-3, 0.0)
    assert of(told, model.blocks[0][0].weight)["rule"].name == "muon"


def test_lr_factors_multiply_the_optimizers_lr_and_survive_a_schedule():
    model = Tiny()
    optimizer = optim.AdamW(optim.groups(model, when("head", lr_factor=0.5)), lr=1e-2)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [5e-3, 1e-2]
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda k: 0.1**k] * 2)
    step(model, optimizer)
    scheduler.step()
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([5e-4, 1e-3])


def test_frozen_parameters_get_no_gradient_and_do_not_move():
    model = Tiny()
    optimizer = optim.AdamW(optim.groups(model, when("embedding", "blocks.*", frozen=True)), lr=1e-2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(model, optimizer)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == (name == "embed.weight" or name.startswith("blocks"))


def test_two_rules_in_one_optimizer_equal_two_optimizers():
    one, two = Tiny(), Tiny()
    two.load_state_dict(one.state_dict())
    joint = optim.create("adamw", optim.groups(one, when("matrix", optimizer="lion", lr=1e-3, betas=(0.8, 0.9))), lr=1e-2)
    named = dict(two.named_parameters())
    matrices = [name for name, role in roles(two).items() if role == "matrix"]
    apart = [
        optim.Lion([named[name] for name in matrices], lr=1e-3, betas=(0.8, 0.9)),
        optim.AdamW([p for name, p in named.items() if name not in matrices], lr=1e-2),
    ]
    for _ in range(3):
        step(one, joint)
        step(two, apart[0])
        for optimizer in apart[1:]:
            optimizer.step()
    for name, p in one.named_parameters():
        assert torch.equal(p, named[name]), name
    lion = next(group for group in joint.param_groups if group["lr"] == 1e-3)
    assert "eps" not in lion


def test_a_mixed_state_is_plain_and_goes_on_bit_for_bit(tmp_path):
    model = Tiny()

    def make(target):
        return optim.create("adamw", optim.groups(target, when("matrix", optimizer="lion", lr=1e-3)), lr=1e-2)

    optimizer = make(model)
    step(model, optimizer)
    torch.save([model.state_dict(), optimizer.state_dict()], tmp_path / "state.pt")
    weights, state = torch.load(tmp_path / "state.pt", weights_only=True)
    copy = Tiny()
    copy.load_state_dict(weights)
    resumed = make(copy)
    resumed.load_state_dict(state)
    for _ in range(2):
        step(model, optimizer)
        step(copy, resumed)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.parameters(), strict=True))


def test_pieces_can_be_left_out_of_a_group():
    model = Tiny()
    made = optim.groups(model, when("head", without=("clip_value",)))
    optimizer = optim.create("sgd", made, lr=1.0, grad=optim.grad.ClipValue(1e-12))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(model, optimizer)
    moved = {name: (p - before[name]).abs().max() for name, p in model.named_parameters()}
    assert moved["head.weight"] > 1e-6
    assert max(x for name, x in moved.items() if name != "head.weight") <= 1e-6
    with pytest.raises(ValueError, match="no piece 'clip_valu' to leave out; did you mean 'clip_value'"):
        optim.create(
            "sgd", optim.groups(model, when("head", without=("clip_valu",))), grad={"name": "clip_value", "upper": 1.0}
        )


def clipped(model, **options):
    return optim.create("sgd", model, lr=1.0, grad=optim.grad.AdaptiveClip(1e-6), **options)


def test_adaptive_clipping_leaves_the_head_alone_by_itself():
    """Bit for bit as two optimizers: the clip for the body, none for the head and its bias."""
    one, two = Tiny(), Tiny()
    two.load_state_dict(one.state_dict())
    joint = clipped(one)
    body = [p for name, p in two.named_parameters() if not name.startswith("head")]
    apart = [clipped(body), optim.create("sgd", two.head.parameters(), lr=1.0)]
    for _ in range(3):
        step(one, joint)
        step(two, apart[0])
        apart[1].step()
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert [group.get("without") for group in joint.param_groups] == [None, ("adaptive_clip",)]
    assert joint.param_groups[1]["param_names"] == ["head.weight", "head.bias"]


def moved_heads(made):
    model, optimizer = made
    before = model.head.weight.detach().clone()
    step(model, optimizer)
    return (model.head.weight - before).abs().max() > 1e-5


def test_where_roles_are_known_and_who_has_the_last_word():
    def of(rules, **options):
        torch.manual_seed(0)
        model = Tiny()
        return model, clipped(optim.groups(model, *rules, **options))

    torch.manual_seed(0)
    model = Tiny()
    assert moved_heads((model, clipped(model)))
    assert moved_heads(of([when("vector", weight_decay=0.1)]))
    assert not moved_heads(of([when("head", without=())]))
    assert not moved_heads(of([], head=""))
    model = Tiny()
    assert not moved_heads((model, clipped(model.named_parameters())))  # no module, no roles
    _, optimizer = of([when("vector", weight_decay=0.1)])  # the head's bias is in the vectors' group, and is split from it
    alone = [name for g in optimizer.param_groups if "without" in g for name in g["param_names"]]
    assert sorted(alone) == ["head.bias", "head.weight"]


def test_any_piece_may_leave_roles_alone(monkeypatch):
    monkeypatch.setattr(optim.grad.ClipValue, "skips_roles", frozenset({"embedding", "conv"}))
    optimizer = optim.create("adamw", Tiny(), grad=[optim.grad.AdaptiveClip(), optim.grad.ClipValue(1.0)])
    assert [(group["param_names"][0], len(group["params"]), group.get("without")) for group in optimizer.param_groups] == [
        ("pos", 12, None),
        ("embed.weight", 2, ("clip_value",)),
        ("head.weight", 2, ("adaptive_clip",)),
    ]
    assert len(optim.create("adamw", Tiny()).param_groups) == 1


def test_what_is_left_alone_is_shown_and_saved():
    model = Tiny()
    optimizer = clipped(model)
    lines = table(optimizer.param_groups).splitlines()
    told = {line.split()[0]: "without=('adaptive_clip',)" in line for line in lines[1:]}
    assert [name for name, x in told.items() if x] == ["head.weight", "head.bias"]
    assert "without: ('adaptive_clip',)" in repr(optimizer)
    assert "grad.adaptive_clip leaves alone: head" in optim.explain("sgd+grad.adaptive_clip")
    assert "leaves alone" not in optim.explain("sgd+grad.centralize")
    step(model, optimizer)
    twin = clipped(model)
    twin.load_state_dict(optimizer.state_dict())
    assert [group.get("without") for group in twin.param_groups] == [None, ("adaptive_clip",)]


def test_layer_decay_counts_from_the_last_layer():
    found = settings_of(optim.groups(Tiny(), *layer_decay(Tiny(), 0.5)))
    order = ["pos", "gain", "scale", "embed.weight", "blocks.0.0.weight", "blocks.1.1.bias", "conv.weight", "head.bias"]
    assert [found[name]["lr_factor"] for name in order] == [0.5**k for k in (7, 6, 5, 4, 3, 2, 1, 0)]


def test_the_table_shows_every_parameter():
    text = table(optim.groups(Tiny(), when("matrix", optimizer="lion"), when("vector", weight_decay=0.0)))
    lines = text.splitlines()
    assert len(lines) == 1 + len(list(Tiny().parameters()))
    assert "optimizer=lion" in next(line for line in lines if line.startswith("blocks.0.0.weight"))
    assert "weight_decay=0.0" in next(line for line in lines if line.startswith("head.bias"))


def test_rules_that_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"no parameter matches decoder\.\*; the roles here are conv, embedding, head, matrix"):
        optim.groups(Tiny(), when("decoder.*", lr_factor=0.1))
    with pytest.raises(ValueError, match="no parameter matches matrix"):
        optim.groups(nn.LayerNorm(3), when("matrix", optimizer="lion"))
    with pytest.raises(ValueError, match="did you mean 'lion'"):
        optim.groups(Tiny(), when("matrix", optimizer="loin"))
    with pytest.raises(ValueError, match=r"lr_factor must be in \(0, inf\), got 0"):
        when("head", lr_factor=0)
    with pytest.raises(TypeError, match="no group option 'weight_dacay'; did you mean 'weight_decay'"):
        optim.AdamW(optim.groups(Tiny(), when("head", weight_dacay=0.1)))
    with pytest.raises(TypeError, match=r'a group cannot replace .modify.; give it another optimizer="..."'):
        optim.AdamW(optim.groups(Tiny(), when("head", modify="cautious")))
    with pytest.raises(ValueError, match=r"rate must be in \(0, 1\], got 1.5"):
        layer_decay(Tiny(), 1.5)
