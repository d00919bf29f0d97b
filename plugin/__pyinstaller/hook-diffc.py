"""What PyInstaller does not find by following imports: adapters and codecs by name, and weights."""

from PyInstaller.utils.hooks import (  # type: ignore[import-untyped]
    collect_data_files,
    collect_submodules,
    copy_metadata,
)

# what an application that opens and saves pictures does without; imports of its own bring them in
_LEFT_OUT = ("bench", "cli", "codecs.training", "conformance", "testing", "__pyinstaller")


def _needed(name: str) -> bool:
    return not any(f"{name}.".startswith(f"diffc.{each}.") for each in _LEFT_OUT)


hiddenimports = collect_submodules("diffc", filter=_needed)
datas = collect_data_files("diffc") + copy_metadata("diffc")
