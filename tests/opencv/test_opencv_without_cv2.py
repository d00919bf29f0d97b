"""The OpenCV adapter where OpenCV, or even numpy, is missing."""

from __future__ import annotations

import subprocess
import sys

from PIL import Image

import diffc

_HIDE = """
import sys
for hidden in {hidden!r}:
    sys.modules[hidden] = None
"""


def run_without(hidden: list[str], code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _HIDE.format(hidden=hidden) + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_works_without_opencv_and_numpy() -> None:
    code = """
import diffc.cv, diffc.adapters.opencv
assert diffc.cv.imread is diffc.adapters.opencv.imread
assert diffc.cv.error is ValueError
assert diffc.cv.haveImageWriter("a.diffc") and not diffc.cv.haveImageWriter("a.png")
"""
    run_without(["cv2", "numpy", "torch"], code)


def test_import_loads_neither_opencv_nor_numpy() -> None:
    loaded = run_without(
        [], "import diffc.cv; print(sorted(sys.modules.keys() & {'cv2', 'numpy'}))"
    )
    assert loaded.strip() == "[]"


_WORK = """
import numpy as np
import diffc, diffc.cv as dcv
model, folder = sys.argv[1:]
ours, png = folder + "/a.diffc", folder + "/a.png"

def fails(kind, text, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(call)

pixels = np.arange(16 * 24 * 3).reshape(16, 24, 3).astype(np.uint8)
assert dcv.imwrite(ours, pixels, [dcv.IMWRITE_DIFFC_QUALITY, 20], model=model)
expected = np.array(diffc.decode(ours))
assert (dcv.imread(ours) == expected[:, :, ::-1]).all()
assert (dcv.imread(ours, dcv.IMREAD_COLOR_RGB) == expected).all()
assert dcv.imread(ours, dcv.IMREAD_REDUCED_GRAYSCALE_2).shape == (8, 12)
ok, data = dcv.imencode(".diffc", pixels, model=model)
assert ok and dcv.imdecode(data, dcv.IMREAD_UNCHANGED).shape == pixels.shape
assert dcv.haveImageReader(ours) and not dcv.haveImageReader(png)
assert dcv.imread(folder + "/missing.diffc") is None
assert dcv.imwrite(folder + "/missing/a.diffc", pixels, model=model) is False

fails(ValueError, "above 0", dcv.imencode, ".diffc", pixels, bpp=0)
fails(ValueError, "whole numbers", dcv.imencode, ".diffc", pixels, [1, 0.5])
fails(ValueError, "numpy array", dcv.imdecode, b"bytes", 1)
fails(ValueError, "text or path", dcv.imread, 3)
extra = "pip install 'diffc[opencv]'"
fails(ImportError, extra, dcv.imread, png)
fails(ImportError, extra, dcv.imdecode, np.frombuffer(b"something", np.uint8), 1)
fails(ImportError, extra, dcv.imwrite, folder + "/b.png", pixels)
fails(ImportError, extra, dcv.imencode, ".png", pixels)
"""


def test_files_of_our_own_need_no_opencv(tmp_path, model) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    run_without(["cv2"], _WORK, model, str(tmp_path))
    assert diffc.info(tmp_path / "a.diffc").size == (24, 16)
