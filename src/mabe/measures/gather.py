"""What a summary is made of: observations, poses and facts, read from a path.

A path is a folder of predictions, a run with out-of-fold predictions, or recordings
with labels of any known format. Beside predictions, data give labels, poses and facts
of the same recordings.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mabe.bouts import (
    NO_ANIMAL,
    RecordingBouts,
    Spans,
    Watched,
    WatchedSpan,
    find_spans,
)
from mabe.data.sources import find_sources, leave_out
from mabe.data.store import PoseStore, is_store, open_store
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError, RunError
from mabe.experiments.checklist.read_score_facts import read_answers
from mabe.experiments.out_of_fold import FILE_NAME
from mabe.io.metadata import Metadata, read_layout_metadata, read_own_metadata
from mabe.io.predictions import PROVENANCE, read_predictions
from mabe.io.probabilities import read_predicted_entries
from mabe.io.readers.zone_tables import ZoneFile, read_zone_table
from mabe.io.recording_zones import FILE_NAME as ZONES
from mabe.measures.agreement import Compared, compare
from mabe.measures.annotators import annotated, compare_copies, recording_bouts
from mabe.measures.observation import ANNOTATED, PREDICTED, Observation, observe
from mabe.measures.places import PlaceVisits, measure_places
from mabe.measures.space import (
    SPACE_FPS,
    Nearness,
    Travel,
    body_positions,
    distances,
    measure_nearness,
    measure_travel,
)
from mabe.models.checkpoint import load_checkpoint
from mabe.runtime.console import count, progress_bar
from mabe.runtime.object_storage import as_url, small_file
from mabe.scene_task import NOT_COUNTED
from mabe.zones import Zone


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Everything that tables are computed from."""

    observations: list[Observation] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    """Annotated and predicted bouts of the same recordings, or two annotators'."""
    travel: list[Travel] = field(default_factory=list)
    nearness: list[Nearness] = field(default_factory=list)
    places: list[PlaceVisits] = field(default_factory=list)
    facts: Metadata = field(default_factory=lambda: Metadata({}))
    animals: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """The lab's ids of the animals of each recording, which may recur in others."""
    notes: list[str] = field(default_factory=list)
    """What a reader needs to know to interpret the measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is read, and how."""

    data: Path | None = None
    """Labels, poses and facts beside predictions."""
    held_out: Path | None = None
    """A run whose out-of-fold predictions give the uncertainty of the measures."""
    metadata: Path | None = None
    """A table of facts of the lab's own."""
    undirected: frozenset[str] = frozenset()
    within_cm: float = 10.0
    skip_bad: bool = False


def gather(path: Path, options: Options) -> Gathered:
    """Return what a path holds.

    Raises `DataError` where it holds neither predictions nor labels.
    """
    gathered = Gathered()
    if (path / PROVENANCE).is_file():
        _add_predictions(gathered, path, options)
    elif _is_run(path):
        _add_run(gathered, path, options)
    else:
        _add_data(gathered, path, options)
        if not gathered.observations:
            raise DataError(
                f"{path}: no labels here; expected a folder that `mabe predict` wrote, "
                "a run with out-of-fold predictions, or recordings with labels"
            )
    if options.held_out:
        _, compared = read_out_of_fold_run(options.held_out)
        # These take the place of predictions that may be of training recordings.
        annotators = [
            each for each in gathered.compared if each.one.source == each.other.source
        ]
        gathered.compared = annotators + [
            _compare(each.one, each.other, options) for each in compared
        ]
        gathered.notes.append(
            f"uncertainty: from the out-of-fold predictions of {options.held_out}, "
            f"{count(len(compared), 'recording')}"
        )
    if options.metadata:
        own = read_own_metadata(options.metadata)
        gathered.facts = gathered.facts.updated(own)
    if options.undirected:
        gathered.observations = [
            each.without_direction(options.undirected) for each in gathered.observations
        ]
    _note_undirected(gathered)
    return gathered


def _compare(one: Observation, other: Observation, options: Options) -> Compared:
    """Compare without the directions that labels do not have."""
    return compare(
        one.without_direction(options.undirected),
        other.without_direction(options.undirected),
    )


def _is_run(path: Path) -> bool:
    folder = path if path.is_dir() else path.parent
    is_checkpoint = path.is_file() and path.suffix == ".safetensors"
    return (
        is_checkpoint
        or (folder / FILE_NAME).is_file()
        or (path.is_dir() and (path / "run.json").is_file())
    )


def _add_predictions(gathered: Gathered, folder: Path, options: Options) -> None:
    predictions = read_predictions(folder)
    predicted = []
    sources = predictions.provenance.sources
    for source, recording in zip(sources, predictions.recordings, strict=True):
        entries = read_predicted_entries(
            folder, predictions.provenance, recording.lab, recording.video
        )
        coverage = source.tracked and tuple(
            WatchedSpan(*source.tracked, entry.action, entry.agent, entry.target)
            for entry in entries
        )
        predicted.append(observe(PREDICTED, recording, entries, coverage))
        gathered.animals[recording.lab, recording.video] = recording.animals
    if options.data:
        _add_data(gathered, options.data, options, only={o.key for o in predicted})
    annotated = {each.key: each for each in gathered.observations}
    gathered.compared += [
        _compare(annotated[each.key], each, options)
        for each in predicted
        if each.key in annotated
    ]
    if gathered.compared:
        _note_unmatched(gathered, predicted)
    if gathered.compared and not options.held_out:
        gathered.notes.append(
            "uncertainty: from these predictions and their labels; it holds for new "
            "recordings only if the model was not trained on these"
        )
    gathered.observations = predicted + gathered.observations


def _note_unmatched(gathered: Gathered, predicted: Iterable[Observation]) -> None:
    """Note predicted actions that no label has the name of, such as joined classes."""
    labelled = {name for each in gathered.observations for name in each.actions}
    unmatched = {name for each in predicted for name in each.actions} - labelled
    if unmatched:
        gathered.notes.append(
            f"no labels of this name, so nothing to compare: "
            f"{', '.join(sorted(unmatched))}. A class of several actions is compared "
            "by the run: `mabe summary RUN`"
        )


def _add_run(gathered: Gathered, run: Path, options: Options) -> None:
    data, compared = read_out_of_fold_run(run)
    data = options.data or data
    if data is None:
        gathered.notes.append(
            "the data the run was trained on are no longer where they were: no space "
            "and no facts; give where with --data"
        )
    else:
        keys = {each.one.key for each in compared}
        _add_data(gathered, data, options, only=keys)
        names = {each.key: each.recording.animals for each in gathered.observations}
        compared = [_with_animals(each, names) for each in compared]
    compared = [_compare(each.one, each.other, options) for each in compared]
    gathered.compared += compared
    gathered.observations = [each.other for each in compared]
    gathered.observations += [each.one for each in compared]
    gathered.notes.append(
        f"predictions are out of fold: {count(len(compared), 'recording')}, each "
        f"predicted by "
        "models that were not trained on it; times are at the working rate of "
        f"{compared[0].one.recording.fps:g} frames per second"
    )


def _with_animals(
    compared: Compared, names: dict[tuple[str, str], tuple[str, ...]]
) -> Compared:
    def named(observation: Observation) -> Observation:
        animals = names.get(observation.key, observation.recording.animals)
        return replace(
            observation, recording=replace(observation.recording, animals=animals)
        )

    return Compared(named(compared.one), named(compared.other))


def read_out_of_fold_run(run: Path) -> tuple[Path | None, list[Compared]]:
    """Return the data of a run, and its labels and out-of-fold predictions.

    Raises `RunError` where it has none.
    """
    checkpoint = load_checkpoint(run)
    answers = read_answers(checkpoint)
    if answers is None:
        raise RunError(
            f"{run}: has no out-of-fold predictions of its own; `mabe train DATA` and "
            "`mabe crossval` make them. Else give a folder of predictions, and "
            "labelled recordings with --data"
        )
    views: dict[tuple[str, str], list[ViewPredictions]] = defaultdict(list)
    for view in answers.decide(checkpoint.rules):
        views[view.lab, view.video].append(view)
    undirected = checkpoint.model.task.undirected
    data_dir = checkpoint.members[0].provenance.data_dir
    data = Path(data_dir) if data_dir and Path(data_dir).exists() else None
    return data, [_of_views(group, undirected) for group in views.values()]


def _of_views(views: Sequence[ViewPredictions], undirected: frozenset[str]) -> Compared:
    """Return the labels and the predictions of all views of one recording."""
    first = views[0]
    recording = RecordingBouts(
        lab=first.lab,
        video=first.video,
        fps=first.fps,
        length=len(first.labels),
        animals=first.animals,
        bouts=(),
    )
    watched: dict[Watched, Spans] = {}
    sources: dict[str, dict[Watched, Spans]] = {ANNOTATED: {}, PREDICTED: {}}
    for view in views:
        for place in view.kind.bout_classes(len(view.classes)):
            entry = Watched(view.view.agent, view.view.target, view.classes[place])
            counted = find_spans(view.labels[:, place] != NOT_COUNTED)
            if len(counted):
                watched[entry] = counted
                sources[ANNOTATED][entry] = view.annotated_spans(place)
                sources[PREDICTED][entry] = view.predicted_spans(place, counted=True)
    one, other = (
        Observation(
            source=source,
            recording=recording,
            watched=watched,
            spans=spans,
            track=first.track,
        ).without_direction(undirected)
        for source, spans in sources.items()
    )
    return Compared(one, other)


def _add_data(
    gathered: Gathered,
    path: Path,
    options: Options,
    *,
    only: Collection[tuple[str, str]] | None = None,
) -> None:
    """Add labels, poses and facts of recordings; those in `only`, if given."""
    if path.is_dir() or as_url(path):
        gathered.facts = read_layout_metadata(path)
    rate_fps = open_store(path).rate_fps if is_store(path) else SPACE_FPS
    sources = find_sources(path, rate_fps=rate_fps, with_labels=True)
    zones = _zones_of(path)
    found = 0
    for source in progress_bar(sources, desc="Reading", unit="video"):
        if only is not None and tuple(source.name.split("/", 1)) not in only:
            continue
        try:
            with source.fetched() as local:
                store, index = local.open()
        except DataError as error:
            leave_out(source.name, str(error), skip_bad=options.skip_bad)
            continue
        found += 1
        about = store.recordings[index]
        own = zones.of(about.video) if zones else ()
        _add_recording(gathered, store, index, options, own)
    if only is not None and found < len(only):
        gathered.notes.append(
            f"{path}: has {found} of the {count(len(only), 'recording')}; the others "
            f"have "
            "neither labels nor poses here"
        )
    labels = [each for each in gathered.observations if each.source == ANNOTATED]
    gathered.compared += list(compare_copies(labels, options.undirected))


def _zones_of(path: Path) -> ZoneFile | None:
    """Return the zones of a data set, in cm; None where it has none."""
    with small_file(path / ZONES) as file:
        return read_zone_table(file) if file else None


def _add_recording(
    gathered: Gathered,
    store: PoseStore,
    index: int,
    options: Options,
    zones: Sequence[Zone],
) -> None:
    about = store.recordings[index]
    gathered.animals[about.lab, about.video] = about.animals
    if about.has_labels:
        gathered.observations.append(annotated(about))
    animals = about.tracked_animals
    names = recording_bouts(about)
    where = about.lab, about.video
    xy_cm, fps = body_positions(store, index), store.rate_fps
    gathered.travel += [
        measure_travel(where, names.name_of(animal), xy_cm[:, animal - 1], fps)
        for animal in animals
    ]
    gathered.nearness += [
        measure_nearness(
            where,
            (names.name_of(one), names.name_of(other)),
            apart_cm,
            within_cm=options.within_cm,
            fps=fps,
        )
        for one, other, apart_cm in distances(xy_cm, animals)
    ]
    individuals = range(1, max(about.tracked_individuals, default=0) + 1)
    gathered.places += measure_places(
        about,
        [names.name_of(individual) for individual in individuals],
        xy_cm,
        zones,
        within_cm=options.within_cm,
        fps=fps,
    )


def _note_undirected(gathered: Gathered) -> None:
    """Note actions of which every recording has one direction of each pair only."""
    both: Counter[str] = Counter()
    either: Counter[str] = Counter()
    for each in gathered.observations:
        for entry in each.entries:
            if entry.agent in (NO_ANIMAL, entry.target):
                continue
            if entry.action in each.undirected:
                continue
            either[entry.action] += 1
            both[entry.action] += (
                Watched(entry.target, entry.agent, entry.action) in each.watched
            )
    if lone := sorted(action for action in either if not both[action]):
        gathered.notes.append(
            f"annotated in one direction of each pair only: {', '.join(lone)}. The "
            "first animal is treated as the agent; if the labels have no direction, "
            f"give --undirected {','.join(lone)}"
        )


def ids_that_recur(gathered: Gathered) -> dict[str, int]:
    """Return the lab's ids of animals that several recordings have, and how many."""
    counts = Counter(
        f"{lab}/{name}"
        for (lab, _), animals in gathered.animals.items()
        for name in set(animals)
    )
    return {name: number for name, number in counts.items() if number > 1}
