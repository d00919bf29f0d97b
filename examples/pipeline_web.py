"""A web service that stores photos as DIFFC files and shows thumbnails of them.

    python -m uvicorn --app-dir examples pipeline_web:app
    curl --data-binary @photo.jpg http://127.0.0.1:8000/pictures?bpp=0.1

The answer names the picture: ``/pictures/NAME.diffc`` is the file, ``/pictures/NAME.jpg`` what it shows, at
most 256 pixels a side.  Pictures are kept in memory.  Needs 'diffc[web]'.
"""

from __future__ import annotations

import asyncio
import hashlib
import io

from PIL import Image, ImageOps, UnidentifiedImageError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import diffc
from diffc.registration import MIME

LONGEST_UPLOAD = 20_000_000  # bytes
MOST_PIXELS = 24_000_000
MOST_PICTURES = 1000

_pictures: dict[str, bytes] = {}
# coding keeps a core busy; more at once would only need more memory
_turn = asyncio.Semaphore(1)


def encode(upload: bytes, bpp: float) -> bytes:
    """Return an uploaded picture as a file.

    Raises
    ------
    ValueError
        If it is no picture, or too large a one, or the rate cannot hold.
    """
    try:
        with Image.open(io.BytesIO(upload)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"a picture has at most {MOST_PIXELS} pixels: make it smaller")
            return diffc.encode(ImageOps.exif_transpose(image).convert("RGB"), bpp=bpp)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(f"the upload is no picture that can be read: {error}") from error


def thumbnail(data: bytes, side: int = 256) -> bytes:
    """Return a small JPEG of a file."""
    image = diffc.decode(data)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


async def upload(request: Request) -> Response:
    """Take a picture as the body of a request."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_UPLOAD:
            return JSONResponse({"error": f"at most {LONGEST_UPLOAD} bytes"}, 413)
    try:
        bpp = float(request.query_params.get("bpp", "0.1"))
        async with _turn:
            data = await asyncio.to_thread(encode, bytes(body), bpp)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)
    name = hashlib.sha256(data).hexdigest()[:16]
    while len(_pictures) >= MOST_PICTURES:
        del _pictures[next(iter(_pictures))]
    _pictures[name] = data
    found = diffc.info(data)
    said = {"name": name, "bytes": len(data), "bpp": found.bpp, "uploaded": len(body)}
    return JSONResponse({**said, "size": found.size, "codec": found.codec}, 201)


async def show(request: Request) -> Response:
    """Answer with a picture's file, or with a thumbnail."""
    name, _, kind = request.path_params["name"].partition(".")
    # a key of a table of ours, never a path
    data = _pictures.get(name)
    if data is None or kind not in ("diffc", "jpg"):
        return JSONResponse({"error": "there is no such picture"}, 404)
    if kind == "diffc":
        return Response(data, media_type=MIME)
    async with _turn:
        return Response(await asyncio.to_thread(thumbnail, data), media_type="image/jpeg")


app = Starlette(
    routes=[
        Route("/pictures", upload, methods=["POST"]),
        Route("/pictures/{name}", show),
    ]
)
