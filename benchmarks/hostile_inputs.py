r"""Files and folders that no tracker writes: made to leave their folder, or cost much.

`write_all` writes each into a folder of its own. Nothing here is dangerous where it is
refused; files that would be created by running a pickle or by leaving a folder are
looked for by `benchmarks/fuzz_inputs.py`, which uses these.
"""

import gzip
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

METADATA = "lab_id,video_id,frames_per_second,pix_per_cm_approx,behaviors_labeled\n"
LONG = "frame,animal,keypoint,x,y\n"
TOUCHED = "PICKLE_WAS_RUN"
NAMES = (
    *("../../../ESCAPED", "..", "/tmp/ESCAPED", "a/b", "a\\b", "C:x", "CON", "nul.1"),
    *("=cmd|'/c calc'!A1", "@SUM(A1)", "\x1b[31mred", "\u202eabc", "x" * 5000, "-1"),
)


class Runs:
    """A pickle that makes a file when it is run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {TOUCHED}",)


def texts() -> dict[str, str | bytes]:
    """Return text files by their names."""
    state = {"0": {"code": "s", "type": "State event"}}

    def boris(**observation: Any) -> str:
        return json.dumps({"behaviors_conf": state, "observations": {"o": observation}})

    moments = [[1.0, "", "s", "", ""] for _ in range(60_000)]
    return {
        "empty.csv": "",
        "zeros.csv": b"\0" * 1000,
        "mark.csv": b"\xef\xbb\xbf",
        "mark16.csv": b"\xff\xfe",
        "lines.csv": "\n" * 100_000,
        "one_line.csv": LONG + "a" * (100 << 20),
        "one_row.csv": "scorer,a,a\nbodyparts,n,n\ncoords,x,y\n0," + "1," * (20 << 20),
        "wide.csv": "frame,keypoint,x,y," + ",".join(f"c{n}" for n in range(300_000)),
        "open_quote.csv": LONG + '0,a,"nose,1,1\n' + "1,a,nose,1,1\n" * 100_000,
        "two_frames.csv": "frame,frame,keypoint,x,y\n0,0,nose,1,1\n",
        "two_x.csv": "frame,keypoint,x,x,y\n0,nose,1,1,1\n",
        "animals.csv": LONG + "".join(f"0,a{n},k{n},1,1\n" for n in range(60_000)),
        "keypoints.csv": LONG
        + "".join(f"{n % 10},a,k{n},1,1\n" for n in range(200_000)),
        "far_frame.csv": LONG + "1e300,a,nose,1,1\n",
        "gap.csv": LONG + "0,a,nose,1,1\n19999999,a,nose,2,2\n",
        "negative.csv": LONG + "-5,a,nose,1,1\n3,a,nose,2,2\n",
        "path_names.csv": LONG + "0,../../x,../../y,1,1\n",
        "control.csv": LONG + "0,\x1b[31mred\x1b[0m,nose,1,1\n1,\u202eabc,nose,1,1\n",
        "bouts.csv": "video,action,start_frame,stop_frame\n../../x,a,-5,9999999999\n",
        "bouts_nan.csv": "video,action,start_frame,stop_frame\nv,a,0.5,nan\n",
        "one_hot.csv": "Frame,"
        + ",".join(f"b{n}" for n in range(20_000))
        + "\n"
        + "\n".join(f"{f}," + ",".join("01" * 10_000) for f in range(20)),
        "dlc_far.csv": "scorer,a,a\nbodyparts,n,n\ncoords,x,y\n0,1,1\n1000000000,2,2\n",
        "dlc_unequal.csv": "scorer,a,a\nbodyparts,n\ncoords,x,y\n0,1,1\n",
        "caltech.txt": "Caltech Behavior Annotator\n\nS1:\tstart\tend\ttype\n-1\t-4\n",
        "deep.json": '{"keypoints":' + "[" * 200_000,
        "deep_closed.json": '{"keypoints":' + "[" * 50_000 + "]" * 50_000 + "}",
        "deep_900.json": '{"a":{"keypoints":' + "[" * 900 + "1" + "]" * 900 + "}}",
        "digits.json": '{"a":{"keypoints":[' + "9" * 1_000_000 + "]}}",
        "nan.json": '{"a":{"b":{"keypoints":NaN,"annotations":Infinity}}}',
        "half_letter.json": '{"a":{"\\ud800":{"keypoints":'
        + json.dumps(np.zeros((3, 2, 2, 7)).tolist())
        + "}}}",
        "deep.boris": '{"behaviors_conf":' + '{"a":' * 100_000,
        "deep.boris.gz": gzip.compress(b'{"behaviors_conf":' + b'{"a":' * 100_000),
        "bomb.csv.gz": gzip.compress(LONG.encode() + b"0,a,nose,1,1\n" * (20 << 20)),
        "zeros.gz": gzip.compress(bytes(600 << 20), 1),
        "null.boris": json.dumps({"behaviors_conf": None, "observations": None}),
        "list.boris": json.dumps({"behaviors_conf": [1], "observations": [2]}),
        "many.boris": boris(events=moments, file={}),
        "far.boris": boris(events=[["9" * 400, "", "s", "", ""]], file={}),
        "offset.boris": boris(**{"time offset": "x"}, events=moments[:1], file={}),
        "media.boris": boris(media_info=[1], events=moments[:2], file={"1": ["v.mp4"]}),
        "none.boris": boris(events=[[None] * 5], file={"1": [None]}),
    }


def npy(pickled: bytes, shape: str = "()", kind: str = "|O") -> bytes:
    """Return an npy file with a pickle."""
    header = f"{{'descr':'{kind}','fortran_order':False,'shape':{shape}}}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled


def shared(depth: int, make: Callable[[Any], Any]) -> bytes:
    """Return a pickle of parts that are shared on every level."""
    value: Any = "keypoints"
    for _ in range(depth):
        value = make(value)
    return pickle.dumps({"keypoints": value})


def arrays() -> dict[str, bytes]:
    """Return npy files by their names."""
    own: list[Any] = []
    own.append(own)
    copies = b"\x80\x02X\x00\x00\x10\x00" + b"k" * (1 << 20) + b"q\x00"
    copies += b"c_codecs\nencode\nq\x010" + b"h\x01h\x00\x85R0" * 20_000 + b"."
    return {
        "shared_lists.npy": npy(shared(40, lambda each: [each] * 10)),
        "shared_tuples.npy": npy(shared(60, lambda each: (each, each))),
        "shared_dicts.npy": npy(shared(40, lambda each: {"a": each, "b": each})),
        "own_part.npy": npy(pickle.dumps({"keypoints": own})),
        "copies.npy": npy(copies + b"keypoints"),
        "digits.npy": npy(b"\x80\x02}U\tkeypointsI" + b"9" * 4000 + b"\ns."),
        "runs.npy": npy(pickle.dumps({"keypoints": Runs()})),
        "eval.npy": npy(b"\x80\x02cbuiltins\neval\n(V1 # keypoints\ntR."),
        "long_shape.npy": npy(b"keypoints", "(99999999999,)", "<f8"),
        "deep_shape.npy": npy(b"keypoints", "(" * 5000 + ")" * 5000),
        "minus_shape.npy": npy(b"keypoints", "-" * 9000 + "1"),
        "wide_type.npy": npy(
            b"\x80\x02}X\x09\x00\x00\x00keypointscnumpy\ndtype\nX\x0c\x00\x00\x00"
            b"V99999999999K\x00K\x01\x87Rs."
        ),
    }


def _sleap(file: h5py.File, **changes: Any) -> None:
    values = {
        "node_names": np.array([b"nose", b"tailbase"]),
        "track_names": np.array([b"a", b"b"]),
        "tracks": np.random.default_rng(0).uniform(0, 100, (2, 2, 2, 20)),
    } | changes
    for name, value in values.items():
        if isinstance(value, dict):
            file.create_dataset(name, **value)
        elif value is not None:
            file[name] = value


def _unwritten(shape: tuple[int, ...], kind: str, chunk: int) -> dict[str, Any]:
    chunks = tuple(min(size, chunk) for size in shape)
    return {"shape": shape, "dtype": kind, "chunks": chunks}


def hdf5(other: Path) -> dict[str, Callable[[h5py.File], None]]:
    """Return what is written into HDF5 files, by their names; `other` is read."""
    outside = [(str(other), 0, h5py.h5f.UNLIMITED)]
    layout = h5py.VirtualLayout((2, 2, 2, 4), "f4")
    layout[...] = h5py.VirtualSource(str(other), "tracks", (2, 2, 2, 4))

    def bomb(file: h5py.File) -> None:
        _sleap(file, tracks=None)
        chunk = np.ones((2, 2, 2, 1_000_000))
        data = file.create_dataset(
            "tracks", (2, 2, 2, 15_000_000), "f8", chunks=chunk.shape, compression=9
        )
        for at in range(15):
            data[..., at * 1_000_000 : (at + 1) * 1_000_000] = chunk

    def virtual(file: h5py.File) -> None:
        _sleap(file, tracks=None)
        file.create_virtual_dataset("tracks", layout)

    def poses(file: h5py.File) -> None:
        group = file.create_group("poseest")
        group.create_dataset("points", **_unwritten((10**11, 12, 2), "u2", 1000))
        group.create_dataset("confidence", **_unwritten((10**11, 12), "f4", 1000))
        group.attrs["version"] = [2, 0]

    def table(file: h5py.File) -> None:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        kind = [("index", "i8"), ("values_block_0", "f8", (6,))]
        rows = group.create_dataset("table", data=np.zeros(5, dtype=kind))
        rows.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(Runs(), 0))
        group.attrs["info"] = np.bytes_(shared(30, lambda each: [each, each]))

    def with_(**changes: Any) -> Callable[[h5py.File], None]:
        return lambda file: _sleap(file, **changes)

    return {
        "bomb.h5": bomb,
        "virtual.h5": virtual,
        "jabs.h5": poses,
        "table.h5": table,
        "unwritten.h5": with_(tracks=_unwritten((2, 2, 2, 10**12), "f8", 1024)),
        "names.h5": with_(track_names=_unwritten((3 * 10**9,), "S10", 10**5)),
        "nodes.h5": with_(node_names=_unwritten((300_000,), "S2000", 1000)),
        "video.h5": with_(video_path=_unwritten((5 * 10**9,), "f8", 10**5)),
        "link.h5": with_(tracks=h5py.ExternalLink(str(other), "/tracks")),
        "soft_link.h5": with_(
            x=h5py.ExternalLink(str(other), "/"), tracks=h5py.SoftLink("/x/tracks")
        ),
        "loop.h5": with_(tracks=h5py.SoftLink("/tracks")),
        "storage.h5": with_(
            tracks={"shape": (2, 2, 2, 4), "dtype": "f4", "external": outside}
        ),
        "storage_names.h5": with_(
            node_names={"shape": (2,), "dtype": "S8", "external": outside}
        ),
        "compound.h5": with_(tracks=np.zeros((2, 2, 2, 9), dtype=[("a", "f4")])),
        "nothing.h5": with_(tracks=h5py.Empty("f8")),
        "letters.h5": with_(tracks=np.array([b"x"] * 40).reshape(2, 2, 2, 5)),
        "complex.h5": with_(tracks=np.ones((2, 2, 2, 5), complex)),
        "same_names.h5": with_(node_names=np.array([b"nose", b"nose"])),
        "odd_names.h5": with_(track_names=np.array([b"../../a", b"b\n\x1b[31m"])),
    }


def tables() -> dict[str, pa.Table]:
    """Return parquet files by their names."""
    many = 30_000_000
    names = pa.DictionaryArray.from_arrays(np.zeros(many, np.int8), ["nose"])
    zeros = pa.array(np.zeros(many, np.float32))
    few = {"frame": [0, 1], "keypoint": ["nose"] * 2, "x": [1.0, 2.0], "y": [1.0, 2.0]}
    n = 200_000
    return {
        "rows.parquet": pa.table(
            {"frame": zeros, "keypoint": names, "x": zeros, "y": zeros}
        ),
        "keypoints.parquet": pa.table(
            {"frame": np.arange(n) % 9, "keypoint": [f"k{at}" for at in range(n)]}
            | {"x": np.ones(n), "y": np.ones(n)}
        ),
        "nested.parquet": pa.table(few | {"x": [{"a": 1}, {"a": 2}]}),
        "lists.parquet": pa.table(few | {"frame": [[1], [2]]}),
        "bytes.parquet": pa.table(
            few | {"keypoint": pa.array([b"nose", b"\xff\xfe"], pa.binary())}
        ),
        "dates.parquet": pa.table(
            few | {"frame": pa.array([1, 2], pa.timestamp("ns"))}
        ),
        "nulls.parquet": pa.table({name: pa.nulls(3) for name in few}),
        "large.parquet": pa.table(
            few | {"frame": pa.array([2**64 - 1, 1], pa.uint64())}
        ),
        "long_name.parquet": pa.table(few | {"keypoint": ["n" * 10**6, "nose"]}),
        "bouts.parquet": pa.table(
            {"action": ["a"], "start_frame": [-1], "stop_frame": [-9]}
        ),
    }


def metadata() -> dict[str, str]:
    """Return metadata tables of the Kaggle layout, by the names of their folders."""
    rows = {
        "deep": 'L,1,30,10,"' + "[" * 100_000 + '"',
        "digits": 'L,1,30,10,"[' + "9" * 10_000 + ']"',
        "fps_large": "L,1,1e308,1e-308,",
        "fps_small": "L,1,1e-300,10,",
        "fps_1e9": "L,1,1e9,10,",
        "scale_small": "L,1,30,1e-30,",
        "cells": 'L,1,30,10,"[]",a,b,c',
        "few_cells": "L",
        "object": 'L,1,30,10,"{""a"":1}"',
        "field": 'L,1,30,10,"' + "x" * 200_000 + '"',
    }
    named = {f"lab{at}": f"{_quoted(name)},1,30,10," for at, name in enumerate(NAMES)}
    named |= {
        f"video{at}": f"L,{_quoted(name)},30,10," for at, name in enumerate(NAMES)
    }
    return {name: f"{METADATA}{row}\n" for name, row in (rows | named).items()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def projects() -> dict[str, str]:
    """Return texts of project.yaml, by the names of their folders."""
    levels = "".join(
        f"{key}: &{one} [{','.join(['*' + before] * 9)}]\n"
        for key, one, before in zip(
            ("lab", "subjects", "keypoints", "actions", "watched", "animals"),
            "bcdefg",
            "abcdef",
            strict=True,
        )
    )
    return {
        "aliases": "fps: &a [x,x,x,x,x,x,x,x,x]\n" + levels,
        "deep": "lab: " + "[" * 20_000,
        "deep_closed": "lab: " + "[" * 3000 + "]" * 3000,
        "deep_maps": "".join(" " * at + f"a{at}:\n" for at in range(3000)),
        "runs": f"lab: !!python/object/apply:os.system ['touch {TOUCHED}']\n",
        "own_part": "lab: &a [*a]\n",
        "merge": "a: &a {<<: *a}\n",
        "list_key": "? [a]\n: 1\n",
        "no_date": "lab: 2026-99-99\n",
        "date": "lab: 2026-01-01\n",
        "binary": "lab: !!binary |\n  ####\n",
        "digits": "fps: " + "9" * 10_000 + "\n",
        "sixties": "fps: " + ":".join(["59"] * 3000) + "\n",
        "nan": "fps: .nan\n",
        "small_body": "body_cm: 1e-300\n",
        "animals": "animals: [a, a, a, a, a]\n",
        "tracks": "recordings: [{tracks: /etc/passwd}]\n",
        "latin": "lab: \xe9\n",
        **{f"lab{at}": f"lab: {json.dumps(name)}\n" for at, name in enumerate(NAMES)},
    }


def predictions() -> dict[str, tuple[dict[str, Any], str]]:
    """Return provenance and bouts of folders of predictions, by their names."""
    header = "lab,video,agent,target,action,start_frame,stop_frame,start_s,stop_s,"
    about = {"lab": "L", "fps": 30.0, "length": 100, "animals": ["a", "b"]}
    about |= {"tracks_hash": "x", "file": None, "file_hash": None, "notes": []}

    def folder(source: dict[str, Any], row: str, **facts: Any) -> tuple[Any, str]:
        values = {"mabe": "0.1", "model": "m", "model_hash": "h", "task": "pair"}
        values |= {"actions": ["s"], "rules": {}, "rate_fps": 30.0, "variants": 1}
        values |= {"sources": [about | source]} | facts
        return values, f"{header}probability\n{row}\n"

    good = "mouse1,mouse2,s,1,5,0,0,0.5"
    odd_rows = ("mouse1,mouse9,s,1,5,0,0,0.5", "mouse1,mouse2,s,-9,nan,0,0,x", "", ",")
    return {
        **{
            f"name{at}": folder({"video": name}, f"L,{_quoted(name)},{good}")
            for at, name in enumerate(NAMES)
        },
        **{
            f"row{at}": folder({"video": "v"}, f"L,v,{row}")
            for at, row in enumerate(odd_rows)
        },
        "fps": folder({"video": "v", "fps": 1e-300}, f"L,v,{good}"),
        "length": folder({"video": "v", "length": 10**30}, f"L,v,{good}"),
        "null": folder({"video": None}, f"L,v,{good}"),
        "deep": folder({"video": "v"}, f"L,v,{good}", rules=[[[[[[]]]]]]),
    }


def write_all(folder: Path, tracks: Path) -> list[Path]:
    """Write every case into a folder of its own; `tracks` is a good pose file."""
    other = folder / "other.h5"
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(other, "w") as file:
        _sleap(file)
    made: list[Path] = []

    def place(kind: str, name: str) -> Path:
        made.append(folder / f"{kind}-{name}".replace(".", "_"))
        made[-1].mkdir()
        return made[-1]

    for name, text in texts().items():
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        (place("text", name) / name).write_bytes(data)
    for name, data in arrays().items():
        (place("npy", name) / name).write_bytes(data)
    for name, write in hdf5(other).items():
        with h5py.File(place("hdf5", name) / name, "w") as file:
            write(file)
    for name, table in tables().items():
        pq.write_table(table, place("parquet", name) / name, compression="zstd")
    for name, text in metadata().items():
        here = place("layout", name)
        (here / "train.csv").write_text(text, "utf-8")
        _write_layout_tracks(here / "train_tracking" / "L" / "1.parquet")
    for name, text in projects().items():
        here = place("project", name)
        (here / "project.yaml").write_text(
            text, "latin-1" if name == "latin" else "utf-8"
        )
        (here / "a.csv").write_bytes(tracks.read_bytes())
    for name, (provenance, bouts) in predictions().items():
        here = place("predictions", name)
        (here / "provenance.json").write_text(json.dumps(provenance), "utf-8")
        (here / "bouts.csv").write_text(bouts, "utf-8")
    _write_odd_files(place)
    return made


def _write_layout_tracks(path: Path) -> None:
    path.parent.mkdir(parents=True)
    points = {
        "video_frame": pa.array(np.repeat(np.arange(50), 4), pa.int32()),
        "mouse_id": pa.array(np.tile([1, 1, 2, 2], 50), pa.int8()),
        "bodypart": ["nose", "tail_base"] * 100,
        "x": np.linspace(0, 100, 200),
        "y": np.linspace(100, 0, 200),
    }
    pq.write_table(pa.table(points), path)


def _write_odd_files(place: Callable[[str, str], Path]) -> None:
    """Write names and kinds of files that no program makes on purpose."""
    text = LONG + "0,a,nose,1,1\n1,a,tail_base,2,2\n"
    names = (b"\xff\xfe.csv", b"a\nb.csv", b"\x1b[31m.csv", b"x" * 250 + b".csv")
    for at, name in enumerate((*names, b"CON.csv", b"-rf.csv", b"=cmd().csv")):
        Path(os.fsdecode(os.fsencode(place("file", str(at))) + b"/" + name)).write_text(
            text
        )
    links = place("file", "links")
    (links / "up").symlink_to("..")
    (links / "self.csv").symlink_to("self.csv")
    (links / "zero.csv").symlink_to("/dev/zero")
    (links / "a.csv").write_text(text)
    os.mkfifo(place("file", "pipe") / "pipe.csv")
    (place("file", "folder") / "folder.csv").mkdir()
