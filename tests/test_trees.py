"""Trees on a story that anybody can tell: two animals are together, or apart."""

from dataclasses import replace

import numpy as np
import pytest

from mabe.errors import ConfigError, DataError, RunError
from mabe.features.rolling import RollingConfig
from mabe.skeleton import KEYPOINTS
from mabe.trees import (
    LabelledPoses,
    TreesConfig,
    TreesView,
    learn_trees,
    load_trees,
    save_trees,
)

RATE = 20.0
CLASSES = ("apart", "together")
BODY_CM = {"nose": 4.0, "body_center": 0.0, "tail_base": -4.0}
VIEW = TreesView(
    rate_fps=RATE,
    max_gap_s=0.5,
    directed=False,
    rolling=RollingConfig(mean_s=(1.0,), deviation_s=(), extreme_s=(), side_s=()),
)
SMALL = TreesConfig(rounds=20, min_rows_in_leaf=5, feature_share=1.0, threads=1)


def recording(seed, frames=1001):
    """Blocks of 4 s in turn: 5 cm apart, or 30 cm; a fifth of the points missing."""
    rng = np.random.default_rng(seed)
    together = (np.arange(frames) // int(4 * RATE) + seed) % 2 == 1
    poses = np.full((frames, 4, len(KEYPOINTS), 2), np.nan, np.float32)
    for animal in (0, 1):
        for name, ahead in BODY_CM.items():
            of_point = poses[:, animal, KEYPOINTS.index(name)]
            of_point[:, 0] = ahead
            of_point[:, 1] = animal * np.where(together, 5, 30)
    poses += rng.normal(0, 0.3, poses.shape).astype(np.float32)
    poses[rng.random(poses.shape[:3]) < 0.2] = np.nan
    return LabelledPoses(poses, together.astype(np.int8))


def learn(recordings, **changes):
    return learn_trees(
        recordings,
        **{
            "view": VIEW,
            "classes": CLASSES,
            "class_weights": (1.0, 1.0),
            "counted_frames": sum(len(each.labels) for each in recordings),
            "config": SMALL,
            **changes,
        },
    )


@pytest.fixture(scope="module")
def trees():
    return learn([recording(seed) for seed in range(4)])


def test_what_was_learned_is_found_in_a_new_recording(trees):
    new = recording(7)

    found = trees.probabilities(new.poses, threads=1)

    assert found.shape == (1001, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found.argmax(axis=1) == new.labels).mean() > 0.97


def test_what_is_said_of_a_block_holds_for_its_frames(trees):
    found = trees.probabilities(recording(7).poses, threads=1)

    assert VIEW.block_frames == 2
    np.testing.assert_array_equal(found[0:1000:2], found[1:1000:2])


def test_the_distance_is_what_tells(trees):
    most_useful = next(iter(trees.importance()))

    assert "distance" in most_useful or "gap" in most_useful or "aside" in most_useful


def test_saved_and_loaded_trees_say_the_same(trees, tmp_path):
    path = tmp_path / "trees.txt"
    poses = recording(8).poses

    save_trees(trees, path)
    again = load_trees(path)

    assert again.view == trees.view
    assert again.classes == CLASSES
    np.testing.assert_array_equal(
        again.probabilities(poses, threads=1), trees.probabilities(poses, threads=1)
    )


def test_the_same_recordings_make_the_same_trees(trees):
    again = learn([recording(seed) for seed in range(4)])

    assert again.booster.model_to_string() == trees.booster.model_to_string()


def test_frames_that_do_not_count_teach_nothing():
    wrong = recording(3)
    hidden = replace(wrong, labels=np.full_like(wrong.labels, -1))

    with_hidden = learn([recording(0), recording(1), hidden], counted_frames=2002)
    without = learn([recording(0), recording(1)])

    expected = without.booster.model_to_string()
    assert with_hidden.booster.model_to_string() == expected


def test_no_more_rows_are_kept_than_allowed():
    few = replace(SMALL, max_rows=100)

    trees = learn([recording(seed) for seed in range(4)], config=few)

    root = trees.booster.dump_model()["tree_info"][0]["tree_structure"]
    assert 0 < root["internal_count"] <= 100 * SMALL.row_share + 4


def test_a_heavy_class_is_found_more_often():
    recordings = [recording(seed) for seed in range(2)]
    confused = [replace(each, labels=np.roll(each.labels, 20)) for each in recordings]
    poses = recording(5).poses

    even = learn(confused).probabilities(poses)[:, 1].mean()
    heavy = learn(confused, class_weights=(1.0, 5.0)).probabilities(poses)[:, 1].mean()

    assert heavy > even + 0.01


def test_one_class_alone_teaches_nothing_and_is_refused():
    together = recording(0)
    together = replace(together, labels=np.ones_like(together.labels))

    with pytest.raises(DataError, match="at least two classes"):
        learn([together])


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "trees.txt"
    for text in ("tree\nversion=v4", "[]\n", "\xff"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RunError, match=r"trees\.txt: not a file of trees"):
            load_trees(path)
    with pytest.raises(RunError, match=r"absent\.txt"):
        load_trees(tmp_path / "absent.txt")


def test_a_file_cut_off_is_refused(trees, tmp_path):
    path = tmp_path / "trees.txt"
    save_trees(trees, path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2], encoding="utf-8")

    with pytest.raises(RunError, match="cut off or damaged"):
        load_trees(path)


def test_trees_for_other_features_are_refused(trees, tmp_path):
    path = tmp_path / "trees.txt"
    save_trees(trees, path)
    text = path.read_text(encoding="utf-8").replace('"gap_cm"', '"gap_inches"', 1)
    path.write_text(text, encoding="utf-8")

    with pytest.raises(RunError, match="other features"):
        load_trees(path)


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"leaves": 1}, {"learning_rate": 0.0}, {"row_share": 1.5}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TreesConfig(**wrong)
