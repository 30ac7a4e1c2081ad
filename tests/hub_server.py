"""A stand-in of the Hugging Face Hub, on this machine."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest


class Hub(BaseHTTPRequestHandler):
    """Repositories in memory; commits are inline, as for small files."""

    repositories: ClassVar[dict] = {}
    fetched: ClassVar[list] = []

    def log_message(self, *_):
        pass

    def answer(self, value, status=200, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, each in headers.items():
            self.send_header(name.replace("_", "-"), each)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self):
        self.answer({"error": "no"}, 404, X_Error_Code="RepoNotFound")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:3] == ["api", "repos", "create"]:
            values = json.loads(body)
            name = f"{values['organization']}/{values['name']}"
            is_new = name not in self.repositories
            self.repositories.setdefault(name, {})
            answer = {"url": f"http://{self.headers['Host']}/{name}"}
            self.answer(answer, 200 if is_new else 409)
        elif parts == ["api", "validate-yaml"]:
            self.answer({"errors": [], "warnings": []})
        elif "preupload" in parts:
            files = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": f["path"], **modes} for f in files]})
        elif "commit" in parts:
            name = "/".join(parts[2:4])
            for line in body.splitlines():
                value = json.loads(line)
                if value["key"] == "file":
                    content = base64.b64decode(value["value"]["content"])
                    self.repositories[name][value["value"]["path"]] = content
            url = f"http://{self.headers['Host']}/{name}/commit/{'a' * 40}"
            self.answer({"commitUrl": url, "commitOid": "a" * 40})
        else:
            self.missing()

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name = "/".join(parts[2:4])
            if name not in self.repositories:
                return self.missing()
            held = [{"rfilename": each} for each in self.repositories[name]]
            about = {"id": name, "modelId": name, "sha": "a" * 40, "siblings": held}
            return self.answer(about)
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.repositories.get(name, {}).get(file)
        if content is None:
            return self.missing()
        if self.command == "GET":
            self.fetched.append(file)
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(content, ETag=f'"{etag}"', X_Repo_Commit="a" * 40)

    do_HEAD = do_GET


@contextmanager
def serving_hub(cache):
    """Serve repositories, which are yielded; what is fetched goes into the cache."""
    import huggingface_hub.constants as constants

    Hub.repositories, Hub.fetched = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("HF_TOKEN", "hf_nothing")
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        yield Hub.repositories
    server.shutdown()
