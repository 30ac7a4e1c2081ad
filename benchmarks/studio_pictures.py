"""Make the pictures of docs/studio.md in a headless browser, from simulated recordings.

    python benchmarks/studio_pictures.py docs

Six videos of two minutes are simulated without labels; then somebody, for whom the true
labels stand in, labels parts of three of them, trains, and looks at a suggestion. The
figures on the pages are those of that run. Scale and import are shown on a folder as
labs have it: tables of tracks, a drawn film, and a table of labels.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
import polars as pl
from annotated_film import film_of
from browser import Browser, served

from mabe.bouts import Bout, WatchedSpan
from mabe.data.simulate import simulate
from mabe.io.project import Project, load_project
from mabe.io.readers.kaggle import read_index, read_labels, read_recording
from mabe.recording import Recording
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.label_import import start_import
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.server import build_app
from mabe.viz.studio.session import StudioSession

ACTIONS = ("chase", "sniff")
PAGE = "window.mabe.page"
CAGES = ("day1_cage1", "day1_cage2", "day2_cage1", "day2_cage2")


def make_project(folder: Path) -> tuple[Path, dict]:
    """Write videos without labels; return their folder, and the true bouts."""
    simulate(
        folder / "true",
        videos=6,
        minutes=2,
        actions=ACTIONS,
        animals=2,
        seed=4,
        workers=1,
    )
    true = {info.name: read_labels(info)[0] for info in read_index(folder / "true")}
    root = folder / "arena"
    (root / "test_tracking").parent.mkdir()
    (folder / "true" / "train_tracking").rename(root / "test_tracking")
    (folder / "true" / "train.csv").rename(root / "test.csv")
    return root, true


def label(session: StudioSession, index: int, true: tuple) -> None:
    """Label the first half of a recording as it truly is."""
    recording = session.open(index).recordings[0]
    stop = recording.native_length // 2
    bouts = tuple(b for b in true if b.stop <= stop and b.action in ACTIONS)
    watched = session.ethogram.watchable(recording)
    watch = tuple(WatchedSpan(0, stop, w.action, w.agent, w.target) for w in watched)
    session.edit(index, LabelEdit(add=bouts, watch=watch), 0)


@dataclass(frozen=True)
class LabFolder:
    """A folder of tracks and a film."""

    root: Path
    bouts: tuple[Bout, ...]
    """The true ones of the recording with the film."""
    border: str
    """The right border of its arena, ``x y x y`` in pixels."""


def make_lab_folder(folder: Path) -> LabFolder:
    """Write tables of tracks and one film."""
    simulate(
        folder / "cages",
        videos=len(CAGES),
        minutes=0.5,
        actions=ACTIONS,
        animals=2,
        seed=4,
        workers=1,
    )
    root = folder / "open_field"
    root.mkdir()
    recordings = [read_recording(each) for each in read_index(folder / "cages")]
    for name, recording in zip(CAGES, recordings, strict=True):
        table_of(recording).write_csv(root / f"{name}.csv")
    film_of(recordings[0], root / f"{CAGES[0]}.mp4")
    (root / "project.yaml").write_text(f"fps: {recordings[0].info.fps:g}\n")
    every = recordings[0].xy_px.reshape(-1, 2)
    top, (right, bottom) = np.nanmin(every[:, 1]) - 20, np.nanmax(every, axis=0) + 20
    border = f"{right:.0f} {top:.0f} {right:.0f} {bottom:.0f}"
    return LabFolder(root, recordings[0].bouts, border)


def table_of(recording: Recording) -> pl.DataFrame:
    """Return the tracks of a recording as a table with a row for each point."""
    parts = [
        pl.DataFrame(
            {
                "frame": range(len(xy)),
                "animal": ["ab"[point.animal - 1]] * len(xy),
                "keypoint": [point.keypoint] * len(xy),
                "x": xy[:, 0],
                "y": xy[:, 1],
            }
        )
        for point, xy in zip(
            recording.points, recording.xy_px.swapaxes(0, 1), strict=True
        )
    ]
    return pl.concat(parts).filter(pl.col("x").is_not_nan())


def label_table(bouts: tuple[Bout, ...]) -> bytes:
    """Return bouts as a table that another program may have written."""
    rows = [
        f"{each.action},{each.start},{each.stop},{'ab'[each.agent - 1]}"
        for each in bouts
    ]
    return "\n".join(["action,start_frame,stop_frame,agent", *rows]).encode()


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(exist_ok=True)
    browser = Browser(1280, 860)
    with tempfile.TemporaryDirectory() as folder:
        root, true = make_project(Path(folder))
        session = StudioSession.of_project(open_project(root, Project()))
        session.start("read")
        with served(lambda p: build_app(session, port=p, token="t"), "t") as address:
            take_pictures(browser, session, address, true, out)
            browser.open("about:blank")  # it asks the server no more
        session.close()
        lab = make_lab_folder(Path(folder))
        session = StudioSession.of_project(
            open_project(lab.root, load_project(lab.root))
        )
        session.start("read")
        with served(lambda p: build_app(session, port=p, token="t"), "t") as address:
            take_pictures_of_a_lab(browser, session, address, lab, out)
            browser.open("about:blank")
        session.close()
    browser.close()


def take_pictures_of_a_lab(browser, session, address, lab, out) -> None:
    """Draw a line of known length, and show what a file of labels would bring."""
    browser.resize(1280, 860)
    browser.open(address)
    browser.wait("window.mabe?.project.state?.isRead", 120)
    session.set_ethogram(Ethogram((StudioAction("chase", "1", Kind.DIRECTED),)))
    browser.wait("window.mabe.project.state.ethogram.length === 1")
    chases = [each for each in lab.bouts if each.action == "chase"]
    first = chases[0]
    watched = session.open(0).recordings[0].native_length
    mine = replace(first, start=max(0, first.start - 12))
    pair = first.agent, first.target
    span = WatchedSpan(0, watched, "chase", *pair)
    session.edit(0, LabelEdit(add=(mine,), watch=(span,)), 0)
    browser.run("window.mabe.project.open(0)")
    browser.wait("document.getElementById('film').readyState >= 2", 20)
    browser.run("document.getElementById('draw-title').scrollIntoView()")
    browser.run("document.getElementById('draw-begin').click()")
    set_value(browser, "draw-length", "30")
    set_value(browser, "draw-numbers", lab.border)
    time.sleep(0.6)
    browser.picture(out / "studio-scale.png")
    browser.run("document.getElementById('draw-cancel').click()")
    browser.run("document.getElementById('to-project').click()")
    start_import(session, f"{CAGES[0]}.csv", label_table(lab.bouts))
    browser.wait("window.mabe.project.state.incoming", 60)
    browser.wait("document.querySelector('#incoming table tbody tr')", 20)
    browser.run("document.getElementById('incoming').closest('details').open = true")
    browser.run("document.getElementById('incoming').scrollIntoView({block: 'end'})")
    time.sleep(0.4)
    browser.picture(out / "studio-import.png")
    for line in browser.errors():
        print(line)


def set_value(browser, field: str, value: str) -> None:
    """Type a value into a field of a form."""
    browser.run(
        "const field = document.getElementById(arguments[0]);"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}))",
        field,
        value,
    )


def take_pictures(browser, session, address, true, out) -> None:
    """Walk through the pages, and save what is seen."""
    browser.open(address)
    browser.wait("window.mabe?.project.state?.isRead", 120)
    session.set_ethogram(
        Ethogram(
            tuple(
                StudioAction(name, str(at + 1), Kind.DIRECTED)
                for at, name in enumerate(ACTIONS)
            )
        )
    )
    browser.wait("window.mabe.project.state.ethogram.length === 2")
    browser.wait("document.querySelectorAll('#suggestions li').length > 2")
    browser.picture(out / "studio-project.png")
    browser.run("document.querySelector('#suggestions button').click()")
    browser.wait(f"{PAGE}.recording && document.getElementById('waiting').hidden")
    time.sleep(0.5)
    browser.picture(out / "studio-label.png")
    for index in range(5):
        label(session, index, true[session.project.videos[index].name])
    session.start("train")
    browser.wait("window.mabe.project.state.round", 240)
    browser.run("document.getElementById('to-project').click()")
    browser.wait("!document.getElementById('scores').hidden")
    browser.wait(
        "document.getElementById('suggestions').textContent.includes('uncertain')"
    )
    browser.run("document.getElementById('train').scrollIntoView({block: 'start'})")
    browser.run("document.querySelector('.project').scrollBy(0, -40)")
    time.sleep(0.3)
    browser.picture(out / "studio-scores.png")
    browser.wait("window.mabe.project.state.trust", 600)
    browser.wait("!window.mabe.project.state.trustJob.running", 60)
    browser.run("document.getElementById('trust').scrollIntoView({block: 'start'})")
    browser.run("document.querySelector('.project').scrollBy(0, -20)")
    time.sleep(0.3)
    browser.picture(out / "studio-trust.png")
    browser.run("document.querySelector('#suggestions button').click()")
    browser.wait(f"{PAGE}.views?.length && document.getElementById('waiting').hidden")
    browser.wait("window.mabe.timeline.curves")
    time.sleep(0.5)
    browser.picture(out / "studio-suggestion.png")
    browser.dark(True)
    browser.run("dispatchEvent(new Event('resize'))")
    time.sleep(0.6)
    browser.picture(out / "studio-dark.png")
    browser.run("document.getElementById('to-project').click()")
    time.sleep(0.5)
    browser.picture(out / "studio-dark-project.png")
    browser.dark(False)
    browser.resize(390, 860)
    time.sleep(0.6)
    browser.picture(out / "studio-phone-project.png")
    browser.run("document.getElementById('to-record').click()")
    time.sleep(0.8)
    browser.picture(out / "studio-phone.png")
    for line in browser.errors():
        print(line)


if __name__ == "__main__":
    main()
