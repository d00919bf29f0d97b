"""Where models are kept on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def store_folder() -> Path:
    """Return the folder of the store: DIFFC_STORE, else ``diffc`` among the user's caches.

    It may not exist yet.
    """
    named = os.environ.get("DIFFC_STORE")
    if named:
        return Path(named).absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "diffc" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "diffc"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    # by the specification of base directories, a relative one is ignored
    return (Path(caches) if os.path.isabs(caches) else Path.home() / ".cache") / "diffc"


def directories_of_environment() -> list[Path]:
    """Return what DIFFC_MODELS names: models, and folders of models."""
    entries = os.environ.get("DIFFC_MODELS", "").split(os.pathsep)
    return [Path(entry) for entry in entries if entry]
