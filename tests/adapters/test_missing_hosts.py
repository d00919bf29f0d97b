"""Adapters where their host libraries are missing: an error that says what to install."""

from __future__ import annotations

import subprocess
import sys

# module of the adapter -> package that it is for, and extra that brings it
ADAPTERS = {
    "imageio": ("imageio", "imageio"),
    "torchvision": ("torchvision", "torchvision"),
    "kornia": ("kornia", "kornia"),
    "huggingface_datasets": ("datasets", "datasets"),
    "webdatasets": ("webdataset", "webdataset"),
    "zarr": ("zarr", "zarr"),
    "fsspec": ("fsspec", "fsspec"),
    "numcodecs": ("numcodecs", "zarr"),
}


def test_the_error_names_the_extra() -> None:
    script = f"""
import sys
from importlib import import_module
for adapter, (package, extra) in {ADAPTERS!r}.items():
    sys.modules[package] = None
    try:
        import_module(f"diffc.adapters.{{adapter}}")
    except ImportError as error:
        assert error.name.partition(".")[0] == package, error
        assert str(error).endswith(f"pip install --upgrade 'diffc[{{extra}}]'"), error
    else:
        raise AssertionError(adapter)
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.stdout == "done\n", done.stderr
