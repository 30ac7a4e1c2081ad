"""Groups of many animals: which pairs are looked at, and when."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.bouts import Bout, View, Watched
from mabe.data.near_pairs import NearPairs, widened
from mabe.data.pair_windows import label_views, views_without_labels
from mabe.data.store import from_recording
from mabe.inference.frame_probabilities import Tracks, view_probabilities
from mabe.inference.predict import Predictor
from mabe.io.identity_exchanges import exchanges
from mabe.io.predictions import PredictionProvenance
from mabe.io.probabilities import (
    PROBABILITIES,
    Origin,
    probabilities_path,
    read_origin,
    read_predicted_entries,
    write_probabilities,
)
from mabe.models.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.pair_task import Nearness, PairTask
from mabe.recording import Recording, VideoInfo

RATE = 10.0


def stored(x_cm, bouts=(), *, watched=()):
    """Return a store of animals on a line: one point each, in the middle of a body."""
    animals = x_cm.shape[1]
    xy = np.stack([x_cm, np.zeros_like(x_cm)], axis=-1).astype(np.float32)
    info = VideoInfo(
        lab="lab",
        video="video",
        fps=RATE,
        pixels_per_cm=1.0,
        watched=tuple(watched),
        has_labels=True,
        tracking_path=Path(),
        annotation_path=None,
    )
    recording = Recording(
        info=info,
        slots=18 * np.arange(animals) + 5,
        xy_px=xy,
        bouts=tuple(bouts),
    )
    return from_recording(recording, RATE)


def line(animals, frames=400):
    """Return animals that stay 10 cm apart."""
    return np.repeat(10.0 * np.arange(animals)[None], frames, axis=0)


def test_of_a_pair_or_four_every_pair_is_looked_at_all_the_time():
    near = NearPairs(stored(line(4)), Nearness(targets=1))
    assert near.spans(0, View(1, 4)) is None


def test_in_a_group_an_agents_targets_are_its_nearest():
    near = NearPairs(stored(line(6)), Nearness(targets=2))

    targets = {
        agent: [
            target
            for target in range(1, 7)
            if target != agent and len(near.spans(0, View(agent, target)))
        ]
        for agent in (1, 3, 6)
    }

    assert targets == {1: [2, 3], 3: [2, 4], 6: [4, 5]}
    assert near.spans(0, View(2, 2)) is None  # by itself, an animal always acts


def test_an_animal_that_comes_near_is_looked_at_then_and_a_little_around():
    x_cm = line(6)
    x_cm[200:240, 5] = 1.0  # the last one visits the first one for four seconds
    near = NearPairs(stored(x_cm), Nearness(targets=1, margin_s=2.0))

    assert near.spans(0, View(1, 6)).tolist() == [[180, 260]]
    assert near.spans(0, View(6, 1)).tolist() == [[180, 260]]


def test_targets_too_far_away_are_none():
    near = NearPairs(stored(line(6)), Nearness(targets=3, within_cm=15.0))
    assert len(near.spans(0, View(1, 2)))
    assert not len(near.spans(0, View(1, 3)))


@given(st.integers(5, 9), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=20)
def test_every_agent_has_its_nearest_target_in_view_at_every_time(animals, most, seed):
    rng = np.random.default_rng(seed)
    x_cm = rng.normal(0, 2, (150, animals)).cumsum(axis=0)
    near = NearPairs(stored(x_cm), Nearness(targets=most))

    for agent in range(1, animals + 1):
        away = np.abs(x_cm - x_cm[:, [agent - 1]])
        away[:, agent - 1] = np.inf
        for frame in range(0, 150, 2):
            target = int(away[frame].argmin()) + 1
            spans = near.spans(0, View(agent, target))
            assert any(start <= frame < stop for start, stop in spans)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), max_size=6),
    st.integers(0, 5),
)
def test_widened_spans_cover_what_they_did_and_do_not_meet(parts, margin):
    is_in = np.zeros(60, bool)
    for start, length in parts:
        is_in[start : start + length] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_in, [0]])))
    spans = edges.reshape(-1, 2)

    wide = widened(spans, margin, length=60)

    covered = np.zeros(60, bool)
    for start, stop in wide:
        covered[start:stop] = True
    expected = [is_in[max(0, t - margin) : t + margin + 1].any() for t in range(60)]
    assert covered.tolist() == expected
    assert all(a[1] < b[0] for a, b in pairwise(wide))


def test_labels_of_a_pair_count_while_it_is_near_and_in_its_bouts():
    watched = [Watched(a, b, "chase") for a in range(1, 7) for b in range(1, 7)]
    bout = Bout(300, 320, "chase", 1, 6)
    store = stored(line(6), [bout], watched=watched)
    task = PairTask.from_recordings(store.recordings)

    views = {
        labels.view: labels
        for labels in label_views(store, task, Nearness(targets=1)).views
    }

    assert views[View(1, 2)].counted_spans().tolist() == [[0, 400]]
    assert views[View(1, 6)].counted_spans().tolist() == [[280, 340]]
    assert len(views[View(3, 6)].counted_spans()) == 0


def test_without_labels_a_view_counts_while_its_animals_are_near():
    """In a line of six, each looks at its nearest two; a bout changes nothing."""
    watched = [Watched(a, b, "chase") for a in range(1, 7) for b in range(1, 7)]
    store = stored(line(6), [Bout(300, 320, "chase", 1, 6)], watched=watched)
    task = PairTask.from_recordings(store.recordings)

    near = views_without_labels(store, task, [0], Nearness(targets=1)).views

    spans = {each.view: each.counted_spans().tolist() for each in near}
    assert spans[View(1, 2)] == [[0, 400]]
    assert spans[View(1, 6)] == []
    assert all(not each.occurring() for each in near)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    task = PairTask(
        actions=("chase",),
        labs=("lab",),
        vocabulary={"lab": frozenset([("chase", False)])},
    )
    config = ModelConfig(
        fps=RATE, conv_channels=(4,), lstm_hidden=4, lstm_layers=1, sequence_length=20
    )
    return build_model(config, task).eval()


def test_frames_that_are_not_looked_at_have_probability_0(model):
    tracks = Tracks.of_stored(stored(line(6)), 0)

    found = view_probabilities(
        model, tracks, View(1, 2), "lab", spans=np.array([[100, 150]])
    )

    around = round(5 * RATE)
    assert (found[: 100 - around] == 0).all()
    assert (found[150 + around :] == 0).all()
    assert (found[100:150] > 0).all()


def test_looking_at_all_frames_is_looking_without_limits(model):
    tracks = Tracks.of_stored(stored(line(6)), 0)
    whole = view_probabilities(model, tracks, View(1, 2), "lab")
    same = view_probabilities(
        model, tracks, View(1, 2), "lab", spans=np.array([[0, 400]])
    )
    np.testing.assert_array_equal(same, whole)


def test_a_pair_that_is_never_near_was_predicted_to_do_nothing(model, tmp_path):
    """In a line of six, the two at the far end are not among the three nearest."""
    provenance = Provenance(
        epoch=1, step=1, trained_on=(), validated_on=(), validation={}
    )
    save_checkpoint(tmp_path / "model.safetensors", model, provenance)
    predictor = Predictor(load_checkpoint(tmp_path / "model.safetensors"))
    store = stored(line(6))

    _, columns = predictor.predict_recording(store, 0)
    never = predictor.never_near(store, 0)

    assert "mouse1,mouse6,chase" in never
    assert not set(never) & set(columns)
    place = probabilities_path(tmp_path / PROBABILITIES, "lab", "video")
    origin = Origin("key", "hash", 1, (), never)
    write_probabilities(place, columns, frames=400, origin=origin)
    assert read_origin(place) == origin
    about = PredictionProvenance(
        mabe="",
        model="",
        model_hash="hash",
        task="pair",
        actions=("chase",),
        rules={},
        rate_fps=RATE,
        variants=1,
        sources=(),
    )
    entries = read_predicted_entries(tmp_path, about, "lab", "video")
    assert len(entries) == 6 * 5
    assert Watched(1, 6, "chase") in entries


# Identities.


def crossing(frames=100, *, at=()):
    """Return two animals that pass each other 30 cm apart, exchanged from `at` on."""
    x = np.linspace(0, 100, frames)
    xy = np.stack(
        [
            np.stack([x, np.zeros(frames)], axis=-1),
            np.stack([x[::-1], np.full(frames, 30.0)], axis=-1),
        ],
        axis=1,
    )
    for frame in at:
        xy[frame:] = xy[frame:, ::-1]
    return xy


@pytest.mark.parametrize("at", [(), (40,), (20, 60, 80)])
def test_exchanges_are_found_where_they_are(at):
    found = exchanges(crossing(at=at), margin=4.0, longest_gap=15)
    assert found[0, 1].tolist() == list(at)


def test_an_exchange_behind_a_gap_is_found_at_its_end():
    xy = crossing(at=(50,))
    xy[45:55] = np.nan
    assert exchanges(xy, margin=4.0, longest_gap=15)[0, 1].tolist() == [55]
    assert not len(exchanges(xy, margin=4.0, longest_gap=5)[0, 1])


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_exchanging_twice_in_a_row_is_two_exchanges_of_any_walk(seed):
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, 0.1, (60, 2, 2)).cumsum(axis=0)
    walk[:, 1, 0] += 50
    walk[20:30] = walk[20:30, ::-1]
    found = exchanges(walk, margin=4.0, longest_gap=15)
    assert found[0, 1].tolist() == [20, 30]
