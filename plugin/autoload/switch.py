"""Write and remove the start-up file."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Literal

from diffc.errors import reason_of
from diffc.file_io import write_whole

NAME = "diffc-autoload.pth"
_COMMENT = "# Makes DIFFC known to Pillow; 'diffc autoload off' removes this file."

# Python runs a line of such a file if it starts with an import; in a virtual environment, twice.  A
# finder is put before the others, which compiles the hook when Pillow is imported, and not before.
_LINE = (
    "import sys; any(getattr(each, 'name', '') == 'diffc-autoload' for each in sys.meta_path) or "
    "sys.meta_path.insert(0, type(sys.implementation)(name='diffc-autoload', find_spec=lambda name, "
    "path=None, target=None, hook={{}}: None if name != 'PIL.Image' else (hook or exec({hook!r}, hook), "
    "hook['find_spec'](name, path, target))[1]))"
)


def startup_file(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return where the start-up file is, or would be.

    Parameters
    ----------
    folder : path, optional
        A folder whose ``.pth`` files Python reads when it starts; that of the packages of this
        environment if left out.
    """
    return Path(sysconfig.get_path("purelib") if folder is None else folder) / NAME


def switch_on(folder: str | os.PathLike[str] | None = None) -> Path:
    """Write the start-up file; return where it is.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = startup_file(folder)
    try:
        write_whole(path, _content())
    except OSError as error:
        raise OSError(
            f"the start-up file is written into {path.parent}, and that cannot be ({reason_of(error)})"
            ": use an environment of your own, or diffc.register in each process"
        ) from error
    return path


def switch_off(folder: str | os.PathLike[str] | None = None) -> bool:
    """Remove the start-up file; return whether there was one.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    path = startup_file(folder)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OSError(f"{path} cannot be removed ({reason_of(error)}): remove it") from error
    return True


def state(folder: str | os.PathLike[str] | None = None) -> Literal["on", "off", "outdated"]:
    """Return whether there is a start-up file, and of this version of diffc."""
    try:
        found = startup_file(folder).read_bytes()
    except OSError:
        return "off"
    return "on" if found == _content() else "outdated"


def _content() -> bytes:
    hook = Path(__file__).with_name("hook.py").read_text(encoding="utf-8")
    return f"{_COMMENT}\n{_LINE.format(hook=hook)}\n".encode("ascii")
