"""Programs whose files are recognised by their name, and not read.

Each refusal is one true sentence: the program, and what to give instead. Like files of
a folder have one reason, and so one line.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import h5py

from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import open_hdf5
from mabe.io.readers.left_out import LeftOut, NothingToImport
from mabe.io.readers.matlab import variables_of

_TRACKS = (
    "write the points as a CSV with the columns frame, individual, keypoint, x, y, "
    "confidence"
)

_TRACKS_3D = _TRACKS.replace("x, y,", "x, y, z,")

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

    @property
    def facts(self) -> facts.Facts:
        """What docs/formats.md says of its files."""
        return facts.not_read(self.name, self.advice)

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


def _is_ethovision(peek: Peek) -> bool:
    first = peek.lines[0] if peek.kind == "text" and peek.lines else ""
    return "Number of header lines:" in first


def _is_ultralytics_table(peek: Peek) -> bool:
    return {"x1", "y1", "x2", "y2", "class", "confidence"} <= set(_header(peek))


def _is_freemocap(peek: Peek) -> bool:
    """Return whether a table has points in space, as FreeMoCap writes them."""
    header = _header(peek)
    is_wide = header[:3] == ["body_nose_x", "body_nose_y", "body_nose_z"]
    return is_wide or {"frame", "model", "keypoint", "x", "y", "z"} <= set(header)


def _is_dannce(peek: Peek) -> bool:
    if peek.kind != "matlab":
        return False
    names = variables_of(peek).keys()
    return "sampleID" in names and bool({"pred", "com"} & names)


def _is_bonsai(peek: Peek) -> bool:
    header = _header(peek)
    items = [re.match(r"Item\d+\.", name) for name in header]
    is_item = len(header) > 1 and all(items)
    return is_item or any(name.endswith("Centroid.X") for name in header)


def _is_fictrac(peek: Peek) -> bool:
    """Return whether a file is FicTrac's table, which has no header."""
    if not re.fullmatch(r".*\.dat|fictrac.*", peek.path.name, re.IGNORECASE):
        return False
    first = _header(peek)
    is_number = [re.fullmatch(r"[-+\d.e]+|nan", cell.lower()) for cell in first]
    return 23 <= len(first) <= 25 and all(is_number)


def _is_moseq(peek: Peek) -> bool:
    """Return whether a file has the syllables of (keypoint-)MoSeq."""
    if peek.kind != "hdf5" or not peek.names:
        return {"syllable", "frame_index"} <= set(_header(peek))
    with open_hdf5(peek.path) as file:
        group = file.get(min(peek.names))
        is_group = isinstance(group, h5py.Group)
        return is_group and {"syllable", "latent_state"} <= set(group)


def _is_labgym(peek: Peek) -> bool:
    name = r"(.*_)?(all_events|all_?event_probability)\.(xlsx|csv)"
    return re.fullmatch(name, peek.path.name) is not None


def _is_octron(peek: Peek) -> bool:
    return any(
        re.match(r"\s*frame_count_analyzed\s*:", line) for line in peek.lines[:8]
    )


def _is_datavyu(peek: Peek) -> bool:
    return peek.path.suffix == ".opf" and {"db", "project"} <= peek.members


def _is_xml_of(*parts: str) -> Callable[[Peek], bool]:
    """Return a test for XML in whose beginning all parts occur."""

    def is_it(peek: Peek) -> bool:
        begins = peek.text[:4000]
        return peek.kind == "text" and all(part in begins for part in parts)

    return is_it


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
        "tracks of AlphaPose or AlphaTracker",
        _json_with(_key("keypoints"), _key("idx"), is_list=False),
        _TRACKS,
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
        "FreeMoCap's three-dimensional points",
        _is_freemocap,
        _TRACKS_3D,
    ),
    Program(
        "DANNCE's three-dimensional points",
        _is_dannce,
        _TRACKS_3D,
    ),
    Program(
        "ToxTrac's table",
        _has_columns("Time (sec)", "Arena", "Track"),
        _TRACKS,
    ),
    Program("FastTrack's table", _has_columns("xHead", "yHead", "tHead"), _TRACKS),
    Program("OCTRON's table", _is_octron, _TRACKS),
    Program("Bonsai's table", _is_bonsai, _TRACKS),
    Program(
        "TrackMate's spots",
        lambda peek: (
            _has_columns("TRACK_ID", "POSITION_X", "POSITION_Y")(peek)
            or _is_xml_of("<TrackMate")(peek)
        ),
        _TRACKS,
    ),
    Program(
        "FicTrac's table, the path of a walk on a ball",
        _is_fictrac,
        f"it has no pose; {_TRACKS}",
    ),
    Program(
        "syllables of MoSeq",
        _is_moseq,
        "they are a program's; the poses that they were computed from are read",
        is_empty=True,
    ),
    Program(
        "behaviours that LabGym predicted",
        _is_labgym,
        "they are a program's, no labels of a person",
        is_empty=True,
    ),
    Program("a spreadsheet of Datavyu (.opf)", _is_datavyu, _LABELS),
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
        "annotations of CVAT (XML)",
        _is_xml_of("<annotations", "<meta"),
        "export COCO Keypoints with track_id from CVAT, or " + _TRACKS,
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
