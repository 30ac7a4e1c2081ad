"""Annotated films, on films whose frames are told apart by their brightness."""

import csv
import math

import numpy as np
import pytest
from films import CODECS, brightness_of, number_of, write_film
from hypothesis import given
from hypothesis import strategies as st
from kaggle_files import write_index, write_labels, write_tracking

from mabe.bouts import Bout, RecordingBouts
from mabe.cli.main import main
from mabe.data.store import from_recording
from mabe.errors import ConfigError, DataError
from mabe.io.film_files import film_of, pair_film
from mabe.io.predictions import (
    PredictionProvenance,
    Predictions,
    RecordingProvenance,
    write_predictions,
)
from mabe.io.probabilities import probabilities_path, write_probabilities
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.viz.colours import animal_colours
from mabe.viz.film.annotate import (
    FilmStyle,
    FilmSubject,
    colours_of_rows,
    make_painter,
    with_film,
)
from mabe.viz.film.annotate import (
    write_film as write_annotated,
)
from mabe.viz.film.clips import Pick, choose_bouts
from mabe.viz.film.film_reader import plays, read_facts, read_frames
from mabe.viz.film.film_rows import FilmRow, choose_rows, is_within, rows_of
from mabe.viz.film.painter import GROUND, rgb
from mabe.viz.film.playable import make_playable
from mabe.viz.review.compact_timeline import ViewTimeline

FPS = 25
FRAMES = 60


@pytest.fixture(scope="module", params=sorted(CODECS))
def film(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / request.param
    return write_film(path, kind=request.param)


# ── films ──


def test_frames_have_the_same_numbers_from_wherever_a_film_is_read(film):
    facts = read_facts(film)
    assert (facts.frames, float(facts.rate_fps)) == (30, FPS)
    for start in (0, 7, 8, 21, 29):
        got = list(read_frames(facts, start, 30))
        assert [n for n, _ in got] == list(range(start, 30))
        assert [number_of(picture, n) for n, picture in got] == list(range(start, 30))


def test_a_copy_has_the_same_frames_at_the_same_times_and_plays(film, tmp_path):
    seen = []
    copy = make_playable(
        film, tmp_path / "copy.mp4", report=lambda *done: seen.append(done)
    )
    facts = read_facts(film)
    assert seen[-1] == (30, 30)
    assert copy.is_played
    assert copy.frames == facts.frames
    for n, picture in read_frames(copy, 0, 30):
        assert number_of(picture, n) == n
        assert copy.seconds(n) == pytest.approx(facts.seconds(n), abs=1e-3)


def test_only_films_of_known_codecs_play_in_browsers(film):
    assert plays(film) == (film.name in ("h264.mp4", "vp9.webm"))


def test_a_film_of_varying_rate_keeps_its_times(tmp_path):
    times = [0, 1, 2, 10, 11, 30]
    film = write_film(tmp_path / "phone.mp4", frames=6, times=times)
    copy = make_playable(film, tmp_path / "copy.mp4")
    assert [round(copy.seconds(n) * FPS) for n in range(6)] == times
    assert [copy.frame_at(at / FPS) for at in times] == list(range(6))


def test_a_damaged_frame_is_none_and_the_others_keep_their_numbers(tmp_path):
    film = write_film(tmp_path / "x.avi", kind="mjpeg.avi")
    raw = bytearray(film.read_bytes())
    first = raw.index(b"movi")
    starts = [at for at in range(first, len(raw)) if raw[at : at + 4] == b"00dc"]
    raw[starts[10] + 8 : starts[11]] = bytes(starts[11] - starts[10] - 8)
    film.write_bytes(bytes(raw))
    got = dict(read_frames(read_facts(film), 0, 30))
    assert got[10] is None
    assert [number_of(got[n], n) for n in (9, 11, 29)] == [9, 11, 29]


@pytest.mark.parametrize("content", [b"", b"no film", b"RIFF\0\0\0\0AVI LIST"])
def test_what_is_no_film_is_refused_by_name(tmp_path, content):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.mp4"):
        read_facts(path)
    assert not plays(path)


# ── whose film ──


@pytest.mark.parametrize(
    ("film", "recordings", "expected"),
    [
        ("cage1", ["cage1", "cage2"], "cage1"),
        ("Cage_1", ["cage1", "cage2"], "cage1"),
        ("клетка1", ["клетка1", "клетка2"], "клетка1"),
        ("cage1_day", ["cage1", "cage2"], "cage1"),
        ("cage3", ["cage1", "cage2"], None),
        ("cage3", ["cage1"], None),  # another number is another recording
        ("GOPR0021", ["cage1"], "cage1"),  # there is no other
    ],
)
def test_a_film_belongs_to_the_recording_of_its_name(film, recordings, expected):
    found = pair_film(film, recordings)
    assert found.found == expected
    assert film in found.how


def test_the_film_that_plays_is_taken_and_one_with_drawn_labels_is_not(tmp_path):
    names = ("cage1.avi", "cage1.mp4", "cage1DLC_resnet50_labeled.mp4", "cage2.mp4")
    films = [tmp_path / name for name in names]
    assert film_of("cage1", films) == tmp_path / "cage1.mp4"
    assert film_of("cage3", films) is None


# ── rows ──


def timeline(agent, target, runs, classes=2, frames=FRAMES):
    values = np.full((frames, classes), 20, np.uint8)
    for start, stop, of in runs:
        values[start:stop, of] = 200
    rows = np.array(runs, int).reshape(-1, 3)
    return ViewTimeline(agent, target, FPS, values, rows)


def row(action="attack", agent=1, target=2, predicted=(), annotated=()):
    return FilmRow(
        action=action,
        agent=agent,
        target=target,
        predicted=np.array(predicted, int).reshape(-1, 2),
        annotated=np.array(annotated, int).reshape(-1, 2),
        probabilities=np.full(FRAMES, 127, np.uint8),
    )


def test_predictions_and_labels_of_one_action_are_one_row():
    rows = rows_of(
        [timeline(1, 2, [(5, 9, 0)])],
        ["attack", "sniff"],
        [Bout(7, 12, "attack", 1, 2), Bout(0, 4, "rear", 2, 2)],
    )
    shown, left = choose_rows(rows, 0, FRAMES, 9)
    assert [(r.action, r.agent, r.target) for r in shown] == [
        ("attack", 1, 2),
        ("rear", 2, 2),
    ]
    assert left == []
    assert shown[0].predicted.tolist() == [[5, 9]]
    assert shown[0].annotated.tolist() == [[7, 12]]
    assert shown[0].probability(5, 9) == pytest.approx(200 / 254)


def test_the_same_bouts_in_both_directions_are_one_row():
    both = [timeline(1, 2, [(5, 9, 0)]), timeline(2, 1, [(5, 9, 0)])]
    shown, _ = choose_rows(rows_of(both, ["fight", "x"], []), 0, FRAMES, 9)
    assert [r.animals(("Ann", "Bob")) for r in shown] == ["Ann – Bob"]


def test_annotated_actions_of_a_scene_count_as_their_class():
    place = {"attack": "aggression", "bite": "aggression"}
    rows = rows_of(
        [timeline(0, 0, [(5, 9, 1)])],
        ["other", "aggression"],
        [Bout(1, 3, "bite", 1, 2), Bout(4, 6, "sleep", 1, 1)],
        place.get,
    )
    shown, _ = choose_rows(rows, 0, FRAMES, 9)
    assert [(r.action, r.animals(()), r.annotated.tolist()) for r in shown] == [
        ("aggression", "", [[1, 3]])
    ]


def test_the_rows_with_most_time_are_shown_in_their_order():
    rows = [row("a", predicted=[(0, 5)]), row("b", predicted=[(0, 1)]), row("c")]
    rows.append(row("d", annotated=[(0, 9)]))
    shown, left = choose_rows(rows, 0, FRAMES, 2)
    assert [r.action for r in shown] == ["a", "d"]
    assert [r.action for r in left] == ["b"]


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6)), max_size=5).map(
    lambda each: [(10 * n + a % 4, 10 * n + a % 4 + b) for n, (a, b) in enumerate(each)]
)


@given(spans, st.integers(0, 60))
def test_a_frame_is_within_spans_as_a_loop_finds(rows, frame):
    array = np.array(rows, int).reshape(-1, 2)
    assert is_within(array, frame) == any(a <= frame < b for a, b in rows)


# ── pictures ──


def write_project(folder, *, frames=FRAMES, video="cage1"):
    """Write a recording of two still mice, 10 px of a cm; the first one attacks."""
    points = [
        (f, mouse, part, 20.0 * mouse + dx, 24.0)
        for f in range(frames)
        for mouse in (1, 2)
        for part, dx in (("nose", 4), ("body_center", 0), ("tail_base", -4))
    ]
    write_tracking(folder, points, video=video)
    write_labels(folder, [(1, 2, "attack", 10, 20)], video=video)
    watched = '["mouse1,mouse2,attack"]'
    write_index(
        folder,
        {
            "video_id": video,
            "frames_per_second": str(FPS),
            "pix_per_cm_approx": "10",
            "behaviors_labeled": watched,
        },
    )
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"))


def subject_of(folder, rows=(), film=None, **given):
    recording = read_recording(read_index(folder)[0])
    subject = FilmSubject(recording=recording, animals=(), rows=rows)
    return with_film(subject, film and read_facts(film), given.get("pixels_per_cm"))


def test_points_are_drawn_where_they_are_in_the_film(project, tmp_path):
    film = write_film(tmp_path / "cage1.mp4", frames=FRAMES)
    subject = subject_of(project, [row(predicted=[(10, 20)])], film)
    painter, place, notes = make_painter(subject, FilmStyle(width=640), 0, FRAMES)
    grey = np.full((480, 640, 3), 90, np.uint8)
    points = place.of(subject.recording.xy_px[0])
    page = painter.paint(grey, points, 0, 0.0)
    nose = [p.keypoint == "nose" for p in subject.recording.points]
    for (x, y), colour in zip(points[nose], animal_colours(), strict=False):
        assert (x, y) in {(240, 240), (440, 240)}  # ten times those of the tracks
        assert page[round(y), round(x)].tolist() == list(rgb(colour.on_dark))
    assert page[470, 5].tolist() == [90, 90, 90]
    assert notes == []


def test_a_bout_is_named_while_it_lasts_and_passes_now_in_the_strip(project):
    rows = [row(predicted=[(10, 20)], annotated=[(10, 15)])]
    subject = subject_of(project, rows)
    painter, _, _ = make_painter(subject, FilmStyle(strip_s=1.0), 0, FRAMES)
    colour = colours_of_rows(rows)["attack"]

    def shown(frame):
        page = painter.paint(None, None, frame, frame / FPS)
        left = round(painter.canvas.width * 0.3)
        now = (left + painter.canvas.width - 8) // 2 + 5  # right of the line
        top = painter.canvas.picture_height + 6
        upper, lower = page[top + 3, now], page[top + 18, now]
        return (
            page[14, 14].tolist() == list(colour),
            upper.min() > 200,
            lower.tolist() != list(GROUND),
        )

    assert shown(5) == (False, False, False)
    assert shown(12) == (True, True, True)
    assert shown(17) == (True, False, True)
    assert shown(30) == (False, False, False)


def test_names_that_the_font_lacks_are_said(project):
    subject = subject_of(project, [row("攻撃", predicted=[(1, 5)])])
    _, _, notes = make_painter(subject, FilmStyle(), 0, FRAMES)
    assert any("攻" in note for note in notes)
    cyrillic = subject_of(project, [row("драка", predicted=[(1, 5)])])
    assert make_painter(cyrillic, FilmStyle(), 0, FRAMES)[2] == []


@pytest.mark.parametrize(
    ("frames", "fps", "said"),
    [
        (60, 25, []),
        (60, 30, ["frame by frame"]),
        (50, 25, ["shorter", "10 frames"]),
        (70, 25, ["longer", "10 frames"]),
        (144, 60, ["by time"]),
    ],
)
def test_films_that_do_not_fit_the_tracks_are_said(
    project, tmp_path, frames, fps, said
):
    film = write_film(tmp_path / "x.mp4", frames=frames, fps=fps, size=(128, 96))
    notes = " ".join(subject_of(project, film=film).notes())
    assert bool(notes) == bool(said)
    assert all(each in notes for each in said)


def test_a_film_of_another_scale_is_said_and_can_be_set(project, tmp_path):
    film = write_film(tmp_path / "x.mp4", frames=FRAMES, size=(20, 16))
    assert "outside of the film" in " ".join(subject_of(project, film=film).notes())
    subject = subject_of(project, film=film, pixels_per_cm=2.5)
    assert subject.film_px_per_px == 0.25
    assert subject.notes() == []


@pytest.mark.parametrize("frames", [3, 60])
def test_a_film_without_a_film_has_a_frame_for_each_of_the_tracks(tmp_path, frames):
    subject = subject_of(write_project(tmp_path / "p", frames=frames))
    out = tmp_path / "x.webm"
    write_annotated(subject, out, FilmStyle(width=320), frames=(0, frames))
    facts = read_facts(out)
    assert (facts.frames, facts.width) == (frames, 320)
    assert facts.seconds(frames - 1) == pytest.approx((frames - 1) / FPS, abs=2e-3)


# ── clips ──


def test_clips_are_spread_over_time_or_the_most_or_least_likely():
    probabilities = np.linspace(0, 254, FRAMES).astype(np.uint8)
    bouts = [(n * 10, n * 10 + 5 + n) for n in range(5)]
    rows = [
        FilmRow(
            action="attack",
            agent=1,
            target=2,
            predicted=np.array(bouts),
            annotated=np.array([(1, 2)]),
            probabilities=probabilities,
        )
    ]

    def starts(pick, most=2):
        chosen, found = choose_bouts(rows, "attack", most, pick=pick)
        assert found == 5
        return [each.start for each in chosen]

    assert starts(Pick.spread, 3) == [0, 20, 40]
    assert starts(Pick.spread, 9) == [0, 10, 20, 30, 40]
    assert starts(Pick.likely) == [30, 40]
    assert starts(Pick.unsure) == [0, 10]
    assert starts(Pick.longest, 1) == [40]
    with pytest.raises(ConfigError, match="there are bouts of attack"):
        choose_bouts(rows, "bite", 2)


# ── the command ──


@pytest.fixture(scope="module")
def predictions(project, tmp_path_factory):
    """What a model predicts that finds the attack two frames late."""
    recording = read_recording(read_index(project)[0])
    about = from_recording(recording, FPS).recordings[0]
    out = tmp_path_factory.mktemp("predictions")
    source = RecordingProvenance(
        lab=about.lab,
        video=about.video,
        fps=FPS,
        length=FRAMES,
        animals=(),
        tracks_hash=about.tracking_hash,
    )
    provenance = PredictionProvenance(
        mabe="0.3.0",
        model="best.safetensors",
        model_hash="x",
        task="pair",
        actions=("attack", "sniff"),
        rules={},
        rate_fps=FPS,
        variants=1,
        sources=(source,),
        has_lab_names=True,
    )
    bouts = (Bout(12, 22, "attack", 1, 2, 0.9), Bout(40, 45, "attack", 1, 2, 0.6))
    of = RecordingBouts(
        lab=about.lab, video=about.video, fps=FPS, length=FRAMES, bouts=bouts
    )
    write_predictions(out, Predictions(provenance, (of,)))
    column = np.full(FRAMES, 0.1, np.float32)
    column[12:22] = 0.9
    path = probabilities_path(out / "probabilities", about.lab, about.video)
    write_probabilities(path, {"mouse1,mouse2,attack": column}, frames=FRAMES)
    return out


def run(*words):
    return main(["video", *map(str, words)])


def test_predictions_and_a_film_make_an_annotated_film(project, predictions, capsys):
    film = write_film(project / "cage1.mp4", frames=FRAMES)
    out = project.parent / "out.mp4"
    assert run(predictions, film, "--out", out, "--from", 0.4, "--to", 1.2) == 0
    said = capsys.readouterr().out
    assert "cage1 → cage1, by its name" in said
    facts = read_facts(out)
    assert facts.frames == 20
    assert facts.is_played
    [(_, picture)] = read_frames(facts, 5, 6)
    assert picture[440, 20].mean() == pytest.approx(
        brightness_of(15), abs=5
    )  # frame 15


def test_clips_say_what_they_are_and_are_listed(project, predictions, tmp_path):
    film = write_film(tmp_path / "films/cage1.mp4", frames=FRAMES)
    given = ("--data", project, "--clips", "attack", "--pad", "0.2s")
    assert run(predictions, film, "--out", tmp_path / "clips", *given) == 0
    with (tmp_path / "clips/clips.csv").open() as file:
        one, two = csv.DictReader(file)
    assert one["file"] == "cage1_attack_mouse1_to_mouse2_00000.48s.mp4"
    assert (one["start_frame"], one["stop_frame"]) == ("12", "22")
    assert math.isclose(float(one["probability"]), 0.9, abs_tol=0.01)
    facts = read_facts(tmp_path / "clips" / one["file"])
    assert facts.frames == 10 + 2 * 5
    [(_, picture)] = read_frames(facts, 5, 6)
    assert picture[440, 20].mean() == pytest.approx(brightness_of(12), abs=5)
    assert float(two["clip_from_s"]) == pytest.approx(35 / FPS)


def test_a_recording_without_a_film_is_drawn_on_plain_ground(
    project, predictions, tmp_path, capsys
):
    out = tmp_path / "x.mp4"
    given = ("--data", project, "--to", 0.2, "--width", 320)
    assert run(predictions, "cage1", "--out", out, *given) == 0
    assert "no film: poses on plain ground" in capsys.readouterr().out
    assert read_facts(out).frames == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["cage7.mp4"], "no such film"),
        (["cage1.mp4", "--from", "9"], "no frame from 9 s"),
        (["cage1.mp4", "--from", "1", "--to", "1"], "no frame from 1 s"),
        (["cage1.mp4", "--clips", "bite", "--out", "c"], "no predicted bout of 'bite'"),
        (["cage1.mp4", "--clips", "attack"], "clips go into a folder"),
        (["cage1.mp4", "--out", "x.gif"], "ends with .mp4"),
        (["cage1.mp4", "--pick", "best"], "expected one of spread"),
        (["cage1.mp4", "--recording", "x"], "no predictions of one recording x"),
        (["cage1.mp4", "--font", "train.csv"], "no font"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_sentence(
    project, predictions, capsys, monkeypatch, given, said
):
    monkeypatch.chdir(project)
    if not (project / "cage1.mp4").is_file():
        write_film(project / "cage1.mp4", frames=FRAMES)
    out = [] if "--out" in given else ["--out", "x.mp4"]
    assert run(predictions, *given, *out) == 2
    assert said in capsys.readouterr().err
    assert not list(project.glob("x.*"))


def test_predictions_of_other_tracks_are_refused(predictions, tmp_path, capsys):
    other = write_project(tmp_path / "other", frames=FRAMES - 1)
    film = write_film(other / "cage1.mp4", frames=FRAMES)
    assert run(predictions, film, "--out", tmp_path / "x.mp4") == 2
    assert "are not those" in capsys.readouterr().err
