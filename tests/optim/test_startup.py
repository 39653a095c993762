"""What compile="auto" decides: by sizes, rule and what was built before, once; and a run keeps to it."""

import warnings
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from danlu import optim
from danlu.cli import app
from danlu.optim.run import cache, kernel, runner, staged
from danlu.optim.run import told as telling
from danlu.optim.warmup import warmup
from tests.optim.stepping import advance, gradients, lanes, start


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """A cache with nothing in it; inductor's own stays, so that kernels are built quickly."""
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path / "danlu")
    forget()
    yield
    forget()


def forget():
    """Begin a process anew, as far as the cache goes."""
    cache._there.cache_clear()
    cache.note.cache_clear()


def make(name="adamw", **options):
    params = start(((40,), (6, 5)), torch.float32)
    named = [(f"p{i}", p) for i, p in enumerate(params)]
    return params, optim.create(name, named, 0.01, **options)


def compiled(optimizer):
    return optimizer.param_groups[0].get("compiled")


def test_a_small_model_runs_eagerly_until_its_kernels_are_there():
    assert compiled(make()[1]) is False
    assert warmup("adamw")
    assert compiled(make()[1]) is False  # this process has looked before
    forget()
    assert compiled(make()[1]) is True
    assert compiled(make("adam")[1]) is False  # another rule
    assert compiled(make("adamw", weight_decay=0.5, betas=(0.8, 0.9))[1]) is True  # other numbers, the same kernel
    double = optim.create("adamw", start(dtype=torch.float64), 0.01)
    assert compiled(double) is False  # another dtype


def test_a_large_model_compiles(monkeypatch):
    monkeypatch.setattr(runner, "AUTO_FROM", 70)
    assert compiled(make()[1]) is True
    assert compiled(make("muon")[1]) is True  # what follows its direction
    assert compiled(make("shampoo")[1]) is False  # nothing follows it: its decay is in the gradient
    monkeypatch.setattr(runner, "AUTO_FROM", 71)
    assert compiled(make()[1]) is False


@pytest.mark.parametrize("first", ["cached", "not cached"])
def test_a_resumed_run_repeats_the_choice_of_its_start(first):
    """Whatever the cache holds by then: eager and compiled differ in the last digits."""
    warmup("adamw")
    forget()
    if first == "not cached":
        cache._folder().rename(cache._folder().with_name("later"))
    whole, optimizer = make()
    rows = gradients(whole, 6)
    advance(optimizer, rows[:3])
    saved, weights = optimizer.state_dict(), [p.detach().clone() for p in whole]
    assert saved["param_groups"][0]["compiled"] is (first == "cached")
    advance(optimizer, rows[3:])
    forget()
    if first == "cached":
        cache._folder().rename(cache._folder().with_name("gone"))  # emptied between the two
    else:
        cache._folder().with_name("later").rename(cache._folder())
    again, resumed = make()
    with torch.no_grad():
        for p, w in zip(again, weights, strict=True):
            p.copy_(w)
    resumed.load_state_dict(saved)
    advance(resumed, rows[3:])
    assert compiled(resumed) is (first == "cached")
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_an_explicit_choice_is_not_recorded():
    for choice in (True, False):
        assert compiled(make(compile=choice)[1]) is None


def test_a_missing_compiler_is_told_once(monkeypatch):
    monkeypatch.setattr(runner, "compiler_for", lambda device: None)
    monkeypatch.setattr(runner, "_SAID", set())
    monkeypatch.setattr(runner, "AUTO_FROM", 1)
    params, optimizer = make()
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler .* was found"):
        advance(optimizer, gradients(params, 1))
    other, second = make("lion")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advance(second, gradients(other, 2))


def test_a_cache_that_cannot_be_written_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path / "file" / "danlu")
    assert warmup("adamw")
    forget()
    assert compiled(make()[1]) is False


def test_a_user_without_a_name_has_no_cache_and_steps(monkeypatch, tmp_path):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 54321")  # as Python does below 3.13

    monkeypatch.setattr(cache, "_folder", lambda: cache._base() / "danlu")
    monkeypatch.setattr(cache.getpass, "getuser", nobody)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    params, optimizer = make("lion")
    advance(optimizer, gradients(params, 1))
    assert compiled(optimizer) is False
    cache.note("a rule", cache.kind_of(params[0], 1))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # what they set who have no name
    assert cache._folder().is_relative_to(tmp_path)


def test_a_scalar_among_the_parameters_needs_no_kernel_of_its_own():
    warmup("lion")
    forget()
    params = [*start(((40,), (6, 5)), torch.float32), torch.nn.Parameter(torch.ones(()))]
    optimizer = optim.create("lion", params, 0.01)
    assert compiled(optimizer) is True
    advance(optimizer, gradients(params, 1))
    assert all(lane.way is not None for lane in lanes(optimizer).values())


def test_one_kernel_serves_every_number_of_threads(monkeypatch):
    """Otherwise the cache that one process warmed is cold to another with OMP_NUM_THREADS, and set_num_threads is not heard."""
    before = torch.get_num_threads()
    texts = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            monkeypatch.setattr(kernel, "_BUILT", {})
            p = torch.ones(1 << 16)
            found = kernel.built(optim.lion(), p, [p.clone()], parallel=True)
            texts.append(Path(found.compiled.__globals__["__file__"]).read_text())
    finally:
        torch.set_num_threads(before)
    assert texts[0] == texts[1] == texts[2]
    assert "#pragma omp parallel\n" in texts[0]


def test_the_command_builds_and_says_what_it_cannot():
    said = CliRunner().invoke(app, ["warmup", "adamw", "shampoo"])
    assert said.exit_code == 0, said.output
    first, second = said.output.splitlines()
    assert first.startswith("adamw")
    assert first.endswith(" s")
    assert second == "shampoo  runs eagerly: nothing to build"
    for arguments, told in ((["adamv"], "did you mean 'adamw'"), ([], "at least one"), (["adamw", "--dtype", "int8"], "int8")):
        refused = CliRunner().invoke(app, ["warmup", *arguments])
        assert refused.exit_code == 2
        assert told in refused.output or "adamw" in refused.output
        assert refused.output.startswith("error: ")
        assert refused.output.count("\n") == 1


def said(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("danlu: ")]


@pytest.fixture
def anew(monkeypatch):
    """A process that has built nothing and said nothing, and whose clock stands still."""
    monkeypatch.setattr(kernel, "_BUILT", {})
    monkeypatch.setattr(staged, "_BUILT", {})
    monkeypatch.setattr(telling, "_SAID", set())
    now = [0.0]
    monkeypatch.setattr(telling, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("name", ["lion", "lamb"])
def test_the_first_step_says_once_that_a_compiler_works(anew, capsys, name):
    params, optimizer = make(name, compile=True)
    advance(optimizer, gradients(params, 2))
    (line,) = said(capsys)
    assert "once per machine" in line
    assert "danlu warmup NAME" in line
    other, second = make("sgd", compile=True)
    advance(second, gradients(other, 1))
    assert said(capsys) == []


@pytest.mark.parametrize("seconds", [4.0, 12.4])
def test_how_long_a_long_build_took_is_said(anew, capsys, monkeypatch, seconds):
    def build(*_):
        anew[0] += seconds
        return "built"

    monkeypatch.setattr(kernel, "_build", build)
    rule, p = optim.lion(), torch.zeros(40)
    assert kernel.built(rule, p, [p.clone()], parallel=False) == "built"
    assert said(capsys)[1:] == ["danlu: a kernel was built in 12 s"] * (seconds > 5)
    kernel.built(rule, p, [p.clone()], parallel=False)
    assert said(capsys) == []


def test_a_build_that_fails_is_not_noted(anew, capsys, monkeypatch):
    def build(*_):
        anew[0] += 60.0
        raise RuntimeError("no")

    monkeypatch.setattr(kernel, "_build", build)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            kernel.built(optim.lion(), torch.zeros(40), [torch.zeros(40)], parallel=False)
    assert len(said(capsys)) == 1
    assert not cache._folder().exists()


@pytest.mark.parametrize("name", ["lion", "lamb"])
def test_what_is_on_disk_is_taken_without_a_word(anew, capsys, monkeypatch, name):
    assert warmup(name)
    assert said(capsys) == []  # the command has lines of its own
    kernel._BUILT.clear()
    staged._BUILT.clear()
    forget()
    params, optimizer = make(name, compile=True)
    advance(optimizer, gradients(params, 1))
    assert kernel._BUILT or staged._BUILT
    assert said(capsys) == []
