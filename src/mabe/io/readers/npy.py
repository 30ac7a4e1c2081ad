"""npy files whose array holds one Python object: a pickle, which is not run."""

import tokenize
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.file_head import Peek
from mabe.io.readers.safe_pickle import plain_data

OF_NPY_HEADERS = (
    *(MemoryError, OSError, RecursionError, SyntaxError, ValueError),
    tokenize.TokenError,
)
"""What NumPy raises for a broken header; its parser calls deep nesting no memory."""


def read_object(peek: Peek) -> Any:
    """Return the object of an npy file whose array holds one, built of plain data.

    Raises `DataError` for any other array, and where it is more than plain data.
    """
    try:
        with peek.path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(file)
            pickled = file.read()
    except OF_NPY_HEADERS as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{peek.path}: cannot be read as npy: {reason}.") from error
    if not dtype.hasobject or shape != ():
        raise DataError(
            f"{peek.path}: expected a dictionary in an npy file, found an array of "
            f"{dtype} with the shape {shape}."
        )
    return plain_data(pickled, str(peek.path))
