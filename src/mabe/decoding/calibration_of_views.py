"""How often what was said happened, counted for each answer of some views."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from mabe.decoding.calibration import BINS, tally_frames
from mabe.decoding.rules import DecisionRules, refine
from mabe.decoding.views import Evidence


def tally_answers(
    views: Sequence[Evidence], rules: DecisionRules
) -> Int[np.ndarray, "classes bins 2"]:
    """Return in how many frames each class happened, by its refined log-odds."""
    tally = np.zeros((len(rules.classes), BINS, 2), np.int64)
    for view in views:
        said = refine(view.probabilities, fps=view.fps, rules=rules)
        everything = np.zeros(len(said), int)
        for index in range(len(rules.classes)):
            labels = view.labels[:, index].astype(int)
            tally[index] += tally_frames(said[:, index], labels, everything, 1)[0]
    return tally
