"""The plain data in a pickle, read without running it.

CalMS21 and MABe22 are distributed as pickled dictionaries, and pandas writes the column
names of tables into HDF5 files as pickles. A pickle is a program; here its instructions
(`pickletools` lists them) are interpreted, for numbers, strings, lists, dictionaries
and NumPy arrays only. Nothing is imported or called; a pickle that needs anything else
is refused.

A pickle may refer to one list many times, so that 223 bytes stand for 10^40 values, and
may copy a long text with every instruction. So both the values it stands for and the
bytes that are copied while it is interpreted are bounded by its length.
"""

import pickletools
from collections.abc import Iterable, Sequence
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


_VALUES_PER_BYTE = 4
"""A value takes at least a byte; a few are shared."""


_COPIED_PER_BYTE = 64


_FREE = 1 << 20
"""Values and copied bytes that every pickle may have."""


class _Named(str):
    """The name of something that a pickle imports."""


class _Array:
    """An array (or the type of one) whose content follows later."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


def plain_data(pickled: bytes, where: str) -> Any:
    """Return the data of a pickle.

    Raises `DataError`, beginning with `where`, for a pickle that is broken or that
    holds anything but plain data and arrays.
    """
    machine = _Machine(where, may_copy=_COPIED_PER_BYTE * len(pickled) + _FREE)
    try:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name == "STOP":
                most = _VALUES_PER_BYTE * len(pickled) + _FREE
                return _Finisher(most).finished(machine.stack.pop())
            machine.take(code.name, argument)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{where}: its pickled data are broken ({reason}).") from error
    raise DataError(f"{where}: its pickled data are cut off.")


class _Machine:
    """The stack and the memory of a pickle that is interpreted."""

    def __init__(self, where: str, *, may_copy: int) -> None:
        self.where = where
        self.may_copy = may_copy
        """Bytes (or items) that may still be copied."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        """Places of the marks in the stack."""
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
                self.marks.append(len(self.stack))
                self.stack.append(_MARK)
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.stack[-1]
            case "POP":
                if self.stack.pop() is _MARK:
                    self.marks.pop()
            case "POP_MARK":
                self._since_mark()
            case "GLOBAL" | "STACK_GLOBAL":
                self._name(argument or " ".join(map(_text, self._pop(2))))
            case "REDUCE":
                maker, arguments = self._pop(2)
                self.stack.append(self._make(maker, arguments))
            case "BUILD":
                [state] = self._pop(1)
                self._fill(self.stack[-1], state)
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
        if any(item is _MARK for item in items):
            raise ValueError("nothing left above the mark")
        del self.stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _set_items(self, items: list[Any]) -> None:
        for key in items[::2]:
            _check_key(key)
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _name(self, name: str) -> None:
        if name not in _KNOWN:
            raise DataError(
                f"{self.where}: its pickle needs {name[:60].replace(' ', '.')}, which "
                "is not plain data; it is not run. Convert it to JSON with the tool "
                "that made it."
            )
        self.stack.append(_Named(name))

    def _make(self, maker: Any, arguments: Any) -> Any:
        """Return the result of a known function for some arguments."""
        if not isinstance(maker, _Named):
            raise ValueError("what it calls does not return plain data")
        if maker == "numpy dtype":
            return _Array(_plain_dtype(_text(arguments[0])))
        if maker == "_codecs encode":
            return self._copied(_text(arguments[0])).encode("latin-1")
        if maker == "collections OrderedDict":
            items = [pair for each in arguments for pair in self._copied(each)]
            for key, _ in items:
                _check_key(key)
            return dict(items)
        if maker.endswith("_frombuffer"):
            buffer, dtype, shape, order = arguments
            values = np.frombuffer(self._as_bytes(buffer), _dtype_of(dtype))
            return _Array(_shaped(values, shape, order))
        if maker.endswith("multiarray scalar"):
            dtype, data = arguments
            return np.frombuffer(self._as_bytes(data), _dtype_of(dtype))[0].item()
        if maker.endswith("_reconstruct"):
            return _Array()
        raise ValueError(f"{maker} does not return plain data")

    def _fill(self, target: Any, state: Any) -> None:
        """Set the content of an array, or the byte order of a type."""
        if not isinstance(target, _Array):
            raise ValueError("only arrays may be built")
        if isinstance(target.value, np.dtype):
            if state[1] in ("<", ">", "="):
                target.value = target.value.newbyteorder(state[1])
            return
        _, shape, dtype, is_fortran, data = state
        plain = _dtype_of(dtype)
        if plain.hasobject:  # listed in C order, whatever the order in memory was
            target.value = _shaped(_objects(self._copied(data)), shape, "C")
        else:
            values = np.frombuffer(self._as_bytes(data), plain)
            target.value = _shaped(values, shape, "F" if is_fortran else "C")

    def _as_bytes(self, data: Any) -> bytes:
        """Return raw data, which pickles of Python 2 hold as text."""
        if isinstance(data, str):
            return self._copied(data).encode("latin-1")
        if not isinstance(data, bytes | bytearray):
            raise ValueError("the content of an array is no raw data")
        return bytes(self._copied(data))

    def _copied(self, items: Any) -> Any:
        """Return what will be copied, if so much may still be."""
        self.may_copy -= len(items)
        if self.may_copy < 0:
            raise ValueError("it copies the same data again and again")
        return items


def _text(value: Any) -> str:
    """Return a short text, which the names of types are; raise for anything else."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError("a name is no text")
    return str(value)


def _check_key(key: Any) -> None:
    """Raise for a key that has parts: its hash may take for ever."""
    if not isinstance(key, str | int | float | bytes | type(None)):
        raise ValueError("a key of a dictionary is no plain value")


def _objects(items: Sequence[Any]) -> np.ndarray:
    """Return an array of objects; assigned one by one, so that none is looked into."""
    made = np.empty(len(items), object)
    for at, item in enumerate(items):
        made[at] = item
    return made


def _plain_dtype(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.hasobject and name not in ("O8", "O", "|O"):
        raise ValueError(f"arrays of {name[:40]!r}")
    return dtype


def _dtype_of(value: Any) -> np.dtype[Any]:
    if not (isinstance(value, _Array) and isinstance(value.value, np.dtype)):
        raise ValueError("the type of an array is none")
    return value.value


def _shaped(values: np.ndarray, shape: Any, order: Any) -> np.ndarray:
    """Return values in a shape, in the order of C or Fortran."""
    return np.reshape(values, shape, order="F" if order == "F" else "C")


class _Finisher:
    """Replaces every `_Array` by its array; what occurs twice is replaced once.

    What is referred to several times counts as often, since whoever uses the data will
    go through it as often.
    """

    def __init__(self, most_values: int) -> None:
        self.most_values = most_values
        self.known: dict[int, tuple[Any, int]] = {}
        """By the id of what was replaced: what replaces it, and its values."""
        self.kept: list[Any] = []
        """What was replaced, so that no id is used again."""

    def finished(self, value: Any) -> Any:
        """Return the finished value; raises `ValueError` where it stands for too many.

        Also for one that contains itself.
        """
        return self._finish(value)[0]

    def _finish(self, value: Any) -> tuple[Any, int]:
        """Return the finished value, and the number of values it stands for."""
        if not isinstance(value, _Array | dict | list | tuple | np.ndarray):
            return value, 1
        if id(value) in self.known:
            made, size = self.known[id(value)]
            if size < 0:
                raise ValueError("a value contains itself")
            return made, size
        self.known[id(value)] = (None, -1)
        self.kept.append(value)
        made, size = self._replaced(value)
        if size > self.most_values:
            raise ValueError(
                f"its parts are shared so often that it stands for over "
                f"{self.most_values:,} values"
            )
        self.known[id(value)] = (made, size)
        return made, size

    def _replaced(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, _Array):
            return self._finish(value.value)
        if isinstance(value, np.ndarray):
            if not value.dtype.hasobject:
                return value, max(1, value.size)
            parts, size = self._finish_all(value.ravel().tolist())
            if value.ndim == 0:
                return parts[0], size
            return _objects(parts).reshape(value.shape), size
        if isinstance(value, dict):
            parts, size = self._finish_all(value.values())
            return dict(zip(value, parts, strict=True)), size
        parts, size = self._finish_all(value)
        return (tuple(parts) if isinstance(value, tuple) else parts), size

    def _finish_all(self, values: Iterable[Any]) -> tuple[list[Any], int]:
        finished, size = [], 1
        for each in values:
            made, own = self._finish(each)
            finished.append(made)
            size += own
        return finished, size
