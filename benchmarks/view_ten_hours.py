"""Time `mabe view` on a long recording, in a real browser.

    python benchmarks/view_ten_hours.py RUN WORK [--hours 10]

Simulates one recording in WORK (once), serves it as a user would, and opens it in
Debian's chromium. Prints the time until the page is painted and until the first poses
are drawn, and for 60 random jumps the time until the poses of that frame are drawn;
half of the jumps go far, so their poses must be fetched.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

JUMPS = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SCRUB = """
const done = arguments[1], v = window.mabe.page, began = performance.now();
const far = arguments[0] % 2 === 0;
const to = far ? Math.random() * v.recording.frames : v.frame + 40 - Math.random() * 80;
v.seek(to);
const look = () => v.poses.at(v.frame) !== null
    ? requestAnimationFrame(() => done(performance.now() - began))
    : setTimeout(look, 1);
look();
"""
_PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_POSES = "return window.mabe?.page.poses?.at(0) ? performance.now() : null"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hours", type=float, default=10)
    given = parser.parse_args()
    data = given.work / f"{given.hours:g}h"
    if not (data / "train.csv").is_file():
        minutes = str(given.hours * 60)
        make = ["simulate", data, "--videos", "1", "--minutes", minutes, "--seed", "1"]
        subprocess.run(mabe(*make), check=True)
    serve = ["view", given.run, data, "--no-browser", "--out", given.work / "out"]
    with subprocess.Popen(mabe(*serve), stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stdout.readline, "")
            address = next(line for line in lines if "#token=" in line).split()[2]
            measure(address)
        finally:
            server.terminate()


def mabe(*args: object) -> list[str]:
    code = "import sys; from mabe.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *map(str, args)]


def measure(address: str) -> None:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    service = Service(
        shutil.which("chromedriver")
    )  # else selenium looks for one online
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(30)
    wait = WebDriverWait(driver, 900, poll_frequency=0.02)
    driver.get(address)
    poses_ms = wait.until(lambda d: d.execute_script(_POSES))
    # Whoever opens it a second time, with the recording in memory.
    driver.get("about:blank")
    driver.get(re.sub("#.*", "", address))
    again_ms = wait.until(lambda d: d.execute_script(_POSES))
    painted_ms = driver.execute_script(_PAINTED)
    looking = scrub(driver)
    wait.until(lambda d: d.execute_script("return window.mabe.page.views !== null"))
    driver.execute_script("window.mabe.timeline.show(0, 1e9)")
    found = scrub(driver)
    frames = driver.execute_script("return window.mabe.page.recording.frames")
    driver.quit()
    print(f"{frames:,} frames")
    print(f"page painted after {painted_ms:.0f} ms")
    print(f"first poses after {poses_ms:.0f} ms, reloaded {again_ms:.0f} ms")
    print(f"a jump while the model looks: {tell(looking)}")
    print(f"a jump with all bouts in sight:    {tell(found)}")


def scrub(driver: object) -> list[float]:
    return [driver.execute_async_script(_SCRUB, number) for number in range(JUMPS)]


def tell(times_ms: list[float]) -> str:
    return (
        f"median {statistics.median(times_ms):.0f} ms, "
        f"95 % within {sorted(times_ms)[int(0.95 * len(times_ms))]:.0f} ms, "
        f"longest {max(times_ms):.0f} ms"
    )


if __name__ == "__main__":
    main()
