"""Say what is known about bytes that this release does not read."""

from __future__ import annotations

from diffc.container.layout import CONTAINER_VERSION, MAGIC, VERSION_MASK

_LINE_ENDS_CHANGED = (
    b"\xd1\xfc\n",  # CR LF became LF
    b"\xd1\xfc\r\r",  # LF became CR LF, or CR
)
_READ_AS_TEXT = (
    b"\xc3\x91\xc3\xbc",  # read as Latin-1, written as UTF-8
    b"\xef\xbf\xbd\xef\xbf\xbd\r\n",  # read as UTF-8 with replacement characters
)


def newer_version(version: int) -> str:
    """Return the sentence for a container of a later major version."""
    return f"newer container version {version}, this diffc reads {CONTAINER_VERSION}: update diffc"


def diagnose(prefix: bytes) -> str | None:
    """Recognise files that are meant for diffc or named like its files, but cannot be read.

    Parameters
    ----------
    prefix : bytes
        The first bytes of the file; 16 are enough.

    Returns
    -------
    str or None
        A sentence about a newer container version, damage by a transfer in text mode or a
        stream of the research code of DiffC; None for all else, whole files included.
    """
    if prefix.startswith(MAGIC):
        version = prefix[len(MAGIC)] & VERSION_MASK if len(prefix) > len(MAGIC) else 0
        return newer_version(version) if version > CONTAINER_VERSION else None
    if prefix.startswith(_LINE_ENDS_CHANGED):
        return "a DIFFC file whose line ends were changed by a transfer as text: copy it as binary"
    if prefix.startswith(_READ_AS_TEXT):
        return "a DIFFC file that was read and written as text: copy it again, as binary"
    if _is_research_stream(prefix):
        return (
            "a stream of the DiffC research code, which is not self-describing: "
            "decode it with that code and its configuration"
        )
    return None


def _is_research_stream(prefix: bytes) -> bool:
    """Whether the bytes start with caption length, width, height, step and a zlib caption."""
    if len(prefix) < 12:
        return False
    caption_length = int.from_bytes(prefix[:4], "little")
    zlib_header = int.from_bytes(prefix[10:12], "big")
    return (
        8 <= caption_length <= 65535  # zlib needs 8 bytes for an empty caption
        and prefix[4:6] != b"\0\0"
        and prefix[6:8] != b"\0\0"
        and zlib_header >> 8 == 0x78
        and zlib_header % 31 == 0
    )
