"""All formats that are read, and how the format of a file is recognised: by content.

The order matters where a file could be of two formats: the more specific one is tested
first.
"""

import csv
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import DataError
from mabe.io.readers import (
    animalta,
    anipose,
    apt,
    bento,
    boris,
    boris_project,
    bout_tables,
    calms21,
    caltech,
    coco,
    cowlog,
    ctrax,
    deeplabcut,
    deeplabcut_hdf5,
    elan,
    elan_tab,
    ethovision,
    ethovision_trials,
    flytracker,
    frame_tables,
    idtracker,
    idtracker_tidy,
    jaaba,
    jabs,
    jabs_annotations,
    jwatcher,
    label_studio,
    live_mouse_tracker,
    mmpose,
    movement,
    noldus,
    nwb,
    simba,
    simba_yolo,
    sleap,
    sleap_csv,
    sleap_project,
    tables,
    trex,
    trex_csv,
    via,
    yolo,
)
from mabe.io.readers.annotations import Content
from mabe.io.readers.containers import (
    WORKBOOKS,
    below,
    open_peek,
    sheets_of,
)
from mabe.io.readers.facts import Facts
from mabe.io.readers.file_head import Peek
from mabe.io.readers.known_programs import PROGRAMS
from mabe.io.readers.left_out import LeftOut


@dataclass(frozen=True, slots=True)
class Format:
    """One format: how it is recognised, and how it is read."""

    name: str
    is_it: Callable[[Peek], bool]
    read: Callable[[Peek], Content]
    facts: tuple[Facts, ...]
    """What docs/formats.md says of it."""
    read_sheets: Callable[[Sequence[Peek]], Content] | None = None
    """How several sheets of a workbook are read that hold one recording together."""


_IN_PIXELS = ("JABS", "CalMS21")
"""Formats whose coordinates are pixels by definition."""


_TITLE_LINES = 4

_EXCEL_FACTS = Facts(
    name="Excel workbooks (xlsx, xls, ods); files compressed with gzip",
    use="tracks, labels",
    clock="dates and times of cells become s",
    notes="each sheet is read as a table in a text file, up to four lines of title "
    "above it; a compressed file as what it contains",
)


EXCEL = (
    "an Excel file, no sheet of which is known; save the sheet as CSV (UTF-8) with the "
    "columns subject, action, start_s, stop_s (or start_frame, stop_frame)."
)


def _is_workbook(peek: Peek) -> bool:
    return peek.kind in WORKBOOKS


def _read_workbook(peek: Peek) -> Content:
    """Return what the sheets of a workbook hold that are tables of a known format."""
    read, refused = [], []
    joined: dict[str, list[Peek]] = {}
    for sheet in sheets_of(peek):
        # A person's own sheet may have lines of title above the table.
        tables = (below(sheet, lines) for lines in range(_TITLE_LINES + 1))
        known = ((_format_of(table), table) for table in tables)
        found, table = next((each for each in known if each[0]), (None, sheet))
        if found is None:
            continue
        if found.read_sheets is not None:
            joined.setdefault(found.name, []).append(table)
            continue
        try:
            read.append(read_as(found, table))
        except LeftOut as reason:
            refused.append(reason)
    for each in FORMATS:
        if each.read_sheets is not None and (those := joined.get(each.name)):
            try:
                read.append(each.read_sheets(those))
            except LeftOut as reason:
                refused.append(reason)
    if not read:
        raise refused[0] if refused else LeftOut(peek.path, EXCEL)
    return Content(
        f"Excel: {', '.join(dict.fromkeys(each.format for each in read))}",
        tuple(poses for each in read for poses in each.poses),
        tuple(labels for each in read for labels in each.annotations),
    )


FORMATS = (
    Format("NWB (ndx-pose, ndx-ethogram)", nwb.is_nwb, nwb.read, (nwb.FACTS,)),
    Format(
        "SLEAP project (.slp)",
        sleap_project.is_project,
        sleap_project.read_project,
        (sleap_project.FACTS,),
    ),
    Format(
        "SLEAP analysis HDF5", sleap.is_analysis, sleap.read_analysis, (sleap.FACTS,)
    ),
    Format("JABS pose HDF5", jabs.is_jabs, jabs.read, (jabs.FACTS,)),
    Format(
        "idtracker.ai HDF5", idtracker.is_hdf5, idtracker.read_hdf5, (idtracker.FACTS,)
    ),
    Format("movement NetCDF", movement.is_movement, movement.read, (movement.FACTS,)),
    Format(
        "DeepLabCut or MABe22 HDF5",
        deeplabcut_hdf5.is_hdf5,
        deeplabcut_hdf5.read_hdf5,
        (deeplabcut.FACTS, calms21.MABE22),
    ),
    Format(
        "BORIS project",
        boris_project.is_project,
        boris_project.read_project,
        (boris_project.FACTS,),
    ),
    Format(
        "JABS annotations",
        jabs_annotations.is_jabs_annotations,
        jabs_annotations.read_jabs_annotations,
        (jabs_annotations.FACTS,),
    ),
    Format("Bento annotations", bento.is_bento, bento.read_bento, (bento.FACTS,)),
    Format(
        "The Observer's event log",
        noldus.is_observer,
        noldus.read_observer,
        (noldus.OBSERVER,),
    ),
    Format(
        "EthoVision's manual scoring",
        noldus.is_scoring,
        noldus.read_scoring,
        (noldus.SCORING,),
    ),
    Format(
        ethovision.FORMAT,
        ethovision_trials.is_raw,
        ethovision.read_raw,
        (ethovision.FACTS,),
        read_sheets=ethovision.read_sheets,
    ),
    Format("ELAN annotations", elan.is_elan, elan.read_elan, (elan.FACTS,)),
    Format(
        "ELAN annotations (text)",
        elan_tab.is_elan_tab,
        elan_tab.read_elan_tab,
        (elan.FACTS,),
    ),
    Format(
        "Label Studio annotations",
        label_studio.is_label_studio,
        label_studio.read_label_studio,
        (label_studio.FACTS,),
    ),
    Format("CowLog codes", cowlog.is_cowlog, cowlog.read_cowlog, (cowlog.FACTS,)),
    Format("VIA annotations", via.is_via, via.read_via, (via.FACTS,)),
    Format(
        "JWatcher focal data",
        jwatcher.is_jwatcher,
        jwatcher.read_jwatcher,
        (jwatcher.FACTS,),
    ),
    Format(
        "idtracker.ai CSV", idtracker.is_csv, idtracker.read_csv, (idtracker.FACTS,)
    ),
    Format(
        "idtracker.ai npy", idtracker.is_npy, idtracker.read_npy, (idtracker.FACTS,)
    ),
    Format(
        "idtracker.ai, tidy",
        idtracker_tidy.is_tidy,
        idtracker_tidy.read_tidy,
        (idtracker.FACTS,),
    ),
    Format(
        "idtracker.ai's attributes",
        idtracker.is_companion,
        idtracker.refuse_companion,
        (idtracker.FACTS,),
    ),
    Format("Ultralytics (YOLO) texts", yolo.is_yolo, yolo.read_yolo, (yolo.FACTS,)),
    Format("Anipose CSV", anipose.is_anipose, anipose.read_anipose, (anipose.FACTS,)),
    Format("TRex npz", trex.is_trex, trex.read_trex, (trex.FACTS,)),
    Format("TRex CSV", trex_csv.is_trex_csv, trex_csv.read_trex_csv, (trex_csv.FACTS,)),
    Format("outlines of TRex", trex.is_outlines, trex.refuse_outlines, (trex.FACTS,)),
    Format("JAABA tracks", jaaba.is_tracks, jaaba.read_tracks, (jaaba.TRACKS,)),
    Format("JAABA labels", jaaba.is_labels, jaaba.read_labels, (jaaba.LABELS,)),
    Format("scores of JAABA", jaaba.is_scores, jaaba.refuse_scores, (jaaba.LABELS,)),
    Format(
        "FlyTracker", flytracker.is_tracks, flytracker.read_tracks, (flytracker.FACTS,)
    ),
    Format(
        "FlyTracker's other files",
        flytracker.is_other,
        flytracker.refuse_other,
        (flytracker.FACTS,),
    ),
    Format("Ctrax", ctrax.is_ctrax, ctrax.read_ctrax, (ctrax.FACTS,)),
    Format("APT", apt.is_apt, apt.read_apt, (apt.FACTS,)),
    Format("AnimalTA", animalta.is_animalta, animalta.read_animalta, (animalta.FACTS,)),
    Format(
        "results of AnimalTA",
        animalta.is_results,
        animalta.refuse_results,
        (animalta.RESULTS,),
    ),
    Format("MMPose predictions", mmpose.is_mmpose, mmpose.read_mmpose, (mmpose.FACTS,)),
    Format("COCO keypoints", coco.is_coco, coco.read_coco, (coco.FACTS,)),
    Format(
        "Live Mouse Tracker",
        live_mouse_tracker.is_database,
        live_mouse_tracker.read_database,
        (live_mouse_tracker.FACTS,),
    ),
    *(Format(each.name, each.is_it, each.refuse, (each.facts,)) for each in PROGRAMS),
    Format(
        "CalMS21 or MABe22",
        calms21.is_sequences,
        calms21.read,
        (calms21.CALMS21, calms21.MABE22),
    ),
    Format(
        "SLEAP CSV",
        sleap_csv.is_sleap_csv,
        sleap_csv.read_sleap_csv,
        (sleap_csv.FACTS,),
    ),
    Format(
        "DeepLabCut evaluation",
        deeplabcut.is_evaluation,
        deeplabcut.refuse_evaluation,
        (deeplabcut.FACTS,),
    ),
    Format(
        "DeepLabCut CSV", deeplabcut.is_csv, deeplabcut.read_csv, (deeplabcut.FACTS,)
    ),
    Format(
        "BORIS events", boris.is_table, boris.read_table, (boris.FACTS, boris.BINARY)
    ),
    Format(
        "Caltech Behavior Annotator", caltech.is_caltech, caltech.read, (caltech.FACTS,)
    ),
    Format(
        "SimBA YOLO CSV",
        simba_yolo.is_simba_yolo,
        simba_yolo.read_simba_yolo,
        (simba_yolo.FACTS,),
    ),
    Format("SimBA CSV", simba.is_simba, simba.read, (simba.FACTS,)),
    Format("long table of points", tables.is_long, tables.read_long, (tables.FACTS,)),
    Format(
        "table of bouts",
        bout_tables.is_bout_table,
        bout_tables.read_bout_table,
        (bout_tables.FACTS,),
    ),
    Format(
        "one-hot table",
        frame_tables.is_one_hot,
        frame_tables.read_one_hot,
        (frame_tables.FACTS,),
    ),
    Format(
        "table of frames with a word each",
        frame_tables.is_words,
        frame_tables.read_words,
        (frame_tables.FACTS,),
    ),
    Format("Excel workbook", _is_workbook, _read_workbook, (_EXCEL_FACTS,)),
)


_READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    csv.Error,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def recognise(path: Path) -> tuple[Format | None, Peek]:
    """Return the format of a file; None where it is not a known one.

    Raises `DataError` where the file cannot be opened.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    peek = open_peek(path)
    try:
        return _format_of(peek), peek
    except _READ_ERRORS as error:
        raise DataError(
            f"{path}: its format cannot be recognised ({type(error).__name__}: "
            f"{error}); is it broken?"
        ) from error


def _format_of(peek: Peek) -> Format | None:
    return next((each for each in FORMATS if each.is_it(peek)), None)


def read_file(path: Path) -> Content:
    """Return what a file holds.

    Raises `DataError` for a file of no known format, and for a broken one.
    """
    found, peek = recognise(path)
    if found is None:
        raise DataError(f"{path}: {_describe_unknown(peek)}")
    return read_as(found, peek)


def read_again(path: Path) -> Content:
    """Return what a file holds; the last one is cached, for each of its recordings."""
    status = path.stat()
    return _read_once(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _read_once(path: Path, size: int, changed_ns: int) -> Content:
    return read_file(path)


def read_as(found: Format, peek: Peek) -> Content:
    """Return what a file of a known format holds.

    Readers raise `DataError` where they know the cause; any other error that a broken
    file leads to becomes a `DataError` here.
    """
    try:
        content = found.read(peek)
        may_be_relative = not found.name.startswith(_IN_PIXELS)
        return _with_units(content) if may_be_relative else content
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{peek.path}: looks like {found.name}, but cannot be read "
            f"({type(error).__name__}: {reason}). Is it broken, or of another version?"
        ) from error


def _with_units(content: Content) -> Content:
    """Return content whose coordinates are marked as relative where they all are."""
    poses = tuple(
        replace(each, unit="picture") if each.is_relative else each
        for each in content.poses
    )
    return replace(content, poses=poses)


_UNKNOWN = {
    "empty": "is empty; was it copied to the end?",
    "netcdf3": "an old NetCDF file (version 3); save it anew with "
    '`ds.to_netcdf(path, engine="h5netcdf")`.',
    "pickle": "a pickle: a program, which is not run. Export CSV or HDF5 instead.",
    "zip": "a zip file; unpack it.",
}


def _describe_unknown(peek: Peek) -> str:
    """Return what a file of no known format is, and what can be read instead."""
    if peek.kind in _UNKNOWN:
        return _UNKNOWN[peek.kind]
    what = f"a {peek.kind} file"
    if peek.kind == "hdf5":
        what = f"an HDF5 file with {sorted(peek.names)[:8]}"
    elif peek.kind == "text":
        first = next((line for line in peek.lines if line.strip()), "")
        what = f"a text that begins with {first[:60]!r}"
    return (
        f"{what}, of no known format (docs/formats.md lists those that are read). "
        "Points are read from a CSV with the columns frame, individual, keypoint, x, "
        "y, bouts from one with subject, target, action, start_s, stop_s; `columns` in "
        "project.yaml names the columns of another table."
    )
