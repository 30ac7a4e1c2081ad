"""What `mabe inspect` found in a file or a folder, as records."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mabe.io.folder_files import FileProblem, FolderContents, Labels, Track
from mabe.io.guesses import Guess


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedTracks:
    """The tracks of one recording."""

    name: str
    file: str
    format: str
    frames: int
    fps: float | None
    """None where the file gives none."""
    animals: tuple[str, ...]
    keypoints: tuple[str, ...]

    @classmethod
    def of(cls, track: Track) -> "InspectedTracks":
        """Return what is known of a recording's tracks."""
        return cls(
            name=track.name,
            file=str(track.path),
            format=track.format,
            frames=track.length,
            fps=track.fps,
            animals=track.animals,
            keypoints=track.keypoints,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedLabels:
    """The labels of one recording."""

    name: str
    file: str
    format: str
    by: str
    """``person`` or ``program``."""
    events: int
    behaviours: tuple[str, ...]
    subjects: tuple[str, ...]

    @classmethod
    def of(cls, labels: Labels) -> "InspectedLabels":
        """Return what is known of a recording's labels."""
        annotations = labels.annotations
        return cls(
            name=annotations.name,
            file=str(labels.path),
            format=labels.format,
            by=annotations.by,
            events=len(annotations.events),
            behaviours=annotations.behaviours,
            subjects=annotations.subjects,
        )


@dataclass(frozen=True, slots=True)
class NotRead:
    """A file that is not used, and why."""

    file: str
    reason: str

    @classmethod
    def of(cls, problem: FileProblem) -> "NotRead":
        """Return the record of a file that is not used."""
        return cls(str(problem.path), problem.reason)


Kind = Literal["file", "folder", "data set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A file, a folder of files, or a data set in the standard layout."""

    kind: Kind
    tracks: tuple[InspectedTracks, ...] = ()
    """Of a data set none: its tracks are not opened."""
    labels: tuple[InspectedLabels, ...] = ()
    not_read: tuple[NotRead, ...] = ()
    guesses: tuple[Guess, ...] = ()
    """What an import would assume."""
    videos: int = 0
    """Of a data set: how many it lists."""
    labelled: int = 0
    """Of a data set: how many of them have labels."""

    @classmethod
    def of(
        cls, kind: Kind, contents: FolderContents, guesses: Iterable[Guess] = ()
    ) -> "Inspection":
        """Return the record of what files hold."""
        return cls(
            kind=kind,
            tracks=tuple(InspectedTracks.of(each) for each in contents.tracks),
            labels=tuple(InspectedLabels.of(each) for each in contents.labels),
            not_read=tuple(NotRead.of(each) for each in contents.problems),
            guesses=tuple(guesses),
        )
