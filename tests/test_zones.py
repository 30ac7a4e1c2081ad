"""Zones: what is inside, how far it is, and the measures of visits."""

import pickle

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mabe.cli.main import main
from mabe.errors import ConfigError, DataError
from mabe.io.project import load_project
from mabe.io.readers.file_head import Peek
from mabe.io.readers.simba_zones import is_simba_zones, read_simba_zones
from mabe.io.readers.zone_tables import is_zone_table, read_zone_table
from mabe.io.writers.zones_csv import write_zones
from mabe.zones import Circle, Polygon, Zone, distance_travelled, visits_to

SQUARE = Zone("square", Polygon.rectangle(left=0, top=0, right=10, bottom=10))
DISC = Zone("disc", Circle(20, 0, 5))

places = st.tuples(st.floats(-50, 50), st.floats(-50, 50))


def test_the_distance_to_a_square_is_known_by_hand():
    points = np.array([[5, 5], [1, 5], [13, 14], [-2, 5], [np.nan, 5]], float)

    np.testing.assert_allclose(
        SQUARE.signed_distance(points), [-5, -1, 5, 2, np.nan], atol=1e-12
    )
    np.testing.assert_array_equal(SQUARE.distance_to(points), [0, 0, 5, 2, np.nan])
    assert SQUARE.inside(points).tolist() == [True, True, False, False, False]


def test_the_distance_to_a_circle_is_that_to_its_border():
    points = np.array([[20, 0], [20, 5], [20, 8], [26, 8]], float)

    np.testing.assert_allclose(DISC.signed_distance(points), [-5, 0, 3, 5])
    assert DISC.inside(points).tolist() == [True, True, False, False]


def test_a_notch_in_a_polygon_is_outside():
    arrow = Zone("arrow", Polygon(((0, 0), (10, 5), (0, 10), (4, 5))))

    assert arrow.inside(np.array([[2.0, 5], [6, 5]])).tolist() == [False, True]


def test_a_corner_given_twice_changes_nothing():
    twice = Polygon((*SQUARE.shape.corners, SQUARE.shape.corners[0]))
    points = np.random.default_rng(0).uniform(-5, 15, (100, 2))

    np.testing.assert_allclose(
        twice.signed_distance(points), SQUARE.signed_distance(points)
    )


@given(st.lists(places, min_size=3, max_size=9, unique=True), places)
def test_polygons_agree_with_shapely(corners, point):
    shapely = pytest.importorskip("shapely")
    drawn = shapely.Polygon(corners)
    if not drawn.is_valid or drawn.area < 1e-3:
        return  # lines that cross: shapely follows another rule
    zone = Zone("zone", Polygon(tuple(corners)))
    there = shapely.Point(point)

    found = zone.signed_distance(np.array([point])).item()

    assert abs(found) == pytest.approx(drawn.boundary.distance(there), abs=1e-9)
    if abs(found) > 1e-9:
        assert (found < 0) == drawn.contains(there)
    assert zone.centre == pytest.approx(drawn.centroid.coords[0], abs=1e-6)


@given(places, st.floats(0.1, 9), places)
def test_scaling_and_moving_a_zone_and_its_points_keeps_the_distances(by, factor, at):
    for zone in (SQUARE, DISC):
        changed = zone.moved(*by).scaled(factor)
        points = np.array([at])

        np.testing.assert_allclose(
            changed.signed_distance((points + by) * factor),
            zone.signed_distance(points) * factor,
            atol=1e-6,
        )


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (Circle, (0.0, 0.0, -1.0)),
        (Circle, (np.nan, 0.0, 1.0)),
        (Polygon, (((0.0, 0.0), (1.0, 1.0)),)),
        (Polygon, (((0.0, 0.0), (1.0, 1.0), (2.0, 2.0)),)),
    ],
)
def test_shapes_without_an_area_are_refused(shape, values):
    with pytest.raises(ValueError, match="needs"):
        shape(*values)


@pytest.fixture
def walk():
    """At 10 fps: 2 s outside, 3 s in the square, 1 s untracked, 1 s in it again."""
    x = np.repeat([-5.0, 5.0, np.nan, 5.0], [20, 30, 10, 10])
    return np.column_stack([x, np.full(70, 5.0)])


def test_visits_have_the_times_of_the_story(walk):
    visits = visits_to(SQUARE, walk, 10)

    assert (visits.count, visits.time_s, visits.latency_s) == (2, 4.0, 2.0)
    assert visits.tracked_share == pytest.approx(60 / 70)
    assert visits.share_of_tracked == pytest.approx(40 / 60)
    assert visits.frames().sum() == 40


def test_visits_to_the_surroundings_and_short_ones(walk):
    near = visits_to(SQUARE, walk, 10, within=5)
    long = visits_to(SQUARE, walk, 10, shortest_s=2)

    assert near.time_s == 6.0
    assert (long.count, long.time_s) == (1, 3.0)


def test_a_point_that_is_never_tracked_has_no_visits():
    visits = visits_to(SQUARE, np.full((5, 2), np.nan), 10)

    assert (visits.count, visits.time_s, visits.latency_s) == (0, 0.0, None)
    assert visits.tracked_share == 0
    assert np.isnan(visits.share_of_tracked)


def test_the_distance_travelled_leaves_out_what_is_not_tracked():
    path = np.array([[0, 0], [3, 4], [np.nan, np.nan], [100, 100], [100, 101]], float)

    assert distance_travelled(path) == 6
    assert distance_travelled(path, np.array([1, 1, 1, 0, 0], bool)) == 5


def _write_table(group, columns):
    """Write a pandas "fixed" table of objects, as PyTables does."""
    names = list(columns)
    rows = len(next(iter(columns.values())))
    values = np.empty((rows, len(names)), object, order="F")
    for at, column in enumerate(columns.values()):
        for row, cell in enumerate(column):
            values[row, at] = cell
    group.attrs["nblocks"] = 1
    group["block0_items"] = np.array(names, "S")
    pickled = np.frombuffer(pickle.dumps(values), np.uint8)
    kind = h5py.vlen_dtype(np.uint8)
    group.create_dataset("block0_values", (1,), kind)[0] = pickled


@pytest.fixture
def roi_file(tmp_path):
    """SimBA's file of a rectangle in two videos, a circle and a triangle in one."""
    path = tmp_path / "ROI_definitions.h5"
    with h5py.File(path, "w") as file:
        _write_table(
            file.create_group("rectangles"),
            {
                "Video": ["day1", "day2"],
                "Name": ["arena", "arena"],
                "Color BGR": [(0, 0, 255)] * 2,
                "topLeftX": [10, 0],
                "topLeftY": [20, 0],
                "Bottom_right_X": [110, 30],
                "Bottom_right_Y": [70, 30],
                "width": [100, 30],
                "Tags": [{"Center tag": (60, 45)}] * 2,
            },
        )
        _write_table(
            file.create_group("circleDf"),
            {
                "Video": ["day1"],
                "Name": ["centre"],
                "centerX": [60],
                "centerY": [45],
                "radius": [10],
            },
        )
        _write_table(
            file.create_group("polygons"),
            {
                "Video": ["day1"],
                "Name": ["corner"],
                "vertices": [np.array([[10, 20], [40, 20], [10, 60]])],
                "area": [1.0],
            },
        )
    return path


def test_simbas_regions_are_read(roi_file):
    peek = Peek(roi_file)
    found = read_simba_zones(roi_file)

    assert is_simba_zones(peek)
    assert found.unit == "px"
    assert found.of("day1") == (
        Zone("arena", Polygon.rectangle(left=10, top=20, right=110, bottom=70)),
        Zone("centre", Circle(60, 45, 10)),
        Zone("corner", Polygon(((10, 20), (40, 20), (10, 60)))),
    )
    assert [zone.name for zone in found.of("day2")] == ["arena"]
    assert found.of("day3") == ()


def test_a_file_without_one_of_simbas_tables_is_refused(roi_file):
    with h5py.File(roi_file, "a") as file:
        del file["polygons"]

    assert not is_simba_zones(Peek(roi_file))
    with pytest.raises(DataError, match="no table 'polygons'"):
        read_simba_zones(roi_file)


def _table(tmp_path, text):
    path = tmp_path / "zones.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("zone,x,y,radius\na,1,2,3\n", Circle(1, 2, 3)),
        ("Video;ROI;X;Y;R\n;a;1,5;2;3\n", Circle(1.5, 2, 3)),
        (
            "name,left,top,right,bottom\na,0,0,4,5\n",
            Polygon.rectangle(left=0, top=0, right=4, bottom=5),
        ),
        (
            ',Video,Name,vertices,area\n0,,a,"[[ 1 2]\n [3 -4.5]\n [0 9]]",7\n',
            Polygon(((1, 2), (3, -4.5), (0, 9))),
        ),
        (
            "zone,corner,x,y\na,1,0,0\na,2,1,0\na,3,0,1\n",
            Polygon(((0, 0), (1, 0), (0, 1))),
        ),
    ],
)
def test_plain_tables_of_each_form_are_read(tmp_path, text, shape):
    path = _table(tmp_path, text)
    found = read_zone_table(path)

    assert is_zone_table(Peek(path))
    assert found.of("any recording") == (Zone("a", shape),)
    assert found.unit == "px"


def test_a_recordings_own_zone_takes_the_place_of_one_of_all(tmp_path):
    rows = ",a,0,0,1\nday1.mp4,a,5,5,1\n"
    path = _table(tmp_path, f"video,zone,x_cm,y_cm,radius_cm\n{rows}")
    found = read_zone_table(path)

    assert found.unit == "cm"
    assert found.of("day1") == (Zone("a", Circle(5, 5, 1)),)
    assert found.of("day2") == (Zone("a", Circle(0, 0, 1)),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "header"),
        ("video,x,y,radius\nv,1,2,3\n", "names no zone"),
        ("zone,x,y,radius\na,1,b,3\n", "expected a number for y, found 'b'"),
        ("zone,x_cm,y_px,radius\na,1,1,3\n", "some columns are in cm"),
        ("zone,corner,x,y\na,1,0,0\na,2,1,0\n", "at least three corners"),
        ("zone,vertices\na,1 2 3\n", "pairs of x and y"),
    ],
)
def test_tables_that_are_wrong_are_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        read_zone_table(_table(tmp_path, text))


def test_a_table_of_bouts_is_no_table_of_zones(tmp_path):
    path = _table(tmp_path, "agent,target,action,start_frame,stop_frame\na,b,c,1,2\n")

    assert not is_zone_table(Peek(path))


@pytest.mark.parametrize("unit", ["px", "cm"])
def test_zones_that_were_written_are_read_again(tmp_path, unit):
    zones = {"day1": (SQUARE, DISC), "=day2": (Zone("-edge", Circle(1.25, -3, 0)),)}
    path = tmp_path / "zones.csv"

    write_zones(path, zones, unit=unit)
    found = read_zone_table(path)

    assert found.zones == zones
    assert found.unit == unit


@pytest.fixture
def lab(tmp_path):
    """Two recordings of a mouse at 10 pixels per cm, and a project."""
    folder = tmp_path / "lab"
    folder.mkdir()
    rows = "".join(f"{f},mouse,nose,{f},5\n{f},mouse,tail,{f},2\n" for f in range(50))
    for name in ("day1", "day2"):
        table = f"frame,individual,keypoint,x,y\n{rows}"
        (folder / f"{name}.csv").write_text(table, encoding="utf-8")

    def bring_in(**settings):
        project = {"fps": 25, "pixels_per_cm": 10, **settings}
        (folder / "project.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        assert main(["import", str(folder), "--out", str(tmp_path / "data")]) == 0
        path = tmp_path / "data" / "zones.csv"
        return read_zone_table(path) if path.exists() else None

    return bring_in


def test_zones_of_a_project_come_into_the_data_set_in_cm(lab, tmp_path):
    found = lab(
        zones={
            "centre": {"circle": [20, 30, 10]},
            "edge": {"rectangle": [0, 0, 2, 5], "unit": "cm"},
        },
        recordings=[{"name": "day2", "zones": {"centre": {"circle": [50, 50, 5]}}}],
    )
    edge = Zone("edge", Polygon.rectangle(left=0, top=0, right=2, bottom=5))

    assert found.unit == "cm"
    assert found.of("day1") == (Zone("centre", Circle(2, 3, 1)), edge)
    assert found.of("day2") == (Zone("centre", Circle(5, 5, 0.5)), edge)
    written = load_project(tmp_path / "data" / "project.yaml")
    assert written.zones["centre"].circle == (20, 30, 10)


def test_zones_of_simbas_file_come_into_the_data_set(lab, roi_file, capsys):
    (roi_file.parent / "lab" / roi_file.name).write_bytes(roi_file.read_bytes())
    found = lab(zones=roi_file.name)

    assert [zone.name for zone in found.of("day1")] == ["arena", "centre", "corner"]
    assert found.of("day1")[1].shape == Circle(6, 4.5, 1)
    assert roi_file.name not in capsys.readouterr().err


def test_without_zones_there_is_no_file_of_them(lab):
    assert lab(zones={"centre": {"circle": [20, 30, 10]}}) is not None
    assert lab() is None


@pytest.mark.parametrize(
    "zones",
    [
        {"centre": {"circle": [1, 2]}},
        {"centre": {"circle": [1, 2, 3], "rectangle": [0, 0, 1, 1]}},
        {"centre": {"polygon": [[0, 0], [1, 1], [2, 2]]}},
        {"centre": {}},
    ],
)
def test_zones_that_are_no_shape_are_refused(zones, tmp_path):
    path = tmp_path / "project.yaml"
    path.write_text(yaml.safe_dump({"zones": zones}), encoding="utf-8")

    with pytest.raises(ConfigError, match="zones"):
        load_project(path)


def test_several_shapes_of_one_name_are_one_zone(tmp_path):
    path = tmp_path / "zones.csv"
    path.write_text("zone,left,top,right,bottom\narm,0,0,4,2\narm,8,0,12,2\n")
    [arms] = read_zone_table(path).of("any")
    points = np.array([[2.0, 1], [6, 1], [10, 1]])

    np.testing.assert_allclose(arms.signed_distance(points), [-1, 2, -1])
    write_zones(tmp_path / "again.csv", {"day1": [arms, DISC]}, unit="cm")
    assert read_zone_table(tmp_path / "again.csv").of("day1") == (arms, DISC)


EPM = "arena;open.left;center\ntl;lt;ctr\ntr;tr;tr\nbr;br;br\nlb;lb;\n"
"""As DLCAnalyzer's ``EPM_zoneinfo.csv`` has it."""


def write_maze(folder, corners, zoneinfo=EPM):
    """A mouse in a maze whose corners are keypoints of its one individual."""
    rows = ["frame,individual,keypoint,x,y"]
    for frame in range(20):
        rows += [f"{frame},m,nose,{frame},{frame}", f"{frame},m,tail_base,{frame},0"]
        rows += [
            f"{frame},m,{name},{x + frame % 3},{y}" for name, (x, y) in corners.items()
        ]
    (folder / "day1.csv").write_text("\n".join(rows))
    (folder / "zoneinfo.csv").write_text(zoneinfo)
    settings = {"fps": 10, "pixels_per_cm": 10, "zones": "zoneinfo.csv"}
    (folder / "project.yaml").write_text(yaml.safe_dump(settings))


CORNERS = {
    "tl": (0, 0),
    "tr": (90, 0),
    "br": (90, 90),
    "lb": (0, 90),
    "lt": (0, 30),
    "ctr": (30, 30),
}


def test_corners_that_are_keypoints_become_zones_and_are_no_body(tmp_path):
    write_maze(tmp_path, CORNERS)
    out = tmp_path / "data"
    assert main(["import", str(tmp_path), "--out", str(out)]) == 0

    found = read_zone_table(out / "zones.csv").of("day1")
    assert [zone.name for zone in found] == ["arena", "open.left", "center"]
    assert found[0].shape.corners == ((0.1, 0), (9.1, 0), (9.1, 9), (0.1, 9))
    assert len(found[2].shape.corners) == 3
    assert "ctr" not in (out / "train.csv").read_text()
    assert main(["inspect", str(tmp_path)]) == 0


def test_a_corner_that_is_no_keypoint_is_said(tmp_path, capsys):
    write_maze(tmp_path, {k: v for k, v in CORNERS.items() if k != "ctr"})

    assert main(["import", str(tmp_path), "--out", str(tmp_path / "data")]) != 0
    assert "the corner 'ctr' of a zone is none of its keypoints" in (
        capsys.readouterr().err
    )
