import json
import math

import numpy as np
import pytest
import torch

from danlu.recipe import load, prepare
from danlu.report import write_report
from danlu.task import vae
from danlu.task.models import VAE, Coded
from danlu.task.vae import elbo
from danlu.train import Observer, evaluate

PICTURES = {"latent.png", "manifold.png", "reconstruction.png"}


class Fixed(torch.nn.Module):
    def __init__(self, *coded):
        super().__init__()
        self.coded = Coded(*coded)

    def forward(self, images):
        return self.coded


def test_the_parts_are_those_of_the_papers_in_double_precision():
    draw = np.random.default_rng(0)
    k, logits = draw.integers(0, 17, (5, 1, 8, 8)), draw.normal(0, 2, (5, 1, 8, 8))
    mean, log_variance = draw.normal(0, 1, (5, 2)), draw.normal(0, 1, (5, 2))
    found = elbo(Fixed(*map(torch.from_numpy, (mean, log_variance, logits))), (torch.from_numpy(k / 16),))
    pi = 1 / (1 + np.exp(-logits))
    ways = np.vectorize(math.comb)(16, k)
    reconstruction = -(np.log(ways) + k * np.log(pi) + (16 - k) * np.log(1 - pi)).sum()
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum()
    assert float(found.total) == pytest.approx(reconstruction, rel=1e-12)
    assert float(found.parts["kl"][0]) == pytest.approx(kl, rel=1e-12)
    assert float(found.measures["elbo"][0]) == pytest.approx(-reconstruction - kl, rel=1e-12)
    assert float(found.measures["pixel_error"][0]) == pytest.approx(np.abs(k / 16 - pi).sum(), rel=1e-12)
    counts = {name: count for name, (_, count) in {**found.measures, **found.parts}.items()}
    assert counts == {"reconstruction": 5, "elbo": 5, "kl": 5, "pixel_error": 320}
    assert found.count == 5


def test_held_out_numbers_are_the_same_twice_and_add_up():
    parts = vae.build(seed=3)
    one, two = (evaluate(parts.model, parts.loss, parts.test) for _ in range(2))
    assert one == two
    assert one["valid/loss"] == pytest.approx(one["valid/reconstruction"] + one["valid/kl"], rel=1e-9)
    assert one["valid/loss"] == pytest.approx(-one["valid/elbo"], rel=1e-6)


def test_in_training_the_noise_is_torchs_own():
    model, images = VAE(), torch.rand(4, 1, 8, 8)
    torch.manual_seed(1)
    a, b = model(images).logits, model(images).logits
    torch.manual_seed(1)
    assert torch.equal(model(images).logits, a)
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(images).logits, model(images).logits)


def trained(folder, until, *, resume=False, stop=None):
    run = prepare(load(sets=["task=vae", f"until={until}"]), out=folder, observers=[Observer()], save_every=5, resume=resume)
    for step in run.trainer.steps(run.parts.train, run.parts.test):
        step.update()
        if stop is not None and step.report is not None and run.trainer.running().clock.done + 1 == stop:
            break
    return run


def test_a_run_leaves_its_pictures_and_the_report_shows_them(tmp_path):
    trained(tmp_path / "run", 30)
    assert {path.name for path in (tmp_path / "run").glob("*.png")} == PICTURES
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert all(f"<figcaption>{name}</figcaption>" in page for name in PICTURES)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["event"] == "evaluated"][-1]
    assert {"train/kl", "valid/kl", "valid/reconstruction", "valid/elbo"} <= last.keys()
    assert last["valid/loss"] < 400  # 526 of a fresh model: a smoke test


def test_a_resumed_run_ends_in_the_same_bits_and_the_same_pictures(tmp_path):
    trained(tmp_path / "whole", 12)
    trained(tmp_path / "cut", 12, stop=7)
    assert json.loads((tmp_path / "cut/status.json").read_text())["state"] != "finished"
    trained(tmp_path / "cut", 12, resume=True)
    for name in ("model.safetensors", *PICTURES):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_drawing_changes_nothing_but_the_folder():
    parts = vae.build()
    before = {name: x.clone() for name, x in parts.model.state_dict().items()}
    state = torch.get_rng_state()
    figures = parts.draw(parts.model.eval())
    assert set(figures) == {"latent", "manifold", "reconstruction"}
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(x, before[name]) for name, x in parts.model.state_dict().items())
    assert all(figure.get_axes()[0].get_ylabel() for figure in figures.values())


def test_without_matplotlib_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'danlu\[plot\]'"):
        prepare(load(sets=["task=vae"]), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
