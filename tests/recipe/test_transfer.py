import pytest
import torch

from danlu.loss import SmoothAll, TrimmedMean, bi_tempered, cross_entropy, focal, logit_adjusted
from danlu.recipe import Run, load, prepare
from danlu.task import TASKS
from danlu.train import Observer, read_weights

COUNTS = torch.tensor([143, 85, 53, 32, 20, 11, 7, 5, 3, 2])  # of digits-tail
QUICK = ["model=mlp", "until=4", "schedule.warmup=0"]


def run(task, *sets, out=None, **options) -> Run:
    return prepare(load(sets=[f"task={task}", *QUICK, *sets]), out=out, observers=[Observer()], **options)


def weights(model):
    return {name: x.clone() for name, x in model.state_dict().items()}


@pytest.fixture
def donor(tmp_path):
    run("digits-low", "seed=5", out=tmp_path / "low").fit()
    return tmp_path / "low"


def test_a_run_begins_where_another_ended_but_for_a_head_of_another_shape(donor):
    begun = run("digits", f"weights_from='{donor}'")
    theirs, ours, fresh = (
        read_weights(donor / "model.safetensors"),
        weights(begun.parts.model),
        weights(run("digits").parts.model),
    )
    assert begun.loaded is not None
    assert set(begun.loaded.mismatched) == {"7.weight", "7.bias"}
    assert all(torch.equal(ours[name], (fresh if name.startswith("7.") else theirs)[name]) for name in ours)


def test_what_is_to_be_fresh_is(donor):
    begun = run("digits-low", f"weights_from='{donor}'", "fresh=['7.*']")
    fresh = weights(run("digits-low").parts.model)
    assert torch.equal(begun.parts.model.state_dict()["7.weight"], fresh["7.weight"])
    assert not torch.equal(begun.parts.model.state_dict()["1.weight"], fresh["1.weight"])


def test_what_is_wrong_is_one_line_that_names_the_key(donor, tmp_path):
    for sets, line in {
        (f"weights_from='{tmp_path / 'none'}'",): "weights_from: .* holds no weights",
        (f"weights_from='{donor}'", "fresh=['head.*']"): "fresh: no parameter is called 'head",
        ("freeze=[{names=['9.*']}]",): "Freeze: no parameter is called '9",
        ("early_stop.patience=1ep", "early_stop.metric=valid/accurac"): r"early_stop.metric: .* did you mean 'valid/accuracy'",
    }.items():
        with pytest.raises((OSError, ValueError), match=line):
            run("digits", *sets, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_frozen_stages_stay_until_they_thaw():
    for until, moved in (("none", False), ("2st", True)):
        frozen = run("digits", f"freeze=[{{names=['1.*'], until='{until}'}}]")
        before = weights(frozen.parts.model)
        frozen.fit()
        after = frozen.parts.model.state_dict()
        assert torch.equal(before["1.weight"], after["1.weight"]) is not moved
        assert not torch.equal(before["4.weight"], after["4.weight"])


def test_earlier_layers_have_a_lower_rate():
    groups = run("digits", "layer_decay=0.5").trainer.optimizer.param_groups
    factors = {group["param_names"][0].split(".")[0]: group["lr_factor"] for group in groups}
    assert factors == {"1": 0.25, "4": 0.5, "7": 1.0}


@pytest.fixture
def one_thread():
    """As `Run.fit` has it for the digits: sums in another number of parts may differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_snapshots_are_the_weights_at_the_ends_of_cycles_and_resume(tmp_path):
    whole = run("digits", "until=9", "snapshots=3", out=tmp_path / "whole")
    rates, kept = [], {}
    for step in whole.trainer.steps(whole.parts.train, whole.parts.test):
        rates.append(whole.trainer.optimizer.param_groups[0]["lr"])
        step.update()
        kept[len(rates)] = weights(whole.parts.model)
    assert rates[0] == rates[3] == rates[6] == max(rates)
    assert rates[0] > rates[1] > rates[2] > 0
    for i in (1, 2, 3):
        found = read_weights(tmp_path / f"whole/snapshots/{i}.safetensors")
        assert all(torch.equal(found[name], x) for name, x in kept[3 * i].items())
    cut = run("digits", "until=9", "snapshots=3", out=tmp_path / "cut", save_every=2)
    for step in cut.trainer.steps(cut.parts.train, cut.parts.test):
        step.update()
        if cut.trainer.running().clock.done == 4:
            break
    run("digits", "until=9", "snapshots=3", out=tmp_path / "cut", resume=True, save_every=2).fit()
    for i in (1, 2, 3):
        one, two = (tmp_path / which / f"snapshots/{i}.safetensors" for which in ("whole", "cut"))
        assert one.read_bytes() == two.read_bytes()


def test_an_early_stop_ends_the_run():
    stopped = run("digits", "until=20ep", "optimizer.lr=0.0", "early_stop.patience=2ep").fit()
    assert stopped.stopped.startswith("valid/loss has not improved")
    assert stopped.steps == 3 * 23


def test_a_micro_batch_changes_nothing_but_rounding():
    a, b = (run("digits", *sets, "model=cnn", "until=1") for sets in ([], ["micro_batch=16"]))
    for each in (a, b):
        for module in each.parts.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    assert a.fit().history[0]["train/loss"] == pytest.approx(b.fit().history[0]["train/loss"], rel=1e-5)


def test_variants_hold_out_what_they_say():
    few, noisy, tail, low = (TASKS.get(f"digits-{name}").build() for name in ("few", "noisy", "tail", "low"))
    labels = {
        name: torch.cat([y for _, y in parts.train.epoch(0)])
        for name, parts in {"few": few, "noisy": noisy, "tail": tail, "low": low}.items()
    }
    assert labels["few"].bincount().tolist() == [4] * 5
    assert sorted(set(labels["low"].tolist())) == [0, 1, 2, 3, 4]
    counts = labels["tail"].bincount()
    assert torch.equal(counts, COUNTS)
    clean = torch.cat([y for _, y in TASKS.get("digits").build().train.epoch(0)])
    assert 0.36 < float((labels["noisy"] != clean).double().mean()) < 0.44  # the order is the same
    assert few.model(next(few.test.epoch(0))[0]).shape[1] == 5
    assert len(few.test.tensors[1]) + len(low.test.tensors[1]) == len(noisy.test.tensors[1]) == 360


@torch.no_grad()
def test_the_loss_that_is_trained_with_is_not_the_one_that_is_judged():
    for sets, other in {
        ("label_smoothing=0.2",): lambda z, y: cross_entropy(z, y, smoothing=SmoothAll(0.2)),
        ("loss=focal",): focal,
        ('loss={name="bi_tempered",t1=0.5}',): lambda z, y: bi_tempered(z, y, t1=0.5),
        ("loss=bi_tempered", "label_smoothing=0.2"): lambda z, y: bi_tempered(z, y, smoothing=SmoothAll(0.2)),
        ("reduce=trimmed_mean",): lambda z, y: cross_entropy(z, y, reduce=TrimmedMean()),
        ("logit_adjustment=1.5",): lambda z, y: logit_adjusted(z, y, COUNTS, tau=1.5),
    }.items():
        plain = run("digits-tail", *sets)
        own, (x, y) = plain.trainer.update.setup.loss, next(plain.parts.train.epoch(0))
        model = plain.parts.model.eval()
        assert float(own(model, (x, y)).mean) == pytest.approx(float(other(model(x), y).mean), rel=1e-6)
        assert float(plain.trainer.loss(model, (x, y)).mean) == pytest.approx(float(cross_entropy(model(x), y).mean), rel=1e-6)
    for sets, line in {
        ("loss=focal", "label_smoothing=0.1"): "label_smoothing: loss 'focal' takes hard targets only",
        ("loss=focal", "logit_adjustment=1.0"): "logit_adjustment: goes with cross_entropy and not with loss 'focal'",
        ("reduce=soft_median", "accumulate=2"): "reduce: goes by all items of a batch at once",
    }.items():
        with pytest.raises(ValueError, match=line):
            run("digits-tail", *sets)
    with pytest.raises(ValueError, match="label_smoothing: task 'vae' has no classes; leave it out"):
        prepare(load(sets=["task=vae", "label_smoothing=0.1"]), observers=[Observer()])
