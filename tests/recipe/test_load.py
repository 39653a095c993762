from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu import optim
from danlu.recipe import Layer, RecipeError, dump, load, resolve
from danlu.task import chars, digits, tasks

EVERYTHING_WRONG = """
task = "digits"
model = "cn"
until = "20 eons"
batch = 0
acumulate = 2
seed = true
clip = -1
[optimizer]
name = "adamw"
lr = "fast"
weigth_decay = 0.1
betas = [0.9, 1.0]
[schedule]
name = "cosin"
warmup = 0.1
per = "week"
"""


def lines_of(*args, **kwargs):
    with pytest.raises(RecipeError) as caught:
        load(*args, **kwargs)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(EVERYTHING_WRONG)
    assert [line.removeprefix(f"{path}: ") for line in lines_of(path)] == [
        "model: no model of digits 'cn'; did you mean 'cnn'?",
        "until must be a number of updates above 0 such as 200, or text such as '10ep', got '20 eons'",
        "batch must be a whole number in [1, inf), got 0",
        "seed must be a whole number in [0, inf), got true",
        "clip must be a number in (0, inf), or 'none', got -1",
        "optimizer.lr must be a number in [0, inf), got 'fast'",
        "optimizer.weigth_decay: adamw has no such option; did you mean 'weight_decay'?",
        "optimizer.betas[1] must be in [0, 1), got 1.0",
        "schedule.name: no schedule 'cosin'; did you mean 'cosine'?",
        "schedule.warmup must be a number of updates such as 200, or text such as '2ep' or '5%', got 0.1",
        "schedule.per must be 'step' or 'epoch', got 'week'",
        "acumulate: no such key; did you mean 'accumulate'?",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("task=digit", "task: no task 'digit'; did you mean 'digits'"),
        ("task=3", "task must be the name of a task, as text, got 3"),
        ("model=cnnn", "model: no model of digits 'cnnn'; did you mean 'cnn'?"),
        ("model=3", "model must be the name of a model, as text, got 3"),
        ('augment=["flop"]', "augment[0]: no augmentation of images 'flop'; did you mean 'flip'?"),
        ('augment=["mixup"]', "augment[0]: no augmentation of images 'mixup'"),
        ("augment=flip", "augment must be a list of names or of tables with a name, such as ['flip'], got 'flip'"),
        ("augment=[3]", "augment must be a list of names or of tables with a name, such as ['flip'], got 3"),
        ("augment=[{pixels=1}]", "augment[0]: the table needs a name, such as 'affine'"),
        ('augment=["flip",{name="shift",pixels=-1}]', "augment[1]: Shift: pixels must be in [0, inf), got -1"),
        ('augment=[{name="shift",pixel=1}]', "augment[0]: shift: no option 'pixel'; did you mean 'pixels'?"),
        ('mix=["flip"]', "mix[0]: no augmentation of pairs 'flip'"),
        ('mix=[{name="mixup",alpha=0}]', "mix[0]: Mixup: alpha must be in (0, inf), got 0"),
        ("loss=focl", "loss: no loss of classes 'focl'; did you mean 'focal'?"),
        ("loss=soft_median", "loss: no loss of classes 'soft_median'"),
        ('loss={name="focal",gama=1}', "loss: focal: no option 'gama'; did you mean 'gamma'?"),
        ('reduce={name="soft_median",tau=0}', "reduce: soft_median: tau must be in (0, inf), got 0"),
        ("reduce=focal", "reduce: no reduction 'focal'"),
        ("loss=3", "loss must be a loss such as 'focal', a table with its name, or 'none', got 3"),
        ("batch=1.5", "batch must be a whole number in [1, inf), got 1.5"),
        ("batch.x=3", "batch must be a whole number in [1, inf), got {'x': 3}"),
        ("until=50%", "until must be a number of updates above 0 such as 200, or text such as '10ep', got '50%'"),
        ("until=0", "until must be a number of updates above 0 such as 200, or text such as '10ep', got 0"),
        ("until=1e-3ep", None),
        ("seed=-1", "seed must be a whole number in [0, inf), got -1"),
        ("seed=2026-11-21", "seed must be a whole number in [0, inf), got datetime.date(2026, 11, 21)"),
        ("clip=nan", "clip must be a number in (0, inf), or 'none', got nan"),
        ("clip=off", "clip must be a number in (0, inf), or 'none', got 'off'"),
        ("optimizer=3", "optimizer must be a table with a name, or a name, got 3"),
        ("optimizer.name=adamv", "optimizer.name: no optimizer 'adamv'; did you mean 'adam' or 'adamw' or"),
        ("optimizer=adamw+modify.cautious", None),
        ("optimizer=adamv+modify.cautious", "optimizer.name: no optimizer 'adamv'; did you mean 'adam' or 'adamw' or"),
        ("optimizer=adamw+cautiou", "optimizer.name: no piece 'cautiou'; did you mean 'cautious' or"),
        ('optimizer="adamw(epz=1)"', "optimizer.name: adamw: no option 'epz'; did you mean 'eps'?"),
        ('optimizer="adamw(eps=0)"', "optimizer.name: adamw: eps must be in (0, inf), got 0"),
        ("optimizer.qqq=1", "optimizer.qqq: adamw has no such option; see danlu explain adamw"),
        ("foo=1", "foo: no such key; the keys are accumulate, augment, batch, "),
        ("optimizer.buffers=average", "optimizer: adamw: buffers='average' needs an average, such as average=average.Ema("),
        ("optimizer.buffers=copy", None),
        ("optimizer.lr=nan", "optimizer.lr must be a number in [0, inf), got nan"),
        ("optimizer.eps=0", "optimizer.eps must be in (0, inf), got 0"),
        ("optimizer.eps=small", "optimizer.eps must be a number in (0, inf), got 'small'"),
        ("optimizer.amsgrad=1", "optimizer.amsgrad must be True or False, got 1"),
        ("optimizer.betas=0.9", "optimizer.betas must be 2 numbers, got 0.9"),
        ("optimizer.decay=l3", "optimizer: no decay piece 'l3'; there is"),
        (
            "optimizer.decay=3",
            "optimizer.decay must be the name of a piece, a table with a name, or several where the rule has several, got 3",
        ),
        ("schedule.floor=2", "schedule.floor must be in [0, 1], got 2"),
        (
            'schedule={name="one_cycle",warmup="5%"}',
            "schedule: OneCycle begins at 0.04 of the peak, with a rise of its own; set warmup to 0",
        ),
        ('schedule={name="one_cycle",warmup=0}', None),
        ("schedule=restarts", None),
        ("schedule.power=2", "schedule.power: cosine has no such option"),
        (
            "schedule.warmup=two",
            "schedule.warmup must be a number of updates such as 200, or text such as '2ep' or '5%', got 'two'",
        ),
    ],
)
def test_one_wrong_value_is_one_line_that_names_its_source(text, line):
    sets = ["task=digits", text]
    if line is None:
        load(sets=sets)
        return
    found = lines_of(sets=sets)
    assert len(found) == 1
    assert found[0].startswith(f"--set {text}: {line}")


def test_what_only_shows_when_options_meet_is_told():
    found = lines_of(sets=["task=digits", "optimizer.name=sgd", "optimizer.nesterov=true"])
    assert len(found) == 1
    assert "nesterov needs momentum" in found[0]


def test_no_task_is_told():
    assert lines_of() == ["task is missing; there is " + ", ".join(tasks())]


def test_flags_need_no_source():
    assert lines_of(flags={"task": "digits", "seed": -1}) == ["seed must be a whole number in [0, inf), got -1"]


def test_the_tasks_defaults_are_what_nobody_said():
    for task in (digits, chars):
        recipe, choice = load(flags={"task": task.name}), task.models.get(task.model)
        assert (recipe.model, recipe.until, recipe.batch) == (task.model, choice.defaults.until, choice.defaults.batch)
        assert recipe.optimizer.name == choice.defaults.optimizer["name"]
        assert recipe.optimizer.lr == choice.defaults.optimizer["lr"]
        assert recipe.schedule.warmup == choice.defaults.schedule["warmup"]
        assert recipe.clip == (choice.defaults.clip or "none")


def test_each_model_has_its_own_defaults():
    assert load(flags={"task": "digits"}).optimizer.lr != load(sets=["task=digits", "model=mlp"]).optimizer.lr


def test_later_layers_hold_over_earlier_ones(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('task = "chars"\nseed = 1\nbatch = 11\n[optimizer]\nlr = 0.5\neps = 1e-3\n')
    recipe = load(path, ["batch=12", "batch=13", "optimizer.lr=0.25"], {"task": "digits", "seed": 2})
    assert (recipe.task, recipe.seed, recipe.batch) == ("digits", 2, 13)
    assert (recipe.optimizer.lr, recipe.optimizer.options["eps"]) == (0.25, 1e-3)
    assert recipe.until == "30ep"


def test_another_optimizer_starts_from_its_own_defaults(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('task = "digits"\n[optimizer]\nlr = 0.5\nweight_decay = 0.25\n')
    other = load(path, ["optimizer=lion"]).optimizer
    assert (other.name, other.lr, other.options) == ("lion", 1e-4, {"betas": [0.9, 0.99], "weight_decay": 0.0})
    same = load(path, ["optimizer=adamw"]).optimizer
    assert (same.name, same.lr, same.options["weight_decay"]) == ("adamw", 0.5, 0.25)


@pytest.mark.parametrize("sets", [["optimizer=lion", "optimizer.lr=0.5"], ["optimizer.lr=0.5", "optimizer=lion"]])
def test_the_order_of_overrides_does_not_matter(sets):
    recipe = load(sets=["task=digits", *sets])
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("lion", 0.5)


def test_another_schedule_keeps_the_warm_up(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('task = "digits"\nschedule.floor = 0.1\n')
    recipe = load(path, ["schedule=constant"])
    assert recipe.schedule.model_dump() == {"name": "constant", "warmup": "10%", "warmup_from": "one", "per": "step"}


@pytest.mark.parametrize(
    "sets",
    [
        ["task=digits"],
        ["task=chars"],
        ["task=digits", "optimizer=lion", "schedule.floor=0.125", "clip=0.5", "until=300"],
        [
            "task=digits",
            "optimizer=adam",
            "optimizer.grad=[{name='clip_norm', max_norm=1.0}]",
            "optimizer.decay={name='l2', rate=0.1}",
        ],
        ["task=chars", "optimizer=nadam", "optimizer.momentum_decay=inf", "schedule.per=epoch", "clip=none"],
    ],
)
def test_a_dumped_recipe_loads_as_itself(tmp_path, sets):
    recipe = load(sets=sets)
    path = tmp_path / "recipe.toml"
    path.write_text(dump(recipe))
    again = load(path)
    assert again == recipe
    assert dump(again) == dump(recipe)


def test_a_table_over_what_was_no_table(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('task = "digits"\noptimizer = 3\n')
    assert load(path, ["optimizer.name=lion"]).optimizer.name == "lion"


PLAIN = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(width=16) | st.sampled_from(["", "lion", "l2", "10ep", "none"])
)
VALUES = st.recursive(
    PLAIN,
    lambda x: st.lists(x, max_size=2) | st.dictionaries(st.sampled_from(["name", "rate", "x"]), x, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["model", "until", "batch", "seed", "clip", "optimizer", "schedule", "optimizer.name", "optimizer.lr", "optimizer.betas"]
    + [f"optimizer.{slot}" for slot in ("grad", "moments", "direction", "modify", "after_lr", "decay", "rate", "store", "odd")]
    + [f"schedule.{key}" for key in ("name", "warmup", "per", "floor", "odd")]
)


@settings(max_examples=200, deadline=None)
@given(KEYS, VALUES)
def test_whatever_a_value_is_it_is_taken_or_told_in_lines(key, value):
    table, _, name = key.partition(".")
    flags = {"task": "digits", table: {name: value} if name else value}
    with nullcontext() if is_right(flags) else pytest.raises(RecipeError) as caught:
        load(flags=flags)
    assert caught is None or (caught.value.lines and all(line and "\n" not in line for line in caught.value.lines))


def is_right(flags):
    return not resolve([Layer("", flags)])[1]


def test_augmentations_are_recorded_with_every_argument():
    recipe = load(sets=["task=digits", 'augment=["flip",{name="erase",fill=1.0}]'], flags={"mix": ["mixup"]})
    assert recipe.augment[0] == {"name": "flip", "probability": 0.5}
    assert recipe.augment[1]["fill"] == 1.0
    assert recipe.mix == [{"name": "mixup", "alpha": 0.2, "probability": 1.0}]
    assert load(flags={"task": "digits"}).augment == [{"name": "jitter", "size": 0.1, "fill": 0.0}]


def test_text_is_not_augmented():
    assert lines_of(sets=["task=chars", 'augment=["flip"]']) == [
        """--set augment=["flip"]: augment: task 'chars' has no images for it; leave it out, or augment = []"""
    ]
    assert load(flags={"task": "chars"}).augment == []


def test_losses_are_recorded_with_every_number():
    recipe = load(sets=["task=digits", "loss=focal", 'reduce={name="trimmed_mean",high=0.2}'])
    assert recipe.loss == {"name": "focal", "gamma": 2.0}
    assert recipe.reduce == {"name": "trimmed_mean", "low": 0.0, "high": 0.2}
    assert (load(flags={"task": "digits"}).loss, load(flags={"task": "digits"}).reduce) == ("none", "none")


def test_a_composition_is_a_name_with_its_own_options_in_the_table(tmp_path):
    text = "adamw(betas=(0.8, 0.9))+modify.cautious"
    recipe = load(sets=["task=digits", f'optimizer="{text}"', "optimizer.eps=1e-6"])
    assert recipe.optimizer.name == text
    assert recipe.optimizer.options["betas"] == [0.8, 0.9]
    assert recipe.optimizer.options["eps"] == 1e-6
    assert (recipe.optimizer.options["weight_decay"], recipe.optimizer.lr) == (0.01, 1e-3)
    (file := tmp_path / "recipe.toml").write_text(dump(recipe))
    assert load(file) == recipe
    part = recipe.optimizer
    made = optim.create(part.name, torch.nn.Linear(1, 1), part.lr, **part.options)
    assert made.rule() == optim.create(text, torch.nn.Linear(1, 1), eps=1e-6).rule()
