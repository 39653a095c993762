"""The page's server: what it answers, and a hundred requests that it refuses in one line."""

import json
import math
import re
import socket
import warnings

import pytest
import torch

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("plotly")
pytest.importorskip("httpx")

with warnings.catch_warnings():  # newer ones of starlette want httpx2 for their test client, and work with httpx
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from danlu import optim, schedule, surface
from danlu.optim.compose import compose
from danlu.page import export, make_app, serve
from danlu.page import server as server_module
from danlu.page.server import Stale, plotly_js

TOKEN = "the-token"
SETUP = {
    "sides": [{"rule": "adamw(weight_decay=0.0)+modify.cautious", "lr": 0.1}, {"rule": "sgd", "lr": 1e-3}],
    "surface": {"name": "quadratic", "condition": 20.0, "angle": 30.0},
    "start": [-2.0, 1.0],
    "steps": 30,
    "seed": 3,
    "noise": {"name": "gaussian", "sigma": 0.2},
    "schedule": {"name": "cosine", "warmup": "10%"},
}


@pytest.fixture(scope="module")
def client():
    with TestClient(make_app(TOKEN), headers={"X-Token": TOKEN}) as made:
        yield made


def test_the_path_is_the_librarys(client):
    """What Copy Python writes gives the same numbers to the digits that are sent."""
    got = client.post("/api/run", json=SETUP).json()
    named = compose("adamw(weight_decay=0.0)+modify.cautious")
    found = surface.trace(
        named.build(named.options),
        surface.create("quadratic", condition=20.0, angle=30.0),
        (-2.0, 1.0),
        lr=0.1,
        steps=30,
        seed=3,
        noise=surface.Gaussian(sigma=0.2),
        schedule=schedule.create("cosine", warmup="10%"),
    )
    side = got["sides"][0]
    torch.testing.assert_close(torch.tensor(side["x"], dtype=torch.float64), found.points[0, 0, :, 0], rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(torch.tensor(side["above"], dtype=torch.float64), found.loss[0, 0], rtol=1e-4, atol=1e-9)
    assert side["bytes"] == 8.0
    assert "Cautious" in side["composition"]
    assert side["updates"] == list(range(31))
    assert len(got["surface"]["z"]) == 72
    assert got["sides"][1]["rule"] == "sgd"


def test_the_map_and_the_curve(client):
    """A convex bowl without noise: every start ends lower than it began, and the best rate is inside the curve."""
    wish = {"sides": [{"rule": "sgd", "lr": 0.05}], "surface": {"name": "quadratic", "condition": 5.0}, "steps": 40, "grid": 6}
    (side,) = client.post("/api/map", json=wish).json()["sides"]
    assert len(side["map"]["loss"]) == 6
    start = surface.create("quadratic", condition=5.0).grid(6, 6)[2]
    assert (torch.tensor(side["map"]["loss"]) < start).all()
    losses = [math.inf if x is None else x for x in side["curve"]["loss"]]
    assert 0 < losses.index(min(losses)) < len(losses) - 1
    low, high = side["range"]
    assert low <= side["curve"]["lr"][losses.index(min(losses))] <= high


def test_a_rule_that_runs_alone_gets_a_smaller_map(client, monkeypatch):
    monkeypatch.setattr("danlu.page.answer._SINGLE", 340)
    wish = {"sides": [{"rule": "prodigy"}], "steps": 20, "grid": 64}
    (side,) = client.post("/api/map", json=wish).json()["sides"]
    assert len(side["map"]["x"]) == 4
    assert len(side["curve"]["lr"]) == 17


def test_every_preset_and_surface_is_offered_with_its_ranges(client):
    got = client.get("/api/catalogue").json()
    assert [p["name"] for p in got["presets"]] == optim.presets()
    assert [s["name"] for s in got["surfaces"]] == surface.surfaces()
    adamw = {o["name"]: o for p in got["presets"] if p["name"] == "adamw" for o in p["options"]}
    assert adamw["betas"]["parts"] == [{"lo": 0.0, "hi": 1.0}] * 2
    assert adamw["weight_decay"]["lo"] == 0.0
    assert adamw["weight_decay"]["hi"] is None


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/").text
    assert "{{" not in page
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert name.startswith("data:") or client.get(f"/{name}").status_code == 200
    for name in ("page.js", "style.css"):
        assert "http" not in client.get(f"/{name}").text.replace("http://www.w3.org", "")


def run(**changes):
    return {**{key: SETUP[key] for key in ("sides", "surface")}, "steps": 5, **changes}


def side(rule="adamw", **more):
    return run(sides=[{"rule": rule, **more}])


BODIES = [
    *[[], None, 1, "x", True, {"step": 5}, {"a": 1}, {"": 1}],
    *[run(steps=x) for x in (0, -1, 2001, 10**30, 2.5, "5", None, [], True)],
    *[run(seed=x) for x in (-1, 2**40, 1.5, "0", None, {})],
    *[run(grid=x) for x in (0, 1, 65, 10**9, 2.5, "8", None, [8])],
    *[run(start=x) for x in ([], [1], [1, 2, 3], "ab", 5, {"x": 1}, ["a", "b"], [None, 1], [1e9, 0], [True, 0], [[1], [2]])],
    *[
        run(sides=x)
        for x in ([], [{}], "adamw", {}, None, 1, [1], [None], [{"rule": "sgd"}] * 11, [{"rule": 1}], [{"rule": None}])
    ],
    *[side(lr=x) for x in (0, -1, "0.1", None, [], True, {})],
    *[
        side(rule)
        for rule in ("", "adamx", "adamw+", "adamw+nothing", "+", "adamw(", "adamw()(", "adamw)", "adamw(1)", "a" * 401)
    ],
    *[
        side(f"adamw({x})")
        for x in ("beta=1", "betas=2", "betas=(1,2)", "eps=-1", "eps=1e999", "weight_decay='a'", "__class__=1")
    ],
    *[side(f"adamw({x})") for x in ("weight_decay=open(1)", "eps=1/0", "**{}", "*[]", "amsgrad=2", "eps=(" + "(" * 90)],
    *[side(f"adamw+{x}") for x in ("clip_norm", "modify.none", "none.cautious", "grad.clip_norm(max_norm=-1)", "sgd")],
    *[run(surface=x) for x in (None, "rosenbrock", {}, {"name": 1}, {"name": "x"}, {"name": "quadratic", "condition": 0})],
    *[run(surface={"name": "quadratic", **x}) for x in ({"condition": "a"}, {"angel": 1}, {"angle": 91}, {"condition": None})],
    *[
        run(noise=x)
        for x in ("gaussian", {}, {"name": "pink"}, {"name": "gaussian", "sigma": -1}, {"name": "sparse", "q": 1}, 1)
    ],
    *[
        run(schedule=x)
        for x in ("cosine", {}, {"name": "cos"}, {"name": "cosine", "floor": 2}, {"name": "cosine", "warmup": "x"})
    ],
]
RAW = [b"", b"{", b"\xff", b"NaN", b"[" * 5000, b'{"steps": NaN}', b'{"steps": Infinity}', b'{"start": [1e999, 0]}', b"{} {}"]


def test_malformed_requests_get_one_line_each(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    posts = [json.dumps(body).encode() for body in BODIES] + RAW
    assert len(posts) >= 100
    for i, body in enumerate(posts):
        for route in ("/api/run", "/api/map") if i % 5 == 0 else ("/api/run",):
            answer = client.post(route, content=body)
            assert answer.status_code == 400, (body[:90], answer.status_code, answer.text[:90])
            assert answer.text.strip(), body[:90]
            assert "\n" not in answer.text
            assert len(answer.text) <= 500
            assert "Traceback" not in answer.text
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "\u00fc"])
@pytest.mark.parametrize("route", ["/", "/page.js", "/plotly.js", "/api/catalogue"])
def test_a_wrong_token_is_refused(route, token):
    with TestClient(make_app(TOKEN)) as stranger:
        answer = stranger.get(route, params={"token": token})
        assert answer.status_code == 403
        assert answer.text == "wrong or missing token; open the address that danlu page printed"
        assert stranger.get(route, params={"token": TOKEN}).status_code == 200


def test_other_methods_routes_and_sizes_are_refused(client):
    assert client.get("/api/run").status_code == 405
    assert client.post("/").status_code == 405
    assert client.get("/../pyproject.toml").status_code == 404
    assert client.get("/server.py").status_code == 404
    assert client.post("/api/run", content=b" " * 16_385).status_code == 413


def test_only_a_pages_newest_request_is_computed():
    """One that waits is not begun, one that runs is ended; another page's stays."""
    done = []

    def work(wish, watch):
        for k in range(3):
            watch(k)
            done.append((wish, k))
            if wish == "overtaken":
                turn.arrive("a")
        return wish

    turn = server_module._Turn(work)
    first, second, other = turn.arrive("a"), turn.arrive("a"), turn.arrive("b")
    with pytest.raises(Stale):
        turn("old", "a", first)
    assert not done
    assert turn("new", "a", second) == "new"
    assert turn("other", "b", other) == "other"
    with pytest.raises(Stale):
        turn("overtaken", "a", turn.arrive("a"))
    assert [k for wish, k in done if wish == "overtaken"] == [0]


@pytest.mark.parametrize("rule", ["adamw", "lamb", "prodigy"])
def test_a_run_that_is_watched_can_be_ended(rule):
    """Stacked, mapped, and one by one: no further update is taken."""
    seen = []

    def watch(k):
        seen.append(k)
        if k == 4:
            raise Stale("enough")

    with pytest.raises(Stale):
        surface.trace(optim.preset(rule)(), surface.Rosenbrock(), (0.0, 0.0), 1e-3, 100, watch=watch)
    assert seen == [0, 1, 2, 3, 4]


def test_it_listens_on_this_machine_alone(monkeypatch):
    """The address is told once the port is taken, on 127.0.0.1, with a long token; two starts have two tokens."""
    told, bound = [], []
    monkeypatch.setattr(
        server_module.uvicorn.Server, "run", lambda self, sockets: bound.extend(s.getsockname() for s in sockets)
    )
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    serve(told=told.append)
    serve(told=told.append)
    assert {address for address, _ in bound} == {"127.0.0.1"}
    assert re.fullmatch(rf"http://127\.0\.0\.1:{bound[0][1]}/\?token=[\w-]{{20,}}", told[0])
    assert told[0].split("=")[1] != told[1].split("=")[1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", bound[0][1])) != 0  # and lets go of it


def test_the_exported_file_stands_alone(tmp_path):
    out, told = tmp_path / "page.html", list[str]()
    rules = "sgd", "adan", "adamw+modify.cautious"
    export(out, rules=rules, surfaces=("rosenbrock",), lrs=(1e-3, 1e-2), steps=300, told=told.append)
    assert told == ["rosenbrock: 6 paths"]
    text = out.read_text()
    own = text.replace(plotly_js(), "")
    assert not re.findall(r'(?:src|href)="(?!data:)', own)
    data = json.loads(re.search(r"window\.DANLU = (\{.*?\})</script>", own).group(1))
    paths, picture = (len(json.dumps(data[part], separators=(",", ":"))) for part in ("runs", "pictures"))
    assert out.stat().st_size + 2 * picture + (150 - 6) / 6 * paths < 6_000_000  # what is exported when nothing is said
    runs = data["runs"]["rosenbrock"]["adamw+modify.cautious"]
    assert [run["lr"] for run in runs] == [1e-3, 1e-2]
    assert len(runs[0]["x"]) == 61
    whole = surface.trace(compose("adamw+modify.cautious").build({}), surface.Rosenbrock(), (-1.5, 2.0), 1e-3, 300)
    last = (whole.points[0, 0, 300] - whole.points[0, 0, 299]).norm().item()
    assert runs[0]["step"][-1] == pytest.approx(last, rel=1e-4)  # of one update, not of those between two points told
    assert runs[0]["effective"][-1] == pytest.approx(last / whole.grad_norm[0, 0, 299].item(), rel=1e-4)
