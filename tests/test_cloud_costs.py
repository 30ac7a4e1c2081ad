import pytest
from epochs import epoch

from mabe.config import RunConfig
from mabe.errors import ConfigError
from mabe.training.modal.costs import Machine, describe_to_come, find_gpu, longest_hours

A10 = Machine(gpu="A10", cores=4, memory_gib=16)


def test_a_machine_s_price_is_that_of_gpu_cores_and_memory():
    by_hand = 3600 * (0.000306 + 4 * 0.0000131 + 16 * 0.00000222)
    assert A10.usd_per_hour == pytest.approx(by_hand)
    assert 1.4 < A10.usd_per_hour < 1.45


@pytest.mark.parametrize(
    ("given", "name"),
    [("a10g", "A10"), ("A100", "A100-40GB"), ("h100:1", "H100"), ("T4", "T4")],
)
def test_gpus_are_known_by_the_names_people_use(given, name):
    assert find_gpu(given) == name


def test_an_unknown_gpu_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"--gpu H10: unknown; did you mean H100\?"):
        find_gpu("H10")
    with pytest.raises(ConfigError, match="there are T4, L4"):
        find_gpu("RTX5090")
    with pytest.raises(ConfigError, match="uses one GPU; try --gpu H100"):
        find_gpu("H100:8")


def test_the_plan_is_twelve_hours_and_less_for_less():
    assert longest_hours(RunConfig(), A10) == 12
    assert longest_hours(RunConfig(epochs=25), A10) == 3
    assert longest_hours(RunConfig(max_sequences=10), A10) == pytest.approx(0.142, 0.01)
    assert longest_hours(RunConfig(max_sequences=9999), A10) == 12
    slow = Machine(gpu="T4", cores=4, memory_gib=16)
    assert longest_hours(RunConfig(), slow) == 24


def test_what_is_to_come_goes_by_the_last_five_epochs():
    history = [
        epoch(1, seconds=9999.0),
        *(epoch(number, seconds=360.0) for number in range(2, 7)),
    ]
    told = describe_to_come(history, epochs=26, machine=A10)
    assert told == f"; at most 2.0 h and ${2 * A10.usd_per_hour:.2f} to come"
    assert describe_to_come(history, epochs=6, machine=A10) == ""
    assert describe_to_come([], epochs=6, machine=A10) == ""
