"""Losses that are read late, as from a GPU."""

import math

import pytest
import torch

from mabe.errors import RunError
from mabe.training.loss_log import LossLog


def add_all(log, losses):
    for step, loss in enumerate(losses):
        log.add(torch.tensor(loss), step=step, learning_rate=1e-3)


def test_on_a_cpu_a_loss_is_there_at_once():
    log = LossLog.of_device(torch.device("cpu"))
    add_all(log, [0.5, 0.25])
    assert (log.last, log.total) == (0.25, 0.75)


def test_a_loss_is_read_so_many_steps_later():
    log = LossLog(behind=2)
    add_all(log, [1.0, 2.0])
    assert log.last is None
    add_all(log, [4.0])
    assert (log.last, log.total) == (1.0, 1.0)


def test_in_the_end_all_are_summed_in_their_order():
    losses = torch.rand(50).tolist()
    late, prompt = LossLog(behind=7), LossLog(behind=0)
    add_all(late, losses)
    add_all(prompt, losses)
    assert late.read_all() == prompt.read_all()


def test_a_new_epoch_begins_at_nothing_and_a_resumed_one_where_it_was():
    log = LossLog(behind=0)
    add_all(log, [1.0])
    log.start()
    assert log.read_all() == 0.0
    log.start(3.0)
    add_all(log, [1.0])
    assert log.read_all() == 4.0


def test_a_loss_that_is_no_number_stops_the_run_when_its_time_has_come():
    log = LossLog(behind=2)
    add_all(log, [1.0, math.nan])
    log.add(torch.tensor(1.0), step=2, learning_rate=1e-3)
    with pytest.raises(RunError, match="step 1: the loss is nan; lower learning_rate"):
        log.add(torch.tensor(1.0), step=3, learning_rate=1e-3)
