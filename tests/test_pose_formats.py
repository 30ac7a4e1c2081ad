"""One story of two animals, told in every format, is read as one."""

import json
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from format_files import (
    ANIMALS,
    CONFIDENCE,
    KEYPOINTS,
    LENGTH,
    story,
    with_z,
    write_dlc_csv,
    write_long,
    write_movement,
    write_nwb,
    write_simba,
    write_sleap,
)

from mabe.errors import DataError
from mabe.io.confidence import drop_unsure
from mabe.io.project import Project
from mabe.io.readers.annotations import Event
from mabe.io.readers.formats import read_file
from mabe.io.readers.poses import Poses, pick_animals
from mabe.io.standardize import standardize, to_recording


def read(path):
    [poses] = read_file(path).poses
    return poses


def assert_is_story(poses, animals=ANIMALS):
    assert sorted(poses.animals) == sorted(animals)
    parts = [poses.keypoints.index(name) for name in KEYPOINTS]
    who = [poses.animals.index(name) for name in animals]
    np.testing.assert_array_equal(poses.xy_px[:, who][:, :, parts], story())


def test_deeplabcut_csv(tmp_path):
    assert_is_story(read(write_dlc_csv(tmp_path / "x.csv")))


def test_columns_in_any_order(tmp_path):
    order = np.random.default_rng(1).permutation(18)
    assert_is_story(read(write_dlc_csv(tmp_path / "x.csv", order=order)))


def test_semicolons_and_decimal_commas(tmp_path):
    assert_is_story(read(write_dlc_csv(tmp_path / "x.csv", separator=";")))


def test_frames_in_any_order_with_gaps_and_twice(tmp_path):
    frames, rows = [5, 3, 3, 8], story()[[0, 1, 2, 3]]
    poses = read(write_dlc_csv(tmp_path / "x.csv", frames=frames, xy=rows))

    assert (poses.first_frame, poses.length) == (3, 9)
    np.testing.assert_array_equal(poses.xy_px[0], rows[2])  # the last row of frame 3
    assert np.isnan(poses.xy_px[1]).all()
    assert any("given twice: 1" in note for note in poses.notes)
    assert any("without a row: 3" in note for note in poses.notes)


@pytest.mark.parametrize("order", ["matlab", "standard", "untransposed"])
@pytest.mark.parametrize("dims", [True, False])
def test_sleap_analysis_in_every_order(tmp_path, order, dims):
    assert_is_story(read(write_sleap(tmp_path / "x", order=order, dims=dims)))


def test_what_sleap_io_writes(tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    labels = sleap_io.Labels.from_numpy(
        story(),
        videos=[sleap_io.Video("v.mp4", open_backend=False)],
        skeletons=[sleap_io.Skeleton(list(KEYPOINTS))],
        tracks=[sleap_io.Track(name) for name in ANIMALS],
    )
    for preset in ("matlab", "standard"):
        path = tmp_path / f"{preset}.h5"
        sleap_io.save_analysis_h5(labels, str(path), preset=preset)
        assert_is_story(read(path))
    project = tmp_path / "project"
    sleap_io.save_slp(labels, str(project))
    assert_is_story(read(project))


@pytest.mark.parametrize("singular", [True, False])
@pytest.mark.parametrize("fps", [25.0, None])
def test_movement_in_both_spellings(tmp_path, singular, fps):
    poses = read(write_movement(tmp_path / "x", singular=singular, fps=fps))

    assert_is_story(poses)
    assert poses.fps == fps
    np.testing.assert_array_equal(poses.confidence, CONFIDENCE)


@pytest.mark.parametrize(
    "write", [write_dlc_csv, write_movement, write_nwb, write_long]
)
def test_three_dimensions_are_read_beside_x_and_y(tmp_path, write):
    poses = read(write(tmp_path / "x.csv", xy=with_z(story())))

    assert_is_story(poses)
    np.testing.assert_array_equal(poses.z_px, poses.xy_px[..., 0] + 0.25)


@pytest.mark.parametrize("rate", [25.0, None])
def test_nwb_of_two_animals(tmp_path, rate):
    poses = read(write_nwb(tmp_path / "x", rate=rate))

    assert_is_story(poses)
    assert poses.fps == pytest.approx(25)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_long_tables(tmp_path, separator):
    assert_is_story(read(write_long(tmp_path / "x", separator=separator)))


def test_long_parquet_as_the_challenge_names_its_columns(tmp_path):
    table = pl.read_csv(write_long(tmp_path / "x.csv"))
    names = {"frame": "video_frame", "individual": "mouse_id", "keypoint": "bodypart"}
    table.rename(names).write_parquet(tmp_path / "x")

    assert_is_story(read(tmp_path / "x"))


def test_simba_points_and_targets(tmp_path):
    path = write_simba(tmp_path / "x", {"attack": [0, 1, 1, 0, 0, 1], "rest": [0] * 6})
    content = read_file(path)

    assert_is_story(content.poses[0], ("animal1", "animal2"))
    [annotations] = content.annotations
    assert annotations.events == (Event(1, 3, "attack"), Event(5, 6, "attack"))
    assert annotations.behaviours == ("attack", "rest")


def test_simba_poses_as_imported_with_two_rows_above_their_names(tmp_path):
    text = write_simba(tmp_path / "x").read_text()
    above = ",IMPORTED_POSE" * text.splitlines()[0].count(",")
    (tmp_path / "x").write_text(f"scorer{above}\nbodyparts{above}\ncoords{text}")

    assert_is_story(read(tmp_path / "x"), ("animal1", "animal2"))


def test_keypoints_of_no_animal_are_left_out(tmp_path):
    path = write_dlc_csv(tmp_path / "x")
    scorer, animals, parts, coords, *rows = path.read_text().splitlines()
    lines = [
        *(f"{scorer},DLC_net,DLC_net,DLC_net", f"{animals},single,single,single"),
        *(f"{parts},corner,corner,corner", f"{coords},x,y,likelihood"),
        *(f"{row},1,2,1" for row in rows),
    ]
    path.write_text("\n".join(lines) + "\n")

    assert_is_story(read(path))
    assert read(path).notes == ("keypoints of no animal left out: corner",)


def jabs(path, *, ids, points, confidence, **extra):
    with h5py.File(path, "w") as file:
        pose = file.create_group("poseest")
        pose["points"] = np.asarray(points, np.uint16)
        pose["confidence"] = np.asarray(confidence, np.float32)
        if ids is not None:
            pose["instance_embed_id"] = np.asarray(ids, np.uint32)
        for name, values in extra.items():
            pose[name] = np.asarray(values)
    return path


def test_jabs_sorts_instances_by_identity_and_turns_y_x_around(tmp_path):
    points = np.zeros((1, 2, 12, 2))
    points[0, 0] = [20, 10]  # y, x
    points[0, 1] = [40, 30]
    path = jabs(
        tmp_path / "x", ids=[[2, 1]], points=points, confidence=np.ones((1, 2, 12)) * 3
    )
    poses = read(path)

    assert poses.animals == ("mouse1", "mouse2")
    assert poses.xy_px[0, :, 0].tolist() == [[30, 40], [10, 20]]


def test_jabs_of_one_animal_has_no_axis_for_animals(tmp_path):
    path = jabs(
        tmp_path / "x",
        ids=None,
        points=np.ones((4, 12, 2)),
        confidence=np.ones((4, 12)),
    )
    assert read(path).xy_px.shape == (4, 1, 12, 2)


def calms21(length=5):
    keypoints = np.arange(length * 2 * 2 * 7, dtype=float).reshape(length, 2, 2, 7)
    return {
        "annotator-id_0": {
            "task1/train/mouse001_task1_annotator1": {
                "keypoints": keypoints,
                "scores": np.ones((length, 2, 7)),
                "annotations": np.array([3, 0, 0, 3, 2][:length]),
                "metadata": {
                    "fps": 30.0,
                    "vocab": {"attack": 0, "investigation": 1, "mount": 2, "other": 3},
                },
            }
        }
    }


def plain(value):
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("kind", ["json", "npy"])
def test_calms21_as_json_and_as_npy_whose_pickle_is_never_run(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "json":
        path.write_text(json.dumps(plain(calms21())))
    else:
        with path.open("wb") as file:
            np.save(file, calms21(), allow_pickle=True)
    content = read_file(path)

    [poses], [annotations] = content.poses, content.annotations
    data = calms21()["annotator-id_0"]["task1/train/mouse001_task1_annotator1"]
    assert poses.name == "mouse001_task1_annotator1"
    np.testing.assert_array_equal(poses.xy_px[:, 1, 2], data["keypoints"][:, 1, :, 2])
    assert annotations.events == (
        Event(1, 3, "attack", "resident", "intruder"),
        Event(4, 5, "mount", "resident", "intruder"),
    )
    assert annotations.behaviours == ("attack", "investigation", "mount")


@pytest.mark.parametrize("protocol", range(6))
def test_mabe22_npy_of_every_pickle_protocol(tmp_path, protocol):
    data = {
        "sequences": {
            "ABC": {
                "keypoints": np.arange(4 * 3 * 12 * 2).reshape(4, 3, 12, 2),
                "annotations": np.array([[0, 1, 1, 0]]),
            }
        },
        "vocabulary": ["chases"],
    }
    array = np.array(data, dtype=object)
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    with (tmp_path / "x").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(array, file, protocol=protocol)
    content = read_file(tmp_path / "x")

    np.testing.assert_array_equal(
        content.poses[0].xy_px, data["sequences"]["ABC"]["keypoints"]
    )
    assert content.annotations[0].events == (Event(1, 3, "chases"),)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path):
    trace = tmp_path / "trace"
    with (tmp_path / "x").open("wb") as file:
        np.save(file, {"keypoints": Evil(str(trace))}, allow_pickle=True)

    with pytest.raises(DataError, match=r"io.open.*it is not run"):
        read_file(tmp_path / "x")
    assert not trace.exists()


def poses(xy, confidence=None, **about):
    shape = np.shape(xy)
    return Poses(
        name="r",
        animals=tuple(f"m{at}" for at in range(shape[1])),
        keypoints=tuple(KEYPOINTS[: shape[2]]),
        xy_px=np.asarray(xy, np.float32),
        confidence=None if confidence is None else np.asarray(confidence, np.float32),
        **about,
    )


def test_what_is_unsure_or_at_the_origin_is_missing():
    xy = [[[[1, 1], [0, 0], [2, 2]]], [[[3, 3], [0, 4], [5, 5]]]]
    sure = [[[0.9, 0.9, 0.5]], [[0.61, 0.9, 0.59]]]
    kept = drop_unsure(poses(xy, sure, usual_confidence=0.6))

    assert kept.present.tolist() == [[[True, False, False]], [[True, True, False]]]
    everything = drop_unsure(poses(xy, sure, usual_confidence=0.6), 0.0)
    assert everything.present.sum() == 5


def test_the_most_tracked_animals_stay_where_there_are_too_many():
    xy = np.ones((3, 6, 1, 2), np.float32)
    xy[1:, 1] = np.nan
    xy[2:, 4] = np.nan

    assert pick_animals(poses(xy), 4).animals == ("m0", "m2", "m3", "m5")
    assert pick_animals(poses(xy), 4, ("m4", "m0")).animals == ("m4", "m0")
    with pytest.raises(DataError, match="has no animals"):
        pick_animals(poses(xy), 4, ("nobody",))


def test_a_standard_recording_keeps_the_frame_numbers_of_the_video():
    xy = np.ones((2, 1, 3, 2), np.float32)
    xy[..., 2, :] = 91
    standard = standardize(poses(xy, first_frame=100, fps=20.0), Project())
    recording = to_recording(standard, Path("x"), lab="lab")

    assert recording.length == 102
    assert np.isnan(recording.xy_px[:100]).all()
    assert recording.xy_px[100, 0].tolist() == [1, 1]


def test_the_scale_is_estimated_from_the_body_where_none_is_known():
    xy = np.zeros((2, 1, 3, 2), np.float32) + 1
    xy[..., 2, 0] = 91  # nose to tail base: 90 px
    standard = standardize(poses(xy, fps=20.0), Project())

    assert standard.pixels_per_cm == pytest.approx(10)
    assert any("10 estimated" in note for note in standard.poses.notes)
    told = standardize(poses(xy, fps=20.0), Project(pixels_per_cm=5))
    assert told.pixels_per_cm == 5


def test_a_rate_that_is_nowhere_is_asked_for():
    with pytest.raises(DataError, match="--fps"):
        standardize(poses(np.ones((2, 1, 3, 2))), Project(pixels_per_cm=1))


def test_length_is_what_was_written():
    assert story().shape == (LENGTH, 2, 3, 2)


@pytest.mark.parametrize("mark", ["", "NaN", "NA", "-"])
def test_the_usual_marks_are_missing_points_of_a_long_table(tmp_path, mark):
    path = tmp_path / "t.csv"
    path.write_text(
        f"frame,individual,keypoint,x,y\n0,a,nose,1,2\n1,a,nose,{mark},{mark}\n",
        encoding="utf-8",
    )
    [poses] = read_file(path).poses
    assert poses.present[:, 0, 0].tolist() == [True, False]


@pytest.mark.parametrize("word", ["lost", "1.2.3", "12 px"])
def test_a_word_where_a_long_table_needs_a_number_is_no_missing_point(tmp_path, word):
    path = tmp_path / "t.csv"
    path.write_text(
        f"frame,individual,keypoint,x,y\n0,a,nose,1,2\n1,a,nose,{word},2\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=f"column 'x', found '{re.escape(word)}'"):
        read_file(path)
