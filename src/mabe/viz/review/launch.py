"""`mabe view`: set up a review session and serve its page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mabe.data.sources import Source, find_sources
from mabe.data.store import is_store
from mabe.errors import ConfigError, DataError
from mabe.inference.predict import Predictor
from mabe.io.readers.kaggle import SPLITS, read_index
from mabe.recording import VideoInfo
from mabe.runtime.console import progress_bar
from mabe.runtime.files import cache_folder, hash_file
from mabe.viz.film.played import is_played
from mabe.viz.report.gather_contents import own_data
from mabe.viz.review.corrections import Corrections
from mabe.viz.review.session import ModelOutputs, ReviewSession

try:
    from mabe.viz.review.server import build_app
    from mabe.viz.review.serving import check_writable, serve_app
except ImportError as error:
    raise ConfigError(
        f'{error.name} is not installed, which the page needs; pip install "mabe[view]"'
    ) from None


@dataclass(frozen=True, slots=True)
class Place:
    """What a RECORDING on the command line stands for."""

    path: Path
    """A tracking file, a folder in the Kaggle layout, or a store."""
    name: str | None
    """The one recording of it that is wanted, ``LAB/VIDEO`` or ``VIDEO``."""


def find_place(recording: str, predictor: Predictor, data: Path | None) -> Place:
    """Return where a recording is: a path, or a name in some data.

    Raises `DataError` where it is neither.
    """
    if Path(recording).exists():
        return Place(Path(recording), None)
    where = data or own_data(predictor.checkpoint)
    if where is None:
        raise DataError(
            f"{recording}: no such file or folder, and the run's own data are no "
            "longer where they were; give the data that it is in with --data"
        )
    return Place(where, recording)


def open_session(
    predictor: Predictor,
    place: Place,
    *,
    out: Path | None = None,
    video: Path | None = None,
    pixels_per_cm: float | None = None,
) -> ReviewSession:
    """Return the session with the recordings of a place.

    Raises `DataError` where there are none, and `OutputError` where corrections could
    not be saved.
    """
    sources = find_sources(
        place.path,
        rate_fps=predictor.rate_fps,
        usual_fps=predictor.usual_fps,
        with_labels=True,
    )
    if place.name is not None:
        sources = put_first(place.name, sources, where=place.path)
    source = source_folder(place.path)
    infos = _infos(source)
    root = out or default_out(source, predictor.checkpoint.path)
    check_writable(root)
    if video is not None and not video.is_file():
        raise DataError(f"{video}: no such video file")
    if video and not pixels_per_cm and sources[0].name not in infos:
        raise DataError(f"{video}: its scale is not known; give --pixels-per-cm")
    if video is not None:
        video = played_film(video)
    return ReviewSession(
        outputs=outputs_of(predictor),
        sources=sources,
        infos=infos,
        predict_views=predictor.predict_views,
        corrections=Corrections(root, source, model=str(predictor.checkpoint.path)),
        trained_on=predictor.checkpoint.trained_on,
        cache=cache_folder() / "view",
        cache_key=hash_file(predictor.checkpoint.path),
        video=video,
        video_of=sources[0].name,
        pixels_per_cm=pixels_per_cm,
    )


def played_film(video: Path) -> Path:
    """Return a film that browsers play: the film itself, else a copy in the cache.

    The copy is made once, with progress, and has the same frames at the same times.
    Raises `ConfigError` where that needs PyAV and it is not installed.
    """
    if is_played(video):
        return video
    from mabe.viz.film.playable import copy_name, make_playable

    copy = cache_folder() / "films" / copy_name(video)
    if not copy.is_file():
        print(f"{video}: browsers do not play it; a copy is made: {copy}", flush=True)
        with progress_bar(desc="Copying", unit="frame") as bar:

            def report(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            make_playable(video, copy, report=report)
    return copy


def put_first(name: str, sources: Sequence[Source], *, where: Path) -> list[Source]:
    """Return the sources with those of a name first, ``LAB/VIDEO`` or ``VIDEO``.

    Raises `DataError` where there is none.
    """
    wanted = [each for each in sources if name in (each.name, each.name.split("/")[-1])]
    if not wanted:
        some = ", ".join(source.name for source in sources[:3])
        raise DataError(f"{where}: no recording {name}; it has {some} …")
    return [*wanted, *(each for each in sources if each not in wanted)]


def rank(session: ReviewSession) -> None:
    """Predict every recording, and put those first that need a review most.

    Those are the ones with the most wrong seconds a minute: seconds that differ from
    the annotations, or expected ones where there are none.
    """
    for index in progress_bar(
        range(len(session.sources)), desc="Predicting", unit="video", leave=True
    ):
        session.open(index).timelines.result()
    order = sorted(session.uncertainty, key=lambda i: (-session.uncertainty[i], i))
    session.reorder(order)


def serve(session: ReviewSession, *, port: int = 0, open_browser: bool = True) -> None:
    """Serve the page until Ctrl-C; on this machine alone.

    Raises `ConfigError` where the port is taken, and `DataError` where the first
    recording cannot be read.
    """

    def begin() -> None:
        print(f"Reading {session.sources[0].name}", flush=True)
        session.open(0)  # so that the page has something to show at once
        print(f"Corrections go to {session.corrections.root}")

    try:
        serve_app(
            lambda port, token: build_app(session, port=port, token=token),
            port=port,
            open_browser=open_browser,
            begin=begin,
        )
    finally:
        session.close()


def outputs_of(predictor: Predictor) -> ModelOutputs:
    """Return what a model predicts, as the page needs it."""
    task, rules = predictor.task, predictor.checkpoint.rules
    return ModelOutputs(
        kind=task.kind,
        classes=task.classes,
        actions_of=task.actions_of_classes,
        thresholds=tuple(rule.threshold for rule in rules.classes),
        rate_fps=predictor.rate_fps,
    )


def source_folder(path: Path) -> Path | None:
    """Return the folder of the Kaggle layout that a path is or lies in, if any."""
    if path.is_file():
        folders = path.absolute().parents
        path = folders[min(2, len(folders) - 1)]
    if is_store(path):
        return None
    has_table = any((path / f"{split}.csv").is_file() for split in SPLITS)
    return path if has_table else None


def default_out(source: Path | None, checkpoint: Path) -> Path:
    """Return where corrections go: beside the data, or into the run."""
    if source is None:
        return checkpoint.parent / "corrected"
    place = source.resolve()
    earlier = re.fullmatch(r"(.+-corrected)(?:-(\d+))?", place.name)
    if earlier is None:
        return place.with_name(f"{place.name}-corrected")
    return place.with_name(f"{earlier[1]}-{int(earlier[2] or 1) + 1}")


def _infos(source: Path | None) -> dict[str, VideoInfo]:
    if source is None:
        return {}
    return {info.name: info for info in read_index(source)}
