import os
import signal
import subprocess
import sys

import pytest
from epochs import epoch

from mabe.runtime.console import print_lines, printing_safely, quietly
from mabe.runtime.stop_signals import noting_stops
from mabe.training.progress import epoch_bar, epoch_line, time_left


def record(number, macro_f1, seconds=30.0):
    f1 = {"background": 0.9, "aggressive": None}
    return epoch(number, macro_f1, f1=f1, seconds=seconds)


def test_a_new_best_is_starred_and_the_time_left_is_told():
    line = epoch_line([record(1, 0.4), record(2, 0.5)], epochs=4)
    assert line == (
        "Epoch   2/4  loss 0.500, held-out 0.600  macro F1 0.500*  "
        "[background 0.900  aggressive -]  lr 1.0e-03  30 s, 1:00 left"
    )


def test_else_the_best_so_far_is_told_with_its_epoch():
    line = epoch_line([record(1, 0.7), record(2, 0.5)], epochs=2)
    assert "macro F1 0.500 (best 0.700, 1)" in line
    assert "left" not in line


def test_an_epoch_without_a_score_is_no_best():
    assert "macro F1 -*" in epoch_line([record(1, None)], epochs=1)
    assert "macro F1 - (best 0.300, 1)" in epoch_line(
        [record(1, 0.3), record(2, None)], epochs=2
    )


def test_the_time_left_goes_by_the_last_epochs_and_over_the_hour():
    history = [record(1, 0.1, 10_000.0), *(record(n, 0.1, 60.0) for n in range(2, 7))]
    assert time_left(history, epochs=8) == ", 2:00 left"
    assert time_left(history, epochs=106) == ", 1 h 40 min left"
    assert time_left([], epochs=3) == ""


def test_quietly_only_the_outcome_is_told(capsys):
    with quietly(True):
        print_lines("Epoch 1")
        print_lines("✓ Best macro F1", always=True)
        with epoch_bar(epoch=1, epochs=2, done=0, steps=3) as bar:
            assert bar.disable
    print_lines("after")
    with quietly(False):
        print_lines("not quiet")
    assert capsys.readouterr().out == "✓ Best macro F1\nafter\nnot quiet\n"


def test_outside_a_terminal_there_is_no_bar(capsys):
    with epoch_bar(epoch=1, epochs=2, done=0, steps=3) as bar:
        bar.update()
    assert capsys.readouterr().err == ""


POSIX = pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")

COMMAND = "import sys; from mabe.cli.main import main; sys.exit(main(sys.argv[1:]))"


def run_unread(*words, merged=False):
    """Run a command whose output nobody reads; return its exit code and errors."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        stdout=write,
        stderr=write if merged else subprocess.PIPE,
        check=False,
    )
    os.close(write)
    return process.returncode, process.stderr


@POSIX
def test_a_closed_pipe_ends_in_silence_with_the_usual_code(tmp_path):
    assert run_unread("inspect", "--formats") == (0, b"")
    assert run_unread("train", "--help") == (0, b"")
    assert run_unread("inspect", tmp_path / "absent", merged=True) == (2, None)
    code, errors = run_unread("inspect", tmp_path / "absent")
    assert code == 2
    assert errors.count(b"\n") == 1


@POSIX
def test_a_command_whose_pipe_is_closed_does_its_work(tmp_path):
    words = ("simulate", tmp_path / "data", "--videos", 1, "--minutes", "0.05")
    assert run_unread(*words, "--workers", 1) == (0, b"")
    assert (tmp_path / "data" / "train.csv").is_file()


@POSIX
def test_what_is_printed_to_a_closed_terminal_is_dropped(monkeypatch):
    terminal, stream = os.openpty()
    with os.fdopen(stream, "w") as closed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        with printing_safely():
            print_lines("Epoch 1")
            os.close(terminal)
            print_lines("Epoch 2", "Epoch 3")


@POSIX
def test_another_error_of_writing_is_raised(monkeypatch):
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="space"), printing_safely():
            print_lines("Epoch 1")
        patch.setattr(sys, "stdout", sys.__stdout__)
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


@POSIX
def test_a_program_that_ignores_hangups_goes_on_ignoring_them():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with noting_stops() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
            signal.raise_signal(signal.SIGTERM)
            assert asked()
    finally:
        signal.signal(signal.SIGHUP, before)
