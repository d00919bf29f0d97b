"""What PyInstaller does not find by following imports: adapters and codecs by name, and weights."""

from PyInstaller.utils.hooks import (  # type: ignore[import-untyped]
    collect_data_files,
    collect_submodules,
    copy_metadata,
)

# what an application that opens and saves pictures does without; imports of its own bring them in
_LEFT_OUT = ("bench", "cli", "codecs.training", "conformance", "testing", "__pyinstaller")
# adapters that would bring their host libraries along
_HOSTS = (
    "huggingface_datasets",
    "imageio",
    "kornia",
    "numcodecs",
    "torchvision",
    "webdatasets",
    "zarr",
)


def _needed(name: str) -> bool:
    left_out = (*_LEFT_OUT, *(f"adapters.{each}" for each in _HOSTS))
    return not any(f"{name}.".startswith(f"diffc.{each}.") for each in left_out)


hiddenimports = collect_submodules("diffc", filter=_needed)
datas = collect_data_files("diffc") + copy_metadata("diffc")
