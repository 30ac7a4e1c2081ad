"""A real browser without a window: Debian's chromium, driven by selenium.

Tests that need it are skipped where it is not installed
(`apt-get install chromium chromium-driver`). A few are run in Firefox too, and skipped
where that is not installed (`apt-get install firefox-esr`).
"""

import base64
import contextlib
import shutil
import socket
import tempfile
import threading
import time

import pytest
import uvicorn

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="chromium and chromedriver are not installed "
    "(apt-get install chromium chromium-driver)",
)
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_FIREFOX = pytest.param(
    "firefox",
    marks=pytest.mark.skipif(
        not FIREFOX, reason="Firefox is not installed (apt-get install firefox-esr)"
    ),
)
_CHROMIUM = pytest.param("chromium", marks=needs_browser)
in_firefox = pytest.mark.parametrize("browser", [_FIREFOX], indirect=True)
in_both_browsers = pytest.mark.parametrize(
    "browser", [_CHROMIUM, _FIREFOX], indirect=True
)
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


class Window:
    """A window in which `run` gives what a script returns."""

    def wait(self, script, seconds=10):
        """Wait until a script returns something true, and return that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.run(f"return {script}"):
                return found
            time.sleep(0.03)
        raise AssertionError(f"waited in vain for: {script}")


class Browser(Window):
    """One window of a given size, with its own empty profile."""

    def __init__(self, width=1280, height=860):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*_FLAGS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.resize(width, height)

    def renew(self):
        """Go to an empty page of the usual size, and forget earlier complaints."""
        self.resize(1280, 860)
        self.dark(False)
        self.open("about:blank")
        self.errors()

    def resize(self, width, height):
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def dark(self, wanted=True):
        value = "dark" if wanted else "light"
        feature = {"name": "prefers-color-scheme", "value": value}
        self._tell("Emulation.setEmulatedMedia", features=[feature])

    def open(self, address):
        self.driver.get(address)

    def run(self, script, *given):
        """Return what a script returns."""
        return self.driver.execute_script(script, *given)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def drag(self, start, stop):
        """Press at one point of the window, and release at another."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        builder = ActionBuilder(self.driver, duration=40)
        pointer = builder.pointer_action
        pointer.move_to_location(*map(round, start)).pointer_down()
        middle = [(a + b) / 2 for a, b in zip(start, stop, strict=True)]
        pointer.move_to_location(*map(round, middle))
        pointer.move_to_location(*map(round, stop)).pointer_up()
        builder.perform()

    def errors(self):
        """Return what the console complained of since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path, *, whole=False):
        """Save what is seen, or the whole page, as PNG."""
        how = {"captureBeyondViewport": whole}
        if whole:
            size = self._tell("Page.getLayoutMetrics")["cssContentSize"]
            how["clip"] = {**size, "x": 0, "y": 0, "scale": 1}
        data = self._tell("Page.captureScreenshot", **how)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.driver.quit()
        self._profile.cleanup()

    def _tell(self, command, **given):
        return self.driver.execute_cdp_cmd(command, given)


@contextlib.contextmanager
def served(build, token):
    """Serve an app on a free port of this machine; yield the page's address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # so that a browser may come before the server has started
        port = listener.getsockname()[1]
        config = uvicorn.Config(build(port), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/#token={token}"
        finally:
            server.should_exit = True
            thread.join(10)
