"""Cards of earlier formats are migrated; cards that cannot be read are refused."""

import json
import re

import pytest
import torch
from cards import change_card, read_card

from mabe import __version__
from mabe.errors import RunError
from mabe.models.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.models.migrations import CARD_FORMAT, MIGRATIONS
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.runtime.versions import is_newer
from mabe.scene_task import CHALLENGE_CLASSES, SceneTask

SETTINGS_OF_FORMAT = {
    4: {
        "conv_channels",
        "conv_kernel",
        "dropout",
        "feature_set",
        "fps",
        "gru_layers",
        "gru_pooling",
        "gru_width",
        "lab_channels",
        "lab_dropout",
        "lstm_hidden",
        "lstm_layers",
        "max_gap_s",
        "model_type",
        "scene_frame",
        "sequence_length",
        "tcn_layers",
        "tcn_width",
        "use_motion_features",
    }
}
"""The settings in a card, for each format since they are `ModelConfig`'s."""


SINCE_THEN = {
    "animals": 4,
    "base_classes": (),
    "heights": False,
    "nearest_targets": 3,
    "object_targets": False,
    "skeleton": None,
    "target_distance_cm": None,
    "zone_targets": False,
}
"""Settings that were added to `ModelConfig` later, without a new format, each with the
value under which a model behaves as models did before there was the setting."""


def test_a_new_setting_comes_with_a_migration_or_a_default_that_changes_nothing():
    fields = ModelConfig.model_fields
    assert set(fields) == SETTINGS_OF_FORMAT[CARD_FORMAT] | set(SINCE_THEN), (
        "Cards of earlier versions lack a new setting (or have one that is gone). "
        "Either add a migration to a new format, and its settings to "
        "SETTINGS_OF_FORMAT here; or, where there is a value under which models behave "
        "as before, make it the default and add it to SINCE_THEN."
    )
    assert {name: fields[name].default for name in SINCE_THEN} == SINCE_THEN


def test_every_format_since_the_first_has_a_migration_and_is_recorded():
    assert sorted(MIGRATIONS) == list(range(min(MIGRATIONS), CARD_FORMAT))
    assert sorted(SETTINGS_OF_FORMAT) == list(range(4, CARD_FORMAT + 1))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "best.safetensors"
    config = ModelConfig(conv_channels=(4,), lstm_hidden=4, lstm_layers=1)
    torch.manual_seed(0)
    model = build_model(config, SceneTask.from_groups(CHALLENGE_CLASSES))
    provenance = Provenance(
        epoch=1, step=1, trained_on=(), validated_on=(), validation={}
    )
    save_checkpoint(path, model, provenance)
    return path


def refuse(path, *, match):
    with pytest.raises(RunError, match=match) as error:
        load_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_card_has_the_settings_of_its_format(path):
    [member] = read_card(path)["members"]
    assert member["config"].keys() == SETTINGS_OF_FORMAT[CARD_FORMAT] | set(SINCE_THEN)


def test_a_later_format_is_refused_with_the_advice_to_update(path):
    change_card(path, lambda card: card.update(format=CARD_FORMAT + 1, mabe="9.0"))
    refuse(
        path,
        match=rf"format {CARD_FORMAT + 1}, .*made by a newer mabe, 9\.0.*Update mabe",
    )


def add_task(card):
    card["members"][0]["task"]["kind"] = "colony"


def drop_rules(card):
    del card["rules"]


def add_setting(card):
    card["members"][0]["config"]["magic"] = 1


@pytest.mark.parametrize("change", [add_task, drop_rules, add_setting])
def test_whatever_is_odd_in_a_card_of_a_later_version_is_put_down_to_that(path, change):
    change_card(path, lambda card: (card.update(mabe="10.2.1rc1"), change(card)))
    refuse(path, match=r"made by a newer mabe.*Update mabe: pip install")


def test_a_card_of_a_later_version_that_is_not_odd_is_read(path):
    change_card(path, lambda card: card.update(mabe="10.2"))
    load_checkpoint(path)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.0.9", False),
        (__version__, False),
        (f"{__version__}.1", True),
        ("0.10", True),
        ("1.0rc1", True),
        ("", False),
        ("new", False),
        (None, False),
        (9, False),
    ],
)
def test_versions_are_compared_as_numbers(version, expected):
    assert is_newer(version) == expected


@pytest.mark.parametrize("found", [1, None, "x"])
def test_a_format_before_the_first_is_refused(path, found):
    change_card(path, lambda card: card.update(format=found))
    refuse(path, match=f"of format 3 to {CARD_FORMAT}, found format {found}")


def test_an_unknown_setting_is_refused_with_the_advice_to_update(path):
    change_card(path, lambda card: card["members"][0]["config"].update(magic=1))
    refuse(path, match="magic.*made by a newer mabe.*Update mabe")


def test_a_setting_that_is_not_valid_is_named(path):
    change_card(path, lambda card: card["members"][0]["config"].update(fps=-1))
    refuse(path, match="fps: Input should be greater than or equal to 0.1")


@pytest.mark.parametrize("key", ["members", "rules", "tuned_on"])
def test_a_card_that_lacks_something_is_refused(path, key):
    change_card(path, lambda card: card.pop(key))
    refuse(path, match=f"damaged or incomplete.*{key}")


def test_a_file_without_a_card_is_refused(path):
    change_card(path, lambda card: None, card=json.dumps([1]))
    refuse(path, match="found no card")


def test_the_card_beside_the_file_is_the_one_in_it(path):
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    assert json.loads(text) == read_card(path)
    assert not re.search("checkpoint_dir|batch_size", text)
