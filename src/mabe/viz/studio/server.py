"""The server of the studio's page, for browsers on the same machine.

::

    GET  /  /NAME.js  /NAME.css           the page itself, without user data
    GET  /api/project                     recordings, actions, training, scores
    PUT  /api/ethogram                    [{"name": …, "key": …, "kind": …}, …]
    POST /api/settings                    [{"key": …, "before": …, "value": …}, …]
    POST /api/incoming?name=FILE          read a file of labels, which is the body
    POST /api/incoming/WHAT               take it: mine, theirs; discard, undo
    POST /api/job/WHAT                    start: train, full, predict; cancel,
                                          cancel-full, cancel-trust
    POST /api/job/WHAT?recording=N        start: copy (of a film), film (annotated)
    GET  /api/labels.boris                all labels, as a BORIS project
    GET  /api/suggestions                 stretches to label next
    GET  /api/recordings                  the list of recordings
    GET  /api/recordings/N                one recording: frames, skeleton, labels
    GET  /api/recordings/N/labels         its labels and their version
    POST /api/recordings/N/labels         an edit: what is added and removed
    GET  /api/recordings/N/predictions  …/poses  …/probabilities
    GET  /api/video?recording=N           its film, by ranges

Recordings are named by number, so that no request holds a path. Access is that of the
review page (`mabe.viz.review.access_control`).
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mabe.bouts import Bout, WatchedSpan
from mabe.errors import MabeError
from mabe.viz.review.access_control import Guard
from mabe.viz.review.recording_handlers import (
    ONE,
    RecordingHandlers,
    read_numbers,
)
from mabe.viz.review.server import (
    PAGE_FILES,
    Action,
    Animal,
    Frame,
    error_response,
    page_file,
)
from mabe.viz.studio.ethogram import Ethogram
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.label_export import labels_as_boris
from mabe.viz.studio.label_import import (
    discard_import,
    start_import,
    take_import,
    undo_import,
)
from mabe.viz.studio.project_overview import overview
from mabe.viz.studio.recording_pages import RecordingPages
from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.settings import Change
from mabe.viz.studio.settings_form import settle
from mabe.viz.studio.suggestion_list import list_suggestions

OWN_FILES = (
    *("studio.css", "studio.js", "edits.js", "project.js", "suggestions.js"),
    *("settings.js", "drawing.js", "stage_drawing.js", "incoming.js"),
)


_MOST_SPANS = 50_000


Span = tuple[Frame, Frame, Action, Animal, Animal]


Spans = Annotated[list[Span], Field(max_length=_MOST_SPANS)]


class SentEdit(BaseModel):
    """An edit of labels, as the page sends it; spans are [start, stop, action, …]."""

    model_config = ConfigDict(extra="forbid")

    version: int
    add: Spans = []
    remove: Spans = []
    watch: Spans = []
    unwatch: Spans = []

    def edit(self) -> LabelEdit:
        """Return the edit; raises `ValueError` for an empty span."""
        return LabelEdit(
            add=tuple(Bout(*row) for row in self.add),
            remove=tuple(Bout(*row) for row in self.remove),
            watch=tuple(WatchedSpan(*row) for row in self.watch),
            unwatch=tuple(WatchedSpan(*row) for row in self.unwatch),
        )


class SentChange(BaseModel):
    """A change of a setting, as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    key: str
    before: Any
    value: Any
    name: Annotated[str, Field(max_length=200)] = ""


_CHANGES = TypeAdapter(Annotated[list[SentChange], Field(max_length=1000)])


@dataclass(frozen=True, slots=True)
class Handlers:
    """The answers to requests about a project; what may take long runs in a thread."""

    session: StudioSession
    pages: RecordingPages
    recordings: RecordingHandlers

    async def project(self, _request: Request) -> Response:
        """Return the state of the project."""
        return await self._overview()

    async def set_ethogram(self, request: Request) -> Response:
        """Write the actions."""
        ethogram = Ethogram.from_json(_read_json(await request.body()))
        await run_in_threadpool(self.session.set_ethogram, ethogram)
        return await self._overview()

    async def settle(self, request: Request) -> Response:
        """Start to standardize the project by changed settings."""
        try:
            sent = _CHANGES.validate_python(_read_json(await request.body()))
            changes = [Change(**each.model_dump()) for each in sent]
        except ValueError as error:
            raise HTTPException(422, f"settings: {_reason(error)}") from None
        await run_in_threadpool(settle, self.session, changes)
        return await self._overview()

    async def read_incoming(self, request: Request) -> Response:
        """Start to read a file of labels."""
        name = request.query_params.get("name", "")
        content = await request.body()
        await run_in_threadpool(start_import, self.session, name, content)
        return await self._overview()

    async def answer_incoming(self, request: Request) -> Response:
        """Take or discard the labels of a file, or take an import back."""
        what = request.path_params["what"]
        if what == "discard":
            discard_import(self.session)
        elif what == "undo":
            await run_in_threadpool(undo_import, self.session)
        elif what in ("mine", "theirs"):
            await run_in_threadpool(take_import, self.session, what)
        else:
            raise HTTPException(
                404, f"expected mine, theirs, discard or undo, not {what}"
            )
        return await self._overview()

    async def export_labels(self, _request: Request) -> Response:
        """Return all labels as a file for BORIS."""
        project = await run_in_threadpool(labels_as_boris, self.session)
        return JSONResponse(project)

    async def job(self, request: Request) -> Response:
        """Start or cancel work."""
        what = request.path_params["what"]
        if what == "cancel":
            if self.session.job is not None:
                self.session.job.cancel()
        elif what == "cancel-trust":
            self.session.cancel_trust()
        elif what == "cancel-full":
            self.session.cancel_full()
        elif what == "full":
            await run_in_threadpool(self.session.start_full)
        elif what in ("train", "predict"):
            await run_in_threadpool(self.session.start, what)
        elif what in ("copy", "film"):
            index = self.recordings.checked(*read_numbers(request, "recording"))
            await run_in_threadpool(self.session.start, what, index)
        else:
            raise HTTPException(404, f"no job {what}")
        return await self._overview()

    async def suggestions(self, _request: Request) -> Response:
        """Return the stretches to label next."""
        return JSONResponse(await run_in_threadpool(list_suggestions, self.session))

    async def labels(self, request: Request) -> Response:
        """Return the labels of a recording."""
        index = self.recordings.index_of(request)
        return JSONResponse(await run_in_threadpool(self.pages.labels, index))

    async def edit(self, request: Request) -> Response:
        """Write an edit of the labels of a recording."""
        index = self.recordings.index_of(request)
        values = _read_json(await request.body())
        try:
            sent = SentEdit.model_validate(values)
            edit = sent.edit()
        except ValueError as error:
            raise HTTPException(422, f"labels: {_reason(error)}") from None
        done = await run_in_threadpool(self.session.edit, index, edit, sent.version)
        return JSONResponse(done)

    async def video(self, request: Request) -> Response:
        """Return a film, or the range that is asked for."""
        index = self.recordings.checked(*read_numbers(request, "recording"))
        name = self.session.project.videos[index].name
        film = await run_in_threadpool(self.session.playable, name)
        if film is None:
            raise HTTPException(404, "no film of this recording")
        return FileResponse(film)

    async def _overview(self) -> Response:
        return JSONResponse(await run_in_threadpool(overview, self.session))


def build_app(session: StudioSession, *, port: int, token: str) -> Guard:
    """Return the server as a guarded ASGI app."""
    pages = RecordingPages(session)
    recordings = RecordingHandlers(pages)
    handlers = Handlers(session, pages, recordings)
    own, shared = "mabe.viz.studio", "mabe.viz.review"
    routes = [
        Route("/", page_file(own, "index.html")),
        *(Route(f"/{name}", page_file(own, name)) for name in OWN_FILES),
        *(Route(f"/{name}", page_file(shared, name)) for name in PAGE_FILES),
        Route("/api/project", handlers.project),
        Route("/api/ethogram", handlers.set_ethogram, methods=["PUT"]),
        Route("/api/settings", handlers.settle, methods=["POST"]),
        Route("/api/incoming", handlers.read_incoming, methods=["POST"]),
        Route("/api/incoming/{what}", handlers.answer_incoming, methods=["POST"]),
        Route("/api/labels.boris", handlers.export_labels),
        Route("/api/job/{what}", handlers.job, methods=["POST"]),
        Route("/api/suggestions", handlers.suggestions),
        *recordings.routes(),
        Route(ONE + "/labels", handlers.labels),
        Route(ONE + "/labels", handlers.edit, methods=["POST"]),
        Route("/api/video", handlers.video),
    ]
    of_errors: Any = {HTTPException: error_response, MabeError: error_response}
    return Guard(Starlette(routes=routes, exception_handlers=of_errors), port, token)


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"no JSON: {error}") from None


def _reason(error: ValueError) -> str:
    """Return what is wrong with something sent, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
