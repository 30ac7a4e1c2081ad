"""Identities that a tracker exchanged are put back, and no others."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.cli.main import main
from mabe.io.readers.poses import Poses
from mabe.io.repair_identities import repair_identities

FPS = 25.0
BODY = np.array([(3.0, 0.0), (0.0, 0.0), (-3.0, 0.0)])


def walk(animals=3, frames=300, seed=0, sizes=None):
    """Return animals that walk slowly, 20 cm apart, in cm; each of three points."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.08, (frames, animals, 2))
    centre = steps.cumsum(axis=0)
    centre[:, :, 0] += 20 * np.arange(animals)
    body = BODY[None] * np.array(sizes or [1.0] * animals)[:, None, None]
    return centre[:, :, None] + body


def repaired(xy_cm, scale=10.0):
    poses = Poses(xy_cm * scale, keypoints=("nose", "body_center", "tail_base"))
    found, exchanges = repair_identities(poses, fps=FPS, pixels_per_cm=scale)
    return found.xy_px / scale, exchanges


def exchange(xy, start, stop, animals=(0, 1)):
    """Exchange two animals' tracks in place."""
    one, other = animals
    xy[start:stop, [one, other]] = xy[start:stop, [other, one]]


def test_where_nothing_is_exchanged_nothing_is_changed():
    xy = walk()
    xy[100:110, 1] = np.nan  # lost, and found where it would be
    found, exchanges = repaired(xy)
    assert exchanges == ()
    np.testing.assert_allclose(found, xy)


@given(st.integers(0, 99), st.integers(1, 298), st.integers(1, 200))
@settings(max_examples=15, deadline=None)
def test_an_exchange_is_put_back_whenever_it_begins_and_ends(seed, start, length):
    true = walk(seed=seed)
    xy = true.copy()
    exchange(xy, start, start + length, animals=(2, 1))
    found, exchanges = repaired(xy)
    np.testing.assert_allclose(found, true)
    assert [each.frame for each in exchanges] == [
        frame for frame in (start, start + length) if frame < 300
    ]
    assert exchanges[0].animals == ("animal2", "animal3")
    assert exchanges[0].tracks == ("animal3", "animal2")


def test_three_that_change_places_at_once_are_put_back():
    true = walk()
    xy = true.copy()
    xy[150:] = true[150:][:, [1, 2, 0]]
    found, [one] = repaired(xy)
    np.testing.assert_allclose(found, true)
    assert sorted(one.animals) == ["animal1", "animal2", "animal3"]


def test_an_animal_found_again_under_a_new_name_goes_on():
    """The tracker has four tracks for three animals; the fourth begins with a gap."""
    true = walk()
    xy = np.concatenate([true, np.full_like(true[:, :1], np.nan)], axis=1)
    xy[100:105, 2] = np.nan
    xy[105:, 3] = xy[105:, 2]
    xy[105:, 2] = np.nan
    found, [one] = repaired(xy)
    assert one.frame == 105
    np.testing.assert_allclose(found[105:, :3], true[105:])
    assert np.isnan(found[:, 3]).all()


def test_bodies_of_different_size_are_told_apart_where_they_meet():
    """Both are lost at one place and found there again, each as the other."""
    true = walk(2, sizes=[2.5, 0.4])
    true[:, 1] += true[:, :1, 1] - true[:, 1, None, 1] + np.array([0.5, 0.0])
    xy = true.copy()
    xy[150:152] = np.nan
    exchange(xy, 152, 300)
    found, exchanges = repaired(xy)
    assert [each.frame for each in exchanges] == [152]
    np.testing.assert_allclose(found[152:], true[152:])


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_short_and_empty_recordings_stay_as_they_are(frames):
    found, exchanges = repaired(walk(frames=frames))
    assert (len(found), exchanges) == (frames, ())


def test_one_animal_and_animals_never_tracked_stay_as_they_are():
    alone = walk(1)
    alone[50:, 0] += 30  # a jump, with nobody to exchange it with
    assert repaired(alone)[1] == ()
    never = np.full_like(walk(), np.nan)
    assert repaired(never)[1] == ()


def test_frames_are_those_of_the_recording_and_confidences_go_along():
    true = walk(2)
    xy = true.copy()
    exchange(xy, 100, 300)
    sure = np.broadcast_to(np.array([0.9, 0.5])[:, None], xy.shape[:3]).copy()
    sure[100:] = sure[100:, ::-1]
    poses = Poses(xy, keypoints=("a", "b", "c"), confidence=sure, first_frame=1000)
    found, [one] = repair_identities(poses, fps=FPS, pixels_per_cm=1.0)
    assert one.frame == 1100
    np.testing.assert_allclose(found.confidence[:, 0], 0.9)
    np.testing.assert_array_equal(poses.xy_px, xy)  # not in place


def write_tracks(folder, xy_px):
    """Write a table of tracks of the mice Анна and Ben."""
    frame, animal, keypoint = (
        place.ravel() for place in np.indices(xy_px.shape[:3], np.int32)
    )
    folder.mkdir()
    pl.DataFrame(
        {
            "frame": frame,
            "individual": np.array(["Анна", "Ben"])[animal],
            "keypoint": np.array(["nose", "body_center", "tail_base"])[keypoint],
            "x": xy_px[..., 0].ravel(),
            "y": xy_px[..., 1].ravel(),
        }
    ).write_csv(folder / "day1.csv")


def test_import_repairs_identities_only_where_it_is_asked_to(tmp_path, capsys):
    true = 10 * walk(2) + 300
    xy = true.copy()
    exchange(xy, 150, 300)
    write_tracks(tmp_path / "tracks", xy)
    words = ["import", str(tmp_path / "tracks"), "--fps", "25", "--pixels-per-cm", "10"]
    out = tmp_path / "data"

    assert main([*words, "--out", str(out), "--repair-identities"]) == 0
    told = capsys.readouterr().out
    assert "identities were put back 1 time" in told
    assert f"Identities put back: 1 time; {out / 'identities.csv'} lists them" in told
    table = pl.read_csv(out / "identities.csv")
    assert table.drop("nearer_cm").rows() == [
        ("day1", 150, "Ben", "Анна"),
        ("day1", 150, "Анна", "Ben"),
    ]
    assert (table["nearer_cm"] > 30).all()
    assert "repair_identities: true" in (out / "project.yaml").read_text("utf-8")
    # Ben is the first of both.
    [written] = (out / "train_tracking").glob("*/day1.parquet")
    nose = pl.read_parquet(written).filter(bodypart="nose", mouse_id=2)
    np.testing.assert_allclose(nose["x"], true[:, 0, 0, 0], atol=1e-3)

    assert main([*words, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "identities look exchanged about 1 time" in told
    assert not (out / "identities.csv").exists()
    nose = pl.read_parquet(written).filter(bodypart="nose", mouse_id=2)
    np.testing.assert_allclose(nose["x"], xy[:, 0, 0, 0], atol=1e-3)
