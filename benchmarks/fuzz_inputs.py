r"""What every reader does with damaged and hostile files: counts of how it ends.

    python benchmarks/fuzz_inputs.py WORK [--count 2000] [--seed 0] [--workers 2]

WORK is a new folder. Inputs are the crafted ones of `hostile_inputs.py`, and so many
mutations of the small files below tests/ and $MABE_DATA/{door,formats,hostile}: bytes
flipped, cut, doubled or zeroed; cells, lines, columns, numbers and encodings of texts
changed. Each is given to the commands that read such a folder (inspect, import, what
predict does first; export for predictions), in a process of its own, with 10 s and
1 GB of memory. A case counts as the worst that happened in it:

read        its content was described
refused     it was refused, with one line on what is wrong
traceback   a command ended with an error of Python, or was killed by a signal
hang        it took more than 10 s
memory      it took more than 1 GB
outside     a file was written anywhere but below the command's --out
control     control characters of the file were printed

Cases of the last five are listed; the exit status is then 1.
"""

import argparse
import collections
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import hostile_inputs

HERE = Path(__file__).resolve().parents[1]
MOST_S = 10.0
MOST_BYTES = 1 << 30
ADDRESS_BYTES = 4 << 30
SEED_BYTES = 200_000
GOOD = ("read", "refused")
ORDER = (*GOOD, "traceback", "control", "memory", "hang", "outside")
IMPORT = ("--fps", "30", "--pixels-per-cm", "10", "--skip-bad")
CELLS = (
    *("", "nan", "inf", "-5", "1e308", "9" * 20, "1e9", "abc", '"', "'", "=cmd()"),
    *("../../x", "1.5", "True", "\uff10", "1;2", "\0", "-0", "0x10", "{", "[", "null"),
)
WRONG = (
    *((r"\d+\.\d+", "x"), (r"\d+", "-1"), (r"\d+", "1e400"), (r"[a-z]+", "0")),
    *((",", ";"), (",", "\t"), (r"\.", ","), (":", "::"), (r"\[", "{")),
)
TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".yaml", ".boris", ".annot")


def seed_files() -> list[Path]:
    """Return the small files that are mutated."""
    data = Path(os.environ.get("MABE_DATA", HERE.parent / "shared" / "data"))
    folders = [HERE / "tests" / name for name in ("door", "door_own", "hostile")]
    folders += [data / name for name in ("door", "formats", "hostile")]
    found = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix not in (".md", ".py", ".safetensors", ".mp4", ".avi")
        and path.name != "NOTE.txt"
    ]
    if not found:
        sys.exit("no files to mutate; set MABE_DATA")
    return found


def mutate(data: bytes, rng: random.Random, *, is_text: bool) -> bytes:
    """Return the content of a file with one kind of damage."""
    kinds = [flip, cut, zero, double, remove]
    kinds += [cells, lines, wrong, encode] * 2 if is_text else []
    return rng.choice(kinds)(data, rng)


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 5, 50])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def zero(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice([1, 8, 100, 4000])
    return data[:at] + b"\0" * min(size, len(data) - at) + data[at + size :]


def double(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice([10, 1000])
    return data[:at] + data[at : at + size] + data[at:]


def remove(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 10, 1000, 20_000]) :]


def cells(data: bytes, rng: random.Random) -> bytes:
    rows = data.decode("utf-8", "replace").split("\n")
    sign = max(",\t;", key="".join(rows[:9]).count)
    for _ in range(rng.choice([1, 5, 40])):
        at = rng.randrange(len(rows))
        row = rows[at].split(sign)
        row[rng.randrange(len(row))] = rng.choice(CELLS)
        rows[at] = sign.join(row)
    return "\n".join(rows).encode("utf-8", "replace")


def lines(data: bytes, rng: random.Random) -> bytes:
    rows = data.split(b"\n")
    kind, at = rng.randrange(5), rng.randrange(len(rows))
    if kind == 0:
        rows.reverse()
    elif kind == 1:
        rng.shuffle(rows)
    elif kind == 2:
        rows.insert(at, rows[rng.randrange(len(rows))])
    elif kind == 3:
        del rows[:at]
    else:
        rows += rows
    return b"\n".join(rows)


def wrong(data: bytes, rng: random.Random) -> bytes:
    pattern, other = rng.choice(WRONG)
    text = data.decode("utf-8", "replace")
    return re.sub(pattern, other, text, count=rng.choice([0, 1, 3])).encode()


def encode(data: bytes, rng: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    name = rng.choice(["utf-16", "utf-8-sig", "utf-16-be", "utf-32", "latin-1"])
    return text.replace("\n", rng.choice(["\n", "\r\n", "\r"])).encode(name, "replace")


def write_mutations(folder: Path, count: int, rng: random.Random) -> list[Path]:
    """Write so many mutated files, each beside the other files of its folder."""
    seeds = seed_files()
    made = []
    for number in range(count):
        seed = rng.choice(seeds)
        data = seed.read_bytes()[:SEED_BYTES] or b"\0"
        is_text = seed.suffix.lower() in TEXT_ENDINGS
        for _ in range(rng.choice([1, 1, 2])):
            data = mutate(data, rng, is_text=is_text) or b"\0"
        here = folder / f"{number:05d}"
        here.mkdir()
        for path in _neighbours(seed):
            shutil.copyfile(path, here / path.name)
        (here / seed.name).write_bytes(data)
        made.append(here / seed.name)
    return made


def _neighbours(seed: Path) -> list[Path]:
    """Return small files of the same folder, such as labels or a project.yaml."""
    near = [path for path in seed.parent.iterdir() if path.is_file() and path != seed]
    small = [path for path in near if path.stat().st_size < SEED_BYTES]
    return sorted(small)[:4]


def commands(case: Path, out: Path) -> list[list[str]]:
    """Return the commands that read a case, as words of the command line.

    A case is a folder, or one file that was changed beside others.
    """
    folder = case if case.is_dir() else case.parent
    if (folder / "provenance.json").is_file():
        return [
            ["export", str(folder), "--to", to, "--out", str(out)]
            for to in ("csv", "boris", "calms21", "submission")
        ]
    found = [["inspect", str(case)], ["inspect", str(folder)]][: 1 + case.is_file()]
    if not any((folder / f"{split}.csv").is_file() for split in ("train", "test")):
        found.append(["import", str(folder), "--out", str(out), *IMPORT])
    return found


def open_sources(folder: Path) -> None:
    """Do what `mabe predict` does before the model is used."""
    from mabe.data.sources import find_sources
    from mabe.runtime.console import printing_safely

    with printing_safely():
        _open(find_sources(folder, rate_fps=30.0, usual_fps=30.0)[:3])


def _open(sources) -> None:
    for source in sources:
        source.open()


def use(case: Path, out: Path, said: Path) -> None:
    """Give a case to all its commands, and end with the worst of their ends."""
    from mabe.cli.main import main
    from mabe.errors import MabeError

    ends = []
    folder = case if case.is_dir() else case.parent
    for words in commands(case, out):
        before = said.stat().st_size
        ends.append(main(words))
        sys.stdout.flush()
        sys.stderr.flush()
        errors = said.read_bytes()[before:].decode("utf-8", "replace").splitlines()
        last = errors[-1] if errors else ""
        if ends[-1] == 2 and not (last.startswith("mabe: ") and len(last) < 2000):
            raise AssertionError(f"{words}: ended with {last[:300]!r}")
    if not (folder / "provenance.json").is_file():
        try:
            open_sources(folder)
        except MabeError:  # which `main` prints as one line
            ends.append(2)
    # Folders of labels alone are refused by some commands in any case.
    os._exit(2 if ends[0] == 2 else 0)


def try_case(case: Path) -> tuple[str, str, float, float]:
    """Return how a case ended, what was printed last, its seconds and megabytes."""
    is_file = case.is_file() and case.parent.parent.name == "mutated"
    folder = case.parent if is_file else case
    box = Path(tempfile.mkdtemp(prefix="box-", dir=folder.parents[1]))
    place = box / "a" / "b" / "c" / "d"
    shutil.copytree(folder, place / "in", symlinks=True, copy_function=_copy)
    before = _files(box)
    said = box / "said"
    said.touch()
    began = time.perf_counter()
    process = os.fork()
    if not process:
        _child(place / "in" / (case.name if is_file else ""), place, said)
    ended, usage = _wait(process, began)
    seconds = time.perf_counter() - began
    megabytes = usage.ru_maxrss / 1024
    text = said.read_bytes().decode("utf-8", "replace")
    said.unlink()
    outside = sorted(
        path for path in _files(box) - before if (place / "out") not in path.parents
    )
    shutil.rmtree(box, ignore_errors=True)
    is_printed = re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
    last = text.strip().splitlines()[-1][:300] if text.strip() else ""
    if outside:
        return "outside", str(outside[0]), seconds, megabytes
    if ended is None:
        return "hang", last, seconds, megabytes
    if megabytes > MOST_BYTES >> 20:
        return "memory", last, seconds, megabytes
    if ended not in (0, 2, 3):
        return "traceback", f"{ended}: {text[-1500:]}", seconds, megabytes
    if is_printed:
        return "control", repr(text[max(0, is_printed.start() - 80) :][:160]), 0, 0
    return ("refused" if ended == 2 else "read"), last, seconds, megabytes


def _copy(source: str, target: str) -> None:
    if Path(source).is_file():
        shutil.copyfile(source, target)
    else:  # a named pipe
        os.mkfifo(target)


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


def _child(case: Path, place: Path, said: Path) -> None:
    """Run all commands of a case in this process, which ends here."""
    try:
        os.chdir(place)
        log = os.open(said, os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ADDRESS_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        use(case, place / "out", said)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(99)


def _wait(process: int, began: float) -> tuple[int | None, resource.struct_rusage]:
    """Return how a process ended (None: it took too long), and what it used."""
    while time.perf_counter() - began < MOST_S:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    return None, os.wait4(process, 0)[2]


def try_some(cases: list[Path], results: "multiprocessing.Queue[str]") -> None:
    """Try cases one after the other; imports are done once, before the first."""
    import mabe.cli.main
    import mabe.data.sources
    import mabe.io.exporter
    import mabe.io.importer
    import mabe.io.inspector  # noqa: F401

    for folder in cases:
        results.put(json.dumps([str(folder), *try_case(folder)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True)
    work = options.work.resolve()
    for name in ("crafted", "mutated"):
        (work / name).mkdir()
    tracks = HERE / "tests/hostile/import_escapes_out_lab/data/a.csv"
    cases = hostile_inputs.write_all(work / "crafted", tracks)
    rng = random.Random(options.seed)
    cases += write_mutations(work / "mutated", options.count, rng)
    rng.shuffle(cases)
    print(f"{len(cases)} inputs", flush=True)

    results: multiprocessing.Queue[str] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(
            target=try_some, args=(cases[at :: options.workers], results)
        )
        for at in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    ends = [json.loads(results.get()) for _ in cases]
    for worker in workers:
        worker.join()
    return report(ends, work)


def report(ends: list[list[object]], work: Path) -> int:
    """Print the counts, and the cases that ended badly; return 1 if there are any."""
    counts = collections.Counter(str(end) for _, end, *_ in ends)
    for path, end, last, seconds, megabytes in sorted(ends, key=str):
        if end not in GOOD:
            print(f"{end}: {path} ({seconds:.1f} s, {megabytes:.0f} MB): {last}")
    print("  ".join(f"{end} {counts[end]}" for end in ORDER))
    slowest = max(float(seconds) for *_, seconds, _ in ends)
    most = max(float(megabytes) for *_, megabytes in ends)
    print(f"longest {slowest:.1f} s, most memory {most:.0f} MB")
    (work / "ends.json").write_text(json.dumps(ends, indent=0))
    return int(any(counts[end] for end in ORDER if end not in GOOD))


if __name__ == "__main__":
    sys.exit(main())
