"""Which recordings are learned from and which are held out.

A recording is never divided: frames of one video resemble each other far more than
frames of two, so a split by frames would reward memory. What must stay together is a
*group*: the copies of one track (the same video scored by several annotators), and,
where asked for, all recordings of an animal or of a lab.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from mabe.errors import DataError
from mabe.recording import StoredRecording

GroupBy = Literal["recording", "animal", "lab"]


Shares = dict[tuple[str, str], float]
"""Of each (lab, action), and of the number of recordings under ("", "")."""


def split_folds(
    recordings: Sequence[StoredRecording],
    *,
    folds: int,
    seed: int,
    by: GroupBy = "recording",
) -> list[list[int]]:
    """Deal recordings into folds, labs and their actions as evenly as can be.

    Groups are dealt one by one, roughly those with most labels first: each to a fold
    that has least of its lab, among these to the one that has least of its actions.
    Returns indices into `recordings`. Fewer groups than folds give fewer folds.
    """
    groups = find_groups(recordings, by=by)
    shares = _shares_of_groups(recordings, groups)
    # Large groups go first, as they are hard to place; chance makes the seed matter.
    luck = np.random.default_rng(seed).uniform(0.5, 1.5, len(groups))
    sizes = luck * [sum(share.values()) for share in shares]
    order = np.argsort(-sizes, kind="stable").tolist()
    result: list[list[int]] = [[] for _ in range(folds)]
    held: list[Shares] = [defaultdict(float) for _ in range(folds)]
    for group in order:
        lab = "" if by == "lab" else recordings[groups[group][0]].lab
        home = min(
            range(folds),
            key=lambda fold: (
                sum(recordings[index].lab == lab for index in result[fold]),
                sum(held[fold][key] * part for key, part in shares[group].items()),
            ),
        )
        result[home] += groups[group]
        for key, part in shares[group].items():
            held[home][key] += part
    return [sorted(fold) for fold in result if fold]


def find_groups(
    recordings: Sequence[StoredRecording], *, by: GroupBy
) -> list[list[int]]:
    """Return the recordings that have to stay together, as lists of indices.

    Groups that share a track, an animal or a lab are one.
    """
    leader = list(range(len(recordings)))

    def find(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    first_with: dict[tuple[str, str], int] = {}
    for index, recording in enumerate(recordings):
        for bond in _bonds(recording, by):
            other = find(first_with.setdefault(bond, index))
            one = find(index)
            leader[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(recordings)):
        groups[find(index)].append(index)
    return list(groups.values())


def _bonds(recording: StoredRecording, by: GroupBy) -> Iterator[tuple[str, str]]:
    """Yield what ties a recording to others; equal bonds stay together."""
    yield "track", recording.tracking_hash
    if by == "lab":
        yield "lab", recording.lab
    if by == "animal":
        for animal in recording.animals:
            yield "animal", f"{recording.lab}/{animal}"


def _shares_of_groups(
    recordings: Sequence[StoredRecording], groups: Sequence[Sequence[int]]
) -> list[Shares]:
    """Return each group's share of all recordings, and of each lab's actions.

    Those of one lab's actions are scaled so that labs count the same.
    """
    amounts: list[Shares] = []
    total: Shares = defaultdict(float)
    for group in groups:
        amount: Shares = defaultdict(float)
        for recording in (recordings[index] for index in group):
            amount["", ""] += 1
            for bout in recording.bouts:
                seconds = (bout.stop - bout.start) / recording.fps
                amount[recording.lab, bout.action] += seconds
        amounts.append(amount)
        for key, value in amount.items():
            total[key] += value
    actions = Counter(lab for lab, _ in total)
    return [
        {key: value / total[key] / actions[key[0]] for key, value in amount.items()}
        for amount in amounts
    ]


def split_train_validation(
    recordings: Sequence[StoredRecording],
    *,
    folds: int,
    fold: int,
    seed: int,
    by: GroupBy = "recording",
) -> tuple[list[int], list[int]]:
    """Return the recordings to learn from, and those of one fold to validate on.

    Raises `DataError` where fewer than two groups leave nothing to hold out.
    """
    dealt = split_folds(recordings, folds=folds, seed=seed, by=by)
    if len(dealt) < 2:
        raise DataError(
            f"{len(recordings)} labelled recording(s) found, of "
            f"{len({r.tracking_hash for r in recordings})} different track(s) in "
            f"{len({r.lab for r in recordings})} lab(s), which split_by: {by} keeps in "
            "one piece; at least two pieces are needed, to learn from one and check on "
            "another"
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
