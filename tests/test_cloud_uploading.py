"""What goes into the volume: what changed, and nothing else."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from folder_volume import FolderVolume
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mabe.errors import ConfigError, DataError
from mabe.training.modal import transfer as uploading
from mabe.training.modal.transfer import upload_code, upload_data
from mabe.training.modal.volume import stored_sizes


@pytest.fixture
def volume(tmp_path):
    return FolderVolume(tmp_path / "volume")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "mice"
    write(folder, "train.csv", "lab,video")
    write(folder, "train_tracking/Lab/1.parquet", "one")
    write(folder, "train_tracking/Lab/2.parquet", "two")
    write(folder, ".cache/index", "hidden")
    return folder


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_data_are_sent_once(volume, data):
    first = upload_data(volume, data)
    assert len(first.uploaded) == 3
    assert first.unchanged == 0
    assert (volume.root / "data/mice/train_tracking/Lab/1.parquet").read_text() == "one"
    assert not (volume.root / "data/mice/.cache").exists()
    volume.data_sent()
    again = upload_data(volume, data)
    assert (again.uploaded, again.unchanged) == ((), 3)
    assert volume.sent == []


def test_what_changed_is_sent_and_nothing_else(volume, data):
    upload_data(volume, data)
    volume.data_sent()
    changed = write(data, "train_tracking/Lab/2.parquet", "owt")  # the same size
    os.utime(changed, ns=(1, 1))
    write(data, "train_tracking/Lab/3.parquet", "three")
    upload_data(volume, data)
    assert volume.data_sent() == [
        "/data/mice/train_tracking/Lab/2.parquet",
        "/data/mice/train_tracking/Lab/3.parquet",
    ]
    assert (volume.root / "data/mice/train_tracking/Lab/2.parquet").read_text() == "owt"


def test_a_file_that_was_only_touched_is_read_once_and_not_sent(
    volume, data, monkeypatch
):
    upload_data(volume, data)
    volume.data_sent()
    os.utime(data / "train.csv", ns=(1, 1))
    assert upload_data(volume, data).uploaded == ()
    assert volume.data_sent() == []
    monkeypatch.setattr(
        uploading, "hash_file", lambda path: pytest.fail(f"read {path}")
    )
    upload_data(volume, data)


def test_what_was_removed_from_the_volume_is_sent_again(volume, data):
    upload_data(volume, data)
    volume.data_sent()
    volume.remove("data/mice/train_tracking")
    upload_data(volume, data)
    assert len(volume.data_sent()) == 2


def test_what_is_no_longer_here_stays_there_and_is_named(volume, data):
    upload_data(volume, data)
    (data / "train_tracking/Lab/2.parquet").unlink()
    assert upload_data(volume, data).only_there == ("train_tracking/Lab/2.parquet",)
    assert (volume.root / "data/mice/train_tracking/Lab/2.parquet").exists()


def test_an_upload_that_was_stopped_goes_on(volume, data, monkeypatch):
    monkeypatch.setattr(uploading, "BATCH_FILES", 1)
    volume.breaks_in_batch = 3
    with pytest.raises(ConnectionError):
        upload_data(volume, data)
    assert len(volume.data_sent()) == 2
    again = upload_data(volume, data)
    assert (len(again.uploaded), again.unchanged) == (1, 2)


def test_batches_are_limited_in_bytes_too(volume, data, monkeypatch):
    monkeypatch.setattr(uploading, "BATCH_BYTES", 8)
    upload_data(volume, data)  # 9, 3 and 3 bytes
    assert volume.batches == 2


files = st.dictionaries(st.sampled_from("abc"), st.sampled_from([b"x", b"y", b"zz"]))


@settings(max_examples=60)
@given(st.lists(files, min_size=1, max_size=4), st.integers(1, 9))
@example([{"a": b"x", "b": b"x"}, {"a": b"y", "b": b"y"}], 5)
def test_the_volume_holds_what_is_here_whatever_happened_before(states, breaks_in):
    """Files appear, change (also to the same size) and go; one upload breaks off."""
    with TemporaryDirectory() as place, mock.patch.object(uploading, "BATCH_FILES", 1):
        volume, data = FolderVolume(Path(place) / "v"), Path(place) / "mice"
        volume.breaks_in_batch = breaks_in
        write(data, "train.csv", "")
        for number, state in enumerate(states):
            for old in data.glob("?"):
                old.unlink()
            for name, content in state.items():
                (data / name).write_bytes(content)
                os.utime(data / name, ns=(number, number))
            try:
                upload_data(volume, data)
            except ConnectionError:
                upload_data(volume, data)
        there = volume.root / "data/mice"
        assert {n: (there / n).read_bytes() for n in states[-1]} == states[-1]
        assert upload_data(volume, data).uploaded == ()


def test_folders_that_hold_no_data_are_one_line(volume, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        upload_data(volume, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected train\.csv"):
        upload_data(volume, tmp_path / "empty")


def test_a_name_that_is_no_folder_s_is_refused(volume, tmp_path):
    write(tmp_path / "my mice", "train.csv", "")
    with pytest.raises(ConfigError, match="my mice"):
        upload_data(volume, tmp_path / "my mice")


def test_each_state_of_the_code_has_its_own_folder(volume, tmp_path):
    root = tmp_path / "project"
    write(root, "src/mabe/cli.py", "print(1)")
    write(root, "src/mabe/__pycache__/cli.pyc", "bytes")
    write(root, "configs/config.yaml", "epochs: 1")
    write(root, "data/big.bin", "not code")
    first, upload = upload_code(volume, root)
    assert upload.uploaded == ("configs/config.yaml", "src/mabe/cli.py")
    assert upload_code(volume, root)[1].uploaded == ()
    write(root, "src/mabe/cli.py", "print(2)")
    second, _ = upload_code(volume, root)
    assert second != first
    kept = {
        digest: (volume.root / f"code/{digest}/src/mabe/cli.py").read_text()
        for digest in (first, second)
    }
    assert kept == {first: "print(1)", second: "print(2)"}


def test_a_folder_with_a_longer_name_is_another(volume):
    write(volume.root, "runs/a/run.json", "{}")
    write(volume.root, "runs/ab/run.json", "{} ")
    assert stored_sizes(volume, "runs/a") == {"run.json": 2}
    assert stored_sizes(volume, "runs/nowhere") == {}
