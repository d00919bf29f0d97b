"""Many threads and processes with one image: each call of save gets what it asked for."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from codecs_for_tests import PlanesCodec, SlowCodec
from PIL import Image

import diffc
from diffc.threads import ForkSafeLock

OPTIONS: list[dict[str, Any]] = [
    {"quality": 90},
    {"quality": 3},
    {"target_size": 1500},
    {"bpp": 2.5},
    {"planes": 2},
    {"exif": b"Exif\0\0II*\0"},
    {"xmp": "<x/>" * 40, "quality": 10},
    {"alpha": "drop", "quality": 60},
    {},
]


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_sixteen_threads_save_and_open_as_each_call_asked(
    photo: Image.Image, tmp_path: Path
) -> None:
    shared = [photo, photo.convert("L"), photo.convert("RGBA")]
    expected = {
        (picture, choice): diffc.encode(shared[picture], backend="planes", **options)
        for picture in range(len(shared))
        for choice, options in enumerate(OPTIONS)
    }

    def work(number: int) -> tuple[tuple[int, int], bytes, Image.Image]:
        rng = random.Random(number)
        picture, choice = rng.randrange(len(shared)), rng.randrange(len(OPTIONS))
        image = shared[picture] if number % 3 else shared[picture].copy()
        path, buffer = tmp_path / f"{number}.diffc", io.BytesIO()
        image.save(path if number % 2 else buffer, "DIFFC", backend="planes", **OPTIONS[choice])
        data = path.read_bytes() if number % 2 else buffer.getvalue()
        with Image.open(io.BytesIO(data)) as opened:
            opened.load()
            return (picture, choice), data, opened.copy()

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(200)))
    for key, data, opened in found:
        assert data == expected[key]
        assert opened.tobytes() == diffc.decode(data).tobytes()
    assert not any(getattr(image, "encoderinfo", None) for image in shared)


def test_options_of_a_save_that_still_runs_are_nobodys_business(photo: Image.Image) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def progress(step: int, total: int) -> None:
        inside.set()
        assert go_on.wait(60)

    def saved(**options: Any) -> bytes:
        buffer = io.BytesIO()
        photo.save(buffer, "DIFFC", backend="planes", **options)
        return buffer.getvalue()

    alone = saved(quality=20), saved(bpp=3)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(saved, quality=20, progress=progress)
        assert inside.wait(60)
        second = saved(bpp=3)
        jpeg = io.BytesIO()
        photo.save(jpeg, "JPEG")
        go_on.set()
        assert (first.result(), second) == alone
    usual = io.BytesIO()
    photo.copy().save(usual, "JPEG")
    assert jpeg.getvalue() == usual.getvalue()
    assert not getattr(photo, "encoderinfo", None)


def test_options_set_on_the_image_count_and_stay(photo: Image.Image) -> None:
    photo.encoderinfo = {"quality": 5}
    buffer, direct = io.BytesIO(), io.BytesIO()
    photo.save(buffer, "DIFFC", backend="planes")
    assert buffer.getvalue() == diffc.encode(photo, backend="planes", quality=5)
    assert photo.encoderinfo == {"quality": 5}
    # as a plugin does that writes several formats into one file
    photo.encoderinfo = {"quality": 7, "backend": "planes"}
    Image.SAVE["DIFFC"](photo, direct, "")
    assert direct.getvalue() == diffc.encode(photo, backend="planes", quality=7)


def test_a_failed_save_leaves_no_options_behind(photo: Image.Image) -> None:
    for options in ({"bpp": 0}, {"target_size": 3}):
        with pytest.raises(ValueError, match=r"bpp|bytes"):
            photo.save(io.BytesIO(), "DIFFC", backend="planes", **options)
    assert not getattr(photo, "encoderinfo", None)


def test_options_in_force_at_opening_hold_until_loading(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="planes")

    def loaded(image: Image.Image) -> Any:
        image.load()
        return PlanesCodec.options

    with diffc.decoding(steps=3, realism=0.5):
        image = Image.open(io.BytesIO(data))
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(loaded, image).result()
    assert (found.steps, found.realism) == (3, 0.5)
    with diffc.decoding(steps=3, realism=0.5, allow_download=True):
        image = Image.open(io.BytesIO(data))
    with diffc.decoding(steps=7):
        found = loaded(image)
    # consent is not inherited
    assert (found.steps, found.realism, found.allow_download) == (7, 0.5, False)
    assert loaded(Image.open(io.BytesIO(data))).steps is None


def in_child(work: Callable[[], None]) -> int:
    """Run something in a forked child; return its exit code, 99 if it hangs."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    timer = threading.Timer(60, os.kill, (child, 9))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    return 99 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_decodes(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="slow")
    expected = diffc.decode(path).tobytes()
    image = Image.open(path)
    decoded = SlowCodec.decoded
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(image.load)
        while SlowCodec.decoded == decoded:
            assert not loading.done()

        def work() -> None:
            assert image.tobytes() == expected

        assert in_child(work) == 0
        loading.result()
    assert image.tobytes() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_lock_that_another_thread_holds_is_free_in_a_child() -> None:
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)

    def work() -> None:
        with lock, lock:
            pass

    assert in_child(work) == 0
    done.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_while_another_thread_imports_torch(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="ddcm", quality=0)
    script = f"""
import os, sys, threading, warnings
import diffc
warnings.simplefilter("ignore")
thread = threading.Thread(target=diffc.decode, args=({str(path)!r},))
thread.start()
while "torch" not in sys.modules:
    pass
child = os.fork()
if child == 0:
    diffc.decode({str(path)!r})
    os._exit(0)
thread.join()
timer = threading.Timer(100, os.kill, (child, 9))
timer.start()
_, status = os.waitpid(child, 0)
timer.cancel()
sys.exit(0 if status == 0 else 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_children_do_not_share_the_position_in_a_file(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="planes", quality=100)
    images = [Image.open(path) for _ in range(20)]

    def work() -> None:
        for image in images:
            assert image.tobytes() == photo.tobytes()

    with ThreadPoolExecutor(2) as pool:
        children = [pool.submit(in_child, work) for _ in range(2)]
        work()
        assert [each.result() for each in children] == [0, 0]
