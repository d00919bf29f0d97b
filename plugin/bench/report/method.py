"""How the figures of a run came about: sentences and a machine, for Markdown and the page alike."""

from __future__ import annotations

from diffc.bench.contenders.host_codecs import HOST_CODECS
from diffc.bench.contenders.lookup import SHRUNK
from diffc.bench.contenders.specs import parse_spec
from diffc.bench.measures.available import MEASURES
from diffc.bench.measures.perceptual import weights_sha256
from diffc.bench.report.results import Results

_RULES = (
    (
        "Each codec gives its highest quality whose whole file, header and all, fits the target; the "
        "file is then decoded, and the decoded picture compared with the original. Figures of several "
        "images are means."
    ),
    "Bits per pixel are those of the file over the pixels of the original.",
    (
        "A codec that cannot make so small a file stands with the smallest that it makes, and its line "
        "says so: compare its bits per pixel before its quality."
    ),
)
_LIMITS = (
    "Distances by networks go by features, which a fine mesh of lines can please though people see it "
    "at once: look at the spectrum of detail, too, and at the pictures."
)
_NAMES = {
    "processor": "Processor",
    "cores": "Cores used",
    "memory": "Memory",
    "gpu": "GPU",
    "system": "System",
    "python": "Python",
}


def method(results: Results) -> list[str]:
    """Return sentences on what the figures are, a paragraph each."""
    run_file = results.run_file
    lines = list(_RULES)
    names = {parse_spec(each)[0].removesuffix(SHRUNK) for each in run_file.codecs}
    used = [f"{each.label}: {each.about}" for each in HOST_CODECS.values() if each.name in names]
    if used:
        lines.append(f"Encoders of other formats: {'; '.join(used)}; otherwise their defaults.")
    if any(codec.endswith(SHRUNK) for codec in run_file.codecs):
        lines.append(
            "A codec with -ds codes the picture at 1, 1/1.5, 1/2 or 1/3 of its sides and enlarges "
            "what is decoded, whichever of the files that fit is the best by "
            "the VGG-19 distance; the size to enlarge to is not counted."
        )
    for measure in results.averaged:
        told = ", ".join(filter(None, (measure.unit, measure.hint)))
        about = f": {measure.about}" if measure.about else ""
        lines.append(f"{measure.label}{f' ({told})' if told else ''}{about}.")
    lines.append(_LIMITS)
    for name, why in run_file.missing.items():
        label = MEASURES[name].label if name in MEASURES else name
        lines.append(f"Not measured: {label}. {why[:1].upper()}{why[1:]}.")
    of = "of the package" if run_file.perceptual_weights == weights_sha256() else "another file"
    lines.append(f"Weights of VGG-19: {of}, with SHA-256 {run_file.perceptual_weights[:16]}….")
    return lines


def machine(results: Results) -> list[tuple[str, str]]:
    """Return names and values of what the machine is."""
    return [
        (_NAMES.get(name, name), str(value)) for name, value in results.run_file.machine.items()
    ]
