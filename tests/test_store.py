"""The pose store: the same poses back, and the same bytes whatever interrupts."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kaggle_files import write_index, write_labels, write_tracking

from mabe.bouts import Bout, Watched
from mabe.data import joined_poses, poses_file, store_index
from mabe.data import prepare as preparing
from mabe.data import prepare_parts as parts
from mabe.data.poses_in_cm import MISSING, REACH_CM, STEP_CM, quantize_poses, to_cm
from mabe.data.prepare import default_store_path, prepare
from mabe.data.store import from_recording, open_store
from mabe.errors import ConfigError, DataError, StopRequested
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.runtime.executors import Processes, Threads
from mabe.skeleton import KEYPOINTS

NOSE, TAIL_BASE = KEYPOINTS.index("nose"), KEYPOINTS.index("tail_base")
FPS = 30.0
DATA = Path(os.environ.get("MABE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def data(tmp_path):
    """Three videos at 30 fps, 10 px/cm: a walk, a lone point at rest, and noise."""
    folder = tmp_path / "data"
    write_index(folder, {"video_id": "2"}, {}, {"lab_id": "Other", "video_id": "3"})
    # Video 1: mouse 1's nose goes 1 cm a frame along x; mouse 2 is seen at its end.
    walk = [(frame, 1, "nose", 10 * frame, 50) for frame in range(11)]
    write_tracking(folder, [*walk, (10, 2, "tail_base", 20, 10)], video="1")
    write_labels(folder, [(1, 2, "sniff", 2, 5), (1, 1, "rear", 0, 9)], video="1")
    write_tracking(folder, [(0, 1, "nose", 3, 3)], video="2")
    rng = np.random.default_rng(0)
    noise = [(frame, 1, "nose", *rng.normal(size=2)) for frame in range(40)]
    write_tracking(folder, noise, lab="Other", video="3")
    return folder


def build(data, out, **options):
    return prepare(
        data, out, **{"rate_fps": FPS, "workers": 1, "progress": False} | options
    )


def contents(folder):
    """Every file of a folder with its bytes, but for the empty lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_recordings_come_in_order_with_poses_in_cm_around_their_middle(data, tmp_path):
    made = build(data, tmp_path / "store")

    assert [each.name for each in made.recordings] == ["Lab/1", "Lab/2", "Other/3"]
    walk = made.recordings[0]
    assert walk.slots == (NOSE, len(KEYPOINTS) + TAIL_BASE)
    assert walk.origin_cm == (5, 3)  # x from 0 to 10 cm, y from 1 to 5 cm
    poses = made.poses_cm(0, 9, 11)
    np.testing.assert_allclose(poses[:, 0, NOSE], [[4, 2], [5, 2]], atol=STEP_CM / 2)
    np.testing.assert_allclose(poses[1, 1, TAIL_BASE], [-3, -2], atol=STEP_CM / 2)
    assert np.isnan(poses[0, 1]).all()
    assert np.isnan(poses[:, 2:]).all()
    assert walk.missing_share == 10 / 22


def test_labels_and_what_was_watched_come_back_as_they_were(data, tmp_path):
    build(data, tmp_path / "store")

    walk, rest, _ = open_store(tmp_path / "store").recordings

    assert walk.bouts == (Bout(0, 9, "rear", 1, 1), Bout(2, 5, "sniff", 1, 2))
    assert walk.watched == (Watched(1, 1, "rear"), Watched(1, 2, "sniff"))
    assert rest.bouts == ()
    assert (walk.native_length, walk.length, walk.fps) == (11, 11, 30)


def test_poses_are_at_the_working_rate_and_labels_stay_at_their_own(data, tmp_path):
    made = build(data, tmp_path / "store", rate_fps=60)

    walk = made.recordings[0]
    assert (walk.native_length, walk.length) == (11, 21)
    assert walk.bouts[0] == Bout(0, 9, "rear", 1, 1)
    x_cm = made.poses_cm(0, 0, 21)[:, 0, NOSE, 0]
    np.testing.assert_allclose(np.diff(x_cm), 0.5, atol=1e-6)


def test_one_recording_alone_has_the_very_poses_of_the_store(data, tmp_path):
    made = build(data, tmp_path / "store", rate_fps=33.3)

    for index, stored in enumerate(made.recordings):
        info = next(each for each in read_index(data) if each.name == stored.name)
        alone = from_recording(read_recording(info), 33.3)

        assert alone.poses_path is None
        np.testing.assert_array_equal(alone.quantized(0), made.quantized(index))
        kept = {"offset": 0, "content_hash": ""}
        assert alone.recordings[0] == replace(stored, **kept)


def test_frames_outside_a_recording_are_refused(data, tmp_path):
    made = build(data, tmp_path / "store")

    with pytest.raises(ValueError, match="Lab/1: frames 5 to 12 requested, it has 11"):
        made.poses_cm(0, 5, 12)


def test_a_store_sent_to_a_process_opens_its_own_map(data, tmp_path):
    made = build(data, tmp_path / "store")
    before = made.poses_cm(2, 0, 40)

    sent = pickle.dumps(made)

    assert b"memmap" not in sent
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        there = executor.submit(made.poses_cm, 2, 0, 40).result()
    np.testing.assert_array_equal(there, before)


def test_a_fresh_map_now_and_then_reads_the_same(data, tmp_path, monkeypatch):
    made = build(data, tmp_path / "store")
    before = made.poses_cm(2, 0, 40)

    monkeypatch.setattr(poses_file, "_MOST_TOUCHED_BYTES", 0)

    for _ in range(3):
        np.testing.assert_array_equal(made.poses_cm(2, 0, 40), before)


@given(
    st.lists(st.floats(-160, 160, width=32) | st.just(np.nan), min_size=1, max_size=20)
)
def test_steps_lose_no_more_than_half_a_step(x_cm):
    xy = np.array(x_cm, np.float32)[:, None, None].repeat(2, axis=2)

    steps = quantize_poses(xy, pixels_per_cm=1, from_fps=30, to_fps=30)

    back = to_cm(steps.values) + np.array(steps.origin_cm, np.float32)
    np.testing.assert_allclose(back, xy, atol=STEP_CM / 2 + 1e-4)


def test_a_lost_point_far_away_is_missing_and_moves_nothing_else():
    xy = np.full((100, 1, 2), 50, np.float32)
    xy[7] = 1e6

    steps = quantize_poses(xy, pixels_per_cm=1, from_fps=30, to_fps=30)

    assert steps.out_of_reach == 1
    assert steps.origin_cm == (50, 50)
    cm = to_cm(steps.values)
    assert np.isnan(cm[7]).all()
    assert (np.delete(cm, 7, axis=0) == 0).all()


def test_a_point_with_one_coordinate_alone_is_missing():
    xy_px = np.ones((4, 2, 2), np.float32)
    xy_px[1, 0, 0] = np.nan

    poses = quantize_poses(xy_px, pixels_per_cm=1, from_fps=30, to_fps=30)

    assert (poses.values[1, 0] == MISSING).all()
    assert (poses.values == MISSING).sum() == 2
    assert (poses.missing_share, poses.out_of_reach) == (1 / 8, 0)


def test_an_arena_twice_the_reach_wide_still_fits():
    corners = np.array([[0, 0], [2 * REACH_CM - 0.1] * 2], np.float32)[:, None]

    steps = quantize_poses(corners, pixels_per_cm=1, from_fps=30, to_fps=30)

    assert steps.out_of_reach == 0


@pytest.mark.parametrize("several", [{"workers": 2}, {"executor": Processes(2)}])
def test_several_threads_or_processes_make_the_same_bytes(data, tmp_path, several):
    build(data, tmp_path / "one")
    build(data, tmp_path / "two", **several)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_few_workers_are_threads_and_many_with_much_work_are_processes(data, tmp_path):
    path = tmp_path / "t.parquet"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    info = read_index(data)[0]
    task = parts.PartTask(replace(info, tracking_path=path), None)
    assert parts.usual_executor([task] * 3, 8) == Threads(3)
    assert parts.usual_executor([task] * 9, 2) == Threads(2)
    assert parts.usual_executor([task] * 9, 8) == Processes(8)
    path.write_bytes(b"")
    assert parts.usual_executor([task] * 9, 8) == Threads(1)


def test_a_finished_store_is_returned_without_reading_or_writing(
    data, tmp_path, monkeypatch
):
    build(data, tmp_path / "store")
    monkeypatch.setattr(preparing, "make_parts", None)
    monkeypatch.setattr(preparing, "write_text", None)

    again = build(data, tmp_path / "store")

    assert len(again.recordings) == 3


def test_files_with_new_times_but_old_contents_are_not_read_again(
    data, tmp_path, monkeypatch
):
    build(data, tmp_path / "store")
    before = contents(tmp_path / "store")
    for path in data.rglob("*.parquet"):
        os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr(parts, "read_recording", None)

    build(data, tmp_path / "store")

    after = contents(tmp_path / "store")
    assert before.pop("sources.json") != after.pop("sources.json")
    assert after == before


@pytest.mark.parametrize("change", ["points", "labels", "scale", "rate", "new", "gone"])
def test_any_change_of_the_data_gives_the_store_of_a_fresh_start(
    data, tmp_path, change
):
    build(data, tmp_path / "store")
    rate_fps = 25.0 if change == "rate" else FPS
    rows = [{"video_id": "2"}, {}, {"lab_id": "Other", "video_id": "3"}]
    if change == "points":
        write_tracking(data, [(0, 1, "nose", 9, 9)], video="2")
    elif change == "labels":
        write_labels(data, [(1, 2, "sniff", 0, 1)], video="2")
    elif change == "scale":
        write_index(data, *rows[:2], rows[2] | {"pix_per_cm_approx": "20"})
    elif change == "new":
        write_index(data, *rows, {"lab_id": "A", "video_id": "0"})
        write_tracking(data, [(0, 1, "nose", 9, 9)], lab="A", video="0")
    elif change == "gone":
        write_index(data, *rows[1:])

    build(data, tmp_path / "store", rate_fps=rate_fps)

    build(data, tmp_path / "fresh", rate_fps=rate_fps)
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_only_the_recording_that_changed_is_read_again(data, tmp_path, monkeypatch):
    build(data, tmp_path / "store")
    write_tracking(data, [(0, 1, "nose", 9, 9)], video="2")
    read = []
    monkeypatch.setattr(
        parts, "read_recording", lambda info: read.append(info) or read_recording(info)
    )

    build(data, tmp_path / "store")

    assert [info.name for info in read] == ["Lab/2"]


@pytest.mark.parametrize("step", ["_write_part", "copy_part_poses", "write_index"])
def test_a_run_that_broke_off_is_taken_up_to_the_same_bytes(
    data, tmp_path, monkeypatch, step
):
    build(data, tmp_path / "whole")
    modules = {"_write_part": parts, "copy_part_poses": joined_poses}
    module = modules.get(step, preparing)
    real, calls = getattr(module, step), []

    def break_off(*args, **options):
        calls.append(args)
        if len(calls) == 2 or step == "write_index":
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as broken:
        broken.setattr(module, step, break_off)
        with pytest.raises((KeyboardInterrupt, StopRequested)):
            build(data, tmp_path / "store")

    with pytest.raises(DataError, match="no pose store here"):
        open_store(tmp_path / "store")
    build(data, tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_part_that_a_power_cut_spoilt_is_made_again(data, tmp_path, monkeypatch):
    build(data, tmp_path / "whole")
    with monkeypatch.context() as broken:
        broken.setattr(preparing, "write_index", None)
        with pytest.raises(TypeError):
            build(data, tmp_path / "store")
    for part in (tmp_path / "store" / "parts").glob("*.part"):
        part.write_bytes(part.read_bytes()[:-1] + b"x")
    for poses in (tmp_path / "store").glob("poses-*"):
        poses.unlink()

    build(data, tmp_path / "store")

    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_what_stopped_runs_left_is_cleared_away(data, tmp_path):
    build(data, tmp_path / "store")
    before = contents(tmp_path / "store")
    (tmp_path / "store" / "parts").mkdir()
    for name in (
        "parts/abc.part",
        "parts/abc.7.tmp",
        "poses-old.i16",
        ".poses-x.1.tmp",
    ):
        (tmp_path / "store" / name).write_bytes(b"left")

    build(data, tmp_path / "store")

    assert contents(tmp_path / "store") == before


def test_two_processes_at_once_agree(data, tmp_path):
    build(data, tmp_path / "alone")
    script = (
        "import sys; from pathlib import Path; from mabe.data.prepare import prepare; "
        f"prepare(Path(sys.argv[1]), Path(sys.argv[2]), rate_fps={FPS}, workers=1)"
    )
    command = [sys.executable, "-c", script, str(data), str(tmp_path / "store")]

    both = [subprocess.Popen(command) for _ in range(2)]

    assert [each.wait() for each in both] == [0, 0]
    assert contents(tmp_path / "store") == contents(tmp_path / "alone")


def test_bad_files_are_counted_and_named_and_skipped_when_asked(data, tmp_path, capsys):
    (data / "train_tracking" / "Lab" / "2.parquet").unlink()
    (data / "train_tracking" / "Other" / "3.parquet").write_bytes(b"PAR1")

    with pytest.raises(DataError) as caught:
        build(data, tmp_path / "store")
    made = build(data, tmp_path / "store", skip_bad=True)

    message = str(caught.value)
    assert message.startswith("2 of 3 recordings cannot be used (--skip-bad leaves")
    assert "2.parquet" in message
    assert "3.parquet" in message
    assert "\n" not in message
    assert [each.name for each in made.recordings] == ["Lab/1"]
    assert (
        "2 of 3 recordings cannot be used and are left out" in capsys.readouterr().err
    )


def test_a_file_that_was_mended_joins_the_store(data, tmp_path):
    build(data, tmp_path / "whole")
    path = data / "train_tracking" / "Lab" / "2.parquet"
    shutil.move(path, tmp_path / "aside")
    build(data, tmp_path / "store", skip_bad=True)

    shutil.move(tmp_path / "aside", path)
    build(data, tmp_path / "store")

    # Moving a file is a change, of which `sources.json` has the time.
    found, whole = (contents(tmp_path / name) for name in ("store", "whole"))
    assert found.keys() == whole.keys()
    assert all(found[name] == whole[name] for name in found if name != "sources.json")


def test_with_nothing_left_skipping_is_an_error_too(data, tmp_path):
    shutil.rmtree(data / "train_tracking")

    with pytest.raises(DataError, match=r"3 of 3 .* none is left"):
        build(data, tmp_path / "store", skip_bad=True)


def test_what_was_odd_is_said_once_per_laboratory(data, tmp_path, capsys):
    for video in ("1", "2"):
        points = [(0, 1, "nose", 1, 1), (0, 1, "tail_bse", 1, 1)]
        write_tracking(data, points, video=video)

    build(data, tmp_path / "store")

    assert capsys.readouterr().err.count("'tail_bse' is kept") == 1


def test_a_store_of_another_version_is_refused_and_built_anew(
    data, tmp_path, monkeypatch
):
    with monkeypatch.context() as older:
        older.setattr(store_index, "FORMAT_VERSION", 0)
        build(data, tmp_path / "store")

    with pytest.raises(DataError, match="version 0, known are 4 to"):
        open_store(tmp_path / "store")
    build(data, tmp_path / "store")
    assert len(open_store(tmp_path / "store").recordings) == 3


def test_a_truncated_store_is_refused_and_built_anew(data, tmp_path):
    build(data, tmp_path / "store")
    before = contents(tmp_path / "store")
    [poses] = (tmp_path / "store").glob("poses-*")
    poses.write_bytes(poses.read_bytes()[:-2])

    with pytest.raises(DataError, match=r"bytes, expected .*"):
        open_store(tmp_path / "store")
    build(data, tmp_path / "store")
    assert contents(tmp_path / "store") == before


def change_unseen(path, at=-1):
    """Change a byte of a file, which keeps its size and the time of its change."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_poses_that_changed_unseen_are_refused_and_built_anew(data, tmp_path):
    build(data, tmp_path / "store")
    before = contents(tmp_path / "store")
    [poses] = (tmp_path / "store").glob("poses-*")
    change_unseen(poses)

    opened = open_store(tmp_path / "store")
    opened.poses_cm(0, 0, 5)  # of another recording
    with pytest.raises(DataError, match="Other/3 are not those that were stored"):
        opened.poses_cm(2, 0, 5)
    with pytest.raises(DataError, match="damaged or was exchanged"):
        opened.select(2).tracked_span(0)
    build(data, tmp_path / "store")

    assert contents(tmp_path / "store") == before


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such time")
def test_files_that_changed_unseen_are_read_again(data, tmp_path):
    build(data, tmp_path / "store")
    path = data / "train_tracking" / "Lab" / "2.parquet"
    times = path.stat()
    write_tracking(data, [(0, 1, "nose", 3, 4)], video="2")
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    build(data, tmp_path / "store")

    build(data, tmp_path / "fresh")
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh") | {
        "sources.json": contents(tmp_path / "store")["sources.json"]
    }


CUT_SHORT = """
import os, sys
from pathlib import Path
from mabe.data.store import open_store
from mabe.errors import DataError
store = open_store(Path(sys.argv[1]))
store.poses_cm(2, 0, 5)
os.truncate(store.poses_path, 0)
try:
    store.poses_cm(2, 0, 5)
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows does not cut a file in use")
def test_a_store_that_is_cut_short_while_in_use_is_an_error(data, tmp_path):
    build(data, tmp_path / "store")
    words = [sys.executable, "-c", CUT_SHORT, tmp_path / "store"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "was cut short while it was in use" in done.stdout


def test_a_store_of_a_version_without_hashes_is_read_as_it_is(data, tmp_path):
    made = build(data, tmp_path / "store")
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert len(index.pop("hashes")) == 3
    (tmp_path / "store" / "index.json").write_text(json.dumps(index))

    opened = open_store(tmp_path / "store")

    np.testing.assert_array_equal(opened.poses_cm(2, 0, 5), made.poses_cm(2, 0, 5))
    assert opened.is_sound()


def test_a_folder_that_is_no_store_is_refused_and_left_alone(data, tmp_path):
    with pytest.raises(DataError, match="no pose store here"):
        open_store(tmp_path)
    (tmp_path / "index.json").write_text("[1]", encoding="utf-8")

    with pytest.raises(DataError, match="choose another folder"):
        build(data, tmp_path)

    assert (tmp_path / "index.json").read_text(encoding="utf-8") == "[1]"


def test_an_impossible_rate_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="above 0 fps, found 0"):
        build(data, tmp_path / "store", rate_fps=0)


def test_stores_of_different_data_or_rates_lie_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))

    places = {
        default_store_path(folder / "kaggle", rate)
        for folder in (tmp_path / "a", tmp_path / "b")
        for rate in (30, 33.3)
    }

    assert len(places) == 4
    assert {place.parent for place in places} == {tmp_path / "cache"}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_real_recordings_make_a_store(tmp_path):
    made = build(DATA / "rat_dyad", tmp_path / "store", rate_fps=33.3)

    assert len(made.recordings) == 43
    missing = np.mean([each.missing_share for each in made.recordings])
    assert missing == pytest.approx(0.36, abs=0.01)


def test_a_stores_keypoints_are_what_the_datas_project_says(data, tmp_path):
    (data / "project.yaml").write_text("skeleton: {snout: nose}\n", encoding="utf-8")
    build(data, tmp_path / "store")
    copy = tmp_path / "store" / "project.yaml"
    assert copy.read_text(encoding="utf-8") == "skeleton: {snout: nose}\n"

    (data / "project.yaml").unlink()
    build(data, tmp_path / "store")
    assert not copy.exists()


UNGUARDED = """
import sys
from pathlib import Path
from mabe.data.prepare import prepare
from mabe.runtime.executors import Processes
prepare(*map(Path, sys.argv[1:]), rate_fps=30.0, executor=Processes(2), progress=False)
"""

IN_TWO_THREADS = UNGUARDED.replace("executor=Processes(2)", "workers=2")


def test_a_script_without_a_guard_says_so_instead_of_waiting_for_ever(data, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    words = [sys.executable, script, data, tmp_path / "store"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stderr
    assert 'under `if __name__ == "__main__":`' in done.stderr
    script.write_text(IN_TWO_THREADS)
    subprocess.run(words, check=True, timeout=100)
    assert len(open_store(tmp_path / "store").recordings) == 3
