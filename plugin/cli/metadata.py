"""``diffc metadata``: EXIF, XMP and ICC profile of DIFFC files, changed without coding again."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from pathlib import Path
from typing import Any

from diffc.cli.items import check_target, plan, run_all, write
from diffc.container.reader import parse_header, read_body
from diffc.container.rewriting import with_metadata
from diffc.errors import DiffcWarning, warn_caller
from diffc.file_io import STANDARD
from diffc.urls import is_url, open_url

# what a flag is called -> name in the container
_KINDS = {"exif": "exif", "xmp": "xmp", "icc": "icc"}


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "metadata",
        help="show or change the metadata of DIFFC files",
        description="Show the metadata of DIFFC files, or change it: the picture is not coded "
        "again, and all its bytes stay. Without -o a file is changed in its place.",
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="file; - is standard input")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="file, existing folder, or - for standard output"
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--strip",
        action="store_true",
        help="remove EXIF, but for the orientation, and XMP; the ICC profile, which colours need, "
        "and the caption stay",
    )
    for kind in _KINDS:
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            f"--set-{kind}",
            metavar="FILE",
            help=f"take the {kind.upper()} in a file, or of a picture",
        )
        group.add_argument(f"--drop-{kind}", action="store_true", help=f"remove the {kind.upper()}")
    parser.set_defaults(run=_run, usage=parser.error)


def _run(args: argparse.Namespace) -> int:
    given = {kind: getattr(args, f"set_{kind}") for kind in _KINDS}
    dropped = [kind for kind in _KINDS if getattr(args, f"drop_{kind}")]
    if not args.strip and not dropped and not any(given.values()):
        if args.output is not None:
            args.usage("nothing is to be changed: give --strip, --set-... or --drop-...")
        return run_all(args.inputs, _show, str, _complain)
    new: dict[str, bytes | None] = dict.fromkeys(dropped)
    new |= {kind: _read(name, kind) for kind, name in given.items() if name is not None}
    items = plan(args.inputs, args.output, ".diffc", args.usage)
    earlier: set[str] = set()

    def work(item: Any) -> None:
        in_place = args.output is None and item.source != STANDARD
        target = item.source if in_place else item.target
        if not in_place:
            check_target(item, earlier, force=args.force)
        earlier.add(target)
        data = _bytes_of(item.source)
        made = with_metadata(data, _changes(data, new, strip=args.strip))
        if made != data or not in_place:
            write(target, made)
        stream = sys.stderr if target == STANDARD else sys.stdout
        print(f"{target}: {len(made)} bytes, {len(made) - len(data):+} of metadata", file=stream)

    return run_all(items, work, str, _complain)


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _bytes_of(name: str) -> bytes:
    if is_url(name):
        with open_url(name) as file:
            return file.read()
    return sys.stdin.buffer.read() if name == STANDARD else Path(name).read_bytes()


def _show(name: str) -> None:
    data = _bytes_of(name)
    header = parse_header(data)
    read_body(header, io.BytesIO(data[header.header_length :]).read)
    print(name)
    for kind, item in header.metadata.items():
        print(f"  {kind:<8} {len(item)} bytes")
    if not header.metadata:
        print("  none")


def _changes(data: bytes, new: dict[str, bytes | None], *, strip: bool) -> dict[str, bytes | None]:
    """Return what changes in one file."""
    from diffc.pictures.exif import only_orientation
    from diffc.pictures.metadata import orientation_in, profile_fits

    header = parse_header(data)
    turned = orientation_in(header.metadata)
    changes: dict[str, bytes | None] = dict(new)
    if strip:
        # a picture must not lie on its side for the sake of privacy
        rest = {"exif": only_orientation(turned) or None, "xmp": None}
        changes = rest | new
    profile = changes.get("icc")
    if profile is not None and not profile_fits(profile, header.mode):
        raise ValueError(f"the ICC profile describes other colours than a {header.mode} file holds")
    if "icc" in changes and profile is None and "icc" in header.metadata:
        warn_caller("without its ICC profile the file's colours are taken for sRGB")
    after = dict(header.metadata) | {k: v for k, v in changes.items() if v is not None}
    after = {key: value for key, value in after.items() if changes.get(key, value) is not None}
    if orientation_in(after) != turned:
        warnings.warn(
            f"the picture is turned otherwise now: its orientation was {turned}",
            DiffcWarning,
            stacklevel=2,
        )
    return changes


def _read(name: str, kind: str) -> bytes:
    """Return metadata of a kind from a file of its own, or from a picture.

    Raises
    ------
    ValueError
        If the file holds none.
    """
    from PIL import Image, UnidentifiedImageError

    from diffc.pictures.exif import PREFIX, exif_of, xmp_of

    data = _bytes_of(name)
    if not data:
        raise ValueError(f"{name} is empty: give a file that holds {kind.upper()}")
    try:
        with Image.open(io.BytesIO(data)) as image:
            profile = image.info.get("icc_profile") or b""
            found = {"exif": exif_of, "xmp": xmp_of}.get(kind, lambda _: profile)(image)
    except UnidentifiedImageError:
        found = data
        right = {
            "exif": data.startswith((PREFIX, b"II*\0", b"MM\0*")),
            "xmp": data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"),
            "icc": data[36:40] == b"acsp",
        }[kind]
        if not right:
            raise ValueError(
                f"{name} is neither {kind.upper()} nor a picture that has it"
            ) from None
    if not found:
        raise ValueError(f"{name} is a picture without {kind.upper()}: give another")
    return bytes(found)
