"""Whose behaviour a label file holds, and who annotated it, from its name.

What follows the recording's name in the name of a label file is a subject where an
animal or a subject is called so (``trial_resident.tsv``), and else the annotator
(``trial_anna.csv``). `project.yaml` may give both.
"""

from collections.abc import Iterable
from dataclasses import replace

from mabe.io.file_matching import Claim
from mabe.io.folder_files import Labels
from mabe.io.readers.annotations import FileAnnotations
from mabe.io.recording_names import Words, squeeze, words_of


def with_owner(claim: Claim, known: Iterable[str]) -> Labels:
    """Return labels with the subject and the annotator that their name gives.

    `known` are the names of animals and subjects. A subject in the file itself, and
    the settings of the file, count before its name.
    """
    labels, settings = claim.labels, claim.settings
    annotations, guesses = labels.annotations, list(labels.guesses)
    rest = claim.rest
    if settings and settings.subject is not None:
        annotations = _of_subject(annotations, settings.subject)
    elif not annotations.subjects and (found := _find_subject(rest, known)):
        subject, rest = found
        annotations = _of_subject(annotations, subject)
        guesses.append((f"{labels.path.name} is of {subject}", "its name has the name"))
    coder = (settings.coder if settings else None) or " ".join(rest)
    return replace(labels, annotations=annotations, coder=coder, guesses=tuple(guesses))


def _of_subject(annotations: FileAnnotations, subject: str) -> FileAnnotations:
    events = tuple(replace(event, subject=subject) for event in annotations.events)
    return replace(annotations, events=tuple(sorted(events)), subjects=(subject,))


def _find_subject(rest: Words, known: Iterable[str]) -> tuple[str, Words] | None:
    """Return the longest name that words hold, and the words around it."""
    for name in sorted(known, key=lambda each: (-len(each), each)):
        wanted = words_of(name)
        for size in range(1, len(rest) + 1):
            for start in range(len(rest) - size + 1):
                part = rest[start : start + size]
                if wanted and squeeze(part) == squeeze(wanted):
                    return name, (*rest[:start], *rest[start + size :])
    return None
