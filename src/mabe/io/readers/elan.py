"""Annotations of ELAN (`.eaf`), an XML document.

A tier holds annotations with a text and two time slots in milliseconds of a time line,
which begins at ``TIME_ORIGIN`` of a film where films were synchronized. The text is the
behaviour, and the tier's participant, or else its name, the subject. A tier whose
annotations have no text, or its own name, is a behaviour. Annotations that refer to
others instead of times are not read. All tiers were watched all the time.

Source: the schema of EAF (``EAFv3.0.xsd``) and ELAN's manual.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_text
from mabe.runtime.console import count

FACTS = facts.labels(
    "ELAN `.eaf`, tab-delimited text",
    clock="ms of the time line; `TIME_ORIGIN` of a film",
    stop="times",
    watched="all of the film, all tiers",
    animals="participant, else the tier; texts are behaviours",
    notes="a tier without texts is a behaviour",
)


@dataclass(frozen=True, slots=True)
class Marked:
    """One annotation of a tier."""

    start_s: float
    stop_s: float
    text: str


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
        origin_ms = _origin_ms(root)
        slots = {
            each.attrib["TIME_SLOT_ID"]: (int(each.attrib["TIME_VALUE"]) + origin_ms)
            / 1000
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
    if origin_ms:
        notes.append(
            f"the time line begins at {origin_ms / 1000:g} s of the first film: times "
            "are those of the film"
        )
    if lost := referring + marked - len(events):
        without = count(lost, "annotation")
        notes.append(f"{without} left out: no time of their own")
    media = [each.attrib.get("MEDIA_URL", "") for each in root.iter("MEDIA_DESCRIPTOR")]
    stems = media_stems(each.removeprefix("file:///") for each in media)
    name = stems[0].rsplit("/", 1)[-1] if len(stems) == 1 else peek.stem
    annotations = annotations_of(name, "s", events, media=stems, notes=notes)
    return Content("ELAN annotations", annotations=(annotations,))


def _events(tier: ElementTree.Element, slots: Mapping[str, float]) -> Iterator[Event]:
    """Yield the annotations of a tier that have times."""
    marked = []
    for each in tier.iter("ALIGNABLE_ANNOTATION"):
        ends = [each.attrib[f"TIME_SLOT_REF{at}"] for at in (1, 2)]
        if all(end in slots for end in ends):
            text = (each.findtext("ANNOTATION_VALUE") or "").strip()
            start_s, stop_s = (slots[end] for end in ends)
            marked.append(Marked(start_s, stop_s, text))
    participant = tier.attrib.get("PARTICIPANT", "").strip()
    yield from events_of_tier(tier.attrib["TIER_ID"], participant, marked)


def events_of_tier(
    name: str, participant: str, marked: Sequence[Marked]
) -> Iterator[Event]:
    """Yield the annotations of a tier as events.

    A tier without texts, or with its own name for them, is a behaviour.
    """
    is_behaviour = all(each.text in ("", name) for each in marked)
    subject = participant if is_behaviour else participant or name
    for each in marked:
        stop_s = max(each.start_s, each.stop_s)
        yield Event(each.start_s, stop_s, each.text or name, subject)


def _origin_ms(root: ElementTree.Element) -> int:
    """Return at which time of the first film the annotations' time line begins."""
    media = next(root.iter("MEDIA_DESCRIPTOR"), None)
    return 0 if media is None else int(media.attrib.get("TIME_ORIGIN") or 0)
