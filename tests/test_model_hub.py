"""Models in a repository, against a local stand-in of the hub's HTTP interface."""

from pathlib import Path

import pytest
import torch
from hub_server import Hub, serving_hub

from mabe.cli.main import main
from mabe.errors import ConfigError, RunError
from mabe.models.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.runtime.model_hub import HubAddress, hub_address
from mabe.scene_task import SceneTask

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(tmp_path):
    """The stand-in's repositories."""
    with serving_hub(tmp_path / "cache") as repositories:
        yield repositories


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig(fps=10.0, model_type="conv_gru", gru_width=4)
    task = SceneTask.from_groups({"quiet": [], "attack": ["attack"]})
    about = Provenance(
        epoch=1,
        step=1,
        trained_on=("t1",),
        validated_on=(),
        validation={},
        data_dir="/home/secret/rats",
        author="Вера Иванова",
        licence="cc-by-4.0",
    )
    path = tmp_path / "run" / "best.safetensors"
    save_checkpoint(path, build_model(config, task), about)
    return path


def test_a_pushed_model_is_the_same_when_it_is_fetched(hub, model, capsys):
    assert main(["push", str(model.parent), "hf://lab/rats"]) == 0
    assert "✓ hf://lab/rats" in capsys.readouterr().out
    fetched = load_checkpoint(Path("hf://lab/rats"))

    assert b"secret" not in hub["lab/rats"]["best.safetensors"]
    [before] = load_checkpoint(model).members
    [after] = fetched.members
    assert after.provenance.data_dir == "rats"
    for name, value in before.model.state_dict().items():
        assert torch.equal(after.model.state_dict()[name], value)
    assert set(hub["lab/rats"]) == {
        *("README.md", "best.safetensors", "model_card.json")
    }
    page = hub["lab/rats"]["README.md"].decode()
    assert page.startswith("---\nlibrary_name: ")
    assert 'license: "cc-by-4.0"' in page
    assert "Вера Иванова" in page


def test_a_model_may_be_given_by_its_address_and_revision(hub, model, capsys):
    assert main(["push", str(model), "hf://lab/rats"]) == 0
    assert main(["info", "hf://lab/rats@main"]) == 0
    assert "cc-by-4.0" in capsys.readouterr().out


def test_of_a_repository_only_the_model_and_its_card_are_fetched(hub, model):
    assert main(["push", str(model), "hf://lab/rats"]) == 0
    hub["lab/rats"] |= {"run.py": b"boom", "extra.pkl": b"boom"}
    load_checkpoint(Path("hf://lab/rats"))
    assert set(Hub.fetched) <= {"best.safetensors", "model_card.json"}


def test_a_repository_of_another_program_is_refused_unloaded(hub):
    hub["lab/other"] = {"pytorch_model.bin": b"boom", "modeling.py": b"boom"}
    with pytest.raises(RunError, match=r"no best\.safetensors.*modeling\.py"):
        load_checkpoint(Path("hf://lab/other"))
    assert Hub.fetched == []


def test_an_absent_repository_is_one_line(hub, capsys):
    assert main(["info", "hf://lab/none"]) == 2
    assert "no such repository, or it is private" in capsys.readouterr().err


def test_a_server_that_is_away_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["info", "hf://lab/rats"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["hf://rats", "hf://a/b/c", "hf://a/..", "hf://a/b@", "hf://-a/b"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="hf://owner/name"):
        hub_address(Path(address))


def test_an_address_survives_being_a_path():
    assert hub_address(Path("hf://lab/rats@v1")) == HubAddress("lab/rats", "v1")
    assert hub_address(Path("runs/rats")) is None


def test_pushing_elsewhere_is_refused(model, capsys):
    assert main(["push", str(model), "s3://bucket/x"]) == 2
    assert "hf://owner/name" in capsys.readouterr().err


def test_what_a_card_lacks_is_said_before_others_miss_it(hub, model, capsys):
    checkpoint = load_checkpoint(model)
    [member] = checkpoint.members
    bare = Provenance(epoch=1, step=1, trained_on=(), validated_on=(), validation={})
    save_checkpoint(model, member.model, bare)
    assert main(["push", str(model), "hf://lab/bare"]) == 0
    assert "! no licence" in capsys.readouterr().out
