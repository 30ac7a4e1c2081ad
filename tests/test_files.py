import errno
import os

import pytest

from mabe.errors import OutputError
from mabe.runtime.files import (
    append_rest,
    hash_file,
    write_atomically,
    write_json,
    write_text,
)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_what_is_written_is_there_and_nothing_beside_it(tmp_path):
    path = tmp_path / "deep" / "notes.txt"
    write_text(path, "a\n")
    write_text(path, "b\n")
    assert path.read_bytes() == b"b\n"
    assert names_in(path.parent) == ["notes.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_no_half_one(tmp_path):
    path = tmp_path / "state"
    write_text(path, "old")

    def disk_is_full(beside):
        beside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"state: cannot be written: No space left"):
        write_atomically(path, disk_is_full)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["state"]


def test_an_interrupted_write_leaves_no_half_file(tmp_path):
    def interrupted(beside):
        beside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "state", interrupted)
    assert names_in(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as error:
        write_json(tmp_path / "out" / "metrics.json", {})
    assert "\n" not in str(error.value)


def test_a_hash_is_of_the_content_alone(tmp_path):
    for name, text in {"a": "x", "b": "x", "c": "y"}.items():
        (tmp_path / name).write_text(text)
    hashes = [hash_file(tmp_path / name) for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]


def append_rest_of(text, place):
    """Append a text but for its first line to a file that says `so far `."""
    (place / "source").write_text(text)
    with (place / "out").open("wb") as out:
        out.write(b"so far ")
        with (place / "source").open("rb") as source:
            source.readline()
            append_rest(source, out)
        out.write(b" and on")
    return (place / "out").read_text()


def test_the_rest_of_a_file_is_appended_once(tmp_path):
    assert append_rest_of("first line\nthe rest", tmp_path) == "so far the rest and on"


def test_a_system_that_stops_copying_half_way_is_helped_out(tmp_path, monkeypatch):
    calls = []

    def copy_three_bytes_then_fail(source, out, count, offset):
        calls.append(offset)
        if len(calls) > 1:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        content = (tmp_path / "source").read_bytes()
        return os.write(out, content[offset : offset + 3])

    monkeypatch.setattr(
        os, "copy_file_range", copy_three_bytes_then_fail, raising=False
    )
    assert append_rest_of("first line\nthe rest", tmp_path) == "so far the rest and on"
    assert calls == [11, 14]


def test_a_system_that_cannot_copy_files_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert append_rest_of("first line\nthe rest", tmp_path) == "so far the rest and on"
