"""Damaged and hostile inputs of bug reports: one line, in bounded time and memory.

Names that lead out of a folder: tests/test_hostile_names.py; results that are lost or
mixed: tests/test_stopped.py; all readers: benchmarks/fuzz_inputs.py.
"""

import gzip
import json
import pickle
import random
import re
import resource
import shutil
from pathlib import Path

import h5py
import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from format_files import write_long, write_sleap
from hypothesis import given, settings
from hypothesis import strategies as st
from kaggle_files import write_index, write_tracking
from test_trees import grow, part

from mabe.cli.main import main
from mabe.config import load_config
from mabe.errors import ConfigError, DataError, MabeError, RunError
from mabe.io.project import load_project
from mabe.io.readers.boris_events import START, STOP, TURN, Moment, pair_moments
from mabe.io.readers.formats import read_file
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.io.readers.safe_pickle import plain_data
from mabe.models.boosted_trees import Forest
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.models.tree_text import check_text, without_settings
from mabe.runtime.console import one_line, printable
from mabe.runtime.documents import parse_yaml
from mabe.scene_task import CHALLENGE_CLASSES, SceneTask

CASES = Path(__file__).parent / "hostile"
READERS = Path(__file__).parents[1] / "src/mabe/io/readers"


@pytest.fixture
def bounded():
    """A test takes less than 300 MB, where the case took the machine's memory."""
    before = _peak_mb()
    yield
    assert _peak_mb() - before < 300


def _peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refusal(path, reader=read_file, error=DataError):
    """Return the one line with which a file is refused."""
    with pytest.raises(error) as caught:
        reader(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# ── HDF5 ──


def outside(tmp_path):
    """Return a file of another folder, whose content must not be read."""
    path = tmp_path / "elsewhere" / "secret.h5"
    path.parent.mkdir()
    write_sleap(path)
    return path


def link(file, other):
    del file["tracks"]
    file["tracks"] = h5py.ExternalLink(str(other), "/tracks")


def soft_link(file, other):
    link_of_names(file, other)
    del file["tracks"]
    file["tracks"] = h5py.SoftLink("/x/tracks")


def link_of_names(file, other):
    file["x"] = h5py.ExternalLink(str(other), "/")


def storage(file, other):
    del file["tracks"]
    file.create_dataset(
        "tracks", (2, 2, 2, 4), "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)]
    )


def storage_of_names(file, other):
    del file["node_names"]
    file.create_dataset(
        "node_names", (3,), "S8", external=[(str(other), 0, h5py.h5f.UNLIMITED)]
    )


def virtual(file, other):
    shape = file["tracks"].shape
    del file["tracks"]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(str(other), "tracks", shape)
    file.create_virtual_dataset("tracks", layout)


@pytest.mark.parametrize(
    "hide", [link, soft_link, link_of_names, storage, storage_of_names, virtual]
)
def test_no_part_of_an_hdf5_file_is_read_from_another_file(tmp_path, hide):
    other = outside(tmp_path)
    write_sleap(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        hide(file, other)
    assert "reads another file" in refusal(tmp_path / "x.h5")


def test_only_one_module_reads_from_hdf5_files():
    """So that nothing is read that was not sized before."""
    for path in READERS.glob("*.py"):
        reads = re.search(r"\w\[(\(\)|\.\.\.)\]|\.attrs\b", path.read_text("utf-8"))
        assert path.name == "hdf5.py" or not reads, path.name


@pytest.mark.parametrize(
    "name", ["node_names", "track_names", "video_path", "tracks", "point_scores"]
)
@pytest.mark.parametrize("kind", ["S10", "S2000", "f8"])
@pytest.mark.usefixtures("bounded")
def test_every_array_is_sized_before_it_is_read(tmp_path, name, kind):
    path = tmp_path / "x.h5"
    write_sleap(path)
    with h5py.File(path, "r+") as file:
        shape = file[name].shape if name in file else ()
        file.pop(name, None)
        shape = (3 * 10**9, *shape[1:])
        chunks = (1000, *shape[1:])
        file.create_dataset(name, shape, kind, chunks=chunks)
    assert "declares" in refusal(path)


@pytest.mark.usefixtures("bounded")
def test_names_of_thirty_gigabytes_in_a_file_of_three_kilobytes():
    path = CASES / "hdf5_unchecked_names" / "sleap_tracknames_huge.h5"
    assert "30,000,000,000 bytes of names" in refusal(path)


@pytest.mark.usefixtures("bounded")
def test_an_array_that_was_compressed_a_thousand_times(tmp_path):
    path = tmp_path / "x.h5"
    write_sleap(path)
    with h5py.File(path, "r+") as file:
        del file["tracks"]
        piece = np.zeros((2, 2, 3, 100_000), np.float32)
        tracks = file.create_dataset(
            "tracks",
            (2, 2, 3, 2_000_000),
            "f4",
            chunks=piece.shape,
            compression="gzip",
            compression_opts=9,
        )
        for at in range(20):
            tracks[..., at * 100_000 : (at + 1) * 100_000] = piece
    assert "declares 96,000,000 bytes" in refusal(path)


# ── pickles, parquet, text ──


def shared(make, depth):
    value = "keypoints"
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        shared(lambda each: [each] * 10, 40),
        shared(lambda each: (each, each), 60),
        shared(lambda each: {"a": each, "b": each}, 40),
        [np.zeros(1000)] * 20_000,
    ],
)
@pytest.mark.usefixtures("bounded")
def test_shared_parts_count_as_often_as_they_are_referred_to(value):
    with pytest.raises(DataError, match="shared so often"):
        plain_data(pickle.dumps({"keypoints": value}), "x.npy")


@pytest.mark.parametrize("protocol", range(6))
def test_parts_that_are_shared_a_few_times_are_read(protocol):
    once = [1, 2.5, "a", None, (True, b"x")]
    value = {"a": once, "b": [once, once], "c": {"d": once}}
    assert plain_data(pickle.dumps(value, protocol), "x.npy") == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_their_order_whatever_it_was_in_memory(order, protocol):
    names = np.array([["a", "b", "c"], ["d", "e", "f"]], object, order=order)
    numbers = np.arange(6.0).reshape(2, 3).copy(order)

    for array in (names, numbers):
        read = plain_data(pickle.dumps(array, protocol), "x.h5")
        assert read.tolist() == array.tolist()


@pytest.mark.usefixtures("bounded")
def test_a_pickle_that_contains_itself_or_copies_for_ever():
    own = []
    own.append(own)
    with pytest.raises(DataError, match="contains itself"):
        plain_data(pickle.dumps(own), "x.npy")
    long = b"\x80\x02X\x00\x00\x10\x00" + b"k" * (1 << 20) + b"q\x00"
    many = b"c_codecs\nencode\nq\x010" + b"h\x01h\x00\x85R0" * 20_000 + b"."
    with pytest.raises(DataError, match="copies the same data"):
        plain_data(long + many, "x.npy")
    marks = b"\x80\x02" + b"N" * 50_000 + b"(t0" * 50_000 + b"."
    assert plain_data(marks, "x.npy") is None


@pytest.mark.usefixtures("bounded")
def test_the_bomb_in_an_npy_file():
    assert "shared so often" in refusal(CASES / "npy_dag_bomb" / "npy_dagbomb.npy")


@pytest.mark.usefixtures("bounded")
def test_a_parquet_file_of_thirty_million_rows_in_half_a_megabyte(tmp_path):
    rows = 30_000_000
    zeros = pa.array(np.zeros(rows, np.float32))
    names = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["nose"])
    table = pa.table({"frame": zeros, "keypoint": names, "x": zeros, "y": zeros})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd")
    del table, zeros, names
    assert "declares 30,000,000 rows" in refusal(tmp_path / "x.parquet")


def test_a_flipped_bit_in_a_parquet_file_ends_neither_inspect_nor_import(
    tmp_path, capsys
):
    case = CASES / "parquet_polars_panic" / "01254-flip-long.parquet"
    assert "cannot be read as parquet" in refusal(case)
    shutil.copy(case, tmp_path / "b.parquet")
    write_long(tmp_path / "a.csv")
    bouts = "video,agent,target,action,start_frame,stop_frame\na,a,b,sniff,0,3\n"
    (tmp_path / "bouts.csv").write_text(bouts)
    assert main(["inspect", str(tmp_path)]) == 0
    assert "b.parquet" in capsys.readouterr().out
    options = ["--fps", "30", "--pixels-per-cm", "10", "--skip-bad"]
    assert main(["import", str(tmp_path), "--out", str(tmp_path / "o"), *options]) == 3


def test_parquet_files_with_any_bit_flipped(tmp_path):
    points = {"frame": np.arange(200) // 2, "keypoint": ["nose", "tail"] * 100}
    points |= {"x": np.linspace(0, 9, 200), "y": np.linspace(9, 0, 200)}
    pq.write_table(pa.table(points), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        broken = bytearray(whole)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        (tmp_path / "x.parquet").write_bytes(broken)
        try:
            read_file(tmp_path / "x.parquet")
        except MabeError as error:
            told = str(error)
        else:
            told = ""
        assert "\n" not in told


POINTS = {"frame": [0, 1], "keypoint": ["nose"] * 2, "x": [1.0, 2.0], "y": [1.0, 2.0]}


@pytest.mark.parametrize(
    "odd",
    [
        {"frame": [[1], [2]]},
        {"x": [{"a": 1}, {"a": 2}]},
        {"frame": pa.array([1, 2], pa.timestamp("ns"))},
        {"keypoint": pa.array([b"nose", b"\xff\xfe"], pa.binary())},
        {"keypoint": ["nose", "n" * 10_000]},
        {"keypoint": pa.nulls(2)},
        {"frame": pa.nulls(2)},
        {"frame": pa.array([2**64 - 1, 1], pa.uint64())},
        {"frame": ["a", "b"]},
    ],
)
def test_columns_that_hold_something_else(tmp_path, odd):
    pq.write_table(pa.table(POINTS | odd), tmp_path / "x.parquet")
    refusal(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "fair",
    [
        {"x": pa.array([1, 2], pa.int8())},
        {"x": pa.array(["1", "2"])},
        {"frame": pa.array([0, 1], pa.uint64())},
        {"keypoint": pa.array(["nose", "nose"]).dictionary_encode()},
        {"keypoint": pa.array(["nose", "nose"], pa.large_string())},
        {"keypoint": pa.array([b"nose", b"nose"], pa.binary())},
    ],
)
def test_columns_of_every_width_are_read(tmp_path, fair):
    pq.write_table(pa.table(POINTS | fair), tmp_path / "x.parquet")
    [poses] = read_file(tmp_path / "x.parquet").poses
    np.testing.assert_array_equal(poses.xy_px[:, 0, 0, 0], [1, 2])


def test_nested_columns():
    refusal(CASES / "parquet_dtypes_traceback" / "parquet_nested.parquet")


@pytest.mark.parametrize("size", [50, 3_000_000])
def test_a_table_in_pieces_is_the_same_as_at_once(tmp_path, monkeypatch, size):
    path = write_long(tmp_path / "x.csv")
    [expected] = read_file(path).poses
    monkeypatch.setattr("mabe.io.readers.table_batches._BLOCK_BYTES", size)
    [found] = read_file(path).poses
    np.testing.assert_array_equal(found.xy_px, expected.xy_px)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert found.animals == expected.animals
    assert found.keypoints == expected.keypoints


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_hundred_thousand_names_of_keypoints(tmp_path, ending):
    count = 200_000
    names = [f"k{at}" for at in range(count)]
    path = tmp_path / f"x.{ending}"
    if ending == "csv":
        rows = "".join(f"{at % 10},{name},1,1\n" for at, name in enumerate(names))
        path.write_text(f"frame,keypoint,x,y\n{rows}")
    else:
        points = {"frame": np.arange(count) % 10, "keypoint": names}
        points |= {"x": np.ones(count), "y": np.ones(count)}
        pq.write_table(pa.table(points), path)
    assert "names of keypoints" in refusal(path)


@pytest.mark.usefixtures("bounded")
def test_thousands_of_body_parts_in_the_layout(tmp_path):
    write_index(tmp_path, {})
    count = 100_000
    points = {"video_frame": np.arange(count) % 9, "mouse_id": np.ones(count, np.int8)}
    points |= {"bodypart": [f"k{at}" for at in range(count)]}
    points |= {"x": np.ones(count), "y": np.ones(count)}
    path = write_tracking(tmp_path, [])
    pq.write_table(pa.table(points), path)
    [info] = read_index(tmp_path)
    with pytest.raises(DataError, match="body parts"):
        read_recording(info)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("piece", [b'{"a":', b"\0", b"1,1\n"])
def test_a_compressed_file_that_is_small_only_outside(tmp_path, piece):
    path = tmp_path / "x.boris.gz"
    content = b'{"behaviors_conf":' + piece * ((64 << 20) // len(piece))
    path.write_bytes(gzip.compress(content, 1))
    del content
    refusal(path)


@pytest.mark.usefixtures("bounded")
def test_thousands_of_boris_events_at_one_time():
    moments = [Moment(1.0, TURN, "sniff") for _ in range(60_000)]
    events, _ = pair_moments(moments, end_s=2.0)
    assert len(events) == 30_000


def test_at_one_time_an_active_event_stops_before_the_next_starts():
    statuses = [(0, START), (1, START), (1, STOP), (2, STOP), (2, START), (3, STOP)]
    moments = [Moment(float(time_s), status, "sniff") for time_s, status in statuses]
    events, notes = pair_moments(moments, end_s=9.0)
    assert [(e.start, e.stop) for e in sorted(events)] == [(0, 1), (1, 2), (2, 3)]
    assert notes == []


# ── YAML, JSON, settings ──


@pytest.mark.parametrize("name", ["prj_date", "prj_deep_closed", "prj_sexa"])
@pytest.mark.usefixtures("bounded")
def test_settings_that_are_no_settings(name, capsys):
    folder = CASES / "yaml_traceback" / name
    assert main(["inspect", str(folder)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "project.yaml" in said[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: *a\n",
        "lab: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "a: " + "[" * 3000 + "]" * 3000,
        "a: 2026-99-99",
        "a: !!python/object/apply:os.system ['true']\n",
        "a: " + ":".join(["59"] * 3000),
        "? [a]\n: 1\n",
        "a: \x00",
        "x: " + "y" * (2 << 20),
    ],
)
@pytest.mark.usefixtures("bounded")
def test_every_text_that_is_no_plain_yaml_raises_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_yaml(text)


@pytest.mark.usefixtures("bounded")
def test_aliases_that_stand_for_billions_of_values():
    path = CASES / "yaml_billion_laughs" / "cfg_laughs_value.yaml"
    assert "alias" in refusal(path, load_config, ConfigError)
    assert "alias" in refusal(path, load_project, ConfigError)


@pytest.mark.parametrize(
    "name", ["cfg_batch1e12", "cfg_lstm1e7", "cfg_seed1e30", "cfg_seq1e9"]
)
def test_settings_beyond_any_machine(name):
    path = CASES / "config_values_traceback" / f"{name}.yaml"
    refusal(path, load_config, ConfigError)


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": 1e-9},
        {"batch_size": 10**9},
        {"batch_size": 1_000_000, "sequence_length": 100_000},
        {"sequence_length": 10**6},
        {"lstm_hidden": 10**7},
        {"seed": -1},
        {"num_workers": 10**9},
        {"epochs": float("nan")},
    ],
)
def test_each_setting_has_bounds(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        load_config(None, changes)


@pytest.mark.usefixtures("bounded")
def test_a_network_that_no_machine_could_hold_takes_no_memory():
    config = ModelConfig(lstm_hidden=16_384, lstm_layers=16)
    with pytest.raises(ConfigError, match="parameters"):
        build_model(config, SceneTask.from_groups(CHALLENGE_CLASSES))


@pytest.mark.parametrize("name", ["lay_deepjson", "lay_long"])
def test_metadata_that_cannot_be_read(name, capsys):
    assert main(["inspect", str(CASES / "metadata_traceback" / name)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "train.csv" in said[0]
    assert len(said[0]) < 2100


@pytest.mark.parametrize("fps", ["1e308", "1e-300", "nan", "-5", "1e9", "0.001"])
def test_frame_rates_that_no_camera_has(tmp_path, fps):
    write_index(tmp_path, {"frames_per_second": fps})
    write_tracking(tmp_path, [(0, 1, "nose", 1, 2)])
    assert main(["inspect", str(tmp_path)]) == 2


def test_metadata_of_a_rate_beyond_all_bounds(capsys):
    assert main(["inspect", str(CASES / "metadata_traceback" / "lay_fps")]) == 2
    assert "frames per second" in capsys.readouterr().err


# ── models ──


FEATURES = 5


@pytest.fixture(scope="module")
def text():
    """The text of a small forest of two classes."""
    [text] = grow([part(0)]).texts
    return text


def fitting(text):
    """Return a changed text whose sizes of trees fit again, as anybody could."""
    head, _, rest = text.partition("\n\nTree=0\n")
    trees = re.split(r"(?=Tree=\d+\n)", "Tree=0\n" + rest.split("end of trees")[0])
    sizes = " ".join(str(len(tree.encode())) for tree in trees if tree)
    head = re.sub(r"tree_sizes=[^\n]*", f"tree_sizes={sizes}", head)
    return f"{head}\n\nTree=0\n{rest}"


HARMFUL = {
    "feature": lambda t: re.sub(r"split_feature=\d+", "split_feature=99999999", t),
    "below": lambda t: re.sub(r"split_feature=\d+", "split_feature=-9", t),
    "child": lambda t: re.sub(r"left_child=-?\d+", "left_child=100000000", t),
    "leaf": lambda t: re.sub(r"left_child=-?\d+", "left_child=-100000000", t),
    "loop": lambda t: re.sub(
        r"(left|right)_child=([^\n]*)",
        lambda m: f"{m[1]}_child=" + " ".join("0" for _ in m[2].split()),
        t,
    ),
    "two parents": lambda t: re.sub(
        r"right_child=([^\n]*)\n", r"right_child=\1\n", t
    ).replace("left_child=1 ", "left_child=-1 ", 1),
    "no number": lambda t: re.sub(r"leaf_value=[^ \n]+", "leaf_value=nan", t),
    "few": lambda t: re.sub(r"threshold=[^ \n]+ ", "threshold=", t),
    "leaves": lambda t: re.sub(r"num_leaves=\d+", "num_leaves=99999", t),
    "categories": lambda t: t.replace("num_cat=0", "num_cat=1"),
    "kind": lambda t: re.sub(r"decision_type=\d+", "decision_type=1", t),
    "linear": lambda t: t.replace("is_linear=0", "is_linear=1"),
    "width": lambda t: re.sub(r"max_feature_idx=\d+", "max_feature_idx=9999", t),
    "classes": lambda t: re.sub(r"num_class=\d+", "num_class=9", t),
    "objective": lambda t: re.sub(r"objective=[^\n]*", "objective=custom", t),
    "line": lambda t: t.replace("label_index=0", "label_index=0\nboosting=dart"),
    "twice": lambda t: t.replace("num_cat=0", "num_cat=0\nnum_cat=0"),
    "end": lambda t: t.replace("end of trees", "end"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_trees_are_checked_before_lightgbm_reads_them(text, name):
    changed = HARMFUL[name](text)
    assert changed != text
    packed = Forest((fitting(changed),)).to_bytes()
    forest = Forest.from_bytes(packed, where="x")  # its digest fits

    with pytest.raises(RunError, match="x: its trees cannot be read"):
        forest.check(where="x", features=FEATURES, classes=2)


def test_sizes_of_trees_that_do_not_fit(text):
    changed = re.sub(r"tree_sizes=\d+", "tree_sizes=999999", text)
    with pytest.raises(ValueError, match="size"):
        check_text(changed, features=FEATURES, classes=2)


def test_sound_trees_pass(text):
    check_text(text, features=FEATURES, classes=2)
    check_text(fitting(text), features=FEATURES, classes=2)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([1e-30, 1.0, 1e30]),
    st.booleans(),
)
def test_whatever_lightgbm_has_grown_passes(seed, missing, scale, knows_by_missing):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(400, FEATURES)) * scale
    rows[:, 1] = rng.integers(0, 2, 400)
    rows[:, 2] = 7  # constant
    is_missing = rng.random(400) < missing
    rows[is_missing, 0] = np.nan
    labels = is_missing if knows_by_missing else rows[:, 3] > 0
    noisy = np.where(rng.random(400) < 0.1, ~labels, labels)
    settings = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 3}
    data = lightgbm.Dataset(rows, noisy.astype(int))
    booster = lightgbm.train(settings | {"num_threads": 1}, data, 5)
    text = without_settings(booster.model_to_string())
    check_text(text, features=FEATURES, classes=1)


def test_a_threshold_between_known_and_missing_values_is_infinite_and_passes():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, FEATURES))
    is_missing = rng.random(2000) < 0.4
    labels = is_missing ^ (rows[:, 1] > 0)
    rows[is_missing, 0] = np.nan
    settings = {"objective": "binary", "verbosity": -1, "num_leaves": 15}
    settings |= {"min_data_in_leaf": 5, "num_threads": 1}
    data = lightgbm.Dataset(rows, labels.astype(int))
    text = without_settings(lightgbm.train(settings, data, 20).model_to_string())
    assert re.search(r"threshold=[^\n]*inf", text)
    check_text(text, features=FEATURES, classes=1)


# ── what is printed ──


def test_names_are_printed_without_control_characters(tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("frame,animal,keypoint,x,y\n0,\x1b[31mred\x1b[0m\u202e,nose,1,1\n")
    assert main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\x1b[31mred" in said


def test_a_file_of_any_name_is_refused_in_one_line(tmp_path, capsys):
    path = tmp_path / "a\nb\x1b[31m.csv"
    path.write_text("nothing known")
    assert main(["inspect", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


def test_printing_keeps_what_people_read():
    assert printable("día 1\tµm → ✓\n鼠") == "día 1\tµm → ✓\n鼠"
    assert printable("a\x1b[2Jb\x07\x9b") == "a\\x1b[2Jb\\x07\\x9b"
    long = one_line("x" * 100_000 + "\n" + "y" * 100_000)
    assert len(long) < 2100
    assert long.startswith("xxx")
    assert long.endswith("yyy")


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("deep"), OSError(28, "No space left", "f")]
)
def test_errors_of_the_machine_are_one_line(monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("mabe.io.inspector.inspect", fail)
    assert main(["inspect", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mabe: ")
    assert said.count("\n") == 1


def test_bugs_keep_their_traceback(monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("mabe.io.inspector.inspect", fail)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "x"])


# ── damaged predictions, runs and stores ──


def mutations(value, rng, count):
    """Yield copies of a JSON value with one part lost or of another kind."""
    places = list(_places(value))
    odd = [None, "x", -1, 10**30, [1], {"a": 1}, float("nan"), "../../../x", [[[[]]]]]
    for _ in range(count):
        changed = json.loads(json.dumps(value))
        *way, last = rng.choice(places)
        holder = changed
        for key in way:
            holder = holder[key]
        if rng.random() < 0.2:
            del holder[last]
        else:
            holder[last] = rng.choice(odd)
        yield changed


def _places(value, way=()):
    if way:
        yield way
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value))[:2]
    for key, each in items:
        yield from _places(each, (*way, key))


def ends_well(words, capsys):
    """A command succeeds, or says in one line what is wrong."""
    capsys.readouterr()
    rc = main([str(word) for word in words])
    said = capsys.readouterr().err.strip().splitlines()
    assert rc in (0, 1, 2, 3)
    if rc == 2:
        assert said[-1].startswith("mabe: ")
        assert len(said[-1]) < 2100
    return rc


def test_predictions_with_any_fact_changed(tmp_path, capsys):
    source = CASES / "export_escapes_out" / "pred"
    facts = json.loads((source / "provenance.json").read_text())
    facts["sources"][0]["video"] = "v"
    bouts = (source / "bouts.csv").read_text().replace("../../../ESCAPED", "v")
    pred = tmp_path / "pred"
    pred.mkdir()
    (pred / "bouts.csv").write_text(bouts)
    (pred / "provenance.json").write_text(json.dumps(facts))
    words = ["export", pred, "--out", tmp_path / "out", "--to"]
    assert ends_well([*words, "csv"], capsys) == 0
    for number, changed in enumerate(mutations(facts, random.Random(4), 120)):
        (pred / "provenance.json").write_text(json.dumps(changed))
        ends_well([*words, ("csv", "boris", "calms21")[number % 3]], capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"pred", "out"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: text.index("mating") + 3],
        lambda text: text.replace(",0,", ",-9,"),
        lambda text: text.replace(",0,", ",nan,"),
        lambda text: text.replace("start_frame", "begin"),
        lambda text: text.replace("class", "klass"),
        lambda text: text.replace(",0.2658", ",7"),
        lambda text: text.replace(",3,", ",99999999999999999999,"),
        lambda text: text.replace("aggressive", ""),
        lambda text: "",
        lambda text: text.replace("\n", "\r"),
    ],
)
def test_bouts_that_were_edited_by_hand(tmp_path, capsys, spoil):
    source = CASES / "export_escapes_out" / "pred"
    facts = (source / "provenance.json").read_text().replace("../../../ESCAPED", "v")
    text = (source / "bouts.csv").read_text().replace("../../../ESCAPED", "v")
    (tmp_path / "provenance.json").write_text(facts)
    (tmp_path / "bouts.csv").write_text(spoil(text))
    words = ["export", tmp_path, "--to", "csv", "--out", tmp_path / "out"]
    assert ends_well(words, capsys) == 2
    assert "bouts.csv" in refusal(tmp_path, _export_csv)


def _export_csv(folder):
    from mabe.io.predictions import read_predictions

    return read_predictions(folder)
