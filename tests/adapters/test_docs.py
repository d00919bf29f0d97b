"""The examples of docs/adapters.md, as they stand there."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import pytest
from photograph import drawn

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## ([^\n]+)\n+```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
PACKAGES = {
    "imageio": "imageio",
    "torchvision": "torchvision",
    "kornia": "kornia",
    "Hugging Face datasets": "datasets",
    "webdataset": "webdataset",
    "zarr": "zarr",
    "fsspec": "fsspec",
}


def test_every_host_has_an_example() -> None:
    assert list(EXAMPLES) == list(PACKAGES)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forks, on Python 3.12
@pytest.mark.parametrize("host", PACKAGES)
def test_example(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(PACKAGES[host])
    if host == "Hugging Face datasets":
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        datasets.disable_progress_bars()
    monkeypatch.chdir(tmp_path)
    drawn((160, 128), "RGB").save("photo.jpg")
    for name in ("day", "night"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        drawn((160, 128), "RGB").save(tmp_path / "photos" / name / "0.jpg")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(EXAMPLES[host], f"docs/adapters.md, {host}", "exec"), names)  # noqa: S102
    # what an example leaves open is closed here, where that is no warning
    names.clear()
    gc.collect()
