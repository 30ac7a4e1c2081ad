"""Programs that are killed, or write one folder together: nothing is lost or mixed."""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from cards import change_card, read_card
from format_files import write_long
from sessions import open_session
from stories import write_fights
from test_exports import provenance, recording, source
from test_hostile import ends_well, mutations

from mabe.bouts import Bout
from mabe.cli.main import main
from mabe.errors import DataError, OutputError, RunError
from mabe.experiments.train_auto import TASK_SETTINGS, with_task_of_run
from mabe.io.predictions import Predictions, read_predictions, write_predictions
from mabe.io.readers.kaggle import read_index
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run_directory import write_config
from mabe.viz.review.corrections import Conflict, CorrectedLabels, Corrections

RUN_FILES = ("run.json", "config.yaml", "history.json", "state.pt")
MODELS = Path(__file__).parent / "models_of_d8a304b"


class Killed(BaseException):
    """Ends a program at once; what is not on the disk is lost."""


@pytest.fixture
def kill_at(monkeypatch):
    """Let a program be killed at its so many-th rename: before it (odd) or after."""

    def prepare(number):
        moments, rename = [0], Path.replace

        def pass_moment():
            moments[0] += 1
            if moments[0] == number:
                monkeypatch.undo()
                raise Killed

        def replace(self, target):
            pass_moment()
            made = rename(self, target)
            pass_moment()
            return made

        monkeypatch.setattr(Path, "replace", replace)

    return prepare


def contents(folder):
    """Return the bytes of each file below a folder, but those never finished."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".tmp"
    }


# ── predictions ──


def predictions(model, action):
    bout = Bout(1, 5, action, 1, 2, 0.5)
    facts = provenance(source())
    facts = type(facts)(**{**_fields(facts), "model_hash": model})
    return Predictions(facts, (recording(bout),))


def _fields(facts):
    return {name: getattr(facts, name) for name in type(facts).__dataclass_fields__}


@pytest.mark.parametrize("at", range(1, 5))
def test_bouts_of_one_model_never_pass_as_those_of_another(tmp_path, kill_at, at):
    write_predictions(tmp_path, predictions("first", "sniff"))
    kill_at(at)
    with pytest.raises(Killed):
        write_predictions(tmp_path, predictions("second", "rear"))
    try:
        found = read_predictions(tmp_path)
    except DataError:
        return
    model = found.provenance.model_hash
    [bout] = found.recordings[0].bouts
    assert (model, bout.action) in {("first", "sniff"), ("second", "rear")}


def test_bouts_beside_another_provenance_are_not_exported(tmp_path, capsys):
    write_predictions(tmp_path / "a", predictions("first", "sniff"))
    write_predictions(tmp_path / "b", predictions("second", "rear"))
    shutil.copy(tmp_path / "b" / "bouts.csv", tmp_path / "a")

    words = ["export", tmp_path / "a", "--to", "csv", "--out", tmp_path / "o"]
    assert ends_well(words, capsys) == 2
    assert not (tmp_path / "o").exists()


# ── imports ──


OPTIONS = ("--fps", "30", "--pixels-per-cm", "10")


def test_a_project_that_somebody_wrote_is_never_replaced(tmp_path, capsys):
    raw, own = tmp_path / "raw", tmp_path / "own"
    raw.mkdir()
    own.mkdir()
    write_long(raw / "a.csv")
    (own / "project.yaml").write_text("# my notes: rig 3\nlab: Mine\n")
    before = contents(own)
    words = ["import", raw, "--out", own, *OPTIONS]
    assert ends_well(words, capsys) == 2
    shutil.move(raw, own / "raw")
    assert ends_well(["import", own / "raw", "--out", own, *OPTIONS], capsys) == 2
    assert before.items() <= contents(own).items()


def test_an_import_replaces_an_earlier_one_also_if_that_was_stopped(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    write_long(tmp_path / "raw" / "a.csv")
    words = ["import", tmp_path / "raw", "--out", tmp_path / "out", *OPTIONS]
    assert ends_well(words, capsys) == 0
    whole = contents(tmp_path / "out")
    for lost in ("train.csv", "train_tracking"):
        path = tmp_path / "out" / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert ends_well(words, capsys) == 0
        assert contents(tmp_path / "out") == whole


# ── corrections ──


def labels(*rows):
    return CorrectedLabels(tuple(Bout(*row) for row in rows), None)


FIGHT = labels((0, 50, "attack", 1, 2))
SNIFF = labels((100, 150, "sniff", 1, 2))


@pytest.fixture
def data(tmp_path):
    return write_fights(tmp_path / "data", videos=2)


@pytest.mark.parametrize("at", range(1, 11))
def test_corrections_are_saved_after_a_kill_at_any_moment(tmp_path, data, kill_at, at):
    info = read_index(data)[0]
    expected, out = tmp_path / "expected", tmp_path / "out"
    Corrections(expected, data).save(info, FIGHT, info.watched)
    kill_at(at)
    with contextlib.suppress(Killed):
        Corrections(out, data).save(info, FIGHT, info.watched)
    # What a program was writing when it was killed is left behind.
    for path in (
        out / ".train.csv.0123abcd.tmp",
        out / "train_tracking/.x.0123abcd.tmp",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")

    Corrections(out, data).save(info, FIGHT, info.watched)

    found = contents(out)
    kept = {path for path in found if "earlier" not in path.name}
    assert {path: found[path] for path in kept} == contents(expected)


@pytest.mark.parametrize("folder", ["train_annotation", "train_tracking"])
def test_a_file_that_was_copied_in_half_is_copied_again(
    tmp_path, data, monkeypatch, folder
):
    info = read_index(data)[0]
    expected, out = tmp_path / "expected", tmp_path / "out"
    Corrections(expected, data).save(info, FIGHT, info.watched)

    def copy_half(path, place):
        content = Path(path).read_bytes()
        is_last = folder in str(path)
        Path(place).write_bytes(content[: len(content) // (1 + is_last)])
        if is_last:
            raise Killed

    def no_link(*_):
        raise OSError(18, "another disk")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_link)
        patch.setattr(shutil, "copy2", copy_half)
        with pytest.raises(Killed):
            Corrections(out, data).save(info, FIGHT, info.watched)
    Corrections(out, data).save(info, FIGHT, info.watched)

    assert contents(out) == contents(expected)
    assert not list(out.rglob("*.tmp"))


def test_half_a_file_of_an_earlier_version_is_replaced(tmp_path, data):
    info = read_index(data)[0]
    half = tmp_path / "out" / info.tracking_path.relative_to(data)
    half.parent.mkdir(parents=True)
    half.write_bytes(info.tracking_path.read_bytes()[:100])

    Corrections(tmp_path / "out", data).save(info, FIGHT, info.watched)

    assert half.read_bytes() == info.tracking_path.read_bytes()


def test_a_folder_of_something_else_is_still_left_alone(tmp_path, data):
    info = read_index(data)[0]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".notes.tmp").write_text("precious")
    with pytest.raises(OutputError, match="something else"):
        Corrections(tmp_path / "mine", data).save(info, FIGHT, info.watched)
    assert (tmp_path / "mine" / ".notes.tmp").read_text() == "precious"


def test_two_servers_lose_no_correction(tmp_path, data):
    info = read_index(data)[0]
    one, other = (Corrections(tmp_path / "out", data) for _ in range(2))
    one.save(info, FIGHT, info.watched)
    other.save(info, SNIFF, info.watched)
    one.save(info, labels((0, 60, "attack", 1, 2)), info.watched)

    rows = [
        (row["action"], row["start_frame"], row["stop_frame"])
        for path in (tmp_path / "out" / "train_annotation" / info.lab).iterdir()
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]
    assert {("attack", 0, 50), ("sniff", 100, 150), ("attack", 0, 60)} <= set(rows)


def test_labels_that_were_changed_elsewhere_are_not_replaced_unnoticed(tmp_path, data):
    info = read_index(data)[0]
    one, other = (Corrections(tmp_path / "out", data) for _ in range(2))
    for each in (one, other):
        assert each.read(info.lab, info.video, info) is None
    one.save(info, FIGHT, info.watched, only_unchanged=True)
    with pytest.raises(Conflict):
        other.save(info, SNIFF, info.watched, only_unchanged=True)
    found = other.read(info.lab, info.video, info)
    assert found.bouts == FIGHT.bouts
    other.save(info, SNIFF, info.watched, only_unchanged=True)


def test_a_page_has_to_be_loaded_again_where_another_server_saved(tmp_path):
    one = open_session(tmp_path / "data", tmp_path / "out")
    other = open_session(tmp_path / "data", tmp_path / "out", write=False)
    for session in (one, other):
        session.labels(0)
    shown = other.version(0)
    one.save(0, FIGHT.bouts, 0)

    with pytest.raises(Conflict):
        other.save(0, SNIFF.bouts, shown)
    assert other.labels(0).bouts == FIGHT.bouts
    with pytest.raises(Conflict):  # a window that was not loaded again
        other.save(0, SNIFF.bouts, shown)
    other.save(0, SNIFF.bouts, other.version(0))
    assert one.labels(0).bouts == SNIFF.bouts


# ── runs and models ──


def test_the_command_that_began_a_recipe_resumes_it(tmp_path):
    write_config(tmp_path, {"task": "scene", "classes": {"a": ["a"], "b": ["b"]}})
    given = {"epochs": 1, "checkpoint_dir": tmp_path}

    resumed = with_task_of_run(given, tmp_path)

    assert resumed["task"] == "scene"
    assert resumed["epochs"] == 1
    assert resumed.keys() - given.keys() <= TASK_SETTINGS
    own = {"task": "pair", **given}
    assert with_task_of_run(own, tmp_path) == own
    assert with_task_of_run(given, tmp_path / "absent") == given


@pytest.fixture
def model(tmp_path):
    return Path(
        shutil.copy(MODELS / "scene_tcn.safetensors", tmp_path / "m.safetensors")
    )


def test_cards_with_any_fact_changed_load_or_are_refused(model):
    card = read_card(model)
    for changed in mutations(card, random.Random(6), 120):
        change_card(model, lambda values, changed=changed: _become(values, changed))
        try:
            load_checkpoint(model)
        except RunError as error:
            told = str(error)
        else:
            told = ""
        assert "\n" not in told
        assert len(told) < 2000


def _become(values, changed):
    values.clear()
    values.update(changed)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]", '"x"', "NaN", ""])
def test_cards_that_are_none(model, text):
    change_card(model, lambda values: None, card=text)
    with pytest.raises(RunError, match="safetensors"):
        load_checkpoint(model)


def test_a_card_of_a_network_of_terabytes_takes_no_memory(model):
    def grow(card):
        card["members"][0]["config"] |= {"tcn_width": 16_384, "tcn_layers": 16}

    change_card(model, grow)
    with pytest.raises(RunError, match="parameters"):
        load_checkpoint(model)


def test_weights_that_were_exchanged_are_found_by_their_hash(model):
    from safetensors import safe_open
    from safetensors.torch import save

    from mabe.models.checkpoint import save_checkpoint

    loaded = load_checkpoint(model)  # of a version without hashes
    member = loaded.members[0]
    save_checkpoint(model, member.model, member.provenance)
    load_checkpoint(model)
    with safe_open(model, framework="pt") as file:
        card = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = next(n for n, value in tensors.items() if value.dtype == torch.float32)
    tensors[name].view(-1)[0] += 1
    model.write_bytes(save(tensors, metadata=card))
    with pytest.raises(RunError, match="damaged or were exchanged"):
        load_checkpoint(model)


@pytest.mark.parametrize(
    "name", ["run.json", "config.yaml", "history.json", "state.pt"]
)
@pytest.mark.parametrize("spoil", ["empty", "cut", "zero", "list"])
def test_a_run_whose_files_are_damaged(tmp_path, capsys, name, spoil):
    run = shutil.copytree(MODELS / "run", tmp_path / "run")
    shutil.copytree(MODELS / "scenes", tmp_path / "scenes")
    content = (run / name).read_bytes()
    (run / name).write_bytes(
        {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "zero": b"\0" * len(content),
            "list": b"[1]",
        }[spoil]
    )
    data = ["--data-dir", tmp_path / "scenes"]
    assert ends_well(["train", "--out", run, "--resume", *data], capsys) == 2
    ends_well(["report", run, "--out", tmp_path / "r.html"], capsys)
    ends_well(["check", run], capsys)


def test_stores_with_any_fact_changed(tmp_path, capsys):
    store = tmp_path / "store"
    scenes = shutil.copytree(MODELS / "scenes", tmp_path / "scenes")
    assert main(["prepare", str(scenes), "--out", str(store), "--workers", "1"]) == 0
    index = json.loads((store / "index.json").read_text())
    words = ["predict", MODELS / "scene_tcn.safetensors", store, "--device", "cpu"]
    for changed in mutations(index, random.Random(8), 40):
        (store / "index.json").write_text(json.dumps(changed))
        ends_well([*words, "--out", tmp_path / "out"], capsys)
    assert {each.name for each in tmp_path.iterdir()} <= {"store", "scenes", "out"}
