"""Which recordings are learned from and which are held out.

A recording is never divided: frames of one video resemble each other far more than
frames of two, so a split by frames would reward memory. Copies of one track (the same
video scored by several annotators) stay on one side too.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mabe.errors import DataError
from mabe.store import StoredRecording


def split_folds(
    recordings: Sequence[StoredRecording], *, folds: int, seed: int
) -> list[list[int]]:
    """Deal recordings into folds, every lab over all of them as evenly as can be.

    Returns indices into `recordings`. Fewer recordings than folds give fewer folds.
    """
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


def split_train_validation(
    recordings: Sequence[StoredRecording], *, folds: int, fold: int, seed: int
) -> tuple[list[int], list[int]]:
    """Return the recordings to learn from, and those of one fold to validate on.

    Raises `DataError` where fewer than two tracks leave nothing to hold out.
    """
    dealt = split_folds(recordings, folds=folds, seed=seed)
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
