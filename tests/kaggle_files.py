"""Small data sets in the Kaggle layout, written for one test."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW = {
    "lab_id": "Lab",
    "video_id": "1",
    "mouse1_id": "10.0",
    "frames_per_second": "30.0",
    "pix_per_cm_approx": "10.0",
    "behaviors_labeled": json.dumps(["mouse1,mouse2,sniff", "mouse1,self,rear"]),
}
LABEL_COLUMNS = ("agent_id", "target_id", "action", "start_frame", "stop_frame")


def write_index(folder: Path, *rows: dict[str, str], split: str = "train") -> Path:
    """Write a metadata table, and the annotation folder that says labels are known."""
    (folder / f"{split}_annotation").mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(ROW | (rows or ({},))[0]))
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)
    return path


def write_tracking(folder: Path, points, *, lab="Lab", video="1", **types) -> Path:
    """Write rows of (video_frame, mouse_id, bodypart, x, y)."""
    path = folder / "train_tracking" / lab / f"{video}.parquet"
    names = ["video_frame", "mouse_id", "bodypart", "x", "y"]
    return write_table(path, names, points, **types)


def write_labels(folder: Path, labels, *, lab="Lab", video="1", **types) -> Path:
    """Write rows of (agent_id, target_id, action, start_frame, stop_frame)."""
    path = folder / "train_annotation" / lab / f"{video}.parquet"
    return write_table(path, list(LABEL_COLUMNS), labels, **types)


def write_coverage(folder: Path, spans, *, lab="Lab", video="1") -> Path:
    """Write rows of (agent_id, target_id, action, start_frame, stop_frame)."""
    path = folder / "train_coverage" / lab / f"{video}.parquet"
    return write_table(path, list(LABEL_COLUMNS), spans)


def write_table(path: Path, names, rows, **types) -> Path:
    """Write a parquet file; `types` gives columns another type than the usual."""
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = {"bodypart": pa.large_string(), "action": pa.large_string()}
    usual |= {"x": pa.float32(), "y": pa.float32()}
    fields = [(name, types.get(name, usual.get(name, pa.int32()))) for name in names]
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in names]
    arrays = [
        pa.array(column, kind)
        for column, (_, kind) in zip(columns, fields, strict=True)
    ]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path)
    return path
