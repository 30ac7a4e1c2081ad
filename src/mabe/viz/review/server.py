"""The server of the page: small answers to one browser on the same machine.

::

    GET  /  /NAME.js  /view.css           the page itself, nothing of the user's
    GET  /api/recordings                  what there is to review
    GET  /api/recordings/N                one of them: frames, skeleton, labels
    GET  /api/recordings/N/found          what was found, once it was looked at
    GET  /api/recordings/N/poses?start=&stop=
    GET  /api/recordings/N/probabilities?lane=&start=&stop=&columns=
    PUT  /api/recordings/N/labels         {"version": n, "bouts": [[start, stop,
                                          action, agent, target], …]}
    GET  /api/video                       the film, by ranges

Recordings are named by number, so that no path ever comes from a request.
"""

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mabe.bouts import Bout
from mabe.errors import MabeError
from mabe.skeleton import ANIMALS
from mabe.viz.review.access import Guard
from mabe.viz.review.session import Conflict, ReviewSession

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


PAGE_FILES = (
    "view.css",
    "main.js",
    "server.js",
    "labels.js",
    "poses.js",
    "timeline.js",
)


_MOST_BOUTS = 100_000


_MOST_COLUMNS = 4000


Frame = Annotated[int, Field(ge=0, le=2**31 - 1)]


Animal = Annotated[int, Field(ge=1, le=ANIMALS)]


Action = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")]


class SentLabels(BaseModel):
    """All labels of a recording, as the page sends them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int
    bouts: list[Annotated[list[Any], Field(min_length=5, max_length=5)]] = Field(
        max_length=_MOST_BOUTS
    )


class SentBout(BaseModel):
    """One bout of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: Frame
    stop: Frame
    action: Action
    agent: Animal
    target: Animal


def build_app(session: ReviewSession, *, port: int, token: str) -> Guard:
    """Return the server as an ASGI app, guarded."""
    api = "/api/recordings"
    one = api + "/{index:int}"

    async def listing(_request: Request) -> Response:
        return JSONResponse(session.listing())

    async def describe(request: Request) -> Response:
        index = _index(request, session)
        return JSONResponse(await run_in_threadpool(session.describe, index))

    async def found(request: Request) -> Response:
        index = _index(request, session)
        return JSONResponse(await run_in_threadpool(session.found, index))

    async def poses(request: Request) -> Response:
        index, (start, stop) = (
            _index(request, session),
            _numbers(request, "start", "stop"),
        )
        sent = await run_in_threadpool(session.poses, index, start, stop)
        return Response(sent, media_type="application/octet-stream")

    async def probabilities(request: Request) -> Response:
        index = _index(request, session)
        names = ("lane", "start", "stop", "columns")
        lane, start, stop, columns = _numbers(request, *names)
        columns = min(max(columns, 1), _MOST_COLUMNS)
        try:
            first, step, sent = await run_in_threadpool(
                session.probabilities, index, lane, start, stop, columns
            )
        except IndexError:
            raise HTTPException(404, "no such lane") from None
        return Response(
            sent,
            media_type="application/octet-stream",
            headers={"x-first": str(first), "x-step": str(step)},
        )

    async def save(request: Request) -> Response:
        index = _index(request, session)
        version, bouts = _read_labels(await request.body())
        try:
            saved = await run_in_threadpool(session.save, index, bouts, version)
        except Conflict:
            raise HTTPException(
                409, "the labels were changed in another window; reload this one"
            ) from None
        return JSONResponse({"version": saved[0], "path": str(saved[1])})

    async def video(_request: Request) -> Response:
        if session.video is None:
            raise HTTPException(404, "no film was given")
        return FileResponse(session.video)

    routes = [
        Route("/", _page_file("index.html")),
        *(Route(f"/{name}", _page_file(name)) for name in PAGE_FILES),
        Route(api, listing),
        Route(one, describe),
        Route(one + "/found", found),
        Route(one + "/poses", poses),
        Route(one + "/probabilities", probabilities),
        Route(one + "/labels", save, methods=["PUT"]),
        Route("/api/video", video),
    ]
    handlers: Any = {HTTPException: _tell, MabeError: _tell}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, port, token)


def _page_file(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with one file of the page, read now."""
    text = files("mabe.viz.review").joinpath("page", name).read_text(encoding="utf-8")
    kind = _KINDS[name.rpartition(".")[2]]

    async def answer(_request: Request) -> Response:
        return Response(text, headers={"content-type": kind})

    return answer


def _index(request: Request, session: ReviewSession) -> int:
    index: int = request.path_params["index"]
    if not 0 <= index < len(session.sources):
        raise HTTPException(404, f"no recording {index}")
    return index


def _numbers(request: Request, *names: str) -> list[int]:
    """Return whole numbers of a request's query."""
    given = [request.query_params.get(name, "") for name in names]
    if not all(text.isascii() and text.isdigit() and len(text) < 11 for text in given):
        raise HTTPException(400, f"expected whole numbers {list(names)}, found {given}")
    return [int(text) for text in given]


def _read_labels(body: bytes) -> tuple[int, list[Bout]]:
    names = tuple(SentBout.model_fields)
    try:
        sent = SentLabels.model_validate(json.loads(body))
        bouts = [
            SentBout.model_validate(dict(zip(names, row, strict=True)))
            for row in sent.bouts
        ]
        return sent.version, [
            Bout(b.start, b.stop, b.action, b.agent, b.target) for b in bouts
        ]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise HTTPException(422, f"labels: {place}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"labels: {error}") from None


async def _tell(_request: Request, error: Exception) -> Response:
    """Return an error as the page can show it."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 400)
