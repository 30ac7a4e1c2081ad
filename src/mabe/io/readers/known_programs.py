"""Programs whose files are recognised by their name, and not read.

Each refusal is one true sentence: the program, and what to give instead. Like files of
a folder have one reason, and so one line.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import LeftOut, NothingToImport

_TRACKS = (
    "write the points as a CSV with the columns frame, individual, keypoint, x, y, "
    "confidence"
)

_LABELS = (
    "write the bouts as a CSV with the columns video, subject, target, action, "
    "start_s, stop_s"
)


@dataclass(frozen=True, slots=True)
class Program:
    """The files of one program."""

    name: str
    is_it: Callable[[Peek], bool]
    advice: str
    is_empty: bool = False
    """True where nothing in it could be imported."""

    def refuse(self, peek: Peek) -> Content:
        """Raise `LeftOut` with the program's name and what to give instead."""
        kind = NothingToImport if self.is_empty else LeftOut
        raise kind(peek.path, f"{self.name}, not read; {self.advice}.")


def _header(peek: Peek) -> list[str]:
    return peek.rows[0] if peek.kind == "text" and peek.rows else []


def _has_columns(*names: str) -> Callable[[Peek], bool]:
    """Return a test for tables whose header has all of some names."""
    return lambda peek: set(names) <= {name.strip() for name in _header(peek)}


def _begins(*texts: str) -> Callable[[Peek], bool]:
    """Return a test for texts that begin with any of some words."""
    return lambda peek: (
        peek.kind == "text" and peek.text.lstrip("\ufeff \t\r\n").startswith(texts)
    )


def _json_with(*patterns: str, is_list: bool | None = None) -> Callable[[Peek], bool]:
    """Return a test for JSON in which all patterns occur."""

    def is_it(peek: Peek) -> bool:
        if peek.kind != "json":
            return False
        begins_list = peek.text.lstrip().startswith("[")
        fits = is_list is None or begins_list == is_list
        return fits and all(re.search(pattern, peek.text) for pattern in patterns)

    return is_it


def _key(name: str) -> str:
    return rf'"{name}"\s*:'


def _is_animalta(peek: Peek) -> bool:
    header = _header(peek)
    has_arenas = any(re.fullmatch(r"[XY]_Arena\d+_Ind\d+", name) for name in header)
    return has_arenas or {"Frame", "Arena", "Ind", "X", "Y"} <= set(header)


def _is_anipose(peek: Peek) -> bool:
    header = set(_header(peek))
    return "fnum" in header and any(name.endswith("_ncams") for name in header)


def _is_ethovision(peek: Peek) -> bool:
    first = peek.lines[0] if peek.kind == "text" and peek.lines else ""
    return "Number of header lines:" in first


def _is_ultralytics_table(peek: Peek) -> bool:
    return {"x1", "y1", "x2", "y2", "class", "confidence"} <= set(_header(peek))


def _is_jabs_output(peek: Peek) -> bool:
    return (peek.kind == "hdf5" and {"predictions"} == peek.names) or (
        {"identity", "num_frames"} <= set(peek.attributes) and "features" in peek.names
    )


def _is_jabs_settings(peek: Peek) -> bool:
    return peek.kind == "json" and (
        peek.path.name == "project.json" and peek.path.parent.name == "jabs"
    )


PROGRAMS: Sequence[Program] = (
    Program(
        "a lock file of Excel",
        lambda peek: peek.path.name.startswith("~$"),
        "close the workbook there",
        is_empty=True,
    ),
    Program(
        "a SimBA project's table of videos",
        _has_columns("Video", "fps", "pixels/mm"),
        "it is read together with the videos of csv",
        is_empty=True,
    ),
    Program(
        "a JABS project's settings",
        _is_jabs_settings,
        "its annotations are read from jabs/annotations",
        is_empty=True,
    ),
    Program(
        "features or predictions of JABS",
        _is_jabs_output,
        "a person's labels are in jabs/annotations",
        is_empty=True,
    ),
    Program(
        "results of a pose detector in COCO's form (Detectron2, MMPose, AlphaPose), "
        "which have no identities",
        _json_with(_key("image_id"), _key("keypoints"), is_list=True),
        f"track the animals, and {_TRACKS}",
    ),
    Program(
        "keypoints of OpenPose",
        _json_with(_key("people"), _key("pose_keypoints_2d")),
        _TRACKS,
    ),
    Program(
        "annotations of Label Studio other than ranges of a timeline",
        _json_with(_key("annotations"), _key("from_name"), _key("to_name")),
        _LABELS,
    ),
    Program(
        "annotations of VGG VIA (JSON)",
        _json_with(r'"(_via_settings|vid)"|"attribute"\s*:\s*\{', _key("metadata")),
        f"export CSV from VIA, or {_LABELS}",
    ),
    Program(
        "arrays of numpy (npz) of an unknown program",
        lambda peek: peek.kind == "npz",
        _TRACKS,
    ),
    Program("AnimalTA's coordinates", _is_animalta, _TRACKS),
    Program(
        "Anipose's three-dimensional points",
        _is_anipose,
        "give the tracks of one camera (pose-2d), or " + _TRACKS,
    ),
    Program("Ultralytics' (YOLO) table of boxes", _is_ultralytics_table, _TRACKS),
    Program(
        "an export of EthoVision XT without coordinates",
        _is_ethovision,
        f"{_TRACKS}; {_LABELS}",
    ),
    Program(
        "ANY-maze's table of samples",
        lambda peek: any(
            re.fullmatch(r"Cent(re|er) position X", name) for name in _header(peek)
        ),
        f"{_TRACKS}; {_LABELS}",
    ),
    Program(
        "a MATLAB file of version 7.3",
        lambda peek: peek.kind == "matlab" and peek.head.startswith(b"MATLAB 7.3"),
        "save it in MATLAB with `save(FILE, '-v7')`",
    ),
    Program(
        "a MATLAB file of an unknown program",
        lambda peek: peek.kind == "matlab",
        f"{_TRACKS}; {_LABELS}",
    ),
    Program(
        "an SQLite database of an unknown program",
        lambda peek: peek.kind == "sqlite",
        f"{_TRACKS}; {_LABELS}",
    ),
    Program(
        "codes of CowLog with modifiers",
        _has_columns("time", "class1"),
        _LABELS,
    ),
    Program(
        "annotations of ANVIL",
        lambda peek: peek.kind == "text" and "<anvil" in peek.text[:2000].lower(),
        _LABELS,
    ),
    Program(
        "XML",
        _begins("<?xml"),
        f"{_TRACKS}; {_LABELS}",
    ),
    Program(
        "a master file of JWatcher",
        lambda peek: peek.kind == "text" and "Focal Master File" in peek.text[:2000],
        "its names belong to the .dat files",
        is_empty=True,
    ),
)
