"""Without a network: opening, encoding and decoding work, and never ask for one."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MODEL, RELAY_MODEL
from PIL import Image

import diffc
from diffc.container import Envelope

# in another process nothing of this one has been imported or looked up
_NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise AssertionError("a network was asked for")
class NoSocket(socket.socket):
    __init__ = refuse
socket.socket = NoSocket
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
"""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every use of a socket an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked for")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize(
    ("backend", "model"),
    [("relay", None), ("ddcm", None), ("relay", RELAY_MODEL), ("ddcm", MODEL)],
    ids=["relay", "ddcm", "relay-model", "ddcm-model"],
)
def test_coding_asks_for_no_network(
    photo: Image.Image, backend: str, model: Path | None, allow: bool
) -> None:
    data = diffc.encode(photo, backend=backend, model=model, quality=10, allow_download=allow)
    with diffc.decoding(allow_download=allow), Image.open(io.BytesIO(data)) as image:
        assert image.size == photo.size
        image.load()
    assert diffc.decode(data, allow_download=allow).size == photo.size


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("allow", [False, True])
def test_an_unknown_model_is_not_searched_for_elsewhere(allow: bool) -> None:
    envelope = Envelope(
        codec="ddcm", bitstream_version=1, mode="RGB", size=(64, 48), fingerprint=b"evil"
    )
    data = envelope.build(b"\x1e\0\0\0", b"")
    for read in (
        lambda: diffc.decode(data, allow_download=allow),
        lambda: Image.open(io.BytesIO(data)).load(),
    ):
        with diffc.decoding(allow_download=allow), pytest.raises(OSError, match="6576696c"):
            read()


def test_another_process_needs_no_network_either(photo: Image.Image, tmp_path: Path) -> None:
    paths = [tmp_path / "relay.diffc", tmp_path / "ddcm.diffc"]
    for path in paths:
        diffc.save(photo, path, backend=path.stem, quality=10)
    script = _NO_NETWORK + (
        "import sys, diffc; from PIL import Image\n"
        "for path in sys.argv[1:]:\n"
        "    with Image.open(path) as image: print(image.size, len(image.tobytes()))\n"
        "print([name for name in ('huggingface_hub', 'diffusers', 'transformers',"
        " 'diffc.models.transfer', 'diffc.models.hub') if name in sys.modules])"
    )
    command = [sys.executable, "-W", "error", "-c", script, *map(str, paths)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert made == f"{photo.size} {3 * photo.width * photo.height}\n" * 2 + "[]\n"


def test_listing_models_needs_neither_a_network_nor_torch() -> None:
    script = _NO_NETWORK + (
        "import sys\nfrom diffc.cli.main import main\nmain(['models', 'list'])\n"
        "print([name for name in ('torch', 'numpy', 'safetensors', 'huggingface_hub')"
        " if name in sys.modules])"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert made.splitlines()[0].startswith("NAME")
    assert made.splitlines()[-1] == "[]"


def test_the_refusal_works() -> None:
    script = _NO_NETWORK + "import urllib.request as u\nu.urlopen('http://127.0.0.1:9')"
    command = [sys.executable, "-c", script]
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "a network was asked for" in failed.stderr
