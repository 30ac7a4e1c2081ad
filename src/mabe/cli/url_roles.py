"""What a URL stands for where a command takes a path.

Each path of a command has a role, given beside its option. A URL in the place of a path
is fetched, or written at the end, by `UrlPlaces`; a command itself has local paths.
What it prints and writes names the URLs.
"""

import inspect
import shutil
import tempfile
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from mabe.errors import ConfigError, MabeError
from mabe.runtime.copies_of_urls import with_urls
from mabe.runtime.model_hub import hub_address
from mabe.runtime.object_storage import as_url, exists
from mabe.runtime.url_mirror import (
    Mirror,
    mirror_file,
    mirror_folder,
    mirror_input,
)

_OF_DATA = ("train.csv", "test.csv", "index.json")


class UrlRole(Enum):
    """What is done with a URL that is given for a path."""

    READ = "read"
    """Its file or folder is fetched."""
    DATA = "data"
    """A data set or a store is read where it is, file by file; others are fetched."""
    FOLDER = "folder"
    """A folder that is read and written: fetched, and put back at the end; of a file,
    what is written beside it is put."""
    FILE = "file"
    """A file that is written: put at the end, with those named after it."""


def roles_of(function: Callable[..., Any]) -> dict[str, UrlRole]:
    """Return the role of each parameter that has one."""
    hints = typing.get_type_hints(function, include_extras=True)
    return {
        name: role
        for name in inspect.signature(function).parameters
        for role in getattr(hints[name], "__metadata__", ())
        if isinstance(role, UrlRole)
    }


def is_data_set(url: str) -> bool:
    """Return whether there is a data set in the standard layout, or a store."""
    return any(exists(f"{url.rstrip('/')}/{name}") for name in _OF_DATA)


@dataclass(slots=True)
class UrlPlaces:
    """The local copies of the URLs that a command was given."""

    held: ExitStack
    mirrors: list[Mirror] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """The URL of each local path, and of each path that is read from its URL."""

    def localize(
        self, given: Mapping[str, Any], roles: Mapping[str, UrlRole]
    ) -> dict[str, Any]:
        """Return a command's values with local paths in the place of URLs.

        Raises `ConfigError` for a URL where there can be none, `DataError` where it
        cannot be read.
        """
        return {
            name: self._localize(name, value, roles.get(name))
            for name, value in given.items()
        }

    def put_back(self) -> None:
        """Put what was written to its URLs."""
        for mirror in self.mirrors:
            mirror.put_back()

    def _localize(self, name: str, value: Any, role: UrlRole | None) -> Any:
        if isinstance(value, list | tuple):
            return [self._localize(name, each, role) for each in value]
        url = as_url(value) if isinstance(value, Path) else None
        if url is None:
            return value
        is_model = role in (UrlRole.READ, UrlRole.FOLDER) and hub_address(value)
        if is_model or (role is UrlRole.DATA and is_data_set(url)):
            # Read where it is. As a path it has one slash less.
            self.names[str(value)] = url
            return value
        if role is None:
            option = name.replace("_", "-")
            raise ConfigError(
                f"{option}: {url}: a URL cannot be used here; give a local path"
            )
        root = Path(tempfile.mkdtemp(prefix="mabe-url-"))
        self.held.callback(shutil.rmtree, root, ignore_errors=True)
        if role in (UrlRole.READ, UrlRole.DATA):
            place = mirror_input(url, root)
        else:
            make = mirror_folder if role is UrlRole.FOLDER else mirror_file
            mirror = make(url, root)
            self.mirrors.append(mirror)
            place = mirror.place
        self.names[str(place)] = url.rstrip("/")
        self.names[str(place.parent)] = url.rstrip("/").rpartition("/")[0]
        return place


@contextmanager
def naming_urls_in_errors() -> Iterator[None]:
    """Within the context, name URLs in errors in the place of local copies."""
    try:
        yield
    except MabeError as error:
        text = with_urls(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None
