"""The report of a run holds what the folder holds, and needs nothing else."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch
from typer.testing import CliRunner

from danlu.cli import app
from danlu.report import RunFolder, write_report
from danlu.train import Inspect, Trainer
from tests.train.toys import loss, network, tokens


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy-1"
    model = network()
    data = [tokens(6, seed) for seed in range(4)]
    look = Inspect(every=2, path=folder / "inspection.jsonl")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Trainer(model, loss, optimizer, until="3ep", callbacks=[look], observers=[], out=folder, log_every=1).fit(data, data)
    (folder / "recipe.toml").write_text('task = "digits"\nbatch = 7\n[optimizer]\nname = "<b>sgd</b>"\n')
    return folder


class Tags(HTMLParser):
    """Opening and closing tags, counted; what the page loads from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        self.loads += [value for key, value in attrs if key in {"src", "href"} and not value.startswith(("data:", "#"))]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_needs_no_network(run):
    text = write_report(run).read_text()
    page = Tags(text)
    assert not page.open
    assert not page.loads
    measures = {key.split("/")[1] for key in RunFolder.read(run).rows[0] if "/" in key}
    assert text.count("<svg") == len(measures) + 3  # and learning rate, gradient norm, histograms
    assert "12 updates" in page.text
    assert "<b>sgd</b>" in page.text  # as text: what a recipe says is no markup
    assert "0.weight" in page.text


def test_the_recipe_is_compared(run):
    text = write_report(run, {"task": "digits", "batch": 64, "optimizer": {"name": "adamw"}}).read_text()
    changed = re.findall(r"<tr class=changed><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", text)
    assert changed == [("batch", "7", "64"), ("optimizer.name", "&lt;b&gt;sgd&lt;/b&gt;", "adamw")]


def test_numbers_are_those_of_the_run(run):
    found = RunFolder.read(run)
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["valid/loss"] for row in found.rows] == [x["valid/loss"] for x in events if x["event"] == "evaluated"]
    assert len(found.updates) == 12
    assert [reading.step for reading in found.readings] == [0, 2, 4, 6, 8, 10]


def test_a_run_that_was_killed_has_a_report_too(run, tmp_path):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines[:-3]) + '\n{"event": "upd')
    assert "unfinished" in write_report(tmp_path).read_text()


def test_commands(run, tmp_path):
    said = CliRunner().invoke(app, ["inspect", str(run)])
    assert said.exit_code == 0, said.output
    assert "6 looks, the last at update 10" in said.output
    assert (run / "gradients.png").stat().st_size > 5000
    for command in ("report", "inspect"):
        refused = CliRunner().invoke(app, [command, str(tmp_path / "nowhere")])
        assert refused.exit_code == 2
        assert refused.output.startswith("error: ")
        assert refused.output.count("\n") == 1
