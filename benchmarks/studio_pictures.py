"""Make the pictures of docs/studio.md in a headless browser, from simulated recordings.

    python benchmarks/studio_pictures.py docs

Six videos of two minutes are simulated without labels; then somebody, for whom the true
labels stand in, labels parts of three of them, trains, and looks at a suggestion. The
figures on the pages are those of that run.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import Browser, served

from mabe.bouts import WatchedSpan
from mabe.data.simulate import simulate
from mabe.io.project import Project
from mabe.io.readers.kaggle import read_index, read_labels
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.server import build_app
from mabe.viz.studio.session import StudioSession

ACTIONS = ("chase", "sniff")
PAGE = "window.mabe.page"


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
        session.close()
    browser.close()


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
