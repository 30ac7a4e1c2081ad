"""The scripts for Modal, without its cloud: a folder stands for the volume.

Functions run through Modal's own `.local()`, and what is asked of Modal is held
against the installed library's signatures.
"""

import importlib.util
import inspect
import json
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import modal
import pytest
import torch
import yaml
from folder_volume import FolderBatch, FolderVolume
from modal.volume import AbstractVolumeUploadContextManager
from safetensors.torch import load_file
from stories import TINY, write_fights

from mabe.config import build_config
from mabe.errors import RunError
from mabe.training.modal import remote_run as rented_run
from mabe.training.modal.remote_run import RunKeeper, TimeIsUp, copy_run, train_rented
from mabe.training.objectives import SceneObjective
from mabe.training.run import train

ROOT = Path(__file__).parent.parent
EPOCHS = 3


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "mice", seconds=12)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """The same run, trained here in one go."""
    values = {**TINY, "data_dir": data, "epochs": EPOCHS}
    values["checkpoint_dir"] = tmp_path_factory.mktemp("here") / "run"
    return train(build_config(values, where="test")).run_dir


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def volume(tmp_path):
    return FolderVolume(tmp_path / "volume")


@pytest.fixture
def config(data, tmp_path):
    path = tmp_path / "tiny.yaml"
    values = {**TINY, "data_dir": str(data), "epochs": EPOCHS}
    path.write_text(yaml.safe_dump({**values, "checkpoint_dir": "checkpoints/tiny"}))
    return str(path)


@pytest.fixture
def script(volume, tmp_path, monkeypatch):
    """`modal_train_kaggle.py`, whose calls to Modal's machines are run here."""
    module = load_script("modal_train_kaggle")
    monkeypatch.setattr(module, "VOLUME", volume)
    monkeypatch.setattr(module, "MOUNT", str(volume.root))
    monkeypatch.setattr(module, "DISK", str(tmp_path / "disk"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    module.started = []

    class Here:
        def with_options(self, **options):
            inspect.signature(module_train.with_options).bind(**options)
            module.started.append(options)
            return self

        def spawn(self, *args):
            self.args = args
            return self

        def get(self):
            return module_train.local(*self.args)

    module_train = module.train
    monkeypatch.setattr(module, "train", Here())
    return module


@pytest.fixture
def uploaded(volume, data, config, monkeypatch):
    upload = load_script("upload_code_to_modal")
    monkeypatch.setattr(upload, "VOLUME", volume)
    upload.main(config=config)
    return volume


pytestmark = pytest.mark.filterwarnings("ignore:The train function is executing")


def history(run_dir):
    records = json.loads((run_dir / "history.json").read_text(encoding="utf-8"))
    return [{k: v for k, v in r.items() if k != "seconds"} for r in records]


def assert_same_run(one: Path, other: Path) -> None:
    assert history(one) == history(other)
    for name in ("best.safetensors", "last.safetensors"):
        first, second = (load_file(run / name) for run in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_data_and_code_go_up_a_run_is_trained_and_comes_back(
    uploaded, script, config, undisturbed, tmp_path, monkeypatch, capsys
):
    assert (uploaded.root / "data/mice/train.csv").is_file()
    script.main(config=config, gpu="h100")
    told = capsys.readouterr().out
    assert "H100 with 4 cores and 16 GiB is $4.2" in told
    assert "✓ tiny: 3 epochs, best macro F1" in told
    assert script.started == [{"gpu": "H100"}]
    fetch = load_script("fetch_run_from_modal")
    monkeypatch.setattr(fetch, "VOLUME", uploaded)
    fetch.main("tiny", out=str(tmp_path / "back"))
    assert_same_run(tmp_path / "back" / "tiny", undisturbed)
    assert (tmp_path / "back/tiny/state.pt").is_file()


def test_a_machine_runs_the_code_that_was_uploaded_and_leaves_it_as_it_was(
    uploaded, tmp_path
):
    [code] = (uploaded.root / "code").iterdir()
    before = {p: p.read_bytes() for p in code.rglob("*") if p.is_file()}
    shutil.copy(ROOT / "modal_train_kaggle.py", tmp_path)
    machine = f"""
import json, sys
from types import SimpleNamespace
import modal_train_kaggle as script
script.MOUNT, script.DISK = {str(uploaded.root)!r}, {str(tmp_path / "disk")!r}
script.VOLUME = SimpleNamespace(commit=lambda: None, reload=lambda: None)
told = script.train.local("run", {{"data_dir": "nowhere"}}, "A10", {code.name!r})
print(json.dumps([told["error"], sys.modules["mabe"].__file__]))
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", machine],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    error, place = json.loads(done.stdout.splitlines()[-1])
    assert error.startswith("nowhere: not in the volume")
    assert Path(place).is_relative_to(code)
    assert {p: p.read_bytes() for p in code.rglob("*") if p.is_file()} == before


def mounted(volume, *, call="fc-1", running=()):
    return rented_run.MountedVolume(
        root=volume.root,
        disk=volume.root.parent / "disk",
        commit=volume.commit,
        reload=volume.reload,
        call=call,
        is_running=lambda other: other in running,
    )


@pytest.fixture
def attempt(uploaded, script, config):
    """Run one attempt of a call, as Modal would."""
    from mabe.training.modal.commands import plan_job
    from mabe.training.modal.costs import Machine

    job = plan_job(
        root=ROOT,
        config=config,
        data_dir=None,
        max_sequences=None,
        name=None,
        machine=Machine(gpu="A10", cores=4, memory_gib=16),
    )

    def run(*, longest_s=rented_run.LONGEST_S, running=(), call="fc-1", **changes):
        return train_rented(
            job.settings | changes,
            name=job.name,
            machine=job.machine,
            volume=mounted(uploaded, call=call, running=running),
            longest_s=longest_s,
        )

    return run


def test_a_run_whose_machine_dies_ends_the_same(
    attempt, uploaded, undisturbed, monkeypatch
):
    """The first machine dies after its second epoch, the last save being after one."""
    attempt()
    in_one_go = (uploaded.root / "runs/tiny").rename(uploaded.root / "runs/one-go")
    monkeypatch.setattr(rented_run, "COMMIT_EPOCHS", 1)
    save = RunKeeper.save

    def save_once(keeper):
        if (uploaded.root / "runs/tiny").exists():
            raise SystemError("the machine is gone")
        save(keeper)

    with monkeypatch.context() as dying:
        dying.setattr(RunKeeper, "save", save_once)
        with pytest.raises(SystemError):
            attempt()
    assert len(history(uploaded.root / "runs/tiny")) == 1
    outcome = attempt()
    assert outcome["epochs"] == EPOCHS
    assert_same_run(uploaded.root / "runs/tiny", undisturbed)
    for name in ("best.safetensors", "last.safetensors"):
        again = uploaded.root / "runs/tiny" / name
        assert again.read_bytes() == (in_one_go / name).read_bytes()


def test_a_machine_that_is_taken_away_loses_nothing(
    attempt, uploaded, undisturbed, monkeypatch
):
    score = SceneObjective.score

    def interrupt(*args):
        signal.raise_signal(signal.SIGINT)  # what Modal sends
        return score(*args)

    with monkeypatch.context() as preempting:
        preempting.setattr(SceneObjective, "score", interrupt)
        with pytest.raises(KeyboardInterrupt):
            attempt()
    assert len(history(uploaded.root / "runs/tiny")) == 1
    attempt()
    assert_same_run(uploaded.root / "runs/tiny", undisturbed)


def test_a_run_longer_than_a_day_goes_on_with_a_new_call(
    attempt, uploaded, undisturbed
):
    for epochs in (1, 2, 3):
        with pytest.raises(TimeIsUp):
            attempt(longest_s=0)
        assert len(history(uploaded.root / "runs/tiny")) == epochs
    assert attempt(longest_s=0)["epochs"] == EPOCHS
    assert_same_run(uploaded.root / "runs/tiny", undisturbed)


def test_a_run_is_committed_every_few_epochs_and_at_its_end(
    attempt, uploaded, monkeypatch
):
    monkeypatch.setattr(rented_run, "COMMIT_EPOCHS", 2)
    attempt()
    assert uploaded.commits == 3  # as the writer, after the second epoch, at the end
    assert rented_run.LONGEST_S < 24 * 3600


def test_hours_and_dollars_add_up_over_machines(attempt, uploaded):
    first = attempt()
    ledger = uploaded.root / "ledgers/tiny.json"
    about = json.loads(ledger.read_text())
    assert about["seconds"] == pytest.approx(first["seconds"], abs=1)
    ledger.write_text(json.dumps(about | {"seconds": 7200.0, "usd": 2.5}))
    second = attempt()  # finished already: some seconds more
    assert 7200 < second["seconds"] < 7260
    assert 2.5 < second["usd"] < 2.53


def test_two_calls_never_write_one_run(attempt, uploaded):
    attempt()
    before = (uploaded.root / "ledgers/tiny.json").read_text()
    other = attempt(call="fc-2", running=["fc-1"])
    assert "call fc-1 is writing this run" in other["error"]
    assert (uploaded.root / "ledgers/tiny.json").read_text() == before
    assert "error" not in attempt(call="fc-2")
    assert json.loads((uploaded.root / "ledgers/tiny.json").read_text())["writer"] == (
        "fc-2"
    )


def test_of_two_that_begin_together_the_one_that_comes_too_late_stops(uploaded):
    volume = mounted(uploaded)

    def other_is_last():
        rented_run.write_ledger(volume, "tiny", rented_run.Ledger("fc-2"))

    late = replace(volume, commit=other_is_last)
    with pytest.raises(RunError, match="call fc-2 is writing"):
        rented_run.take_over(late, "tiny")


def test_what_the_user_can_mend_is_told_and_not_tried_again(
    attempt, uploaded, script, config, capsys
):
    attempt()
    assert "dropout was 0.3 and is 0.9" in attempt(dropout=0.9)["error"]
    assert "cuda is not available" in attempt(device="auto")["error"]
    uploaded.remove("data/mice")
    assert "mice: not in the volume" in attempt()["error"]
    with pytest.raises(SystemExit) as end:
        script.main(config=config)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("mabe: mice: not in the volume")
    assert told.count("\n") == 1


def test_a_prepared_store_is_learned_from_on_the_machine_s_own_disk(
    data, uploaded, attempt, undisturbed, monkeypatch
):
    from mabe.data.prepare import prepare

    prepare(data, uploaded.root / "data/store", rate_fps=33.3, workers=1)
    seen = []
    real = rented_run.train
    monkeypatch.setattr(
        rented_run,
        "train",
        lambda config, **options: seen.append(config) or real(config, **options),
    )
    assert attempt(data_dir="store")["epochs"] == EPOCHS
    assert not seen[0].data_dir.is_relative_to(uploaded.root)  # nothing open there
    assert history(uploaded.root / "runs/tiny") == history(undisturbed)


def test_the_state_to_resume_from_is_copied_last(undisturbed, tmp_path, monkeypatch):
    order = []
    copyfile = shutil.copyfile
    monkeypatch.setattr(
        rented_run.shutil,
        "copyfile",
        lambda source, goal: (order.append(source.name), copyfile(source, goal)),
    )
    copy_run(undisturbed, tmp_path / "copy")
    assert order[:2] == ["config.yaml", "run.json"]
    assert order[-1] == "state.pt"
    order.clear()
    copy_run(undisturbed, tmp_path / "copy")
    assert order == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gpu": "RTX5090"}, "--gpu RTX5090: unknown"),
        ({"config": "nowhere.yaml"}, "nowhere.yaml: no such file"),
        ({"name": "../mine"}, "--name '../mine': expected letters"),
        ({"config": str(ROOT / "configs/rat_dyad.yaml")}, "model_type: auto trains on"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_rented(
    script, uploaded, capsys, options, expected
):
    with pytest.raises(SystemExit) as end:
        script.main(**options)
    assert end.value.code == 2
    assert expected in capsys.readouterr().err
    assert not script.started


def test_a_quick_test_is_another_run_and_the_default_is_v2(volume):
    from mabe.training.modal.commands import plan_job
    from mabe.training.modal.costs import Machine

    def plan(**options):
        machine = Machine(gpu="A10", cores=4, memory_gib=16)
        usual = dict.fromkeys(("config", "data_dir", "max_sequences", "name"))
        return plan_job(root=ROOT, machine=machine, **(usual | options))

    assert plan().name == "5090"
    assert plan().settings["input_dim"] == 288
    assert plan().settings["data_dir"] == "kaggle"
    quick = plan(max_sequences=10)
    assert (quick.name, quick.settings["max_sequences"]) == ("5090-quick", 10)
    assert plan(name="mine", data_dir="some/mice").settings["data_dir"] == "mice"


def test_a_run_that_is_not_there_is_named_with_those_that_are(
    uploaded, attempt, monkeypatch, capsys, tmp_path
):
    fetch = load_script("fetch_run_from_modal")
    monkeypatch.setattr(fetch, "VOLUME", uploaded)
    with pytest.raises(SystemExit):
        fetch.main("5090", out=str(tmp_path))
    assert "5090: no such run in the volume; there is none yet" in (
        capsys.readouterr().err
    )
    attempt(epochs=1)
    with pytest.raises(SystemExit):
        fetch.main("5090", out=str(tmp_path))
    assert "there are tiny" in capsys.readouterr().err


def test_bringing_a_run_back_never_overwrites_another(
    uploaded, attempt, undisturbed, tmp_path
):
    from mabe.training.modal.transfer import fetch_run

    attempt()
    mine = shutil.copytree(undisturbed, tmp_path / "back" / "tiny")
    (mine / "best.safetensors").write_bytes(b"mine")
    fetch_run(uploaded, "tiny", tmp_path / "back")
    fetch_run(uploaded, "tiny", tmp_path / "back")  # the same run: brought up to date
    kept = sorted(path.name for path in (tmp_path / "back").glob("tiny*"))
    assert kept == ["tiny", "tiny.earlier-1"]
    other = tmp_path / "back" / "tiny.earlier-1"
    assert (other / "best.safetensors").read_bytes() == b"mine"
    assert_same_run(tmp_path / "back" / "tiny", undisturbed)


def test_the_function_asks_modal_for_what_it_needs(monkeypatch):
    asked, installed = {}, []
    decorate = modal.App.function
    install = modal.Image.pip_install_from_pyproject

    def note(app, **options):
        asked.update(options)
        return decorate(app, **options)

    def note_install(image, path, *args, **options):
        installed.append((path, args, options))
        return install(image, path, *args, **options)

    monkeypatch.setattr(modal.App, "function", note)
    monkeypatch.setattr(modal.Image, "pip_install_from_pyproject", note_install)
    script = load_script("modal_train_kaggle")
    assert script.app.name == "mabe-kaggle-training"
    assert asked["gpu"] == "A10"
    assert asked["timeout"] == 24 * 3600
    assert asked["retries"].max_retries == 3
    assert asked["single_use_containers"] is True
    assert asked["volumes"] == {"/mabe-data": script.VOLUME}
    assert script.VOLUME.name == "mabe-data"
    assert asked["memory"] == script.MEMORY_GIB * 1024
    assert asked["image"] is script.IMAGE
    # The project's own dependencies, from wherever the user's pip gets them.
    [(path, args, options)] = installed
    assert (args, options) == ((), {})
    project = tomllib.loads(Path(path).read_text(encoding="utf-8"))["project"]
    assert any(each.startswith("torch>=") for each in project["dependencies"])


def test_modal_s_machines_can_import_the_script_without_mabe(tmp_path):
    shutil.copy(ROOT / "modal_train_kaggle.py", tmp_path)
    code = "import sys; sys.modules['mabe'] = None; import modal_train_kaggle as s; "
    code += "assert s.app.name == 'mabe-kaggle-training'"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "modal_train_kaggle",
            ("config", "data-dir", "max-sequences", "gpu", "name"),
        ),
        ("upload_code_to_modal", ("data-dir", "config")),
        ("fetch_run_from_modal", ("name", "out")),
    ],
)
def test_modal_finds_the_one_command_of_a_script(name, options):
    command = [sys.executable, "-m", "modal", "run", f"{name}.py", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for option in options:
        assert f"--{option}" in told.stdout


def test_modal_s_library_has_what_is_used_of_it():
    """The folder that stands for the volume must not know calls that Modal does not."""
    for real, stand_in, methods in (
        (
            modal.Volume,
            FolderVolume,
            ("batch_upload", "listdir", "read_file", "commit", "reload"),
        ),
        (AbstractVolumeUploadContextManager, FolderBatch, ("put_file",)),
    ):
        for method in methods:
            theirs = inspect.signature(getattr(real, method)).parameters
            ours = inspect.signature(getattr(stand_in, method)).parameters
            assert list(theirs)[: len(ours)] == list(ours)
            for name, parameter in ours.items():
                assert theirs[name].kind == parameter.kind
                assert theirs[name].default == parameter.default
    assert (
        "function_call_id" in inspect.signature(modal.FunctionCall.from_id).parameters
    )
    assert "timeout" in inspect.signature(modal.FunctionCall.get).parameters
    assert modal.current_function_call_id() is None


class Call:
    """A call to Modal that has ended in some way, or has not."""

    def __init__(self, end):
        self.end = end

    def get(self, timeout):
        assert timeout == 0
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


@pytest.mark.parametrize(
    ("end", "running"),
    [
        (TimeoutError(), True),
        ({"epochs": 3}, False),
        (modal.exception.OutputExpiredError(), False),
        (modal.exception.FunctionTimeoutError(), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_a_call_is_running_until_there_is_an_answer(end, running, monkeypatch):
    script = load_script("modal_train_kaggle")
    monkeypatch.setattr(
        script.modal.FunctionCall, "from_id", staticmethod(lambda call: Call(end))
    )
    assert script.is_running("fc-1") is running
