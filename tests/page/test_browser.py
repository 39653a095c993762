"""The page in a real browser: what is dragged, slid, composed, played and exported is what is drawn."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

for package in ("starlette", "uvicorn", "plotly", "typer"):
    pytest.importorskip(package)
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
    pytest.mark.filterwarnings("ignore"),  # playwright's own
]

from danlu.page import export  # noqa: E402 - it needs what is looked for above

PATIENCE = 60.0  # seconds; it is used up on a machine that is busy with others
TRACE = "n => { const t = document.getElementById('plane').data[n]; return {x: t.x, y: t.y, name: t.name}; }"


def until(ready, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited for {what}")


@pytest.fixture(scope="module")
def address():
    """A server of its own process, as a user has it."""
    command = [sys.executable, "-m", "danlu", "page"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        yield server.stdout.readline().strip()
        server.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        with driver.chromium.launch(executable_path=CHROMIUM, args=options) as made:
            yield made


@pytest.fixture
def context(browser):
    with browser.new_context(
        viewport={"width": 1200, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    ) as made:
        made.set_default_timeout(PATIENCE * 1000)
        yield made


def opened(context, address):
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda line: page.wrong.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]")
    return page


def path(page, side=0):
    """The whole path of a side, which is drawn thin below the one that plays."""
    return page.evaluate(TRACE, 2 + 3 * side)


def test_a_visit(context, address):
    page = opened(context, address)
    assert len(path(page)["x"]) == 301
    assert page.evaluate(TRACE, 0)["x"][0] == -2.2  # the contours, over Rosenbrock's domain
    first = path(page)

    # Dragging takes the start along, and the path with it.
    box = page.locator("#plane .nsewdrag").first.bounding_box()
    at = lambda fx, fy: (box["x"] + fx * box["width"], box["y"] + fy * box["height"])  # noqa: E731
    page.mouse.move(*at(0.3, 0.3))
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(*at(0.3 + 0.06 * step, 0.3 - 0.02 * step))
        time.sleep(0.03)
    page.mouse.up()
    wanted = (-2.2 + 0.6 * 4.4, 3.2 - 0.2 * 4.4)
    until(lambda: abs(path(page)["x"][0] - wanted[0]) < 0.05, "the path to begin where the mouse let go")
    assert abs(path(page)["y"][0] - wanted[1]) < 0.05
    assert float(page.input_value("#x")) == path(page)["x"][0]
    assert path(page, 1)["x"][0] == path(page)["x"][0]

    # A slider, by keyboard.
    dragged = path(page)
    page.focus("#lr-a")
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    lr = until(lambda: (label := page.evaluate(TRACE, 3)["name"]) != "A adam, lr 0.1" and label, "the lr to change")
    assert float(lr.split()[-1]) < 0.1
    until(lambda: path(page)["x"] != dragged["x"], "the path to follow the lr")

    # A piece from the list: the rule, its formula and its bytes.
    slower = path(page)
    page.select_option("#piece-a", "modify.cautious")
    until(lambda: path(page)["x"] != slower["x"], "the path to follow the composition")
    assert "adam+modify.cautious" in page.inner_text("#words")
    assert "Cautious" in page.inner_text("#laws")
    page.select_option("#surface", "beale")
    until(lambda: page.evaluate(TRACE, 0)["x"][0] == -4.5, "another surface")

    # Playing shows the path growing; the arrow keys step.
    page.click("#play")
    until(lambda: 1 < len(page.evaluate(TRACE, 3)["x"]) < 250, "the path to grow")
    page.click("#play")
    page.evaluate("document.activeElement.blur()")
    now = int(page.input_value("#time"))
    page.keyboard.press("ArrowRight")
    until(lambda: int(page.input_value("#time")) == now + 1, "a step")
    assert len(page.evaluate(TRACE, 3)["x"]) == now + 2

    # What is copied as Python is what is drawn.
    page.click("#copy")
    text = until(lambda: page.evaluate("navigator.clipboard.readText()"), "the clipboard")
    told = []
    names = {"print": lambda *what: told.append(what)}
    exec(text, names)
    drawn = path(page)
    assert torch.allclose(names["a"].points[0, 0, :, 0], torch.tensor(drawn["x"], dtype=torch.float64), rtol=1e-4)
    assert len(told) == 2

    # The address holds the set-up, and a picture can be taken home.
    again = opened(context, page.url)
    assert path(again) == drawn
    assert path(again)["x"] != first["x"]
    with again.expect_download() as download:
        again.click("#picture")
    assert "<svg" in download.value.path().read_text()[:100]
    page.wait_for_selector("#map-a .main-svg >> nth=0", state="attached")
    assert page.evaluate("document.getElementById('curve').data[0].x.length") == 25
    assert not page.wrong + again.wrong


def test_a_mistake_is_told_in_the_page_and_mended(context, address):
    page = opened(context, address)
    page.fill("#warmup", "much")
    page.press("#warmup", "Tab")
    until(lambda: "much" in page.inner_text("#status.wrong") if page.locator("#status.wrong").count() else "", "the message")
    page.fill("#warmup", "5%")
    page.press("#warmup", "Tab")
    until(lambda: not page.locator("#status.wrong").count(), "the message to go")


def test_an_exported_file_works_from_disk(context, tmp_path):
    out = tmp_path / "page.html"
    export(out, rules=("sgd_velocity", "adam"), surfaces=("rosenbrock", "beale"), lrs=(1e-3, 1e-1), steps=50)
    page = opened(context, out.as_uri())
    data = json.loads(page.evaluate("JSON.stringify(window.DANLU.runs.rosenbrock.adam)"))
    drawn = path(page)
    assert drawn["x"] == data[1]["x"]
    page.select_option("#lr-a", "0.001")
    until(lambda: path(page)["x"] == data[0]["x"], "the other rate")
    page.select_option("#surface", "beale")
    until(lambda: page.evaluate(TRACE, 0)["x"][0] == -4.5, "another surface")
    page.click("#play")
    until(lambda: page.inner_text("#now") != "update 50", "the play to begin")
    assert not page.locator("#copy").is_visible()
    assert not page.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(browser, address, scheme):
    """No sideways scrolling at 390 px, everything inside, and ink against ground at a contrast of 7."""
    with browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme) as context:
        page = opened(context, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [
            page.locator(f"#{name}").bounding_box() for name in ("play", "time", "now", "plane", "surface", "loss", "words")
        ]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        ink, ground = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
        high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) > 7
        assert (luminance(ground) < 0.2) == (scheme == "dark")


def luminance(colour):
    """Of ``rgb(r, g, b)``, by WCAG 2."""
    parts = [int(x) / 255 for x in colour[4:-1].split(",")]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
