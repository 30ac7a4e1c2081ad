"""Both pages in a real browser."""

import base64
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from browser import in_both_browsers, needs_browser, served
from sessions import OUTPUTS, TOKEN, open_session
from test_report import contents_of, study_of
from view_stories import fight, scene

from mabe.bouts import SCENE, Bout
from mabe.data.sources import Source
from mabe.data.store import PoseStore
from mabe.decoding.view_predictions import ViewPredictions
from mabe.recording import StoredRecording
from mabe.skeleton import KEYPOINTS
from mabe.viz.report.page import render
from mabe.viz.review.corrections import Corrections
from mabe.viz.review.server import build_app
from mabe.viz.review.session import ReviewSession

pytestmark = needs_browser


@pytest.fixture(autouse=True)
def usual_window(browser):
    browser.renew()


# ── the report ──


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(contents_of(study_of(fight(), scene([(5, 9, 1)], [])))))
    return path.as_uri()


def view_box(browser, number=0):
    script = "return document.querySelectorAll('.ethogram')[arguments[0]]"
    box = browser.run(script + ".getAttribute('viewBox')", number)
    return [float(number) for number in box.split()]


@in_both_browsers
def test_the_report_loads_without_a_complaint_and_draws_every_bout(browser, report):
    browser.open(report)

    first = "document.querySelectorAll('#view-0 .annotated')"
    assert browser.run(f"return {first}.length") == 1
    fight_view = "document.querySelector('#view-1')"
    count = f"return {fight_view}.querySelectorAll(arguments[0]).length"
    assert browser.run(count, ".annotated") == 2
    assert browser.run(count, ".predicted") == 2
    wide = "return [...document.querySelectorAll('#view-1 .annotated')].map("
    wide += "e => e.getBoundingClientRect().width)"
    four_s, one_s = browser.run(wide)
    assert four_s / one_s == pytest.approx(4, rel=0.05)
    assert browser.errors() == []


def test_zoom_and_jumps_work_by_button_key_link_and_mouse(browser, report):
    browser.open(report)
    browser.run("document.querySelector('#view-1 [data-do=in]').click()")
    assert view_box(browser, 1)[::2] == [2.5, 5]
    browser.run("document.querySelector('#view-1 [data-do=all]').click()")
    assert view_box(browser, 1)[::2] == [0, 10]

    browser.run("document.querySelector('#view-1').focus()")
    browser.keys("+", "\ue014")  # →
    assert view_box(browser, 1)[::2] == [5, 5]
    browser.keys("0", "n")
    told = browser.run(
        "return document.querySelector('#view-1 .described').textContent"
    )
    assert told == "aggressive, annotated: 0:01.0 to 0:05.0 (4.0 s)"

    link = "document.querySelector('a[data-start=\"6.00\"]')"  # the false bout
    browser.run(f"{link}.click()")
    start, _, width, _ = view_box(browser, 1)
    assert start <= 6 < 8 <= start + width
    told = browser.run(
        "return document.querySelector('#view-1 .described').textContent"
    )
    assert told.startswith("aggressive, predicted: 0:06.0 to 0:08.0")

    browser.keys("0")
    place = "const b = document.querySelector('#view-1 .ethogram')"
    place += ".getBoundingClientRect(); return [b.left, b.width, b.top]"
    browser.run("document.querySelector('#view-1').scrollIntoView({block: 'center'})")
    time.sleep(0.6)  # the page scrolls smoothly
    left, width, top = browser.run(place)
    browser.drag((left + 0.2 * width, top + 5), (left + 0.6 * width, top + 5))
    start, _, seconds, _ = view_box(browser, 1)
    assert (start, seconds) == (pytest.approx(2, abs=0.1), pytest.approx(4, abs=0.1))
    assert browser.errors() == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_report_fits_its_window_in_the_light_and_in_the_dark(
    browser, report, width, is_dark
):
    browser.resize(width, 860)
    browser.dark(is_dark)
    browser.open(report)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not is_dark
    assert browser.errors() == []


# ── the page to review in ──


@pytest.fixture
def session(tmp_path):
    session = open_session(tmp_path / "data", tmp_path / "corrected")
    yield session
    session.close()


@pytest.fixture
def address(session):
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as where:
        yield where


BOUTS = "window.mabe.page.labels.bouts.map(b => [b.start, b.stop, b.action])"
SAVED = "document.getElementById('state').textContent.startsWith('saved: ')"


def open_view(browser, address):
    browser.open("about:blank")
    browser.open(address)
    browser.wait("window.mabe?.page.views && window.mabe.timeline.curves")


def place_of(browser, frame, row, line=0):
    """Return where a frame of a row is in the window."""
    x, left, top = browser.run(
        "const t = window.mabe.timeline, b = t.detail.getBoundingClientRect();"
        "return [t.x(arguments[0]), b.left, b.top]",
        frame,
    )
    return left + x, top + row * 64 + 7 + line * 15


def frame(browser):
    return browser.run("return window.mabe.page.frame")


@in_both_browsers
def test_the_page_shows_poses_and_bouts_without_a_complaint(browser, address):
    open_view(browser, address)

    assert browser.run(f"return {BOUTS}") == [
        [0, 100, "attack"],
        [200, 300, "attack"],
        [400, 500, "attack"],
    ]
    assert browser.run("return window.mabe.timeline.predicted().length") == 1
    painted = """
        const c = document.getElementById(arguments[0]);
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set();
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200)
            seen.add([d[i], d[i + 1], d[i + 2]].join());
        return [...seen];
    """
    browser.wait("document.getElementById('waiting').hidden")
    time.sleep(0.1)
    blue, orange = "42,127,184", "194,106,0"
    assert {blue, orange} <= set(browser.run(painted, "poses"))  # two animals
    assert orange in browser.run(painted, "detail")  # aggressive
    assert "#token" not in browser.run("return location.href")
    assert browser.errors() == []


def test_a_click_on_a_bout_jumps_there(browser, address):
    open_view(browser, address)
    browser.drag(place_of(browser, 250, 1), place_of(browser, 250, 1))
    assert frame(browser) == 200
    assert browser.run("return document.getElementById('bout-start').value") == "200"
    browser.drag(place_of(browser, 100, 1, 1), place_of(browser, 100, 1, 1))
    assert frame(browser) == 50  # of the bout that was found
    assert browser.run("return document.getElementById('bout-note').textContent") == (
        "predicted, 4.00 s, probability 0.80"
    )


def test_keys_step_play_and_zoom(browser, address):
    open_view(browser, address)
    browser.keys("\ue014", "\ue014", "*", "/")  # → → * /
    assert frame(browser) == 2
    browser.keys("\ue013")  # ↑: ten seconds of 25 frames
    assert frame(browser) == 252
    browser.keys("\ue010")  # End
    assert frame(browser) == 599
    browser.keys("\ue011", "\ue00e")  # Home, PageUp
    assert browser.run("return window.mabe.timeline.stop") == 300
    browser.keys("0")
    assert browser.run("return window.mabe.timeline.stop") == 600
    browser.keys("n", "n", "n")
    assert frame(browser) == 200
    browser.keys("d")
    assert 280 <= frame(browser) <= 300
    browser.keys("\ue011", "+", "+", "+", "+", "+")
    assert browser.run("return window.mabe.page.speed") == 8
    browser.keys(" ")
    browser.wait("window.mabe.page.frame > 100")
    browser.keys(" ")
    stopped = frame(browser)
    time.sleep(0.15)
    assert frame(browser) == stopped
    browser.keys("-", "-", "-", "-", "-", "-", "-")
    assert browser.run("return window.mabe.page.speed") == 0.25
    assert browser.errors() == []


def labels_on_disk(tmp_path):
    path = tmp_path / "corrected/train_annotation/Lab/1.parquet"
    names = ("start_frame", "stop_frame", "action")
    return [[row[name] for name in names] for row in pq.read_table(path).to_pylist()]


def test_an_edit_survives_a_reload_and_lands_in_the_file(browser, address, tmp_path):
    old = tmp_path / "data/train_annotation/Lab/1.parquet"
    before = old.read_bytes()
    open_view(browser, address)
    x, y = place_of(browser, 300, 1)
    browser.drag((x - 1, y), (place_of(browser, 330, 1)[0], y))  # its end
    browser.wait(SAVED)
    (start, stop, action) = browser.run(f"return {BOUTS}")[1]
    assert (start, abs(stop - 330) <= 2, action) == (200, True, "attack")

    open_view(browser, address.partition("#")[0])  # the tab knows its secret
    assert browser.run(f"return {BOUTS}")[1] == [start, stop, action]
    assert [start, stop, action] in labels_on_disk(tmp_path)
    assert old.read_bytes() == before
    assert browser.errors() == []


@in_both_browsers
def test_bouts_are_added_changed_taken_over_and_deleted(browser, address, tmp_path):
    open_view(browser, address)
    y = place_of(browser, 0, 0)[1]
    browser.drag(
        (place_of(browser, 520, 0)[0], y), (place_of(browser, 560, 0)[0], y)
    )  # a new bout in the row of social
    (start, stop, action) = browser.run(f"return {BOUTS}")[3]
    assert (abs(start - 520) <= 2, abs(stop - 560) <= 2, action) == (
        True,
        True,
        "sniff",
    )
    browser.keys("2")  # make it an attack
    assert browser.run(f"return {BOUTS}")[3] == [start, stop, "attack"]
    browser.keys("\ue017")  # Del
    assert len(browser.run(f"return {BOUTS}")) == 3
    browser.drag(place_of(browser, 100, 1, 1), place_of(browser, 100, 1, 1))
    browser.keys("a")  # the one that was found
    attacks = [[0, 150, "attack"], [200, 300, "attack"], [400, 500, "attack"]]
    assert sorted(browser.run(f"return {BOUTS}")) == attacks  # joined with its equal
    browser.keys("\ue00c")  # Esc
    browser.run("window.mabe.page.seek(10)")
    browser.keys("1")
    browser.run("window.mabe.page.seek(19)")
    browser.keys("1")
    cut = [[0, 10, "attack"], [10, 20, "sniff"], [20, 150, "attack"], *attacks[1:]]
    assert sorted(browser.run(f"return {BOUTS}")) == cut  # one class at a time
    browser.run("document.getElementById('undo').click()")
    assert sorted(browser.run(f"return {BOUTS}")) == attacks
    browser.run("document.getElementById('redo').click()")
    browser.wait(SAVED)
    assert labels_on_disk(tmp_path) == sorted(browser.run(f"return {BOUTS}"))
    assert browser.errors() == []


WATCHED = "window.mabe.page.labels.watched"


def test_spans_that_were_watched_are_marked_by_keys(browser, address, session):
    open_view(browser, address)
    assert browser.run(f"return {WATCHED}") is None  # all of it, as it is annotated
    browser.keys("W")
    assert browser.run(f"return {WATCHED}") == []
    for frame in (100, 199, 150, 249):
        browser.run(f"window.mabe.page.seek({frame})")
        browser.keys("w")
    assert browser.run(f"return {WATCHED}") == [[100, 250]]
    browser.wait(
        "document.getElementById('watched-note').textContent.startsWith('0:06')"
    )
    browser.wait(SAVED)
    assert [100, 250] in session.describe(0)["watched"]
    browser.keys("W")
    browser.wait(SAVED)
    assert session.describe(0)["watched"] is None
    assert browser.errors() == []


def test_the_page_says_so_where_nothing_can_be_saved(browser, address, session):
    open_view(browser, address)
    session.save(0, [Bout(1, 2, "attack", 1, 2)], 0)  # another window
    browser.run("window.mabe.page.labels.remove(window.mabe.page.labels.bouts[0])")
    told = browser.wait(
        "document.getElementById('state').textContent.startsWith('not saved') "
        "&& document.getElementById('state').textContent"
    )
    assert "another window" in told
    browser.run("window.mabe.page.labels.unsaved = false")  # no question on leaving
    assert any("409" in error for error in browser.errors())


def test_without_the_secret_the_page_says_where_it_is(browser, address):
    browser.open("about:blank")
    browser.run("return 1")
    other = address.partition("#")[0].replace("127.0.0.1", "localhost")
    browser.open(other)
    told = browser.wait("document.getElementById('state').className === 'bad' "
        "&& document.getElementById('state').textContent")  # fmt: skip
    assert told == "open the address that `mabe view` printed"
    browser.errors()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(browser, address, width):
    browser.resize(width, 860)
    browser.dark(width == 390)
    open_view(browser, address)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.errors() == []


FILM = """
const done = arguments[0], canvas = document.createElement("canvas");
canvas.width = canvas.height = 400;
const pen = canvas.getContext("2d"), pieces = [];
const mimeType = "video/webm", stream = canvas.captureStream(25);
const recorder = new MediaRecorder(stream, { mimeType });
recorder.ondataavailable = (event) => pieces.push(event.data);
recorder.onstop = () => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(",")[1]);
  reader.readAsDataURL(new Blob(pieces));
};
recorder.start();
let n = 0;
const draw = setInterval(() => {
  pen.fillStyle = n % 2 ? "#c00" : "#00c";
  pen.fillRect(0, 0, 400, 400);
  n += 1;
  if (n === 25) { clearInterval(draw); recorder.stop(); }
}, 40);
"""


def test_the_film_lies_behind_the_poses_at_their_scale(browser, tmp_path):
    browser.driver.set_script_timeout(20)
    film = tmp_path / "film.webm"
    film.write_bytes(base64.b64decode(browser.driver.execute_async_script(FILM)))
    session = open_session(
        tmp_path / "data", tmp_path / "out", video=film, video_of="Lab/1"
    )
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as address:
        open_view(browser, address)
        browser.wait("document.getElementById('film').videoWidth === 400")
        browser.run("window.mabe.page.seek(10)")
        browser.wait("!document.getElementById('film').seeking")
        time_s, film_box, stage_box, bounds, origin = browser.run(
            "const { recording } = window.mabe.page, box = (id) => {"
            "  const b = document.getElementById(id).getBoundingClientRect();"
            "  return [b.left, b.top, b.width, b.height]; };"
            "return [document.getElementById('film').currentTime, box('film'),"
            "  box('poses'), recording.bounds, recording.originCm];"
        )
        assert time_s == pytest.approx(10.5 / 25, abs=0.02)
        left, top, right, bottom = bounds
        zoom = min(stage_box[2] / (right - left), stage_box[3] / (bottom - top))
        assert film_box[2] == pytest.approx(400 / 10 * zoom, rel=0.01)  # 10 px a cm
        middle = stage_box[0] + stage_box[2] / 2, stage_box[1] + stage_box[3] / 2
        for axis, low, high in ((0, left, right), (1, top, bottom)):
            # Where the film's pixel in the middle of what is seen has to lie.
            pixel = ((low + high) / 2 + origin[axis]) * 10
            place = film_box[axis] + pixel / 400 * film_box[2 + axis]
            assert place == pytest.approx(middle[axis], abs=1)
        assert browser.errors() == []
    session.close()


@needs_browser
def test_a_film_that_ends_before_the_tracks_says_so(browser, tmp_path):
    films = pytest.importorskip("films")  # needs av
    films.write_film(tmp_path / "film.webm", frames=50)
    session = open_session(
        tmp_path / "data",
        tmp_path / "out",
        video=tmp_path / "film.webm",
        video_of="Lab/1",
    )
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as address:
        open_view(browser, address)
        browser.wait("document.getElementById('film').videoWidth === 64")
        told = browser.run("return document.getElementById('state').textContent")
        assert told == "the video ends 22 s before the tracks: 0:02 of 0:24"
    session.close()


HOURS = 10
FPS = 30.0


@pytest.fixture
def long_session(tmp_path):
    """Ten hours of two animals that go in circles, in a session."""
    frames = int(HOURS * 3600 * FPS)
    slots = tuple(a * len(KEYPOINTS) + k for a in (0, 1) for k in (0, 5, 12))
    turn = np.arange(frames)[:, None] / 40 + np.arange(6) / 5
    poses = np.stack([np.cos(turn), np.sin(turn)], axis=2) * 4000
    starts = np.arange(0, frames - 400, 400)
    about = StoredRecording(
        lab="Lab",
        video="long",
        fps=FPS,
        native_length=frames,
        length=frames,
        slots=slots,
        origin_cm=(0.0, 0.0),
        offset=0,
        bouts=tuple(Bout(s, s + 150, "attack", 1, 2) for s in starts.tolist()),
        watched=(),
        has_labels=True,
        tracking_hash="long",
        content_hash="",
        missing_share=0.0,
        notes=(),
    )
    store = PoseStore(
        root=tmp_path,
        rate_fps=FPS,
        recordings=(about,),
        poses=poses.astype(np.int16).reshape(-1),
    )

    def predict_views(_store, _index):
        chosen = np.zeros(frames, int)
        for start in starts:
            chosen[start + 20 : start + 160] = 2
        probabilities = np.full((frames, 3), 0.1, np.float32)
        probabilities[np.arange(frames), chosen] = 0.8
        labels = np.full((frames, 3), -1, np.int8)
        yield ViewPredictions(
            kind=OUTPUTS.kind, classes=OUTPUTS.classes, lab="Lab", video="long",
            view=SCENE, track="long", fps=FPS, probabilities=probabilities,
            labels=labels, chosen=chosen,
        )  # fmt: skip

    session = ReviewSession(
        outputs=OUTPUTS,
        sources=[Source("Lab/long", True, lambda: (store, 0))],
        infos={},
        predict_views=predict_views,
        corrections=Corrections(tmp_path / "out", None),
    )
    session.open(0)
    yield session
    session.close()


def test_of_ten_hours_only_what_is_looked_at_is_fetched(browser, long_session):
    def build(port):
        return build_app(long_session, port=port, token=TOKEN)

    with served(build, TOKEN) as address:
        open_view(browser, address)
        assert browser.run("return window.mabe.timeline.predicted().length") == 2699
        for share in (0.1, 0.9, 0.5, 0.25):
            browser.run("const v = window.mabe.page;"
                "v.seek(arguments[0] * v.recording.frames)", share)  # fmt: skip
            browser.wait("document.getElementById('waiting').hidden")
        browser.keys("0")
        browser.wait("window.mabe.timeline.curves.start === 0 && "
            "window.mabe.timeline.curves.last === 1080000")  # fmt: skip
        fetched = browser.run(
            "return performance.getEntriesByType('resource').map("
            "e => [e.name.split('/').pop().split('?')[0], e.transferSize])"
        )
        # Ten hours of these poses are 26 MB.
        assert sum(size for name, size in fetched if name == "poses") < 1_000_000
        assert max(size for name, size in fetched if name == "probabilities") < 50_000
        assert browser.errors() == []
