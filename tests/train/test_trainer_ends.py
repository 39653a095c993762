"""How a run ends, well or not, and what it leaves in its folder."""

import json
import math
import signal
import threading

import pytest
import torch
from safetensors.torch import load_model

from danlu.train import Freeze, NonFiniteError, Observer, Trainer

from .toys import Watch, batches, loss, network, same, trainer


@pytest.mark.parametrize("when", [3, 10])
def test_ctrl_c_ends_cleanly_after_the_update(tmp_path, when, capfd):
    model, before = network(), signal.getsignal(signal.SIGINT)
    watch = Watch({when: lambda: signal.raise_signal(signal.SIGINT)})
    result = trainer(model, watch, until=10, out=tmp_path, evaluate_every=2).fit(batches(5), batches(1))
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.steps, result.interrupted, len(result.history)) == (when, when < 10, when // 2)
    assert watch.events[-1] == "end"
    assert "press Ctrl-C again" in capfd.readouterr().err
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["steps"]) == ("interrupted" if when < 10 else "finished", when)
    saved = network(1)
    load_model(saved, tmp_path / "model.safetensors")
    assert same(list(saved.parameters()), list(model.parameters()))


def test_ctrl_c_twice_leaves_at_once(tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before, watch = signal.getsignal(signal.SIGINT), Watch({3: twice})
    with pytest.raises(KeyboardInterrupt):
        trainer(watch=watch, until=10, out=tmp_path).fit(batches(5))
    assert signal.getsignal(signal.SIGINT) is before
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "failed"
    assert watch.result.error == "KeyboardInterrupt: "
    assert not (tmp_path / "model.safetensors").exists()


def test_it_runs_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(trainer(until=2).fit(batches(2))))
    thread.start()
    thread.join()
    assert found[0].steps == 2


def test_a_nonfinite_loss_ends_the_run_with_the_weights_before_it(tmp_path):
    data = batches(5)
    data[3] = (data[3][0] * math.nan, data[3][1])
    model, three = network(), network()
    watch = Watch()
    with pytest.raises(NonFiniteError, match="update 3: loss is nan"):
        trainer(model, watch, until="2ep", out=tmp_path).fit(data)
    trainer(three, until=3).fit(data)
    assert same(list(model.parameters()), list(three.parameters()))
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["steps"]) == ("failed", 3)
    assert status["error"].startswith("NonFiniteError: update 3: loss is nan")
    assert watch.events[-1] == "end"
    result = trainer(network(), until="2ep", nonfinite="skip").fit(data)
    assert (result.steps, result.skipped) == (8, 2)


def test_a_start_that_fails_ends_what_has_started(tmp_path):
    class Late(Observer):
        ended = False

        def start(self, clock):
            raise OSError("no room for the log")

        def end(self, clock, result):
            self.ended = True

    model, watch, late = network(), Watch(), Late()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    own = Trainer(model, loss, optimizer, until=2, callbacks=[Freeze("0.*")], observers=[watch, late], out=tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(OSError, match="no room"):
        own.fit(batches(5))
    assert all(p.requires_grad for p in model.parameters())
    assert watch.events == ["start", "end"]
    assert not late.ended
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "OSError: no room for the log")
    assert signal.getsignal(signal.SIGINT) is before


def test_the_run_folder(tmp_path):
    (tmp_path / "recipe.toml").write_text("seed = 0")
    result = trainer(until="2ep", out=str(tmp_path), log_every=2).fit(batches(3), batches(1))
    assert result.path == tmp_path
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"recipe.toml", "env.json", "metrics.jsonl", "status.json", "model.safetensors", "checkpoints"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "update", "evaluated", "update", "update", "evaluated", "end"]
    rows = [{k: v for k, v in line.items() if k != "event"} for line in lines if line["event"] == "evaluated"]
    assert rows == result.history
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["final"], status["best"]) == ("finished", result.final, result.best)
    with pytest.raises(FileExistsError, match="holds another run"):
        trainer(out=tmp_path)


def test_a_second_fit_is_a_second_run(tmp_path):
    run = trainer(until=1, out=tmp_path)
    run.fit(batches(1))
    with pytest.raises(FileExistsError, match="holds another run"):
        run.fit(batches(1))


def test_status_says_running_meanwhile(tmp_path):
    seen = []
    watch = Watch({1: lambda: seen.append(json.loads((tmp_path / "status.json").read_text()))})
    trainer(watch=watch, until=2, out=tmp_path).fit(batches(2))
    assert seen == [{"state": "running", "total": 2}]


def test_without_observers_plain_lines_go_to_stderr(capsys):
    model = network()
    Trainer(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), until="1ep", log_every=2).fit(batches(4))
    out, err = capsys.readouterr()
    assert not out
    assert [line.split()[0] for line in err.splitlines()] == ["training:", "update", "update", "update", "finished"]
