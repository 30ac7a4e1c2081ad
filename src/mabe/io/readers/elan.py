"""Annotations of ELAN (`.eaf`), an XML document.

A tier holds annotations with a text and two time slots in milliseconds. The text is the
behaviour, and the tier's participant, or else its name, the subject. A tier whose
annotations have no text, or its own name, is a behaviour. Annotations that refer to
others instead of times are not read.
"""

from collections.abc import Iterator
from xml.etree import ElementTree

from mabe.errors import DataError
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_text


def is_elan(peek: Peek) -> bool:
    """Return whether a text is a document of ELAN."""
    return peek.kind == "text" and "<ANNOTATION_DOCUMENT" in peek.text[:4000]


def read_elan(peek: Peek) -> Content:
    """Return the annotations of all tiers."""
    text = read_text(peek)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{peek.path}: an .eaf file has no document type or entities.")
    try:
        root = ElementTree.fromstring(text)
        slots = {
            each.attrib["TIME_SLOT_ID"]: int(each.attrib["TIME_VALUE"]) / 1000
            for each in root.iter("TIME_SLOT")
            if "TIME_VALUE" in each.attrib
        }
        events = [each for tier in root.iter("TIER") for each in _events(tier, slots)]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise DataError(
            f"{peek.path}: cannot be read as an ELAN document ({error}); open and save "
            "it in ELAN."
        ) from error
    marked = sum(1 for _ in root.iter("ALIGNABLE_ANNOTATION"))
    referring = sum(1 for _ in root.iter("REF_ANNOTATION"))
    notes = []
    if lost := referring + marked - len(events):
        notes.append(f"{lost} annotations without times of their own left out")
    media = [each.attrib.get("MEDIA_URL", "") for each in root.iter("MEDIA_DESCRIPTOR")]
    stems = media_stems(each.removeprefix("file:///") for each in media)
    name = stems[0].rsplit("/", 1)[-1] if len(stems) == 1 else peek.stem
    annotations = annotations_of(name, "s", events, media=stems, notes=notes)
    return Content("ELAN annotations", annotations=(annotations,))


def _events(tier: ElementTree.Element, slots: dict[str, float]) -> Iterator[Event]:
    """Yield the annotations of a tier that have times."""
    name = tier.attrib["TIER_ID"]
    marked = [
        (each, (each.findtext("ANNOTATION_VALUE") or "").strip())
        for each in tier.iter("ALIGNABLE_ANNOTATION")
    ]
    is_behaviour = all(text in ("", name) for _, text in marked)
    participant = tier.attrib.get("PARTICIPANT", "").strip()
    subject = participant if is_behaviour else participant or name
    for each, text in marked:
        ends = [each.attrib[f"TIME_SLOT_REF{at}"] for at in (1, 2)]
        if all(end in slots for end in ends):
            start_s, stop_s = (slots[end] for end in ends)
            yield Event(start_s, max(start_s, stop_s), text or name, subject)
