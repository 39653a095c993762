from typing import get_args

import pytest
import torch
from safetensors.torch import save_file

from danlu import schedule
from danlu.data import Cutmix, Mixup, image
from danlu.layers import initialize
from danlu.recipe import Recipe, load, prepare
from danlu.task import STARTS, digits
from danlu.train import Observer

QUIET = [Observer()]


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained(*sets, **flags):
    run = prepare(load(sets=["task=digits", "model=mlp", "until=3", *sets], flags=flags), observers=QUIET)
    run.fit()
    return weights(run.parts.model)


def test_what_a_recipe_says_is_what_runs():
    sets = ["task=digits", "until=5", "accumulate=2", "clip=0.5", "seed=7", "batch=100"]
    run = prepare(load(sets=[*sets, "optimizer.lr=0.25", "optimizer.weight_decay=0.5", "schedule.floor=0.25"]))
    group = run.trainer.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.5)
    assert type(run.parts.model).__name__ == "CNN"
    assert (run.trainer.accumulate, run.trainer.seed, str(run.trainer.until)) == (2, 7, "5st")
    assert run.trainer.update.setup.clip == 0.5
    assert (run.trainer.schedule.shape.floor, str(run.trainer.schedule.warmup)) == (0.25, "10%")
    assert len(run.parts.train) == 15  # 1437 images in hundreds


def test_two_runs_of_one_recipe_end_in_the_same_bits():
    assert torch.equal(trained(), trained())


CHANGES = """
    seed=1 batch=63 accumulate=2 clip=0.01 until=4 model=cnn
    optimizer.lr=1e-3 optimizer.betas=[0.8,0.999] optimizer.eps=1e-3 optimizer.weight_decay=1 optimizer=lion
    schedule=constant schedule.warmup=2 schedule.floor=0.5 schedule.per=epoch
    augment=[] augment=["flip"] augment=["jitter","erase"] augment=[{name="jitter",size=0.2}]
    mix=["mixup"] mix=[{name="cutmix",alpha=0.5}]
"""


@pytest.mark.parametrize("text", CHANGES.split())
def test_every_key_moves_something(text):
    a, b = trained(), trained(text)
    assert a.shape != b.shape or not torch.equal(a, b)


def test_the_folder_is_made_last(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "create", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(load(flags={"task": "digits"}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_has_its_own_threads_and_gives_them_back():
    before = torch.get_num_threads()
    seen = []

    class Watch(Observer):
        def update(self, clock, report):
            seen.append(torch.get_num_threads())

    run = prepare(load(None, ["task=digits", "until=1", "model=mlp", "threads=3"], {}), observers=[Watch()])
    run.fit()
    assert seen == [3]
    assert run.threads == 3
    assert torch.get_num_threads() == before
    assert load(None, ["task=digits"], {}).threads == 1


def test_augmentations_are_a_chain_and_mixtures_a_callback():
    run = prepare(load(sets=["task=digits", 'augment=["flip",{name="shift",pixels=1}]', 'mix=["mixup","cutmix"]']))
    flip, shift = run.parts.train.augmentation.parts[0].parts
    assert (flip, shift) == (image.Flip(0.5), image.Shift(1))
    assert [callback.ways for callback in run.trainer.callbacks] == [(Mixup(0.2), Cutmix(1.0))]


@pytest.mark.parametrize("name", STARTS)
def test_weights_start_as_asked_unless_they_come_from_a_file(name, tmp_path):
    sets = ["task=digits", "model=mlp", "until=1", "seed=3"]
    model = digits.build("mlp", seed=3).model
    assert torch.equal(weights(prepare(load(sets=sets), observers=QUIET).parts.model), weights(model))
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    old = weights(model)
    initialize(model, STARTS[name], 3)
    found = prepare(load(sets=[*sets, f"init={name}"]), observers=QUIET).parts.model
    assert torch.equal(weights(found), weights(model))
    assert not torch.equal(weights(found), old)
    begun = prepare(load(sets=[*sets, f"init={name}", f"weights_from={tmp_path}/weights.safetensors"]), observers=QUIET)
    assert torch.equal(weights(begun.parts.model), old)


def test_every_start_has_a_name_in_recipes():
    assert set(get_args(Recipe.model_fields["init"].annotation)) == {"none", *STARTS}


@pytest.mark.parametrize(
    ("model", "sets", "count"),
    [("mlp_deep", [], 16), ("mlp_deep", ["recalibrate=3"], 3), ("mlp_deep", ["recalibrate=0"], None), ("mlp", [], None)],
)
def test_statistics_at_an_average_are_made_anew_and_the_record_says_so(model, sets, count, tmp_path):
    given = ["task=digits", f"model={model}", 'optimizer.average={name="ema",decay=0.9}', *sets]
    run = prepare(load(sets=given), out=tmp_path / "run", observers=QUIET)
    assert [each.count for each in run.trainer.callbacks] == ([] if count is None else [count])
    said = 0 if sets == ["recalibrate=0"] else count or 16
    assert f"recalibrate = {said}\n" in (tmp_path / "run" / "recipe.toml").read_text()
    assert not prepare(load(sets=["task=digits", "model=mlp_deep"]), observers=QUIET).trainer.callbacks  # no average
