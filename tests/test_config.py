from pathlib import Path

import pytest

from mabe.config import (
    Augmentation,
    RunConfig,
    build_config,
    dump_config,
    load_config,
    parse_changes,
)
from mabe.errors import ConfigError

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


def refuse(settings, *, match):
    with pytest.raises(ConfigError, match=match):
        build_config(settings, where="my.yaml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_every_config_we_ship_is_valid(path):
    load_config(path)


def test_v1_is_the_recipe():
    config = load_config(CONFIGS / "config.yaml")
    assert len(config.features.names) == config.input_dim == 144
    assert not config.use_motion_features
    assert config.batch_size == 64
    assert config.class_weights == [0.5, 10, 15, 15]
    assert list(config.classes) == ["background", "social", "mating", "aggressive"]


def test_v2_is_the_recipe():
    config = load_config(CONFIGS / "config_5090.yaml")
    assert len(config.features.names) == config.input_dim == 288
    assert config.class_weights == [1, 5, 8, 8]
    assert (config.batch_size, config.num_workers) == (96, 4)
    assert (config.sequence_length, config.fps) == (100, 33.3)
    assert (config.learning_rate, config.dropout) == (3e-4, 0.3)
    assert (config.epochs, config.early_stopping_patience) == (100, 15)
    assert config.checkpoint_dir == Path("checkpoints/5090")


def test_a_wrong_key_names_the_nearest_right_one():
    refuse({"bacth_size": 8}, match="my.yaml: unknown key 'bacth_size'.*'batch_size'")


def test_an_input_dim_that_does_not_match_gives_the_sum():
    refuse({"input_dim": 144}, match=r"144 \+|144 coordinates \+ 72 speeds \+ 72 acc")
    refuse({"input_dim": 144}, match="= 288")
    refuse({"input_dim": 288, "use_motion_features": False}, match="= 144")


def test_wrong_values_name_the_key_and_what_was_found():
    refuse({"epochs": "many"}, match="my.yaml: epochs: .*'many'")
    refuse({"dropout": 1.5}, match="dropout: .*1.5")
    refuse({"class_weights": [1, 2]}, match="class_weights has 2 .* 4 classes")
    refuse({"num_classes": 3}, match="num_classes is 3, but `classes` names 4")
    refuse({"folds": 5, "fold": 5}, match="count from 0 to 4")


def test_numbers_yaml_reads_otherwise_are_understood():
    assert build_config({"precision": 32}, where="x").precision == "32"
    assert build_config({"learning_rate": "3e-4"}, where="x").learning_rate == 3e-4


def test_nonsense_is_refused_before_anything_runs():
    refuse({"learning_rate": float("inf")}, match="learning_rate")
    refuse({"seed": -1}, match="seed")
    refuse({"val_share": 0.7}, match="val_share")
    refuse({"classes": {"frame": [], "b": []}}, match="'frame'")


def test_every_problem_is_in_one_message():
    refuse({"epochs": 0, "batch_size": -1}, match="batch_size.*; epochs|epochs.*batch")


def test_a_config_that_is_not_there_or_no_yaml_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_config(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("epochs: [1, 2\n")
    with pytest.raises(ConfigError, match="not valid YAML") as error:
        load_config(broken)
    assert "\n" not in str(error.value)
    broken.write_text("just words")
    with pytest.raises(ConfigError, match="expected lines of `key: value`"):
        load_config(broken)


def test_changes_on_the_command_line_are_read_as_yaml():
    changes = parse_changes(["epochs=3", "classes={a: [x], b: [y]}", "other=error"])
    assert changes == {
        "epochs": 3,
        "classes": {"a": ["x"], "b": ["y"]},
        "other": "error",
    }
    with pytest.raises(ConfigError, match="expected key=value"):
        parse_changes(["epochs"])


def test_dumped_settings_build_the_same_config():
    config = RunConfig(class_weights=[1, 2, 3, 4], folds=5)
    assert build_config(dump_config(config), where="card") == config


def test_without_augmentation_nothing_is_augmented():
    assert RunConfig(use_augmentation=False).augmentation == Augmentation.none()
    assert RunConfig().augmentation == Augmentation()
    assert RunConfig(augment_scale=0.3).augmentation.scale == 0.3


def test_every_setting_is_on_the_page_about_settings():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")

    assert [key for key in RunConfig.model_fields if f"`{key}`" not in page] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda config, **settings: config.changed(**settings),
        lambda config, **settings: config.model_copy(update=settings),
    ],
)
def test_changed_settings_are_checked_like_any(change):
    config = RunConfig(dropout=0.1)
    assert change(config, fps=25) == RunConfig(dropout=0.1, fps=25.0)
    with pytest.raises(ConfigError, match=r"fps: .* \(found -5\)"):
        change(config, fps=-5)
    with pytest.raises(ConfigError, match="'epochs'"):
        change(config, epoch=3)


def numbers_in(schema):
    """The parts of a JSON schema that describe a number."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            yield schema
        for value in schema.values():
            yield from numbers_in(value)
    if isinstance(schema, list):
        for value in schema:
            yield from numbers_in(value)


def test_every_number_has_bounds():
    properties = RunConfig.model_json_schema()["properties"]
    numbers = [(key, one) for key in properties for one in numbers_in(properties[key])]
    assert len(numbers) > 50
    assert [
        key
        for key, number in numbers
        if not number.keys() & {"minimum", "exclusiveMinimum"}
        or not number.keys() & {"maximum", "exclusiveMaximum"}
    ] == []
