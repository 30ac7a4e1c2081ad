"""Make the pictures of docs/seeing.md in a headless browser, of a run on `rat_dyad`.

    mabe train --config configs/rat_dyad.yaml --set model_type=trees \
        --set feature_set=social --set folds=5 --set fold=1 --out RUN
    python benchmarks/page_pictures.py RUN docs
    mabe plot ethogram RUN --out docs/ethogram.png

RUN may be a cross-validation too. All recordings shown are held out.
`--dark` and `--film` give pictures to look at that are not in the docs.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import Browser, served

from mabe.errors import DataError
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.viz.report.write_report import write_report
from mabe.viz.review.launch import find_place, open_session
from mabe.viz.review.server import build_app
from mabe.viz.review.session import ReviewSession

TOKEN = "t"
BOUT = 17
"""The bout, predicted or annotated, at which the review page is shown."""
WIDE, NARROW = (1280, 860), (390, 844)


def take_report(browser: Browser, run: Path, out: Path, *, dark: bool) -> Image.Image:
    """Save the head of the report and its ethograms; return it as a phone shows it."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(run, page, predictor=Predictor(load_checkpoint(run)))
        browser.resize(*WIDE)
        browser.dark(dark)
        browser.open(page.as_uri())
        time.sleep(0.5)
        browser.picture(out / "report.png")
        if dark:
            browser.picture(out / "report-whole.png", whole=True)
        browser.run("document.querySelector('[id^=view-]').scrollIntoView()")
        time.sleep(0.5)
        browser.picture(out / "report-ethograms.png")
        browser.resize(*NARROW)
        browser.open(page.as_uri())
        time.sleep(0.5)
        return picture_of(browser, out)


def take_review(
    browser: Browser,
    run: Path,
    recording: str,
    out: Path,
    *,
    dark: bool,
    film: Path | None,
) -> Image.Image:
    """Save the review page at a bout; return it as a phone shows it."""
    with tempfile.TemporaryDirectory() as folder:
        corrected = Path(folder) / "corrected"
        session = open_held_out(run, recording, out=corrected, video=film)
        try:
            with served(
                lambda port: build_app(session, port=port, token=TOKEN), TOKEN
            ) as address:
                browser.resize(*WIDE)
                browser.dark(dark)
                browser.open(address)
                browser.wait(
                    "window.mabe?.page.views && window.mabe.timeline.curves", 90
                )
                for _ in range(BOUT):
                    browser.keys("n")
                time.sleep(1)
                browser.picture(out / "view.png")
                browser.resize(*NARROW)
                browser.run("dispatchEvent(new Event('resize'))")
                time.sleep(1)
                return picture_of(browser, out)
        finally:
            session.close()


def open_held_out(run: Path, recording: str, **options: Path | None) -> ReviewSession:
    """Return a session with the run, or the fold, that held a recording out."""
    for fold in sorted(run.glob("seed*/fold*")) or [run]:
        predictor = Predictor(load_checkpoint(fold))
        place = find_place(recording, predictor, None)
        session = open_session(predictor, place, **options)
        if not session.describe(0)["trainedOn"]:
            return session
        session.close()
    raise DataError(f"{run}: no fold held {recording} out")


def picture_of(browser: Browser, out: Path) -> Image.Image:
    """Return what the browser shows."""
    path = out / ".phone-part.png"
    browser.picture(path)
    with Image.open(path) as image:
        picture = image.convert("RGB")
    path.unlink()
    return picture


def side_by_side(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return two pictures with a gap between them."""
    height = max(one.height, other.height)
    gap = np.full((height, 20, 3), 255, np.uint8)
    parts = [np.asarray(one), gap, np.asarray(other)]
    return Image.fromarray(np.concatenate(parts, axis=1))


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recording", default="RatDyad/58000004")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--film", type=Path, help="shown behind the poses")
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    browser = Browser()
    report = take_report(browser, given.run, given.out, dark=given.dark)
    review = take_review(
        browser,
        given.run,
        given.recording,
        given.out,
        dark=given.dark,
        film=given.film,
    )
    side_by_side(report, review).save(given.out / "phone.png")
    for line in browser.errors():
        print(line)
    browser.close()


if __name__ == "__main__":
    main()
