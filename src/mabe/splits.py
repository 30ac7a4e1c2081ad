"""Which recordings are learned from and which are held out.

A recording is never divided: frames of one video resemble each other far more than
frames of two, so a split by frames would reward memory. Copies of one track (the same
video scored by several annotators) stay on one side too.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mabe.errors import DataError
from mabe.store import StoredRecording


def split_folds(
    recordings: Sequence[StoredRecording],
    *,
    folds: int,
    seed: int,
    by: Literal["recording", "lab"] = "recording",
) -> list[list[int]]:
    """Deal recordings into folds, every lab over all of them as evenly as can be.

    With `by` lab, whole labs are dealt instead; labs that share a track go together.
    Returns indices into `recordings`. Fewer recordings than folds give fewer folds.
    """
    if by == "lab":
        return _split_labs(recordings, folds=folds, seed=seed)
    copies: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, recording in enumerate(recordings):
        copies[recording.lab][recording.tracking_hash].append(index)
    rng = np.random.default_rng(seed)
    dealt: dict[str, int] = {}
    result: list[list[int]] = [[] for _ in range(folds)]
    next_fold = 0
    for lab in sorted(copies):
        tracks = sorted(copies[lab])
        for place in rng.permutation(len(tracks)):
            track = tracks[place]
            # A track can occur in two labs (one video, two groups of annotators).
            fold = dealt.setdefault(track, next_fold)
            result[fold] += copies[lab][track]
            next_fold = (next_fold + 1) % folds
    return [sorted(fold) for fold in result if fold]


def _split_labs(
    recordings: Sequence[StoredRecording], *, folds: int, seed: int
) -> list[list[int]]:
    """Deal groups of labs that share no track, each to the emptiest fold."""
    group_of: dict[str, set[str]] = {}
    by_track: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        group_of[recording.lab] = {recording.lab}
        by_track[recording.tracking_hash].add(recording.lab)
    for labs in by_track.values():
        joined = set().union(*(group_of[lab] for lab in labs))
        for lab in joined:
            group_of[lab] = joined
    groups = sorted({min(group): group for group in group_of.values()}.items())
    members = [
        [i for i, recording in enumerate(recordings) if recording.lab in group]
        for _, group in groups
    ]
    order = np.random.default_rng(seed).permutation(len(members))
    result: list[list[int]] = [[] for _ in range(folds)]
    for place in sorted(order, key=lambda place: -len(members[place])):
        min(result, key=len).extend(members[place])
    return [sorted(fold) for fold in result if fold]


def split_train_validation(
    recordings: Sequence[StoredRecording],
    *,
    folds: int,
    fold: int,
    seed: int,
    by: Literal["recording", "lab"] = "recording",
) -> tuple[list[int], list[int]]:
    """Return the recordings to learn from, and those of one fold to validate on.

    Raises `DataError` where fewer than two tracks (or labs) leave nothing to hold out.
    """
    dealt = split_folds(recordings, folds=folds, seed=seed, by=by)
    if len(dealt) < 2 and by == "lab":
        raise DataError(
            f"{len(recordings)} labelled recording(s) found, all of one lab or of labs "
            "that share tracks; split_by: lab needs at least two"
        )
    if len(dealt) < 2:
        raise DataError(
            f"{len(recordings)} labelled recording(s) found, of "
            f"{len({r.tracking_hash for r in recordings})} different track(s); at "
            "least two are needed, to learn from one and check on another"
        )
    held_out = dealt[fold % len(dealt)]
    learned = sorted(set(range(len(recordings))) - set(held_out))
    return learned, held_out


def spread_over_labs(recordings: Sequence[StoredRecording], *, most: int) -> list[int]:
    """Return at most `most` indices, taking labs in turn, for a quick test."""
    by_lab: dict[str, list[int]] = defaultdict(list)
    for index, recording in enumerate(recordings):
        by_lab[recording.lab].append(index)
    turns = sorted(
        (turn, lab, index)
        for lab, indices in by_lab.items()
        for turn, index in enumerate(indices)
    )
    return sorted(index for _, _, index in turns[:most])
