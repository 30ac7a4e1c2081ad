"""A guarded app, served on this machine until Ctrl-C."""

import contextlib
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from mabe.errors import ConfigError, OutputError
from mabe.viz.review.access_control import Guard


def serve_app(
    build: Callable[[int, str], Guard],
    *,
    port: int,
    open_browser: bool,
    begin: Callable[[], None],
) -> None:
    """Serve an app until Ctrl-C, on this machine alone and behind a new secret.

    `begin` is called before the address is printed. Raises `ConfigError` where the port
    is taken.
    """
    token = secrets.token_urlsafe(32)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"--port {port}: cannot be used ({error.strerror}); leave it out, and "
                "a free one is taken"
            ) from None
        port = listener.getsockname()[1]
        begin()
        # After the #, so that it is in no log and no Referer.
        address = f"http://127.0.0.1:{port}/#token={token}"
        print(f"✓ Open {address}   (Ctrl-C ends it)", flush=True)
        if open_browser:
            threading.Timer(0.8, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            build(port, token), log_level="warning", lifespan="off", server_header=False
        )
        with contextlib.suppress(KeyboardInterrupt):  # that is how it is ended
            uvicorn.Server(config).run(sockets=[listener])


def check_writable(root: Path) -> None:
    """Raise `OutputError` where a folder cannot be made or written; make nothing."""
    place = root.absolute()
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise OutputError(
            f"{root}: corrections could not be saved there; choose another --out"
        )
