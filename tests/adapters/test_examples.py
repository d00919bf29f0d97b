"""The examples of whole pipelines, and the script that tries every host."""

from __future__ import annotations

import io
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from photograph import PHOTO, drawn
from PIL import Image

import diffc

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        drawn((320, 256), "RGB").rotate(180 * number).save(folder / f"{number}.png")
    (folder / "note.txt").write_text("no picture")
    return folder


@pytest.fixture
def client() -> Any:
    testclient = pytest.importorskip("starlette.testclient")
    return testclient.TestClient(runpy.run_path(str(EXAMPLES / "pipeline_web.py"))["app"])


def test_a_web_service_stores_and_shows(client: Any) -> None:
    body = PHOTO.read_bytes()
    answer = client.post("/pictures?bpp=0.3", content=body)
    said = answer.json()
    assert answer.status_code == 201
    assert (said["size"], said["uploaded"]) == ([320, 256], len(body))
    assert said["bpp"] <= 0.3
    file = client.get(f"/pictures/{said['name']}.diffc")
    assert file.headers["content-type"] == "image/x-diffc"
    assert (len(file.content), diffc.info(file.content).size) == (said["bytes"], (320, 256))
    shown = client.get(f"/pictures/{said['name']}.jpg")
    assert shown.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(shown.content)) as image:
        assert (image.format, image.size) == ("JPEG", (256, 205))


@pytest.mark.parametrize(
    ("query", "body", "text"),
    [
        ("", b"no picture", "no picture that can be read"),
        ("?bpp=-1", None, "bpp is bits per pixel"),
        ("?bpp=much", None, "could not convert"),
        ("", "large", "at most 24000000 pixels"),
    ],
)
def test_a_web_service_says_what_is_wrong(
    client: Any, query: str, body: bytes | str | None, text: str
) -> None:
    buffer = io.BytesIO()
    size = (6000, 5000) if body == "large" else (8, 8)
    Image.new("RGB", size).save(buffer, "PNG")
    content = body if isinstance(body, bytes) else buffer.getvalue()
    answer = client.post(f"/pictures{query}", content=content)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_a_web_service_opens_no_paths(client: Any) -> None:
    for name in ("none.diffc", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd.jpg", "memory:%2F%2Fa"):
        assert client.get(f"/pictures/{name}").status_code == 404
    assert client.post("/pictures", content=bytes(20_000_001)).status_code == 413


def test_a_network_is_trained_on_coded_pictures(photos: Path) -> None:
    pytest.importorskip("torchvision")
    example = runpy.run_path(str(EXAMPLES / "pipeline_training.py"))
    paths = sorted(photos.glob("*.png"))
    said = example["train"](paths, 2, 0, 1, 32)
    assert said[0].startswith("2 steps of 1 crops of 32x32")
    before, after = map(float, re.findall(r"([\d.]+) dB", said[1]))
    assert 10 < before < 50
    assert abs(after - before) < 3


def test_every_host_is_tried(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, "webdataset", None)
    hosts = ["mimetypes", "fsspec", "webdataset"]
    command = ["hosts.py", str(photos), "--images", "2", "--hosts", *hosts]
    monkeypatch.setattr(sys, "argv", command)
    example = runpy.run_path(str(EXAMPLES / "hosts.py"))
    assert example["main"]() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        *([host, "ok"] for host in hosts[:2]),
        ["webdataset", "skipped"],
    ]

    def broken(given: Any) -> str:
        raise RuntimeError("broken")

    example["HOSTS"]["mimetypes"] = broken
    monkeypatch.setattr(sys, "argv", [*command[:4], "--hosts", "mimetypes"])
    assert example["main"]() == 1
    assert "FAILED" in capsys.readouterr().out
