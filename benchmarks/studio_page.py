"""Time the page of `mabe studio` on a long recording, in a real browser.

    python benchmarks/studio_page.py WORK [--hours 10] [--bouts 4000]

Simulates one recording in WORK (once), and opens it as a project with two actions and
some thousand labelled bouts. Prints how long it takes to read it (once), then, of a
studio that is started again, the time to the first paint (Performance API), to the
table of recordings, to the first poses after the recording was opened, and for 60
clicks and 60 keys the time from the input event to the drawn frame. Half of the clicks
go far, so their poses must be fetched.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import Browser, served
from view_ten_hours import tell

from mabe.data.simulate import simulate
from mabe.io.project import Project
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.server import build_app
from mabe.viz.studio.session import Bout, StudioSession

TIMES = 60
TOKEN = "secret"
ETHOGRAM = Ethogram(
    (
        StudioAction("chase", "1", Kind.DIRECTED),
        StudioAction("sniff", "2", Kind.DIRECTED),
    )
)
_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_INPUT = """
const [kind, number] = arguments, done = arguments[2], v = window.mabe.page;
const canvas = document.getElementById("overview");
const box = canvas.getBoundingClientRect();
const share = number % 2 ? Math.random() : v.frame / v.recording.frames;
const clientX = box.left + share * box.width;
const key = number % 2 ? "ArrowUp" : "ArrowRight";
const event = kind === "key" ? new KeyboardEvent("keydown", { key, bubbles: true })
    : new PointerEvent("pointerdown", { clientX, pointerId: 1, bubbles: true });
canvas.setPointerCapture = () => {};
const began = performance.now();
(kind === "key" ? document.body : canvas).dispatchEvent(event);
const look = () => v.poses.at(v.frame) !== null
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)))
    : setTimeout(look, 1);
look();
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--bouts", type=int, default=4000)
    given = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    root = make_project(given.work, given.hours, given.bouts)
    session = StudioSession.of_project(open_project(root, Project()))
    browser = Browser()
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as where:
        measure(browser, where)
        browser.close()
    session.close()


def make_project(work: Path, hours: float, bouts: int) -> Path:
    """Return the folder of a project with one recording, read, and many labels."""
    root = work / f"{hours:g}h"
    if not root.is_dir():
        simulate(root, videos=1, minutes=hours * 60, animals=2, seed=1, workers=1)
    session = StudioSession.of_project(open_project(root, Project()))
    began = time.perf_counter()
    session.open(0)
    print(f"opened before it was read, or again: {time.perf_counter() - began:.2f} s")
    if not session.ethogram.actions:
        session.set_ethogram(ETHOGRAM)
        frames = session.open(0).recordings[0].native_length
        starts = np.linspace(0, frames - 60, bouts).astype(int).tolist()
        add = tuple(
            Bout(start, start + 40, ETHOGRAM.names[number % 2], 1, 2)
            for number, start in enumerate(starts)
        )
        session.edit(0, LabelEdit(add=add), 0)
    session.close()
    return root


def measure(browser: Browser, address: str) -> None:
    browser.driver.set_script_timeout(60)
    browser.open(address)
    browser.wait("window.mabe?.project.state", 60)
    table_ms = browser.run("return performance.now()")
    print(f"first paint after {browser.run(_PAINT):.0f} ms, table {table_ms:.0f} ms")
    began = browser.run(
        "document.querySelector('#table-body button').click(); return performance.now()"
    )
    browser.wait("window.mabe.page.poses?.at(0)", 300)
    opened = browser.run("return performance.now()") - began
    frames, bouts = browser.run(
        "const { recording, labels } = window.mabe.page;"
        "return [recording.frames, labels.bouts.length]"
    )
    print(
        f"{frames:,} frames, {bouts:,} bouts: first poses {opened:.0f} ms after a click"
    )
    for span in ("two minutes", "ten hours"):
        for kind in ("click", "key"):
            times_ms = [
                browser.driver.execute_async_script(_INPUT, kind, number)
                for number in range(TIMES)
            ]
            print(f"{kind}, {span} in sight: {tell(times_ms)}", flush=True)
        browser.run("window.mabe.timeline.show(0, 1e9)")


if __name__ == "__main__":
    main()
