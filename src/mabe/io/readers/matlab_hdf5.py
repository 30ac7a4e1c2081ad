"""MATLAB's MAT-files of version 7.3, which are HDF5, read as plain data.

Values are those of `mabe.io.readers.matlab`: numbers as arrays in MATLAB's axes (HDF5
has them in reverse), text as a string, a cell array as a list, a structure array as a
list of dictionaries. ``MATLAB_class`` says what an object is: a group is a structure; a
cell array is a dataset of references, and so is each field of a structure array.
``MATLAB_empty`` marks datasets that hold the shape of an empty matrix. Sparse matrices
and objects of classes are None.

A variable is read when it is asked for: a file may hold pictures beside tracks.

Source: The MathWorks, "MAT-File Versions"; the same layout is what hdf5storage writes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.hdf5 import MAX_VALUES, attribute, open_hdf5, read_array, text

_DEEPEST = 24

_MOST_OBJECTS = 1_000_000

_CLASS, _EMPTY = "MATLAB_class", "MATLAB_empty"

_TEXT = "char"

_REFERENCES = "#refs#"


class Hdf5Variables(Mapping[str, Any]):
    """The variables of a file by their names, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[str, Any] = {}
        with open_hdf5(path) as file:
            self._names = [text(name) for name in file if name != _REFERENCES]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            with open_hdf5(self._path) as file:
                self._read[name] = _Objects(file, self._path).value(file[name], 0)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(slots=True)
class _Objects:
    """How the objects of one file are read, and how many were."""

    file: h5py.File
    path: Path
    count: int = 0
    values: int = 0
    """Numbers read so far: a reference may be used any number of times."""

    def value(self, item: Any, depth: int) -> Any:
        """Return an object as plain data; raises `DataError` where it is too large."""
        self.count += 1
        if depth > _DEEPEST or self.count > _MOST_OBJECTS or self.values > MAX_VALUES:
            raise DataError(
                f"{self.path}: {item.name} holds more than tracks or labels do; is "
                "the file broken?"
            )
        if isinstance(item, h5py.Group):
            return self.structure(item, depth)
        if not isinstance(item, h5py.Dataset):
            return None
        if item.dtype == h5py.ref_dtype:
            return self.referred(item, depth)
        return self.matrix(item) if item.dtype.kind in "biuf" else None

    def matrix(self, dataset: h5py.Dataset) -> Any:
        """Return numbers, or the text whose characters they are."""
        kind = text(attribute(dataset, _CLASS, self.path, b""))
        if attribute(dataset, _EMPTY, self.path, 0):
            empty: dict[str, Any] = {_TEXT: "", "cell": []}
            return empty.get(kind, np.empty((0, 0)))
        values = np.asarray(read_array(dataset.parent, dataset.name, self.path))
        self.values += values.size
        if kind != _TEXT:
            return values.T
        codes = np.ravel(values).astype("<u2", casting="unsafe")
        return codes.tobytes().decode("utf-16-le", errors="replace")

    def structure(self, group: h5py.Group, depth: int) -> list[dict[str, Any]]:
        """Return a structure, or all elements of a structure array."""
        fields = {text(name): group[name] for name in group}
        if fields and all(self.is_of_array(each) for each in fields.values()):
            columns = {
                name: self.referred(each, depth) for name, each in fields.items()
            }
            lengths = {len(column) for column in columns.values()}
            if len(lengths) > 1:
                raise DataError(
                    f"{self.path}: the fields of {group.name} have "
                    f"{sorted(lengths)} elements."
                )
            return [
                dict(zip(columns, row, strict=True))
                for row in zip(*columns.values(), strict=True)
            ]
        return [{name: self.value(each, depth + 1) for name, each in fields.items()}]

    def is_of_array(self, item: Any) -> bool:
        """Return whether a field has a reference for each element of an array."""
        is_dataset = isinstance(item, h5py.Dataset) and item.dtype == h5py.ref_dtype
        return is_dataset and attribute(item, _CLASS, self.path) is None

    def referred(self, dataset: h5py.Dataset, depth: int) -> list[Any]:
        """Return what the references of a dataset lead to, in MATLAB's order."""
        references = np.ravel(read_array(dataset.parent, dataset.name, self.path))
        return [self.value(self.file[each], depth + 1) for each in references]
