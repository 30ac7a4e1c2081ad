"""MAT-files of version 7.3 as MATLAB writes them: HDF5 behind a header of 512 bytes."""

import itertools

import h5py
import numpy as np

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created by hand".ljust(512)

_NUMBERS = itertools.count()


def write_mat73(path, variables):
    """Write variables: arrays, texts, cell arrays (lists), structures (dictionaries).

    A list of dictionaries is a structure array.
    """
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _write(file, file, name, value)
    content = path.read_bytes()
    path.write_bytes(HEADER + content[512:])


def _write(file, parent, name, value):
    is_array_of_structures = bool(value) if isinstance(value, list) else False
    if is_array_of_structures and all(isinstance(each, dict) for each in value):
        group = parent.create_group(name)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        if len(value) == 1:
            for key, inner in value[0].items():
                _write(file, group, key, inner)
            return
        for key in value[0]:
            group[key] = _references(file, [each[key] for each in value])
    elif isinstance(value, list):
        dataset = parent.create_dataset(name, data=_references(file, value))
        dataset.attrs["MATLAB_class"] = np.bytes_("cell")
    elif isinstance(value, str):
        codes = np.frombuffer(value.encode("utf-16-le"), "<u2")[:, None]
        dataset = parent.create_dataset(name, data=codes)
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
    else:
        array = np.atleast_2d(np.asarray(value))
        is_empty = not array.size
        held = np.array(array.shape, np.uint64) if is_empty else array.T
        dataset = parent.create_dataset(name, data=held)
        dataset.attrs["MATLAB_class"] = np.bytes_("double")
        if is_empty:
            dataset.attrs["MATLAB_empty"] = np.uint8(1)


def _references(file, values):
    """Return a row of references to values, in MATLAB's order."""
    refs = file.require_group("#refs#")
    found = np.empty((len(values), 1), h5py.ref_dtype)
    for at, value in enumerate(values):
        name = f"r{next(_NUMBERS)}"
        _write(file, refs, name, value)
        found[at, 0] = refs[name].ref
    return found
