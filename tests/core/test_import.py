"""What is imported when: nothing heavy before a picture is encoded or decoded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image

import diffc
from diffc.container import Envelope

HEAVY = ("numpy", "torch", "importlib.metadata", "safetensors", "diffc.codecs.shared.models")
HOSTS = ("cv2", "imageio", "torchvision", "kornia", "datasets", "webdataset", "zarr", "fsspec")


def run(script: str, *arguments: object) -> str:
    """Run a script, then print which heavy modules it has imported."""
    script += f"\nimport sys; print([name for name in {HEAVY + HOSTS} if name in sys.modules])"
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_importing_diffc_imports_nothing_heavy() -> None:
    assert run("import diffc") == "[]\n"
    assert run("import diffc, sys; print('diffc.codecs' in sys.modules)") == "False\n[]\n"
    assert run("import diffc; diffc.register(); diffc.info, diffc.decoding, diffc.Codec") == "[]\n"


@pytest.mark.parametrize("codec", ["ddcm", "nobody"])
def test_opening_a_file_imports_nothing_heavy(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.diffc"
    envelope = Envelope(
        codec=codec,
        bitstream_version=1,
        mode="RGB",
        size=(640, 480),
        fingerprint=b"1234",
        metadata={"xmp": b"<x/>"},
    )
    path.write_bytes(envelope.build(b"", b"payload"))
    script = (
        "import sys, diffc; from PIL import Image\n"
        "with Image.open(sys.argv[1]) as im: print(im.format, im.mode, im.size, im.info['xmp'])\n"
        "with Image.open(sys.argv[1]) as im: im.verify()\n"
        "print(diffc.info(sys.argv[1]).codec)"
    )
    assert run(script, path) == f"DIFFC RGB (640, 480) b'<x/>'\n{codec}\n[]\n"


def test_decoding_still_does_all_that_is_needed(tmp_path: Path, model: str) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(Image.new("RGB", (8, 8), "red"), path, model=model, quality=0)
    script = (
        "import sys, diffc; from PIL import Image; print(len(Image.open(sys.argv[1]).tobytes()))"
    )
    made = run(script, path)
    assert made.startswith("192\n")
    assert "'torch'" in made


def test_public_names_are_there_and_are_no_modules(photo: Image.Image) -> None:
    # a submodule of a public name would replace it as soon as it is imported
    diffc.decode(diffc.encode(photo, backend="planes"))
    for name in diffc.__all__:
        assert callable(getattr(diffc, name)), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        diffc.nothing  # noqa: B018
