"""The server behind the page: a few routes on 127.0.0.1, a token, limits, and one line for each refusal."""

from __future__ import annotations

import hmac
import json
import secrets
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import torch

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ImportError:
    raise ImportError("the page needs starlette, uvicorn and plotly: pip install 'danlu[page]'") from None

from danlu.page.answer import Watch, curve_and_map, paths, picture
from danlu.page.catalogue import catalogue
from danlu.page.wish import Wish

__all__ = ["Stale", "asset", "make_app", "plotly_js", "serve"]

_PAGES = 64  # that are open at once; those beyond are answered that something newer came
_LONGEST = 16_384  # bytes of a request's body
_KINDS = {"index.html": "text/html", "page.js": "text/javascript", "style.css": "text/css"}
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'"

Work = Callable[[Wish, Watch], Any]


class Stale(Exception):  # noqa: N818 - not an error: the answer is no longer wanted
    """A newer request of the same kind came while this one waited."""


class _Turn:
    """One computation of a kind at a time; a newer request of the same page ends the one before it, running or waiting."""

    def __init__(self, work: Work) -> None:
        self._work, self._lock, self._newest = work, Lock(), OrderedDict[str, int]()

    def __call__(self, wish: Wish, page: str, number: int) -> Any:
        def watch(_: int) -> None:
            if number != self._newest.get(page):
                raise Stale("a newer request came")

        with self._lock:
            watch(0)
            return self._work(wish, watch)

    def arrive(self, page: str) -> int:
        """Return the number of a page's request, which is from now on its newest."""
        self._newest[page] = self._newest.pop(page, 0) + 1
        if len(self._newest) > _PAGES:
            self._newest.popitem(last=False)
        return self._newest[page]


def make_app(token: str) -> Starlette:
    """Return the application; each request must bring the token, as ``?token=`` or in the header ``X-Token``.

    Args:
        token: what the page's address holds.

    Returns:
        A Starlette application, without state beside the order of requests. It writes no file.
    """
    routes = [
        Route("/", _static("index.html", token)),
        *(Route(f"/{name}", _static(name, token)) for name in _KINDS if name != "index.html"),
        Route("/plotly.js", _guarded(token, _plotly)),
        Route("/api/catalogue", _guarded(token, _catalogue)),
        Route("/api/run", _computed(token, _run), methods=["POST"]),
        Route("/api/map", _computed(token, _map), methods=["POST"]),
    ]
    return Starlette(routes=routes)


def serve(port: int = 0, told: Callable[[str], object] = print) -> None:
    """Serve the page on 127.0.0.1 until it is interrupted.

    Args:
        port: where, or 0 for a free one.
        told: is told the address, token included, once the port is taken.
    """
    torch.set_num_threads(1)  # tensors here are small; two threads wait for each other longer than they compute
    token = secrets.token_urlsafe(16)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        told(f"http://127.0.0.1:{taken.getsockname()[1]}/?token={token}")
        config = uvicorn.Config(make_app(token), log_level="warning", access_log=False, limit_concurrency=32)
        uvicorn.Server(config).run(sockets=[taken])


def asset(name: str) -> str:
    """Return the text of one of the page's own files."""
    return files("danlu.page").joinpath("static", name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """Return Plotly's program, from its wheel."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


Handler = Callable[[Request], Awaitable[Response]]


def _guarded(token: str, handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        given = request.headers.get("x-token") or request.query_params.get("token") or ""
        if not hmac.compare_digest(given.encode(), token.encode()):
            return _refused(403, "wrong or missing token; open the address that danlu page printed")
        response = await handler(request)
        response.headers.update({"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return guarded


def _static(name: str, token: str) -> Handler:
    async def served(_: Request) -> Response:
        text = asset(name).replace("{{token}}", token) if name == "index.html" else asset(name)
        return Response(text, media_type=_KINDS[name], headers={"Cache-Control": "no-store"})

    return _guarded(token, served)


async def _plotly(_: Request) -> Response:
    return Response(plotly_js(), media_type="text/javascript", headers={"Cache-Control": "private, max-age=86400"})


async def _catalogue(_: Request) -> Response:
    return JSONResponse(await run_in_threadpool(catalogue))


def _run(wish: Wish, watch: Watch) -> Any:
    return {"surface": picture(wish.surface), "sides": paths(wish, watch=watch)}


def _map(wish: Wish, watch: Watch) -> Any:
    return {"sides": [curve_and_map(wish, side, watch) for side in wish.sides]}


def _computed(token: str, work: Work) -> Handler:
    turn = _Turn(work)

    async def handler(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST:
                return _refused(413, f"a request may have {_LONGEST} bytes")
        try:
            wish = Wish.read(json.loads(body, parse_constant=_no_constant))
            page = request.headers.get("x-page", "")
            return JSONResponse(await run_in_threadpool(turn, wish, page, turn.arrive(page)))
        except Stale as stale:
            return _refused(409, str(stale))
        except (TypeError, ValueError, ArithmeticError, RecursionError, MemoryError, RuntimeError, ImportError) as error:
            return _refused(400, str(error) or type(error).__name__)

    return _guarded(token, handler)


def _no_constant(word: str) -> float:
    raise ValueError(f"request: numbers must be finite, got {word}")


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(" ".join(why.split())[:500], status_code=status)
