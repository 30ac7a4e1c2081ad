"""Files that are cut off, mixed up or lie: one line says so, and nothing crashes."""

import json
import random
import resource

import h5py
import numpy as np
import pytest
from format_files import (
    story,
    write_dlc_csv,
    write_long,
    write_movement,
    write_nwb,
    write_simba,
    write_sleap,
)

from mabe.cli.main import main
from mabe.errors import DataError, MabeError
from mabe.io.readers.formats import read_file
from mabe.io.readers.safe_pickle import plain_data

BORIS = (
    "Observation id,o\nTime,Media file path,Total length,FPS,Subject,Behavior,"
    "Behavioral category,Comment,Status\n"
    "1.0,v.avi,60.0,25.0,m1,sniff,,,START\n2.0,v.avi,60.0,25.0,m1,sniff,,,STOP\n"
)
CALTECH = (
    "Caltech Behavior Annotator\n\nS1:\tstart\tend\ttype\n1\t4\tbase\n5\t9\tsniff\n"
)
PROJECT = {
    "project_format_version": "7.0",
    "behaviors_conf": {"0": {"code": "s", "type": "State event"}},
    "observations": {
        "o": {"events": [[1.0, "", "s", "", ""], [2.0, "", "s", "", ""]], "file": {}}
    },
}
CALMS21 = {
    "a": {
        "b": {
            "keypoints": np.zeros((3, 2, 2, 7)).tolist(),
            "scores": np.zeros((3, 2, 7)).tolist(),
            "annotations": [0, 1, 3],
        }
    }
}


def write_text(text):
    return lambda path: path.write_text(text)


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, CALMS21, allow_pickle=True)


WRITERS = {
    "dlc": write_dlc_csv,
    "sleap": write_sleap,
    "movement": write_movement,
    "nwb": write_nwb,
    "long": write_long,
    "simba": write_simba,
    "boris": write_text(BORIS),
    "caltech": write_text(CALTECH),
    "project": write_text(json.dumps(PROJECT)),
    "calms21": write_text(json.dumps(CALMS21)),
    "npy": write_npy,
}


def reads_or_says_why(path):
    """Reading gives something, or an error of one line that names the file."""
    told = f"{path}"
    try:
        read_file(path)
    except MabeError as error:
        told = str(error)
    assert "\n" not in told
    assert str(path) in told


@pytest.mark.parametrize("kind", WRITERS)
def test_files_cut_off_anywhere(tmp_path, kind):
    WRITERS[kind](tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    rng = random.Random(1)
    for at in sorted({0, 1, 8, *(rng.randrange(len(whole)) for _ in range(25))}):
        (tmp_path / "x").write_bytes(whole[:at])
        reads_or_says_why(tmp_path / "x")


@pytest.mark.parametrize("kind", WRITERS)
def test_files_with_bytes_changed(tmp_path, kind):
    WRITERS[kind](tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    rng = random.Random(2)
    for _ in range(25):
        broken = bytearray(whole)
        for _ in range(5):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        (tmp_path / "x").write_bytes(broken)
        reads_or_says_why(tmp_path / "x")


@pytest.mark.parametrize("kind", WRITERS)
def test_files_in_another_encoding(tmp_path, kind):
    WRITERS[kind](tmp_path / "x")
    if kind in ("sleap", "movement", "nwb", "npy"):
        pytest.skip("not a text")
    text = (tmp_path / "x").read_text()
    expected = read_file(tmp_path / "x")
    (tmp_path / "x").write_text(text, encoding="utf-16")
    found = read_file(tmp_path / "x")
    assert [len(p.xy_px) for p in found.poses] == [len(p.xy_px) for p in expected.poses]
    assert [m.events for m in found.annotations] == [
        m.events for m in expected.annotations
    ]


@pytest.mark.parametrize("name", ["tracks", "position"])
def test_a_header_that_promises_a_billion_frames(tmp_path, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for length in (1_000_000_000, 15_000_000):
        path = tmp_path / f"{name}{length}"
        (write_sleap if name == "tracks" else write_movement)(path)
        with h5py.File(path, "r+") as file:
            scales = [file[name].dims[axis] for axis in range(4)]
            dims = [scale[0] for scale in scales if len(scale)]
            shape = list(file[name].shape)
            shape[3 if name == "tracks" else 0] = length
            attributes = dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, shape, "f4", chunks=True)
            if name == "tracks":
                file[name].attrs.update(attributes)
            for axis, dim in enumerate(dims):
                file[name].dims[axis].attach_scale(dim)
        with pytest.raises(DataError, match=r"promises|says it has the shape"):
            read_file(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


def test_a_frame_number_of_a_billion(tmp_path):
    path = write_dlc_csv(tmp_path / "x", frames=[0, 10**9], xy=story()[:2])
    with pytest.raises(DataError, match="2 rows of frames 0 to 1,000,000,000"):
        read_file(path)
    write_dlc_csv(tmp_path / "x", frames=[0, 19_000_000], xy=story()[:2])
    with pytest.raises(DataError, match="without large gaps"):
        read_file(path)
    path.write_text("frame,id,keypoint,x,y\n0,a,nose,1,1\n1000000000,a,nose,1,1\n")
    with pytest.raises(DataError, match="at most 20,000,000"):
        read_file(path)


def test_an_npy_header_that_promises_a_billion_frames(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 14)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"keypoints")
    with pytest.raises(DataError, match="expected a dictionary"):
        read_file(tmp_path / "x")


@pytest.mark.parametrize("frame", ["1e30", "-1", "0.5"])
def test_frame_numbers_that_are_none(tmp_path, frame):
    path = write_dlc_csv(tmp_path / "x", frames=[0, frame], xy=story()[:2])
    with pytest.raises(DataError, match=str(path)):
        read_file(path)


def test_a_frame_without_a_number(tmp_path):
    path = write_dlc_csv(tmp_path / "x", frames=[0, "nan"], xy=story()[:2])
    with pytest.raises(DataError, match="frame numbers must be whole"):
        read_file(path)


def test_a_word_among_the_numbers(tmp_path):
    path = write_dlc_csv(tmp_path / "x")
    path.write_text(path.read_text().replace("0.9", "high", 1))
    with pytest.raises(DataError, match=r"column 4, row 1 below the header.*'high'"):
        read_file(path)


def test_a_recording_of_nothing_but_gaps(tmp_path):
    xy = np.full((4, 2, 3, 2), np.nan, np.float32)
    [poses] = read_file(write_dlc_csv(tmp_path / "x", xy=xy)).poses
    assert not poses.present.any()


def test_pictures_labelled_to_train_a_tracker_are_no_tracks(tmp_path):
    path = write_dlc_csv(tmp_path / "x", frames=["img1.png"], xy=story()[:1])
    with pytest.raises(DataError, match="labelled to train DeepLabCut"):
        read_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello\nworld\n", "columns frame, individual"),
        (b"\x80\x04K\x01.", "a pickle: a program, which is not run"),
        (b"PK\x03\x04....", "unpack it"),
        (b"CDF\x01....", "old NetCDF"),
        (b"x" * 300_000, "no known format"),
        (b"\x00\x01\x02\x03", "binary file, of no known format"),
    ],
)
def test_files_of_no_known_format(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_file(tmp_path / "x")


def test_a_pickle_in_circles_ends(tmp_path):
    # ``a = []; a.append(a)`` as a pickle.
    with pytest.raises(DataError):
        plain_data(b"\x80\x02]q\x00h\x00a.", "x")


def test_the_command_line_says_it_in_one_line_and_exits_with_2(tmp_path, capsys):
    (tmp_path / "x").write_text("nothing\n")
    for command in (
        ["inspect", str(tmp_path / "x")],
        ["inspect", str(tmp_path / "absent")],
        ["import", str(tmp_path), "--out", str(tmp_path / "out")],
        ["export", str(tmp_path), "--to", "boris"],
        ["export", str(tmp_path), "--to", "word"],
    ):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert told.startswith("mabe: ")
        assert told.count("\n") == 1
