"""Models on the Hugging Face Hub: ``hf://owner/name``, or ``hf://owner/name@revision``.

Of a repository only named files are fetched, into the library's own cache: what else it
may hold (pickles, code) is never downloaded. The environment variable ``HF_ENDPOINT``
names another server, and ``HF_TOKEN``, or a login of huggingface_hub, grants access.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.errors import ConfigError, RunError
from mabe.runtime.object_storage import as_url

_ADDRESS = re.compile(
    r"hf://([A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*)(?:@([\w.\-/]+))?/?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A repository of a model, and which of its revisions."""

    repository: str
    """``owner/name``."""
    revision: str | None = None
    """A branch, tag or commit; None: the newest."""

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"hf://{self.repository}{revision}"


def hub_address(path: Path) -> HubAddress | None:
    """Return the address that a path was made of; None for another path.

    Raises `ConfigError` for one that is not like ``hf://owner/name``.
    """
    url = as_url(path)
    if url is None or not url.startswith("hf://"):
        return None
    found = _ADDRESS.fullmatch(url)
    if found is None or ".." in url:
        raise ConfigError(
            f"{url}: expected hf://owner/name, or hf://owner/name@revision"
        )
    return HubAddress(*found.groups())


def fetch_from_hub(address: HubAddress, *, needed: str, also: tuple[str, ...]) -> Path:
    """Fetch a file of a repository, and others if they are there; return the first.

    What is in the cache is not fetched again. Raises `RunError` where the repository
    or the file is absent, access is refused, or the server cannot be reached.
    """
    hub = _library()
    options: dict[str, Any] = {"repo_id": address.repository, "endpoint": _endpoint()}
    with _reaching(address, hub):
        about = hub.HfApi(endpoint=_endpoint()).model_info(
            address.repository, revision=address.revision
        )
        held = sorted(each.rfilename for each in about.siblings or ())
        if needed not in held:
            raise RunError(
                f"{address}: no {needed} there, so it is no model of mabe; it holds "
                f"{', '.join(held[:8]) or 'nothing'}, of which nothing was loaded"
            )
        # All of the same commit, also where somebody pushes meanwhile.
        options["revision"] = about.sha
        for name in also:
            if name in held:
                hub.hf_hub_download(filename=name, **options)
        return Path(hub.hf_hub_download(filename=needed, **options))


def push_to_hub(
    address: HubAddress, files: Mapping[str, bytes], *, private: bool
) -> str:
    """Write files into a repository as one commit, and return its URL.

    A repository that is not there is made. Raises `RunError` where access is refused,
    or the server cannot be reached.
    """
    hub = _library()
    api = hub.HfApi(endpoint=_endpoint())
    if address.revision is not None:
        raise ConfigError(f"{address}: push to hf://owner/name, without a revision")
    with _reaching(address, hub):
        api.create_repo(address.repository, private=private, exist_ok=True)
        commit = api.create_commit(
            address.repository,
            [
                hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
                for name, content in sorted(files.items())
            ],
            commit_message="Model of mabe",
        )
    return str(commit.commit_url)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            f"hf:// needs huggingface_hub ({error}); pip install 'mabe[hub]'"
        ) from None
    return huggingface_hub


@contextmanager
def _reaching(address: HubAddress, hub: Any) -> Iterator[None]:
    """Raise `RunError` for what may go wrong on the way to a repository."""
    errors = hub.errors
    try:
        yield
    except errors.GatedRepoError:
        raise RunError(
            f"{address}: access has to be asked for on its page; then log in (hf auth "
            "login)"
        ) from None
    except errors.RepositoryNotFoundError:
        raise RunError(
            f"{address}: no such repository, or it is private: log in (hf auth login), "
            "or set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise RunError(f"{address}: has no revision {address.revision}") from None
    except errors.HFValidationError as error:
        raise ConfigError(f"{address}: {' '.join(str(error).split())}") from None
    # Its bases are those of the HTTP library, whichever it is.
    except (*errors.HfHubHTTPError.__bases__, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise RunError(
            f"{address}: cannot be reached: {reason}; are you online, logged in (hf "
            "auth login), and allowed to do this?"
        ) from None
