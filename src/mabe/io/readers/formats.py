"""All formats that are read, and how a file's own is found: by what is in it.

The order matters where a file could be taken for two: what says its name most clearly
is asked first.
"""

import csv
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mabe.errors import DataError
from mabe.io.readers import (
    boris,
    calms21,
    caltech,
    deeplabcut,
    jabs,
    movement,
    nwb,
    simba,
    sleap,
    tables,
)
from mabe.io.readers.annotations import Content
from mabe.io.readers.sniffing import Peek


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file: how to know it, and how to read it."""

    name: str
    is_it: Callable[[Peek], bool]
    read: Callable[[Peek], Content]


FORMATS = (
    Format("NWB (ndx-pose, ndx-ethogram)", nwb.is_nwb, nwb.read),
    Format("SLEAP project (.slp)", sleap.is_project, sleap.read_project),
    Format("SLEAP analysis HDF5", sleap.is_analysis, sleap.read_analysis),
    Format("JABS pose HDF5", jabs.is_jabs, jabs.read),
    Format("movement NetCDF", movement.is_movement, movement.read),
    Format("DeepLabCut or MABe22 HDF5", deeplabcut.is_hdf5, deeplabcut.read_hdf5),
    Format("BORIS project", boris.is_project, boris.read_project),
    Format("CalMS21 or MABe22", calms21.is_sequences, calms21.read),
    Format("DeepLabCut CSV", deeplabcut.is_csv, deeplabcut.read_csv),
    Format("BORIS events", boris.is_table, boris.read_table),
    Format("Caltech Behavior Annotator", caltech.is_caltech, caltech.read),
    Format("SimBA CSV", simba.is_simba, simba.read),
    Format("long table of points", tables.is_long, tables.read_long),
    Format("table of bouts", tables.is_bouts, tables.read_bouts),
    Format("one-hot table", tables.is_one_hot, tables.read_one_hot),
)


_STUMBLES = (
    ArithmeticError,
    AttributeError,
    csv.Error,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def recognise(path: Path) -> tuple[Format | None, Peek]:
    """Return the format of a file, None where it is none of those known.

    Raises `DataError` where the file cannot be opened.
    """
    peek = Peek(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        return next((each for each in FORMATS if each.is_it(peek)), None), peek
    except _STUMBLES as error:
        raise DataError(
            f"{path}: cannot be looked into ({type(error).__name__}: {error}); is it "
            "broken?"
        ) from error


def read_file(path: Path) -> Content:
    """Return what a file holds.

    Raises `DataError` for a file of no known format, and for a broken one.
    """
    found, peek = recognise(path)
    if found is None:
        raise DataError(f"{path}: {_describe_unknown(peek)}")
    return read_as(found, peek)


def read_again(path: Path) -> Content:
    """Return what a file holds; the last one stays, as its recordings come in turn."""
    status = path.stat()
    return _read_once(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _read_once(path: Path, size: int, changed_ns: int) -> Content:
    return read_file(path)


def read_as(found: Format, peek: Peek) -> Content:
    """Return what a file of a known format holds.

    Readers say what is wrong where they know it; what a file broken in some other way
    makes them stumble over becomes a `DataError` too, with its cause.
    """
    try:
        return found.read(peek)
    except _STUMBLES as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{peek.path}: looks like {found.name}, but cannot be read "
            f"({type(error).__name__}: {reason}). Is it broken, or of another version?"
        ) from error


_UNKNOWN = {
    "empty": "is empty; was it copied to the end?",
    "netcdf3": "an old NetCDF file (version 3); save it anew with "
    '`ds.to_netcdf(path, engine="h5netcdf")`.',
    "pickle": "a pickle: a program, which is not run. Export CSV or HDF5 instead.",
    "zip": "a zip or Excel file; unpack it, or export CSV instead.",
}


def _describe_unknown(peek: Peek) -> str:
    """Say what a file of no known format is, and what is known."""
    if peek.kind in _UNKNOWN:
        return _UNKNOWN[peek.kind]
    what = f"a {peek.kind} file"
    if peek.kind == "hdf5":
        what = f"an HDF5 file with {sorted(peek.names)[:8]}"
    elif peek.kind == "text":
        first = next((line for line in peek.lines if line.strip()), "")
        what = f"a text that begins with {first[:60]!r}"
    known = ", ".join(each.name for each in FORMATS)
    return f"{what}, of no known format; known: {known}."
