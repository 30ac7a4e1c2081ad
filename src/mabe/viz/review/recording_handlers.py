"""The answers to requests about recordings, for the page of any program.

Recordings are named by number, so that no request holds a path. What may take long runs
in a thread, so that the page stays responsive.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

API = "/api/recordings"


ONE = API + "/{index:int}"


_BINARY = "application/octet-stream"


_MOST_COLUMNS = 4000


@runtime_checkable
class Recordings(Protocol):
    """What the page gets of recordings, by their numbers."""

    def listing(self) -> list[dict[str, Any]]:
        """Return the recordings for the page to choose from."""

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the page shows of a recording, without predictions."""

    def predictions(self, index: int) -> dict[str, Any]:
        """Return the predicted bouts of a recording, or the state until then."""

    def poses(self, index: int, start: int, stop: int) -> bytes:
        """Return a window of poses."""

    def probabilities(
        self, index: int, view: int, start: int, stop: int, columns: int
    ) -> tuple[int, int, bytes]:
        """Return a window of probabilities; raises `IndexError` for no such view."""


@dataclass(frozen=True, slots=True)
class RecordingHandlers:
    """The answers to requests about recordings."""

    recordings: Recordings

    def routes(self) -> list[Route]:
        """Return where they are asked for."""
        return [
            Route(API, self.list_recordings),
            Route(ONE, self.describe),
            Route(ONE + "/predictions", self.predictions),
            Route(ONE + "/poses", self.poses),
            Route(ONE + "/probabilities", self.probabilities),
        ]

    async def list_recordings(self, _request: Request) -> Response:
        """Return all recordings."""
        return JSONResponse(await run_in_threadpool(self.recordings.listing))

    async def describe(self, request: Request) -> Response:
        """Return frames, skeleton and labels of a recording."""
        index = self.index_of(request)
        return JSONResponse(await run_in_threadpool(self.recordings.describe, index))

    async def predictions(self, request: Request) -> Response:
        """Return the predicted bouts of a recording."""
        index = self.index_of(request)
        return JSONResponse(await run_in_threadpool(self.recordings.predictions, index))

    async def poses(self, request: Request) -> Response:
        """Return a window of poses."""
        index = self.index_of(request)
        start, stop = read_numbers(request, "start", "stop")
        sent = await run_in_threadpool(self.recordings.poses, index, start, stop)
        return Response(sent, media_type=_BINARY)

    async def probabilities(self, request: Request) -> Response:
        """Return a window of the probabilities of one view."""
        index = self.index_of(request)
        names = ("view", "start", "stop", "columns")
        view, start, stop, columns = read_numbers(request, *names)
        columns = min(max(columns, 1), _MOST_COLUMNS)
        try:
            first, step, sent = await run_in_threadpool(
                self.recordings.probabilities, index, view, start, stop, columns
            )
        except IndexError:
            raise HTTPException(404, f"no view {view}") from None
        headers = {"x-first": str(first), "x-step": str(step)}
        return Response(sent, media_type=_BINARY, headers=headers)

    def index_of(self, request: Request) -> int:
        """Return the number in a request's path; no such recording is an error."""
        return self.checked(request.path_params["index"])

    def checked(self, index: int) -> int:
        """Return the number of a recording that there is."""
        if not 0 <= index < len(self.recordings.listing()):
            raise HTTPException(404, f"no recording {index}")
        return index


def read_numbers(request: Request, *names: str) -> list[int]:
    """Return whole numbers of a request's query."""
    given = [request.query_params.get(name, "") for name in names]
    if not all(text.isascii() and text.isdigit() and len(text) < 11 for text in given):
        raise HTTPException(400, f"expected whole numbers {list(names)}, found {given}")
    return [int(text) for text in given]
