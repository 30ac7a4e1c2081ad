"""Which recordings are in the training set and which are held out.

A recording is never divided: frames of one video resemble each other far more than
frames of two, so a split by frames would reward overfitting. Recordings that must be on
one side are a *group*: the copies of one track (the same video scored by several
annotators), and, with `split_by`, all recordings of an animal or of a lab.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from mabe.errors import DataError
from mabe.recording import StoredRecording
from mabe.runtime.console import count

GroupBy = Literal["recording", "animal", "lab"]


Shares = dict[tuple[str, str], float]
"""The share of each (lab, action), and of the number of recordings: ("", "")."""


def split_folds(
    recordings: Sequence[StoredRecording],
    *,
    folds: int,
    seed: int,
    by: GroupBy = "recording",
) -> list[list[int]]:
    """Divide recordings into folds, with labs and their actions spread evenly.

    Groups are assigned one by one, roughly those with most labels first: each to the
    fold with fewest recordings of its lab; of several, to the one with the smallest
    share of its actions. Returns indices into `recordings`. Fewer groups than folds
    give fewer folds.
    """
    groups = find_groups(recordings, by=by)
    shares = _shares_of_groups(recordings, groups)
    # Large groups are hard to place and come first; the factors depend on the seed.
    factors = np.random.default_rng(seed).uniform(0.5, 1.5, len(groups))
    sizes = factors * [sum(share.values()) for share in shares]
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
    from scipy.sparse import coo_array  # loads late: `mabe --help` needs none of it
    from scipy.sparse.csgraph import connected_components

    first_with: dict[tuple[str, str], int] = {}
    links = [
        (index, first_with.setdefault(key, index))
        for index, recording in enumerate(recordings)
        for key in group_keys(recording, by)
    ]
    if not links:
        return []
    shape = len(recordings), len(recordings)
    graph = coo_array((np.ones(len(links)), np.transpose(links)), shape=shape)
    _, component = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(component.tolist()):
        groups[number].append(index)
    return list(groups.values())


def group_keys(recording: StoredRecording, by: GroupBy) -> Iterator[tuple[str, str]]:
    """Yield keys; recordings with an equal one have to stay together."""
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

    The shares of a lab's actions are scaled so that all labs have the same weight.
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
    """Return the recordings of the training set, and those of the held-out fold.

    Raises `DataError` where there are fewer than two groups.
    """
    parts = split_folds(recordings, folds=folds, seed=seed, by=by)
    if len(parts) < 2:
        raise DataError(
            f"{count(len(recordings), 'labelled recording')} found, of "
            f"{count(len({r.tracking_hash for r in recordings}), 'different track')} "
            f"in {count(len({r.lab for r in recordings}), 'lab')}, which "
            f"split_by: {by} keeps together; at least two groups are needed, one to "
            "train on and one to validate on"
        )
    held_out = parts[fold % len(parts)]
    training = sorted(set(range(len(recordings))) - set(held_out))
    return training, held_out


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
