"""Annotations of one track by several people: copies of a recording, compared."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations

from mabe.bouts import Bout, RecordingBouts, Watched
from mabe.measures.agreement import Compared, compare
from mabe.measures.observation import ANNOTATED, Observation, observe
from mabe.recording import StoredRecording


def annotated(about: StoredRecording) -> Observation:
    """Return what is annotated in a recording."""
    bouts = tuple(about.bouts)
    entries = set(about.annotated)
    if about.coverage is None:
        # What is annotated was watched for, also where the metadata do not list it.
        entries |= {_entry_of(bout) for bout in bouts}
    return observe(
        ANNOTATED,
        replace(recording_bouts(about), bouts=bouts),
        entries,
        about.coverage,
        track=about.tracking_hash,
    )


def recording_bouts(about: StoredRecording) -> RecordingBouts:
    """Return the names of a recording and its animals, without bouts."""
    return RecordingBouts(
        lab=about.lab,
        video=about.video,
        fps=about.fps,
        length=about.native_length,
        animals=about.animal_names,
        bouts=(),
    )


def compare_copies(
    observations: Iterable[Observation], undirected: Iterable[str] = ()
) -> Iterator[Compared]:
    """Yield the pairs of recordings of one track that both watched for something.

    Directions of `undirected` actions are not compared.
    """
    some = frozenset(undirected)
    by_track: dict[str, list[Observation]] = defaultdict(list)
    for each in observations:
        by_track[each.track].append(each)
    for copies in by_track.values():
        for one, other in combinations(copies, 2):
            compared = compare(
                one.without_direction(some), other.without_direction(some)
            )
            if compared.one.watched:
                yield compared


def _entry_of(bout: Bout) -> Watched:
    return Watched(bout.agent, bout.target, bout.action)
