import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mabe.metrics.span_matching import (
    find_collisions,
    find_overlaps,
    lay_end_to_end,
    merge_by_group,
)

ROWS = st.lists(
    st.tuples(st.integers(-5, 30), st.integers(0, 8), st.integers(0, 3)), max_size=25
)


def merge(rows):
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    spans = np.stack([table[:, 0], table[:, 0] + table[:, 1]], axis=1)
    return merge_by_group(spans, table[:, 2])


def covered(rows):
    return {(group, f) for start, n, group in rows for f in range(start, start + n)}


def frames(marks):
    return [
        (group, frame)
        for group, (start, stop) in zip(marks.group, marks.spans, strict=True)
        for frame in range(start, stop)
    ]


def test_rows_that_overlap_or_touch_become_one_span_but_not_across_groups():
    merged = merge([(10, 5, 1), (0, 5, 0), (5, 5, 0), (2, 1, 0), (7, 0, 1), (20, 1, 0)])
    assert merged.spans.tolist() == [[0, 10], [20, 21], [10, 15]]
    assert merged.group.tolist() == [0, 0, 1]
    assert merged.lengths.tolist() == [10, 1, 5]


@given(ROWS)
def test_merging_keeps_every_frame_once_and_leaves_gaps_between_spans(rows):
    merged = merge(rows)
    assert sorted(frames(merged)) == sorted(covered(rows))
    same_group = merged.group[1:] == merged.group[:-1]
    assert (merged.spans[1:, 0] > merged.spans[:-1, 1])[same_group].all()


@given(ROWS, ROWS)
def test_shared_frames_agree_with_sets(rows, others):
    one, other = merge(rows), merge(others)
    overlaps = find_overlaps(*lay_end_to_end(one, other))
    shared = covered(rows) & covered(others)
    assert overlaps.frames.sum() == len(shared)
    assert (overlaps.frames > 0).all()
    groups = np.bincount(one.group[overlaps.one], overlaps.frames, minlength=4)
    assert groups.tolist() == [sum(group == g for group, _ in shared) for g in range(4)]
    assert (one.group[overlaps.one] == other.group[overlaps.other]).all()


@given(ROWS)
def test_collisions_are_found_where_two_groups_of_one_owner_share_a_frame(rows):
    owner = np.array([0, 0, 1, 1])
    merged = merge(rows)
    places = [(owner[group], frame) for group, frame in frames(merged)]
    twice = {owner for owner, frame in places if places.count((owner, frame)) > 1}
    pairs = find_collisions(merged, owner)
    assert set(owner[merged.group[pairs]].ravel()) == twice
    for one, other in pairs:
        start = max(merged.spans[one, 0], merged.spans[other, 0])
        assert start < min(merged.spans[one, 1], merged.spans[other, 1])
