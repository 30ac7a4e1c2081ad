"""The server of the review page, for one browser on the same machine.

::

    GET  /  /NAME.js  /view.css           the page itself, without user data
    GET  /api/recordings                  the list of recordings
    GET  /api/recordings/N                one recording: frames, skeleton, labels
    GET  /api/recordings/N/predictions    predicted bouts, or the state until then
    GET  /api/recordings/N/poses?start=&stop=
    GET  /api/recordings/N/probabilities?view=&start=&stop=&columns=
    PUT  /api/recordings/N/labels         {"version": n, "bouts": [[start, stop,
                                          action, agent, target], …]}
    GET  /api/video                       the video, by ranges

Recordings are named by number, so that no request holds a path.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from mabe.skeleton import MOST_ANIMALS
from mabe.viz.review.access_control import Guard
from mabe.viz.review.corrections import Conflict
from mabe.viz.review.recording_handlers import ONE, RecordingHandlers
from mabe.viz.review.session import ReviewSession

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
    "scroll_hint.js",
    "timeline.js",
    "words.js",
)


_MOST_BOUTS = 100_000


Frame = Annotated[int, Field(ge=0, le=2**31 - 1)]


Animal = Annotated[int, Field(ge=1, le=MOST_ANIMALS)]


Action = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")]


class SentLabels(BaseModel):
    """All labels of a recording, as the page sends them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int
    bouts: list[Annotated[list[Any], Field(min_length=5, max_length=5)]] = Field(
        max_length=_MOST_BOUTS
    )
    watched: list[Annotated[list[Frame], Field(min_length=2, max_length=2)]] | None = (
        Field(max_length=_MOST_BOUTS)
    )
    """Spans in which everything was watched for; None: all the time."""


class SentBout(BaseModel):
    """One bout of `SentLabels`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: Frame
    stop: Frame
    action: Action
    agent: Animal
    target: Animal


@dataclass(frozen=True, slots=True)
class LabelHandlers:
    """The answers to requests about labels and the video of a session."""

    session: ReviewSession
    recordings: RecordingHandlers

    async def save(self, request: Request) -> Response:
        """Write the labels of a recording."""
        index = self.recordings.index_of(request)
        sent, bouts = _read_labels(await request.body())
        watched = (
            None
            if sent.watched is None
            else [(start, stop) for start, stop in sent.watched]
        )
        try:
            version, path = await run_in_threadpool(
                self.session.save, index, bouts, sent.version, watched
            )
        except Conflict:
            raise HTTPException(
                409, "the labels were changed in another window; reload this one"
            ) from None
        return JSONResponse({"version": version, "path": str(path)})

    async def video(self, _request: Request) -> Response:
        """Return the video file, or the range that is asked for."""
        if self.session.video is None:
            raise HTTPException(404, "no video was given")
        return FileResponse(self.session.video)


def build_app(session: ReviewSession, *, port: int, token: str) -> Guard:
    """Return the server as a guarded ASGI app."""
    recordings = RecordingHandlers(session)
    labels = LabelHandlers(session, recordings)
    routes = [
        Route("/", page_file("mabe.viz.review", "index.html")),
        *(Route(f"/{n}", page_file("mabe.viz.review", n)) for n in PAGE_FILES),
        *recordings.routes(),
        Route(ONE + "/labels", labels.save, methods=["PUT"]),
        Route("/api/video", labels.video),
    ]
    of_errors: Any = {HTTPException: error_response, MabeError: error_response}
    return Guard(Starlette(routes=routes, exception_handlers=of_errors), port, token)


def page_file(package: str, name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that sends a file of a package's page; it is read now."""
    text = files(package).joinpath("page", name).read_text(encoding="utf-8")
    kind = _KINDS[name.rpartition(".")[2]]

    async def send(_request: Request) -> Response:
        return Response(text, headers={"content-type": kind})

    return send


def _read_labels(body: bytes) -> tuple[SentLabels, list[Bout]]:
    names = tuple(SentBout.model_fields)
    try:
        sent = SentLabels.model_validate(json.loads(body))
        bouts = [
            SentBout.model_validate(dict(zip(names, row, strict=True)))
            for row in sent.bouts
        ]
        return sent, [Bout(b.start, b.stop, b.action, b.agent, b.target) for b in bouts]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise HTTPException(422, f"labels: {place}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"labels: {error}") from None


async def error_response(_request: Request, error: Exception) -> Response:
    """Return an error as JSON that the page shows."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 400)
