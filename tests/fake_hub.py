"""A hub on the loopback device for the real huggingface_hub, and folders for it to serve."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from diffc.models.table import KnownModel, entry_of

REVISION = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def write_pipeline(folder: Path, *, seed: int = 0, text: bool = True) -> Path:
    """Write what a pipeline's directory consists of; no network could be made of the weights."""
    parts = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
    parts |= {"text_encoder": "model"} if text else {}
    generator = torch.Generator().manual_seed(seed)
    for part, stem in parts.items():
        (folder / part).mkdir(parents=True)
        config = {"_class_name": part, "_diffusers_version": "0.30.0", "channels": 4}
        (folder / part / "config.json").write_text(json.dumps(config))
        weights = {"weight": torch.randn(8, 4, generator=generator)}
        save_file(weights, folder / part / f"{stem}.safetensors")
    (folder / "scheduler").mkdir()
    schedule = {"_class_name": "DDIMScheduler", "prediction_type": "epsilon"}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule))
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    return folder


def change_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def known_model(**changes: Any) -> KnownModel:
    """Return an entry of a table: a pipeline that the hub serves under ``org/pipe``."""
    entry = {
        "name": "known",
        "kind": "diffusers",
        "description": "a pipeline",
        "licence": "MIT",
        "licence_url": "https://example.org",
        "commercial": "yes",
        "places": {"org/pipe": None},
    }
    return entry_of(entry | changes)


def write_simple(state: dict[str, torch.Tensor], config: dict[str, Any], folder: Path) -> None:
    """Convert a checkpoint, as the function of a codec would."""
    folder.mkdir()
    if config.get("fail"):
        (folder / "half.safetensors").touch()
        raise OSError("the layers do not fit: get another checkpoint")
    save_file(state, folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps({"kind": "simple", **config}))


@dataclass
class Hub:
    """Repositories by id, what was asked for, and what shall go wrong."""

    address: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    # a file of which only half is sent before the connection breaks
    broken: str | None = None
    # a file that is sent with its last byte changed
    altered: str | None = None
    gated: bool = False

    def serve(self, repository: str, folder: Path) -> None:
        """Offer all files of a folder under a hub id."""
        self.repositories[repository] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def describe(self, repository: str) -> dict[str, Any]:
        """Return what the hub says of a repository; hashes of large files only, as it does."""
        siblings = []
        for name, data in self.repositories[repository].items():
            each: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
            if name.endswith((".safetensors", ".pt")):
                found = hashlib.sha256(data).hexdigest()
                each["lfs"] = {"sha256": found, "size": len(data), "pointerSize": 130}
            siblings.append(each)
        return {
            "_id": "0" * 24,
            "id": repository,
            "modelId": repository,
            "sha": REVISION,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            hub.requests.append(f"{self.command} {path}")
            words = path.strip("/").split("/")
            if words[:2] == ["api", "models"] and "/".join(words[2:4]) in hub.repositories:
                if hub.gated:
                    self._send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
                    return
                if words[4:] not in ([], ["revision", "main"], ["revision", REVISION]):
                    self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
                    return
                body = json.dumps(hub.describe("/".join(words[2:4]))).encode()
                self._send(200, body, {"Content-Type": "application/json"})
                return
            files = hub.repositories.get("/".join(words[:2]), {})
            name = "/".join(words[4:])
            if words[2:3] == ["resolve"] and name in files:
                self._send_file(name, files[name])
                return
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

        def _send_file(self, name: str, data: bytes) -> None:
            tag = hashlib.sha256(data).hexdigest()
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": REVISION}
            if name == hub.altered:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if name == hub.broken and self.command == "GET":
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self._send(200, data, headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    return Handler
