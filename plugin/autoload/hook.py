"""Register the format as soon as Pillow is imported.

The start-up file holds this source, so that an interpreter starts as well when diffc is gone, and runs
it when somebody imports ``PIL.Image``.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_under_way: list[str] = []


class Loader:
    """Loads a module as another loader does, and registers the format then."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return a new module, or None for an ordinary one."""
        made: ModuleType | None = self.loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code, then register the format."""
        # nobody needs to know who has loaded it
        module.__spec__.loader = module.__loader__ = self.loader  # type: ignore[union-attr]
        self.loader.exec_module(module)
        # another program's import of Pillow works whatever is wrong here
        try:
            import diffc

            diffc.register()
        except Exception:  # noqa: BLE001
            return


def find_spec(name: str, path: Any, target: Any) -> ModuleSpec | None:
    """Find a module as the finders of this interpreter do, and have it loaded by `Loader`."""
    # other finders may ask all, this one too
    if _under_way:
        return None
    _under_way.append(name)
    try:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                spec.loader = Loader(spec.loader)  # type: ignore[assignment]
                return spec
    finally:
        _under_way.clear()
    return None
