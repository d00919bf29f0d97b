"""Addresses of fsspec's file systems, in the package's functions and on the command line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc
from diffc import urls
from diffc.cli.main import main

pytest.importorskip("fsspec")
import fsspec

OPTIONS: dict[str, Any] = {"backend": "planes", "quality": 100}


@pytest.fixture(autouse=True)
def memory() -> Iterator[Any]:
    """An empty file system in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("s3://bucket/a.diffc", True),
        ("MEMORY://a", True),
        ("zip://a.diffc::s3://bucket/b.zip", True),
        ("simplecache::https://host/a.diffc", True),
        ("a.diffc", False),
        ("folder/a://b", False),
        ("C:/a.diffc", False),
        ("C://a.diffc", False),
        ("a:b", False),
        (Path("s3://bucket/a.diffc"), False),
        (b"s3://bucket/a.diffc", False),
        (None, False),
    ],
)
def test_only_texts_with_a_scheme_are_addresses(name: object, is_one: bool) -> None:
    assert urls.is_url(name) is is_one


def test_files_are_written_and_read(memory: Any, photo: Image.Image) -> None:
    diffc.save(photo, "memory://folder/a.diffc", **OPTIONS)
    data = memory.cat("/folder/a.diffc")
    assert data == diffc.encode(photo, **OPTIONS)
    assert diffc.decode("memory://folder/a.diffc").tobytes() == photo.tobytes()
    assert diffc.info("memory://folder/a.diffc") == diffc.info(data)
    (batch,) = diffc.decode_batch(["memory://folder/a.diffc"])
    assert batch.tobytes() == photo.tobytes()


def test_file_systems_may_be_nested(tmp_path: Path, photo: Image.Image) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/b.diffc", diffc.encode(photo, **OPTIONS))
    made = diffc.decode(f"zip://in/b.diffc::file://{tmp_path}/a.zip")
    assert made.tobytes() == photo.tobytes()


def test_local_files_appear_whole(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(b"before")
    path.chmod(0o640)
    diffc.save(photo, f"file://{path}", **OPTIONS)
    assert path.read_bytes() == diffc.encode(photo, **OPTIONS)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_there_is_an_error(memory: Any, photo: Image.Image) -> None:
    for call in (diffc.decode, diffc.info):
        with pytest.raises(FileNotFoundError):
            call("memory://no.diffc")
    memory.pipe("/bad.diffc", b"bad")
    with pytest.raises(OSError, match="DIFFC"):
        diffc.decode("memory://bad.diffc")
    PlanesCodec.encoded = 0
    with pytest.raises(ValueError, match="nosuch"):
        diffc.save(photo, "nosuch://a.diffc", **OPTIONS)
    assert PlanesCodec.encoded == 0


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_missing_driver_is_named_before_the_work(photo: Image.Image) -> None:
    PlanesCodec.encoded = 0
    with pytest.raises(ImportError, match="s3fs"):
        diffc.save(photo, "s3://bucket/a.diffc", **OPTIONS)
    with pytest.raises(ImportError, match="s3fs"):
        diffc.decode("s3://bucket/a.diffc")
    assert PlanesCodec.encoded == 0


def test_errors_of_drivers_are_errors_of_files(memory: Any) -> None:
    class Broken(type(memory)):  # type: ignore[misc]
        protocol = "broken"

        def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
            raise RuntimeError("no credentials")

    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(OSError, match="broken://a cannot be reached: no credentials"):
        diffc.decode("broken://a")


def test_names_in_a_file_are_no_addresses(memory: Any, photo: Image.Image) -> None:
    data = diffc.encode(photo, caption="memory://secret.diffc", **OPTIONS)
    memory.pipe("/secret.diffc", diffc.encode(photo.rotate(180), **OPTIONS))
    made = diffc.decode(data)
    assert made.info["caption"] == "memory://secret.diffc"
    assert made.tobytes() == photo.tobytes()


@pytest.fixture
def png(memory: Any, photo: Image.Image) -> str:
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    memory.pipe("/in/a.png", buffer.getvalue())
    return "memory://in/a.png"


def test_the_command_line_takes_addresses(
    memory: Any, png: str, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    coding = ["--backend", "planes", "--quality", "100"]
    assert main(["encode", png, *coding]) == 0
    wanted = diffc.encode(photo, **OPTIONS)
    assert memory.cat("/in/a.diffc") == wanted
    assert main(["encode", png, *coding, "-o", "memory://out/"]) == 0
    assert memory.cat("/out/a.diffc") == wanted
    capsys.readouterr()
    assert main(["info", "memory://out/a.diffc"]) == 0
    assert "planes" in capsys.readouterr().out
    assert main(["decode", "memory://out/a.diffc", "-o", "memory://out/b.png"]) == 0
    assert Image.open(io.BytesIO(memory.cat("/out/b.png"))).tobytes() == photo.tobytes()
    assert main(["metadata", "memory://out/a.diffc", "--strip", "-o", "memory://out/c.diffc"]) == 0
    assert memory.cat("/out/c.diffc") == wanted


def test_the_command_line_spares_what_is_there(
    memory: Any, png: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.pipe("/in/a.diffc", b"before")
    assert main(["encode", png, "--backend", "planes"]) == 1
    assert "memory://in/a.diffc exists: pass --force" in capsys.readouterr().err
    assert main(["encode", png, "--backend", "planes", "-o", png, "--force"]) == 1
    assert "input and output are the same" in capsys.readouterr().err
    assert memory.cat("/in/a.diffc") == b"before"
    assert main(["encode", png, "--backend", "planes", "--force"]) == 0
    assert memory.cat("/in/a.diffc") != b"before"
    assert main(["encode", png, "--backend", "planes", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "a.diffc").read_bytes() == memory.cat("/in/a.diffc")
    assert main(["decode", "memory://in/no.diffc"]) == 1
    assert "memory://in/no.diffc" in capsys.readouterr().err
    assert main(["encode", "zip://a.png::memory://a.zip"]) == 2
    assert "give the output with -o" in capsys.readouterr().err
