import io
import json
import math

from danlu.train import Clock, JsonLines, Observer, PlainLog, Report, Result

CLOCK = Clock(total=200, steps_per_epoch=20, done=10, step=9, seconds=1.5)
GOOD = Report(0.51234, 32.0, 2.0, False, False, [0.1, 0.2])
SKIPPED = Report(math.nan, 32.0, math.nan, False, True, [0.1], reason="update 9: loss is nan")
ROW = {"step": 9, "epoch": 0.5, "seconds": 1.5, "lr": 0.1, "skipped": 1, "train/loss": 0.5, "valid/loss": math.nan}


def result(**changes):
    plain = {"steps": 9, "skipped": 1, "seconds": 1.5, "interrupted": False, "path": None}
    return Result(history=[ROW], final=ROW, best=ROW, **{**plain, **changes})


def tell(observer, end):
    observer.start(Clock(200, 20))
    observer.update(CLOCK, GOOD)
    observer.update(CLOCK, SKIPPED)
    observer.evaluated(CLOCK, ROW)
    observer.end(CLOCK, end)


def test_clock_counts_windows_and_updates_apart():
    clock = Clock(10, 4).after(GOOD, 0.5).after(SKIPPED, 0.75)
    assert (clock.done, clock.step, clock.skipped, clock.epoch, clock.seconds) == (2, 1, 1, 0.5, 0.75)


def test_an_observer_does_nothing_by_default():
    tell(Observer(), result())


def test_plain_log():
    stream = io.StringIO()
    tell(PlainLog(5, stream), result())
    assert stream.getvalue().splitlines() == [
        "training: 200 updates, 20 an epoch",
        "update  10/200  epoch 0.5  loss 0.5123  grad_norm 2  lr 0.1",
        "update  10/200  epoch 0.5  skipped: update 9: loss is nan",
        "update  10/200  epoch 0.5  lr 0.1  train/loss 0.5  valid/loss nan",
        "finished after 9 updates, 1.5 s",
    ]


def test_plain_log_goes_to_stderr_and_is_silent_between_evaluations(capsys):
    tell(PlainLog(), result(interrupted=True, path="runs/a"))
    out, err = capsys.readouterr()
    assert not out
    assert "grad_norm" not in err
    assert err.endswith("interrupted after 9 updates, 1.5 s; weights in runs/a\n")


def test_plain_log_of_a_failure_promises_no_weights(capsys):
    tell(PlainLog(), result(error="ValueError: x", path="runs/a"))
    assert capsys.readouterr().err.endswith("failed after 9 updates, 1.5 s\n")


def test_json_lines_are_whole_at_once_and_keep_nan(tmp_path):
    log = JsonLines(tmp_path / "m.jsonl", every=5)
    log.start(Clock(200, 20))
    log.update(CLOCK, SKIPPED)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()  # before the file is closed
    assert json.loads(lines[0]) == {"event": "start", "total": 200, "steps_per_epoch": 20}
    assert '"loss": NaN' in lines[1]
    assert json.loads(lines[1])["skipped"] == "update 9: loss is nan"
    log.update(CLOCK, GOOD)
    log.evaluated(CLOCK, ROW)
    log.end(CLOCK, result())
    update, row, end = map(json.loads, (tmp_path / "m.jsonl").read_text().splitlines()[2:])
    numbers = {"step": 9, "epoch": 0.5, "loss": 0.51234, "count": 32.0, "grad_norm": 2.0, "lr": [0.1, 0.2]}
    assert update == {"event": "update", **numbers, "clipped": False}
    assert math.isnan(row.pop("valid/loss"))
    assert row == {"event": "evaluated", **{k: v for k, v in ROW.items() if k != "valid/loss"}}
    assert end == {"event": "end", "steps": 9, "skipped": 1, "interrupted": False}


def test_json_lines_without_every_have_no_update_lines(tmp_path):
    log = JsonLines(tmp_path / "m.jsonl")
    tell(log, result())
    events = [json.loads(line)["event"] for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert events == ["start", "update", "evaluated", "end"]  # the one update is the skipped one
