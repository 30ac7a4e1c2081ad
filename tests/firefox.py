"""Firefox without a window, steered by WebDriver BiDi, which it has built in.

No further program is needed beside the browser (Debian: `firefox-esr`).
"""

import itertools
import json
import subprocess
import tempfile
import time
from pathlib import Path

from browser import FIREFOX, Window

_FLAGS = ("--headless", "--no-remote", "--remote-debugging-port", "0")
_NEVER_ASKS = """\
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
"""
_CALLED = """(given) => JSON.stringify(
    (function () {{ {} }}).apply(null, JSON.parse(given)) ?? null)"""
START_S, ANSWER_S = 60, 60


class Firefox(Window):
    """One window of a given size, with its own empty profile."""

    def __init__(self, width=1280, height=860):
        import websocket

        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = Path(self._profile.name)
        (folder / "user.js").write_text(_NEVER_ASKS)
        self._process = subprocess.Popen(
            [FIREFOX, *_FLAGS, "--profile", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        place = _read_place(folder / "WebDriverBiDiServer.json", self._process)
        address = f"ws://{place['ws_host']}:{place['ws_port']}/session"
        self._socket = websocket.create_connection(
            address, timeout=ANSWER_S, suppress_origin=True
        )
        self._numbers = itertools.count(1)
        self._logged = []
        self._tell("session.new", capabilities={})
        [window] = self._tell("browsingContext.getTree")["contexts"]
        self._window = window["context"]
        self._tell("session.subscribe", events=["log.entryAdded"])
        self.resize(width, height)

    def renew(self):
        """Go to an empty page of the usual size, and forget earlier complaints."""
        self.resize(1280, 860)
        self.open("about:blank")
        self.errors()

    def resize(self, width, height):
        size = {"width": width, "height": height}
        self._tell("browsingContext.setViewport", context=self._window, viewport=size)

    def open(self, address):
        self._tell(
            "browsingContext.navigate",
            context=self._window,
            url=address,
            wait="complete",
        )

    def run(self, script, *given):
        """Return what a script returns."""
        answer = self._tell(
            "script.callFunction",
            functionDeclaration=_CALLED.format(script),
            arguments=[{"type": "string", "value": json.dumps(given)}],
            target={"context": self._window},
            awaitPromise=False,
        )
        if answer["type"] == "exception":
            raise AssertionError(f"{answer['exceptionDetails']['text']}: {script}")
        return json.loads(answer["result"]["value"])

    def keys(self, *keys):
        """Press keys one after the other; a capital with Shift held, as people do."""
        pressed = []
        for key in "".join(keys):
            held = ["\ue008", key] if key.isupper() else [key]
            pressed += [{"type": "keyDown", "value": each} for each in held]
            pressed += [{"type": "keyUp", "value": each} for each in held]
        self._perform({"type": "key", "id": "keys", "actions": pressed})

    def drag(self, start, stop):
        """Press at one point of the window, and release at another."""
        middle = [(a + b) / 2 for a, b in zip(start, stop, strict=True)]
        at = [
            {"type": "pointerMove", "x": round(x), "y": round(y)}
            for x, y in (start, middle, stop)
        ]
        down, up = ({"type": f"pointer{way}", "button": 0} for way in ("Down", "Up"))
        actions = [at[0], down, at[1], at[2], up]
        self._perform({"type": "pointer", "id": "mouse", "actions": actions})

    def errors(self):
        """Return what the console complained of since it was asked last."""
        self.run("return 1")  # what was logged before has arrived then
        found = [e["text"] for e in self._logged if e["level"] in ("warn", "error")]
        self._logged = []
        return found

    def close(self):
        self._tell("browser.close")
        self._socket.close()
        self._process.wait(START_S)
        self._profile.cleanup()

    def _perform(self, actions):
        self._tell("input.performActions", context=self._window, actions=[actions])

    def _tell(self, method, **given):
        number = next(self._numbers)
        sent = {"id": number, "method": method, "params": given}
        self._socket.send(json.dumps(sent))
        while True:
            received = json.loads(self._socket.recv())
            if received.get("method") == "log.entryAdded":
                self._logged.append(received["params"])
            if received.get("id") != number:
                continue
            if received["type"] == "error":
                raise AssertionError(f"{method}: {received['message']}")
            return received["result"]


def _read_place(path, process):
    """Return where a browser that is starting listens, once it has written that."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            return json.loads(path.read_text())
        except (FileNotFoundError, ValueError):  # not written, or not whole
            time.sleep(0.05)
    raise AssertionError(f"{FIREFOX} does not start (exit code {process.poll()})")
