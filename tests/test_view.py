import json
import time

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kaggle_files import write_index, write_tracking
from sessions import PORT, TOKEN, open_session
from starlette.testclient import TestClient
from stories import write_fights

from mabe.bouts import SCENE, Bout, View, WatchedSpan
from mabe.data.poses_in_cm import MISSING
from mabe.data.sources import find_sources
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError, OutputError
from mabe.io.readers.kaggle import read_coverage, read_index, read_labels
from mabe.scene_task import TaskKind
from mabe.skeleton import KEYPOINTS
from mabe.viz.review.access_control import MOST_BODY_BYTES
from mabe.viz.review.compact_timeline import (
    UNKNOWN,
    ViewTimeline,
    differs_from_annotation,
    error_probability,
    errors_per_minute,
    find_uncertain,
    read_timelines,
    to_bytes,
    write_timelines,
)
from mabe.viz.review.corrections import CorrectedLabels, Corrections
from mabe.viz.review.server import build_app
from mabe.viz.review.skeleton_drawing import bounds_cm, find_bones
from mabe.viz.review.tracks import MOST_POSE_FRAMES

OWN = f"http://127.0.0.1:{PORT}"
KEY = {"x-mabe-token": TOKEN}
LABELS = "/api/recordings/0/labels"


@pytest.fixture
def session(tmp_path):
    session = open_session(tmp_path / "data", tmp_path / "corrected")
    yield session
    session.close()


@pytest.fixture
def client(session):
    app = build_app(session, port=PORT, token=TOKEN)
    return TestClient(app, base_url=OWN, raise_server_exceptions=True)


# ── keeping others out ──


@pytest.mark.parametrize(
    "path", ["/api/recordings", "/api/recordings/0", "/api/recordings/0/poses", LABELS]
)
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", "sécret"])
def test_nothing_of_the_users_is_told_without_the_secret(client, path, token):
    headers = {} if token is None else {"x-mabe-token": token.encode()}
    answer = client.get(path, headers=headers)
    assert answer.status_code == 401
    assert "Lab" not in answer.text


def test_the_secret_in_the_address_is_for_the_film_alone(client):
    assert client.get(f"/api/recordings?token={TOKEN}").status_code == 401
    assert client.get(f"/api/video?token={TOKEN}").status_code == 404  # none given
    assert client.get("/api/video?token=wrong").status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        f"127.0.0.1.evil.example:{PORT}",
        f"[::1]:{PORT}",
        "",
    ],
)
def test_a_name_that_was_made_to_point_here_gets_nothing(client, host):
    for path in ("/", "/main.js", "/api/recordings"):
        answer = client.get(path, headers={**KEY, "host": host})
        assert answer.status_code in (400, 403)


def test_localhost_is_this_machine_too(client):
    answer = client.get("/api/recordings", headers={**KEY, "host": f"localhost:{PORT}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_in_the_browser_gets_nothing(client, session, headers):
    body = {"version": 0, "bouts": [], "watched": None}
    for answer in (
        client.get("/api/recordings", headers=KEY | headers),
        client.put(LABELS, json=body, headers=KEY | headers),
        client.get("/", headers=headers),
    ):
        assert answer.status_code == 403
    assert not session.corrections.root.exists()


def test_the_own_page_may_ask(client):
    headers = {"origin": OWN, "sec-fetch-site": "same-origin"}
    assert client.get("/api/recordings", headers=KEY | headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fserver.py",
        "/page/index.html",
        "/view.css/../../server.py",
        "//etc/passwd",
        "/api/recordings/../../x",
        "/api/recordings/%2e%2e",
        "/api/recordings/-1",
        "/api/recordings/2",
        "/api/recordings/99999999999999999999",
        "/api/recordings/0x1",
        "/main.js%00.html",
    ],
)
def test_tricks_with_paths_lead_nowhere(client, path):
    answer = client.get(path, headers=KEY)
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_a_body_that_is_too_large_is_refused_however_it_comes(client, session):
    huge = b"[" * (MOST_BODY_BYTES + 1)
    assert client.put(LABELS, content=huge, headers=KEY).status_code == 413

    def in_pieces():  # without a Content-Length
        for _ in range(MOST_BODY_BYTES // 100_000 + 1):
            yield b" " * 100_000

    assert client.put(LABELS, content=in_pieces(), headers=KEY).status_code == 413
    lies = KEY | {"content-length": "many"}
    assert client.put(LABELS, content=b"{}", headers=lies).status_code == 413
    assert not session.corrections.root.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"[" * 100_000,
        b'{"version": 0}',
        b'{"version": "0", "bouts": []}',
        b'{"version": 0, "bouts": [], "watched": null, "more": 1}',
        *(
            json.dumps({"version": 0, "bouts": [row], "watched": None}).encode()
            for row in (
                [0, 10, "attack", 1],
                [10, 10, "attack", 1, 2],
                [20, 10, "attack", 1, 2],
                [-1, 10, "attack", 1, 2],
                [0.5, 10, "attack", 1, 2],
                ["0", 10, "attack", 1, 2],
                [0, 10, "", 1, 2],
                [0, 10, "a\nb", 1, 2],
                [0, 10, "a" * 81, 1, 2],
                [0, 10, 3, 1, 2],
                [0, 10, "attack", 0, 2],
                [0, 10, "attack", 1, 1001],
                [0, 10, "attack", True, 2],
            )
        ),
    ],
)
def test_labels_that_are_none_are_refused_and_nothing_is_written(client, session, body):
    assert client.put(LABELS, content=body, headers=KEY).status_code == 422
    assert not session.corrections.root.exists()


@pytest.mark.parametrize("row", [[0, 601, "attack", 1, 2], [0, 10, "attack", 1, 3]])
def test_bouts_of_other_frames_or_animals_are_refused(client, session, row):
    answer = client.put(
        LABELS, json={"version": 0, "bouts": [row], "watched": None}, headers=KEY
    )
    assert answer.status_code == 400
    assert "600 frames" in answer.json()["error"]
    assert not session.corrections.root.exists()


def test_pages_may_load_nothing_from_elsewhere(client):
    for path in ("/", "/main.js", "/view.css"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


# ── what is told ──


def test_a_recording_is_described_with_skeleton_labels_and_rows(client):
    told = client.get("/api/recordings/0", headers=KEY).json()

    assert (told["fps"], told["frames"], told["poseFps"]) == (25.0, 600, 30.0)
    assert [row["name"] for row in told["rows"]] == ["social", "aggressive"]
    assert told["bouts"][0] == [0, 100, "attack", 1, 2]
    assert told["pairs"][0] == [1, 2]
    names = [point["name"] for point in told["points"]]
    joined = {tuple(names[end] for end in bone) for bone in told["bones"]}
    assert joined == {("nose", "body_center"), ("body_center", "tail_base")}


def test_poses_come_in_windows_of_a_bounded_size(client, session):
    opened = session.open(0)
    address = "/api/recordings/0/poses"
    sent = client.get(f"{address}?start=10&stop=20", headers=KEY).content
    steps = np.frombuffer(sent, "<i2").reshape(10, 6, 2)

    np.testing.assert_array_equal(steps, opened.store.quantized(0)[10:20])
    assert (steps == MISSING).any()
    assert client.get(f"{address}?start=9999&stop=99999", headers=KEY).content == b""
    for query in ("", "?start=1", "?start=-1&stop=2", "?start=a&stop=2"):
        assert client.get(address + query, headers=KEY).status_code == 400
    assert MOST_POSE_FRAMES * 72 * 4 < 2_000_000


def wait_for(client, index=0):
    for _ in range(200):
        told = client.get(f"/api/recordings/{index}/predictions", headers=KEY).json()
        if told["state"] != "working":
            return told
        time.sleep(0.02)
    raise AssertionError("nobody looked")


def test_what_was_found_is_told_once_it_is(client):
    view = wait_for(client)["views"][0]

    assert view["bouts"] == [[50, 150, 2, 0.799]]
    (start, stop, wrong_s), *others = view["uncertain"]
    assert (290 <= start <= 300, 400 <= stop <= 410, not others) == (True, True, True)
    assert wrong_s == pytest.approx(2.4, abs=0.2)  # 4 s at 0.6


def test_chances_come_in_columns(client):
    wait_for(client)
    query = "view=0&start=0&stop=600&columns=50"
    answer = client.get(f"/api/recordings/0/probabilities?{query}", headers=KEY)
    step = int(answer.headers["x-step"])
    values = np.frombuffer(answer.content, np.uint8).reshape(-1, 3)

    assert len(values) <= 100
    assert values[100 // step, 2] == 203  # 0.8 of 254
    missing = "view=7&start=0&stop=600&columns=50"
    answer = client.get(f"/api/recordings/0/probabilities?{missing}", headers=KEY)
    assert answer.status_code == 404


def test_a_model_that_fails_is_told_in_its_own_words(tmp_path):
    def fail(_store, _index):
        raise DataError("the recording is of another kind")

    session = open_session(tmp_path / "data", tmp_path / "out", predict_views=fail)
    client = TestClient(build_app(session, port=PORT, token=TOKEN), base_url=OWN)
    told = wait_for(client)
    assert told == {"state": "failed", "error": "the recording is of another kind"}
    session.close()


def test_what_was_found_is_kept_for_the_next_time(tmp_path):
    first = open_session(tmp_path / "data", tmp_path / "out", cache=tmp_path / "cache")
    found = first.open(0).timelines.result()
    first.close()

    def never(_store, _index):
        raise AssertionError("looked twice")

    again = open_session(
        tmp_path / "data",
        tmp_path / "out",
        predict_views=never,
        write=False,
        cache=tmp_path / "cache",
    )
    kept = again.open(0).timelines.result()
    again.close()
    np.testing.assert_array_equal(kept[0].probabilities, found[0].probabilities)
    assert kept[0].bouts() == found[0].bouts()
    assert kept[0].uncertain == found[0].uncertain


def test_a_damaged_cache_is_made_again(tmp_path):
    path = tmp_path / "marks.npz"
    assert read_timelines(path) is None
    path.write_bytes(b"PK broken")
    assert read_timelines(path) is None


def test_the_film_is_sent_by_ranges(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(range(256)))
    session = open_session(
        tmp_path / "data", tmp_path / "out", video=film, video_of="Lab/1"
    )
    client = TestClient(build_app(session, port=PORT, token=TOKEN), base_url=OWN)

    answer = client.get(f"/api/video?token={TOKEN}", headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, bytes(range(10, 20)))
    assert client.get("/api/recordings/0", headers=KEY).json()["video"] is True
    assert client.get("/api/recordings/1", headers=KEY).json()["video"] is False
    session.close()


# ── corrections ──


def test_a_correction_lands_in_a_new_file_and_the_old_one_stays(
    client, session, tmp_path
):
    old = tmp_path / "data/train_annotation/Lab/1.parquet"
    before = old.read_bytes()
    bouts = [[5, 95, "attack", 1, 2], [300, 320, "sniff", 2, 1]]
    saved = client.put(
        LABELS, json={"version": 0, "bouts": bouts, "watched": None}, headers=KEY
    ).json()

    assert saved["version"] == 1
    assert old.read_bytes() == before
    table = pq.read_table(saved["path"]).to_pylist()
    assert table == [
        {
            "agent_id": 1,
            "target_id": 2,
            "action": "attack",
            "start_frame": 5,
            "stop_frame": 95,
        },
        {
            "agent_id": 2,
            "target_id": 1,
            "action": "sniff",
            "start_frame": 300,
            "stop_frame": 320,
        },
    ]
    told = client.get("/api/recordings/0", headers=KEY).json()
    assert told["bouts"] == bouts
    assert told["corrected"] is True
    assert session.describe(1)["corrected"] is False


def test_the_corrected_data_are_a_data_set_to_train_on(client, tmp_path):
    bouts = [[5, 95, "attack", 1, 2]]
    client.put(
        LABELS, json={"version": 0, "bouts": bouts, "watched": None}, headers=KEY
    )
    corrected = find_sources(tmp_path / "corrected", rate_fps=25.0)
    original = find_sources(tmp_path / "data", rate_fps=25.0)

    assert [s.name for s in corrected] == [s.name for s in original]
    (store, index), (other, place) = corrected[0].open(), original[0].open()
    assert store.recordings[index].bouts == (Bout(5, 95, "attack", 1, 2),)
    assert (
        store.recordings[index].tracking_hash == other.recordings[place].tracking_hash
    )
    assert (
        corrected[1].open()[0].recordings[0].bouts
        == original[1].open()[0].recordings[0].bouts
    )


def test_who_changed_it_elsewhere_is_not_overwritten(client):
    first, second = [[1, 2, "attack", 1, 2]], [[3, 4, "attack", 1, 2]]
    client.put(
        LABELS, json={"version": 0, "bouts": first, "watched": None}, headers=KEY
    )
    late = client.put(
        LABELS, json={"version": 0, "bouts": second, "watched": None}, headers=KEY
    )

    assert late.status_code == 409
    assert client.get("/api/recordings/0", headers=KEY).json()["bouts"] == first


def test_an_earlier_sessions_corrections_are_kept_beside_it(tmp_path):
    for number in (1, 2, 3):
        session = open_session(tmp_path / "data", tmp_path / "out", write=number == 1)
        for stop in (10, 20):
            bouts = [Bout(number, stop, "attack", 1, 2)]
            session.save(0, bouts, session.version(0))
        session.close()
    folder = tmp_path / "out/train_annotation/Lab"
    starts = [
        pq.read_table(folder / name).column("start_frame").to_pylist()
        for name in ("1.earlier-1.parquet", "1.earlier-2.parquet", "1.parquet")
    ]
    assert starts == [[1], [2], [3]]


def open_not_annotated(folder):
    """Open a data set whose second recording, of 50 frames, nobody has annotated."""
    data = write_fights(folder / "data", videos=1)
    write_index(data, {"video_id": "9", "behaviors_labeled": "[]"}, split="test")
    (data / "test_annotation").rmdir()
    points = [(f, m, "nose", 10.0 * m, 20.0) for f in range(50) for m in (1, 2)]
    place = write_tracking(data, points, video="9")
    (data / "test_tracking/Lab").mkdir(parents=True)
    place.rename(data / "test_tracking/Lab/9.parquet")
    return open_session(data, folder / "out", write=False)


def test_of_a_recording_nobody_annotated_only_what_was_watched_is_known(tmp_path):
    session = open_not_annotated(tmp_path)
    assert session.describe(1)["watched"] == []
    session.save(1, [Bout(30, 40, "attack", 1, 2)], 0, [(0, 20)])
    assert session.describe(1)["watched"] == [[0, 20]]
    session.close()

    new = {info.name: info for info in read_index(tmp_path / "out")}["Lab/9"]
    assert read_coverage(new) == (
        WatchedSpan(0, 20, "attack", 1, 2),
        WatchedSpan(0, 20, "sniff", 1, 2),
        WatchedSpan(30, 40, "attack", 1, 2),
    )


def test_all_of_a_recording_may_be_watched_after_a_part_of_it(tmp_path):
    session = open_not_annotated(tmp_path)
    session.save(1, [], 0, [(0, 20)])
    session.save(1, [], 1, None)
    assert session.describe(1)["watched"] is None
    session.close()
    new = {info.name: info for info in read_index(tmp_path / "out")}["Lab/9"]
    assert read_coverage(new) is None


def test_watched_spans_of_other_frames_are_refused(client):
    sent = {"version": 0, "bouts": [], "watched": [[0, 601]]}
    answer = client.put(LABELS, json=sent, headers=KEY)
    assert answer.status_code == 400
    assert "600 frames" in answer.json()["error"]


def test_a_recording_that_becomes_annotated_keeps_its_metadata(tmp_path):
    session = open_not_annotated(tmp_path)
    (tmp_path / "data/project.yaml").write_text("lab: Lab\n", encoding="utf-8")
    table = tmp_path / "data/test.csv"
    rows = pl.read_csv(table, infer_schema=False)
    rows.with_columns(mouse1_strain=pl.lit("B6"), mouse2_id=pl.lit("Ада")).write_csv(
        table
    )
    session.save(1, [Bout(5, 9, "attack", 1, 2)], 0)
    session.close()

    new = pl.read_csv(tmp_path / "out/train.csv", infer_schema=False)
    [row] = new.filter(pl.col("video_id") == "9").to_dicts()
    assert (row["mouse1_strain"], row["mouse2_id"]) == ("B6", "Ада")
    assert (tmp_path / "out/project.yaml").read_text(encoding="utf-8") == "lab: Lab\n"


def test_a_recording_nobody_annotated_becomes_one_that_was_watched(tmp_path):
    session = open_not_annotated(tmp_path)
    session.save(1, [Bout(5, 9, "attack", 1, 2)], 0)
    session.close()

    new = {info.name: info for info in read_index(tmp_path / "out")}["Lab/9"]
    assert {(w.agent, w.target, w.action) for w in new.watched} == {
        (1, 2, "attack"),
        (1, 2, "sniff"),
    }
    assert read_labels(new)[0] == (Bout(5, 9, "attack", 1, 2),)


def test_corrections_never_go_into_the_data_or_among_other_files(tmp_path):
    data = write_fights(tmp_path / "data", videos=1)
    info = read_index(data)[0]
    with pytest.raises(OutputError, match="choose another --out"):
        Corrections(data, data).save(info, CorrectedLabels((), None), [])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="something else"):
        Corrections(tmp_path / "mine", data).save(info, CorrectedLabels((), None), [])


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/b", "", "a\\b", "C:x", "a\n"])
def test_names_in_the_metadata_do_not_lead_out_of_the_folder(tmp_path, name):
    with pytest.raises(OutputError, match="nothing is written for"):
        Corrections(tmp_path, None).path_of("Lab", name)


# ── timelines ──


def test_uncertainty_is_the_probability_of_a_wrong_decision():
    probabilities = np.float32([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(
        error_probability(probabilities, TaskKind.SCENE), [0.3, 0.2], atol=1e-6
    )
    np.testing.assert_allclose(
        error_probability(probabilities, TaskKind.PAIR), [0.3, 0.2], atol=1e-6
    )
    unknown = np.float32([[np.nan, 0.9]])
    np.testing.assert_allclose(
        error_probability(unknown, TaskKind.PAIR), [0.1], atol=1e-6
    )


def test_the_stretch_that_would_teach_most_comes_first():
    error = np.zeros(1000)
    error[100:120], error[500:600] = 0.5, 0.4
    first, second = find_uncertain(error, fps=10.0)

    assert first.wrong_s == pytest.approx(4.0, abs=0.3)
    assert second.wrong_s == pytest.approx(1.0, abs=0.3)
    assert abs(first.start - 500) < 10 > abs(first.stop - 600)


def view_of(kind, labels, chosen, probability=0.9):
    """A view at 10 fps; the chosen class has a probability, the others the rest."""
    labels, chosen = np.array(labels, np.int8), np.array(chosen)
    classes = labels.shape[1]
    probabilities = np.full(labels.shape, (1 - probability) / classes, np.float32)
    probabilities[np.arange(len(chosen)), np.maximum(chosen, 0)] = probability
    return ViewPredictions(
        kind=kind,
        classes=tuple("abc"[:classes]),
        lab="Lab",
        video="1",
        view=SCENE if kind is TaskKind.SCENE else View(1, 2),
        track="t",
        fps=10.0,
        probabilities=probabilities,
        labels=labels,
        chosen=chosen,
    )


def test_a_decision_differs_where_it_misses_an_annotation_or_invents_one():
    labels = [[1, 0], [0, 0], [0, -1], [1, -1], [-1, -1]]
    chosen = [0, 1, 1, 1, 1]
    view = view_of(TaskKind.PAIR, labels, chosen)
    assert differs_from_annotation(view).tolist() == [False, True, False, True, False]


def test_a_sure_error_in_an_annotated_recording_comes_before_a_doubt():
    sure_and_right = view_of(TaskKind.SCENE, [[1, 0]] * 600, [0] * 600, 0.7)
    sure_and_wrong = view_of(TaskKind.SCENE, [[0, 1]] * 600, [0] * 600, 0.99)
    minutes = [
        errors_per_minute([ViewTimeline.of(each)])
        for each in (sure_and_right, sure_and_wrong)
    ]
    assert minutes == pytest.approx([0.0, 60.0])
    not_annotated = view_of(TaskKind.SCENE, [[-1, -1]] * 600, [0] * 600, 0.7)
    [span] = ViewTimeline.of(not_annotated).uncertain
    assert span.wrong_s == pytest.approx(0.3 * 60, rel=0.01)


def test_recordings_compare_by_the_minute():
    timeline = ViewTimeline(
        0, 0, 10.0, np.zeros((1200, 2), np.uint8), np.zeros((0, 3), int)
    )
    assert errors_per_minute([timeline]) == 0
    assert errors_per_minute([]) == 0


@given(
    st.integers(1, 40_000), st.integers(0, 40_000), st.integers(1, 40_000),
    st.integers(1, 300),
)  # fmt: skip
def test_a_window_of_chances_is_the_mean_of_its_frames(frames, start, length, columns):
    values = (np.arange(frames) % 251).astype(np.uint8)[:, None]
    timeline = ViewTimeline(0, 0, 25.0, values, np.zeros((0, 3), int))
    stop = start + length
    first, step, sent = timeline.window(start, stop, columns)

    assert len(sent) <= 2 * columns + 1
    assert first <= min(start, frames) < first + step
    assert first + len(sent) * step >= min(stop, frames)
    for column in range(len(sent) - 1)[:3]:  # the last one may not be full
        frames_of = values[first + column * step : first + (column + 1) * step]
        assert abs(float(sent[column, 0]) - frames_of.mean()) <= 8  # rounded each time


@given(arrays(np.float32, (5, 2), elements=st.floats(0, 1, width=32)))
def test_bytes_are_near_and_unknown_is_told_apart(probabilities):
    probabilities[0, 0] = np.nan
    sent = to_bytes(probabilities)
    assert sent[0, 0] == UNKNOWN
    assert (sent.flatten()[1:] < UNKNOWN).all()
    assert np.nanmax(np.abs(sent / 254 - probabilities)[1:]) <= 0.002


def test_timelines_survive_the_disk(tmp_path):
    timeline = ViewTimeline(
        1, 2, 25.0, np.full((9, 2), 7, np.uint8), np.array([[0, 3, 1]]), ()
    )
    write_timelines(tmp_path / "x.npz", [timeline])
    (back,) = read_timelines(tmp_path / "x.npz")
    assert (back.agent, back.target, back.fps) == (1, 2, 25.0)
    assert back.runs.tolist() == [[0, 3, 1]]


@given(st.sets(st.sampled_from(KEYPOINTS)))
def test_bones_join_tracked_points_into_one_body(tracked):
    bones = find_bones(tracked)
    assert all(end in tracked for bone in bones for end in bone)
    spine = {"nose", "head", "neck", "spine_1", "body_center", "tail_base"}
    if spine <= tracked:  # then everything hangs together
        reached = {"nose"}
        for _ in KEYPOINTS:
            reached |= {b for a, b in bones if a in reached}
        assert reached == tracked


def test_a_recording_without_a_point_has_some_room(tmp_path):
    session = open_session(tmp_path / "data", tmp_path / "out")
    store = session.open(0).store
    store.quantized(0)[:] = MISSING
    assert bounds_cm(store, 0) == [-10.0, -10.0, 10.0, 10.0]
    session.close()
