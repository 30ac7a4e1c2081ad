"""The host of a GPU never waits for it, checked on a machine without one.

A tensor on torch's `meta` device has a shape and no values, so what looks at a value
fails, as does what mixes devices. What such a tensor does not mind, a list that would
have to be sent to the GPU first, is noted by name.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from mabe.config import RunConfig
from mabe.data.pair_windows import SEATS
from mabe.features.animal_order import center_scene, pack_animals
from mabe.models.model import build_model
from mabe.models.span_predictor import SpanPredictor
from mabe.pair_task import PairTask
from mabe.training.augmentation import Changes, augment
from mabe.training.pretraining import HiddenFrames

SENDING = ("tensor", "as_tensor", "new_tensor")
KINDS = [
    {"feature_set": "motion"},
    {"feature_set": "motion", "scene_frame": False},
    {"feature_set": "social"},
    {"feature_set": "motion", "task": "pair"},
    {"feature_set": "social", "task": "pair"},
]
B, T = 3, 20


class Sending(TorchFunctionMode):
    """Notes what would send values from the host."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = func.__name__
        if name in SENDING:
            self.seen.append(name)
        if name in ("__getitem__", "__setitem__"):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            self.seen += [f"{name} {each}" for each in index if isinstance(each, list)]
        return func(*args, **(kwargs or {}))


def model_of(kind):
    config = RunConfig(fps=30.0, **kind)
    task = config.scene_task
    if config.task == "pair":
        task = PairTask(
            actions=("chase",),
            labs=("a",),
            vocabulary={"a": frozenset({("chase", False)})},
        )
    return build_model(config.model, task)


@pytest.mark.parametrize("kind", KINDS)
def test_features_neither_read_from_a_gpu_nor_send_to_it(kind):
    model = model_of(kind).to("meta")
    seats = SEATS if kind.get("task") == "pair" else 4
    poses = torch.zeros(B, T, seats, 18, 2, device="meta")
    with Sending() as mode:
        if kind.get("task") != "pair":
            poses = pack_animals(poses)
        channels = model.scaling(model.features(poses))
    assert channels.shape == (B, T, model.scaling.channels)
    assert channels.device.type == "meta"
    assert mode.seen == []


def test_a_copy_for_use_has_all_its_parts_on_the_gpu():
    quick = model_of({"feature_set": "motion"}).to("meta").for_slots((0, 1, 18))
    poses = torch.zeros(B, T, 4, 18, 2, device="meta")
    assert quick.scaling(quick.features(poses)).device.type == "meta"


def test_augmentation_reads_nothing_from_a_gpu():
    poses = torch.zeros(B, T, 4, 18, 2, device="meta")
    changes = Changes(
        matrix_B22=torch.zeros(B, 2, 2, device="meta"),
        flip_B=torch.zeros(B, dtype=torch.bool, device="meta"),
        shift_B2=torch.zeros(B, 2, device="meta"),
        noise_BTAK2=torch.zeros_like(poses),
        order_BA=torch.zeros(B, 4, device="meta"),
        drop_BAK=torch.zeros(B, 4, 18, dtype=torch.bool, device="meta"),
        drop_first_B=torch.zeros(B, dtype=torch.bool, device="meta"),
    )
    with Sending() as mode:
        augment(center_scene(poses), changes)
    assert mode.seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_sees_what_a_processor_sees(kind, monkeypatch):
    """Another way to the same features: all slots are worked on, whoever is there."""
    torch.manual_seed(0)
    model = model_of(kind)
    seats = SEATS if kind.get("task") == "pair" else 4
    poses = torch.randn(B, T, seats, 18, 2).cumsum(dim=1)
    poses[torch.rand(B, T, seats, 18) < 0.2] = torch.nan
    poses[:, :, 2:] = torch.nan
    poses[0, :, 1] = torch.nan
    here = model.extract_features(poses)
    monkeypatch.setattr("mabe.runtime.tensors.is_on_cpu", lambda _: False)
    torch.testing.assert_close(
        model.extract_features(poses), here, rtol=1e-3, atol=1e-3, equal_nan=True
    )


@pytest.mark.parametrize("task", ["scene", "pair"])
def test_pretraining_reads_nothing_from_a_gpu(task):
    model = model_of({"feature_set": "social", "task": task})
    predictor = SpanPredictor(model).to("meta").eval()
    view = (
        (torch.zeros(B, dtype=torch.long), torch.zeros(B, dtype=torch.bool))
        if task == "pair"
        else ()
    )
    targets = HiddenFrames(
        torch.zeros(B, T, dtype=torch.bool, device="meta"),
        tuple(each.to("meta") for each in view),
    )
    features = torch.zeros(B, T, len(model.features.names), device="meta")
    with Sending() as mode:
        loss = targets.loss(predictor, features) / targets.total()
    assert loss.device.type == "meta"
    assert mode.seen == []
