"""Small pose files of many formats, all of the same two animals.

`STORY` has two animals with three keypoints each; the second animal's tail is missing
in frame 1.
"""

import json
import zipfile
from xml.sax.saxutils import escape

import h5py
import numpy as np

ANIMALS = ("a", "b")
KEYPOINTS = ("nose", "leftear", "tailbase")
LENGTH = 6


def story():
    """Return x and y of every point: animal and keypoint can be read off each."""
    time, animal, keypoint = np.meshgrid(
        np.arange(LENGTH), np.arange(2), np.arange(3), indexing="ij"
    )
    x = 10 + time + 100 * animal + 10 * keypoint
    xy = np.stack([x, x + 0.5], axis=-1).astype(np.float32)
    xy[1, 1, 2] = np.nan
    return xy


def with_z(xy):
    """Return x, y and z of the story's points; z is 0.25 more than x."""
    return np.concatenate([xy, xy[..., :1] + 0.25], axis=-1)


CONFIDENCE = np.where(np.isnan(story()[..., 0]), 0, 0.9).astype(np.float32)


def write_dlc_csv(path, *, order=None, frames=None, xy=None, separator=","):
    """Write a multi-animal CSV, its columns in any order."""
    xy = story() if xy is None else xy
    frames = range(len(xy)) if frames is None else frames
    columns = [
        (animal, part, coord)
        for animal in range(2)
        for part in range(3)
        for coord in (*"xyz"[: xy.shape[-1]], "likelihood")
    ]
    columns = columns if order is None else [columns[at] for at in order]
    rows = [
        ["scorer", *["DLC_net"] * len(columns)],
        ["individuals", *(ANIMALS[animal] for animal, _, _ in columns)],
        ["bodyparts", *(KEYPOINTS[part] for _, part, _ in columns)],
        ["coords", *(coord for _, _, coord in columns)],
    ]
    for frame, points in zip(frames, xy, strict=True):
        cells = []
        for animal, part, coord in columns:
            point = points[animal, part]
            value = 0.9 if coord == "likelihood" else point["xyz".index(coord)]
            cells.append("" if np.isnan(point).any() else f"{value:g}")
        rows.append([str(frame), *cells])
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    if separator == ";":
        text = text.replace(".", ",")
    path.write_text(text, encoding="utf-8")
    return path


def write_sleap(path, *, order="matlab", dims=True):
    """Write an analysis file in one of SLEAP's orders."""
    axes = {"standard": "tknc", "matlab": "kcnt", "untransposed": "tnck"}[order]
    xy, score = story(), CONFIDENCE
    names = {"t": "frame", "k": "track", "n": "node", "c": "xy"}
    with h5py.File(path, "w") as file:
        place = ["tknc".index(axis) for axis in axes]
        file["tracks"] = xy.transpose(place)
        flat = axes.replace("c", "")
        file["point_scores"] = score.transpose(["tkn".index(axis) for axis in flat])
        if dims:
            said = [names[axis] for axis in axes]
            file["tracks"].attrs["dims"] = json.dumps(said)
            file["point_scores"].attrs["dims"] = json.dumps(
                [names[axis] for axis in flat]
            )
        file["track_occupancy"] = np.ones((LENGTH, 2))
        file["node_names"] = [name.encode() for name in KEYPOINTS]
        file["track_names"] = [name.encode() for name in ANIMALS]
    return path


def write_movement(path, *, singular=False, fps=25.0, xy=None):
    """Write a data set as xarray's netCDF files are inside, in either spelling."""
    xy = story() if xy is None else xy
    individual, keypoint = (
        ("individual", "keypoint") if singular else ("individuals", "keypoints")
    )
    with h5py.File(path, "w") as file:
        file["time"] = np.arange(LENGTH) / fps if fps else np.arange(LENGTH)
        file["space"] = list("xyz"[: xy.shape[-1]])
        file[keypoint] = list(KEYPOINTS)
        file[individual] = list(ANIMALS)
        file["position"] = xy.transpose(0, 3, 2, 1)
        file["confidence"] = CONFIDENCE.transpose(0, 2, 1)
        for name in ("time", "space", keypoint, individual):
            file[name].make_scale(name)
        for name, dims in (
            ("position", ("time", "space", keypoint, individual)),
            ("confidence", ("time", keypoint, individual)),
        ):
            for axis, dim in enumerate(dims):
                file[name].dims[axis].attach_scale(file[dim])
        if fps:
            file.attrs["fps"] = fps
        file.attrs["time_unit"] = "seconds" if fps else "frames"
        file.attrs["source_software"] = "DeepLabCut"
        file.attrs["ds_type"] = "poses"
    return path


def write_nwb(path, *, rate=25.0, xy=None):
    """Write what pynwb writes of two animals, each a PoseEstimation."""
    xy = story() if xy is None else xy
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        for animal, name in enumerate(ANIMALS):
            group = file.create_group(f"processing/behavior/{name}")
            group.attrs["neurodata_type"] = "PoseEstimation"
            for part, keypoint in enumerate(KEYPOINTS):
                series = group.create_group(keypoint)
                series.attrs["neurodata_type"] = "PoseEstimationSeries"
                series["data"] = xy[:, animal, part]
                series["confidence"] = CONFIDENCE[:, animal, part]
                if rate:
                    series["starting_time"] = 0.0
                    series["starting_time"].attrs["rate"] = rate
                else:
                    series["timestamps"] = np.arange(LENGTH) / 25
    return path


def write_long(path, *, separator=",", xy=None):
    """Write one row for each point that is there."""
    xy = story() if xy is None else xy
    axes = "xyz"[: xy.shape[-1]]
    lines = [separator.join(("frame", "individual", "keypoint", *axes, "confidence"))]
    for (frame, animal, part), _ in np.ndenumerate(CONFIDENCE):
        point = [f"{value:g}" for value in xy[frame, animal, part]]
        if "nan" not in point:
            cells = (frame, ANIMALS[animal], KEYPOINTS[part], *point, 0.9)
            lines.append(separator.join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_simba(path, targets=(), predicted=()):
    """Write SimBA's wide columns, features, targets, and what it predicted."""
    header, columns = [""], [np.arange(LENGTH)]
    for animal in range(2):
        for part, name in enumerate(KEYPOINTS):
            x, y = story()[:, animal, part].T
            for coord, values in zip(
                "xyp", (x, y, CONFIDENCE[:, animal, part]), strict=True
            ):
                header.append(f"{name}_{animal + 1}_{coord}")
                columns.append(values)
    for name in ("Movement_mouse_1", "Low_prob_detections_0.1"):
        header.append(name)
        columns.append(np.linspace(0.5, 3, LENGTH))
    for name, values in dict(targets).items():
        header.append(name)
        columns.append(np.asarray(values))
    for name, values in dict(predicted).items():
        header += [f"Probability_{name}", name]
        columns += [np.full(LENGTH, 0.25), np.asarray(values)]
    rows = [",".join(header)] + [
        ",".join("" if np.isnan(v) else f"{v:g}" for v in row)
        for row in zip(*columns, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_xlsx(path, sheets):
    """Write a workbook of sheets, each a list of rows of texts and numbers."""

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    space = "http://schemas.openxmlformats.org"
    main = f'xmlns="{space}/spreadsheetml/2006/main"'
    relation = f"{space}/officeDocument/2006/relationships"
    names = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>'
        for at, name in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="r{at}" Type="{relation}/worksheet" '
        f'Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    package = f'xmlns="{space}/package/2006/relationships"'
    parts = {
        "_rels/.rels": f'<Relationships {package}><Relationship Id="r1" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{relation}"><sheets>{names}'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships {package}>{links}"
        "</Relationships>",
    }
    for at, rows in enumerate(sheets.values(), start=1):
        body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{at}.xml"] = (
            f"<worksheet {main}><sheetData>{body}</sheetData></worksheet>"
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path
