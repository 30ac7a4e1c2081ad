"""`mabe studio`: open a project and serve its page."""

import shutil
from pathlib import Path

from mabe.errors import ConfigError, DataError, MabeError
from mabe.io.project import Project
from mabe.viz.studio.jobs import WaitingWorker
from mabe.viz.studio.label_files import only_server
from mabe.viz.studio.layout_table import NAME
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.session import StudioSession

try:
    from mabe.viz.review.serving import check_writable, serve_app
    from mabe.viz.studio.server import build_app
except ImportError as error:
    raise ConfigError(
        f'{error.name} is not installed, which the page needs; pip install "mabe[view]"'
    ) from None


def serve_project(
    root: Path,
    settings: Project,
    *,
    file: Path | None = None,
    port: int = 0,
    open_browser: bool = True,
) -> None:
    """Serve the page of a project until Ctrl-C.

    `file` is the project.yaml of the settings, by default that of the folder.
    Raises `MabeError` where there are no tracks, the folder cannot be written, or
    another server has it open; then nothing is left in a folder that had no project.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give one with tracks")
    check_writable(root / "mabe")
    is_new = not (root / "mabe").exists()
    try:
        _serve(root, settings, file=file, port=port, open_browser=open_browser)
    except MabeError:
        if is_new and not (root / "mabe" / NAME).exists():
            shutil.rmtree(root / "mabe", ignore_errors=True)
        raise


def _serve(
    root: Path, settings: Project, *, file: Path | None, port: int, open_browser: bool
) -> None:
    with only_server(root / "mabe"):
        print(f"Reading {root}", flush=True)
        session = StudioSession.of_project(open_project(root, settings, file=file))
        for line in session.project.problems:
            print(f"  ! {line}")
        session.waiting = WaitingWorker()
        session.start("read")
        try:
            serve_app(
                lambda port, token: build_app(session, port=port, token=token),
                port=port,
                open_browser=open_browser,
                begin=lambda: print(f"Labels go to {session.data}"),
            )
        finally:
            session.close()
