"""The plain data in a pickle, read without running it.

CalMS21 and MABe22 are distributed as pickled dictionaries, and pandas writes the column
names of tables into HDF5 files as pickles. A pickle is a program; here its instructions
(`pickletools` lists them) are interpreted, for numbers, strings, lists, dictionaries
and NumPy arrays only. Nothing is imported or called; a pickle that needs anything else
is refused.
"""

import pickletools
from typing import Any

import numpy as np

from mabe.errors import DataError

_MARK = object()


_BROKEN = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors that interpreting a broken pickle raises."""


_ARRAY_MAKERS = {
    f"{module} {name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
}


_KNOWN = _ARRAY_MAKERS | {
    "numpy dtype",
    "numpy ndarray",
    "_codecs encode",
    "collections OrderedDict",
    "numpy.core.numeric _frombuffer",
    "numpy._core.numeric _frombuffer",
}


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


_EMPTY = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}


_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


_ARGUMENT_IS_VALUE = frozenset(
    [
        "INT",
        "LONG",
        "LONG1",
        "LONG4",
        "BININT",
        "BININT1",
        "BININT2",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)


_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})


_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


_IGNORED = frozenset({"PROTO", "FRAME"})


class _Named(str):
    """The name of something that a pickle imports."""


class _Array:
    """An array (or the type of one) whose content follows later."""

    def __init__(self) -> None:
        self.value: Any = None


def plain_data(pickled: bytes, where: str) -> Any:
    """Return the data of a pickle.

    Raises `DataError`, beginning with `where`, for a pickle that is broken or that
    holds anything but plain data and arrays.
    """
    machine = _Machine(where)
    try:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name == "STOP":
                return _finished(machine.stack.pop())
            machine.take(code.name, argument)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{where}: its pickled data are broken ({reason}).") from error
    raise DataError(f"{where}: its pickled data are cut off.")


class _Machine:
    """The stack and the memory of a pickle that is interpreted."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Interpret one instruction."""
        if name in _ARGUMENT_IS_VALUE:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in _GETS:
            self.stack.append(self.memory[int(argument)])
        elif name in _PUTS:
            self.memory[int(argument)] = self.stack[-1]
        elif name not in _IGNORED:
            self._take_structure(name, argument)

    def _take_structure(self, name: str, argument: Any) -> None:
        """Interpret an instruction that combines values."""
        match name:
            case "MARK":
                self.stack.append(_MARK)
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.stack[-1]
            case "POP":
                self.stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "GLOBAL" | "STACK_GLOBAL":
                self._name(argument or " ".join(self._pop(2)))
            case "REDUCE":
                maker, arguments = self._pop(2)
                self.stack.append(self._make(maker, arguments))
            case "BUILD":
                [state] = self._pop(1)
                _fill(self.stack[-1], state)
            case _:
                self._take_collection(name)

    def _take_collection(self, name: str) -> None:
        """Interpret an instruction that makes or fills a list, tuple or dictionary."""
        match name:
            case "TUPLE":
                self.stack.append(tuple(self._since_mark()))
            case "LIST":
                self.stack.append(self._since_mark())
            case "DICT":
                items = self._since_mark()
                self.stack.append({})
                self._set_items(items)
            case "APPEND":
                [item] = self._pop(1)
                self.stack[-1].append(item)
            case "APPENDS":
                items = self._since_mark()
                self.stack[-1].extend(items)
            case "SETITEM":
                self._set_items(self._pop(2))
            case "SETITEMS":
                self._set_items(self._since_mark())
            case _:
                raise DataError(
                    f"{self.where}: its pickle needs {name}, which is not plain data; "
                    "it is not run. Convert it to JSON with the tool that made it."
                )

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("nothing left on the stack")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _set_items(self, items: list[Any]) -> None:
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _name(self, name: str) -> None:
        if name not in _KNOWN:
            raise DataError(
                f"{self.where}: its pickle needs {name.replace(' ', '.')}, which is "
                "not plain data; it is not run. Convert it to JSON with the tool that "
                "made it."
            )
        self.stack.append(_Named(name))

    def _make(self, maker: Any, arguments: Any) -> Any:
        """Return the result of a known function for some arguments."""
        if maker == "numpy dtype":
            made = _Array()
            made.value = _plain_dtype(arguments[0])
            return made
        if maker == "_codecs encode":
            return str(arguments[0]).encode("latin-1")
        if maker == "collections OrderedDict":
            return dict(*arguments)
        if isinstance(maker, str) and maker.endswith("_frombuffer"):
            made = _Array()
            buffer, dtype, shape, order = arguments
            made.value = _shaped(np.frombuffer(buffer, _finished(dtype)), shape, order)
            return made
        if isinstance(maker, str) and maker.endswith("multiarray scalar"):
            dtype, data = arguments
            return np.frombuffer(_as_bytes(data), _finished(dtype))[0].item()
        if isinstance(maker, str) and maker.endswith("_reconstruct"):
            return _Array()
        raise ValueError(f"{maker!r} does not return plain data")


def _plain_dtype(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(name))
    if dtype.hasobject and str(name) not in ("O8", "O", "|O"):
        raise ValueError(f"arrays of {name!r}")
    return dtype


def _fill(target: Any, state: Any) -> None:
    """Set the content of an array, or the byte order of a type."""
    if not isinstance(target, _Array):
        raise ValueError("only arrays may be built")
    if isinstance(target.value, np.dtype):
        if state[1] in ("<", ">", "="):
            target.value = target.value.newbyteorder(state[1])
        return
    _, shape, dtype, is_fortran, data = state
    plain = _finished(dtype)
    order = "F" if is_fortran else "C"
    if plain.hasobject:
        values = np.empty(len(data), object)
        values[:] = [_finished(item) for item in data]
        target.value = _shaped(values, shape, order)
    else:
        values = np.frombuffer(_as_bytes(data), plain)
        target.value = _shaped(values, shape, order)


def _shaped(values: np.ndarray, shape: Any, order: Any) -> np.ndarray:
    """Return values in a shape, in the order of C or Fortran."""
    return np.reshape(values, shape, order="F" if order == "F" else "C")


def _as_bytes(data: Any) -> bytes:
    """Return raw data, which pickles of Python 2 hold as text."""
    return data.encode("latin-1") if isinstance(data, str) else bytes(data)


def _finished(value: Any) -> Any:
    """Return a value in which every `_Array` is replaced by its array."""
    if isinstance(value, _Array):
        made = value.value
        if isinstance(made, np.ndarray) and made.dtype.hasobject and made.ndim == 0:
            return _finished(made.item())
        return made
    if isinstance(value, dict):
        return {_finished(key): _finished(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finished(each) for each in value]
    if isinstance(value, tuple):
        return tuple(_finished(each) for each in value)
    return value
