"""What a worker does with the jobs that it is given, in whichever process or machine it is."""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from diffc.batch.task import Job, Outcome, Task
from diffc.errors import reason_of
from diffc.threads import on_one_thread

# torch, numpy and the libraries below them read these when they are loaded
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class Worker:
    """Codes files one after another; models stay loaded from one to the next.

    Parameters
    ----------
    task : Task
        What to do with each.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        if task.initializer is not None:
            task.initializer()

    def work(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Do the jobs; whatever goes wrong with one is told in its outcome."""
        with on_one_thread():
            if self._task.verb == "decode" and len(jobs) > 1 and _on_accelerator(jobs[0]):
                together = _decoded_together(jobs)
                if together is not None:
                    return together
            return [self._done(job) for job in jobs]

    def _done(self, job: Job) -> Outcome:
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = self._made(job)
            # one file of many; a third party's codec may raise anything
            except Exception as error:  # noqa: BLE001
                made = Outcome(job.number, error=_said(error))
        told = list(dict.fromkeys(" ".join(str(each.message).split()) for each in caught))
        return replace(made, seconds=time.perf_counter() - start, warnings=told)

    def _made(self, job: Job) -> Outcome:
        from diffc.batch.files import encode_file, transcode_file

        if self._task.verb == "decode":
            return _decoded(job)
        if self._task.verb == "encode":
            data, (width, height) = encode_file(
                io.BytesIO(job.data),
                job.options,
                keep_profile=self._task.keep_profile,
                keep_metadata=self._task.keep_metadata,
            )
        else:
            data, (width, height) = transcode_file(job.data, job.options, self._task.decode_options)
        return Outcome(job.number, data, codec=_codec_of(data), pixels=width * height)


def _decoded(job: Job) -> Outcome:
    from diffc.batch.files import decode_file
    from diffc.pictures.reading import writable_format

    codec = _codec_of(job.data)
    data, picture = decode_file(job.data, writable_format(job.name), job.options)
    return Outcome(job.number, data, codec=codec, pixels=picture.width * picture.height)


def _decoded_together(jobs: Sequence[Job]) -> list[Outcome] | None:
    """Decode files of one size and codec at once; None if that fails, to find out which it is."""
    from diffc.batch.in_memory import decode_batch
    from diffc.pictures.reading import upright, writable_format
    from diffc.pictures.writing import picture_bytes

    start = time.perf_counter()
    made = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pictures = decode_batch([job.data for job in jobs], **jobs[0].options)
            for job, picture in zip(jobs, pictures, strict=True):
                data = picture_bytes(upright(picture), writable_format(job.name))
                pixels = picture.width * picture.height
                made.append(Outcome(job.number, data, codec=_codec_of(job.data), pixels=pixels))
    except Exception:  # noqa: BLE001  # each by itself says what is wrong with it
        return None
    # nor is it known here whose warnings these are
    if caught:
        return None
    seconds = (time.perf_counter() - start) / len(jobs)
    return [replace(each, seconds=seconds) for each in made]


def _codec_of(data: bytes) -> str:
    from diffc.api import info

    return info(data).codec


def _on_accelerator(job: Job) -> bool:
    """Return whether networks run where several pictures at once are faster than one by one.

    The CPU is no such place; and one by one, pixels do not depend on who else is in the batch.
    """
    device = job.options.get("device") or os.environ.get("DIFFC_DEVICE") or "cpu"
    return not str(device).startswith("cpu")


def _said(error: Exception) -> str:
    expected = (OSError, ValueError, ImportError, MemoryError, Image.DecompressionBombError)
    text = reason_of(error)
    return text if text and isinstance(error, expected) else f"{type(error).__name__}: {text}"
