"""Predictions of one action from beginning to end are said, not ticked off."""

import pytest

from mabe.bouts import Bout, RecordingBouts
from mabe.inference.filled_recordings import notes_on_filled


def recording(*bouts, video="a", length=3000):
    return RecordingBouts(lab="lab", video=video, fps=30.0, length=length, bouts=bouts)


def test_an_action_that_fills_a_recording_is_named_with_it():
    whole = recording(Bout(0, 1500, "attack", 1, 2), Bout(1500, 2900, "attack", 1, 2))
    [note] = notes_on_filled([whole, recording(video="b")])
    assert note.startswith("attack fills 1 whole recording (lab/a)")


@pytest.mark.parametrize(
    "usual",
    [
        recording(),
        recording(Bout(0, 2000, "attack", 1, 2)),
        recording(Bout(0, 1500, "attack", 1, 2), Bout(1500, 3000, "attack", 2, 1)),
        recording(Bout(0, 600, "attack", 1, 2), length=600),
    ],
)
def test_an_action_at_times_of_each_animal_or_in_a_short_clip_is_usual(usual):
    assert notes_on_filled([usual]) == []
