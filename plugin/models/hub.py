"""The hub, through huggingface_hub: what a repository holds, and one file after another.

Imported where the caller has allowed a transfer, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from diffc.errors import ModelNotAvailableError


class PlaceError(OSError):
    """A place does not serve what was asked for; another one may."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Parameters
    ----------
    size : int or None
        Bytes.
    sha256 : str or None
        As the hub publishes it, which it does for large files.
    """

    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """What a repository holds at a commit."""

    revision: str
    files: dict[str, RemoteFile]


def hub_library() -> Any:
    """Import huggingface_hub.

    Raises
    ------
    ModelNotAvailableError
        If it is not installed.
    """
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ModelNotAvailableError(
            "fetching models needs huggingface_hub, which is not installed: "
            'pip install "diffc[models]"'
        ) from error


def listing(place: str, revision: str | None) -> Listing:
    """Ask what a repository holds.

    Parameters
    ----------
    place : str
        The hub id.
    revision : str, optional
        A commit, branch or tag; None is the main branch.

    Raises
    ------
    PlaceError
        If there is no such repository or revision, or it needs a login.
    OSError
        If the hub cannot be reached.
    """
    library = hub_library()
    with _plain_errors(place):
        found = library.HfApi().model_info(place, revision=revision, files_metadata=True)
    if not found.sha:
        raise PlaceError(f"{place} names no commit: try another place")
    files = {
        each.rfilename: RemoteFile(each.size, None if each.lfs is None else each.lfs.sha256)
        for each in found.siblings or ()
    }
    return Listing(found.sha, files)


def download(place: str, name: str, revision: str, folder: Path) -> Path:
    """Bring a file into a folder, from the hub or from its cache on this machine.

    Raises
    ------
    PlaceError
        If it is not served.
    OSError
        If the hub cannot be reached, the transfer breaks, or the disk is full.
    """
    library = hub_library()
    with _plain_errors(place), _no_bars(library):
        return Path(library.hf_hub_download(place, name, revision=revision, local_dir=str(folder)))


@contextmanager
def _no_bars(library: Any) -> Iterator[None]:
    """Keep the library's bars off: there is one of our own, or none."""
    bars = library.utils
    off = bars.are_progress_bars_disabled()
    if not off:
        bars.disable_progress_bars()
    try:
        yield
    finally:
        if not off:
            bars.enable_progress_bars()


@contextmanager
def _plain_errors(place: str) -> Iterator[None]:
    """Turn what the library and its transports raise, of many kinds, into `OSError`."""
    try:
        yield
    except Exception as error:
        raise _plain(place, error) from error


def _plain(place: str, error: Exception) -> OSError:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    if "GatedRepoError" in kinds:
        return PlaceError(f"{place} is open after a login only: run 'hf auth login', then this")
    if kinds & {"RepositoryNotFoundError", "RevisionNotFoundError", "DisabledRepoError"}:
        return PlaceError(f"{place} is not there or has no such revision: try another place")
    if kinds & {"RemoteEntryNotFoundError", "HFValidationError"}:
        return PlaceError(f"{place} does not serve that ({reason}): try another place")
    if "OfflineModeIsEnabled" in kinds:
        return OSError("HF_HUB_OFFLINE forbids to use the network: unset it to fetch models")
    # a full disk, a folder that cannot be written in
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        network = {"ConnectionError", "TimeoutError", "gaierror", "SSLError"}
        if not kinds & network:
            return OSError(error.errno, f"{place} cannot be stored ({error.strerror}): make room")
    return OSError(f"{place} cannot be fetched ({reason}): check the network, then run it again")
