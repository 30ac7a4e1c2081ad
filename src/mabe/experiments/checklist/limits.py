"""Limits of the checks.

A value at a limit fails a check that requires *above*, and passes one that requires
*at least*.
"""

LEAST_EPOCHS = 50
"""What a network of the V1/V2 recipes takes to settle when nothing else ends it."""


LEAST_MACRO_F1 = 0.40
"""Above. The mark that V2 was made to reach; the challenge's gold began at 0.51."""


LEAST_CLASS_F1 = 0.30
"""Above. Below it a person who mends the marks of a class would rather start anew."""


LEAST_BACKGROUND_RECALL = 0.40
"""Above. Class weights that raise rare classes too far make everything an action."""


FEWEST_EPOCHS_TO_JUDGE = 5
"""With fewer, the smoothed loss has no shape to speak of."""


RISE_TO_KNOW = 0.10


RISE_TO_MEND = 0.25
"""How far above its lowest the held-out loss may be, as a share of that. Of 13 runs of
7 to 12 epochs the seven that scored a macro F1 of 0.58 or more ended within 0.02 of it,
the six that got no further than 0.35 at 0.24 to 0.51."""


LEAST_LOSS = 0.01
"""A loss below this is as good as none, and twice that is no rise."""


ERROR_TO_KNOW = 0.10


ERROR_TO_MEND = 0.25
"""Expected calibration error. At 0.1 a probability of 70 % may mean a frequency of
60 %. At 0.25 a probability of one half may mean a rare event, so thresholds of
different classes cannot be compared."""


FEWEST_BOUTS = 10
"""Of an action in a lab: with fewer, a fifth of them is one bout or none, which neither
teaches an action nor scores it."""


MISSING_TO_KNOW = 0.20


MISSING_TO_MEND = 0.50
"""Share of a lab's points. Real tracks with 0.36 missing could be learned from; beyond
one half more is made up or absent than seen."""
