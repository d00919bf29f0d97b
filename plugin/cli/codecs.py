"""``diffc codecs``: a list of all codecs, and a page about one; neither numpy nor torch is loaded."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from diffc.cli.arguments import COMMON, described

if TYPE_CHECKING:
    from diffc.codec import Codec
    from diffc.registry import CodecInfo


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "codecs",
        help="list the codecs, or describe one",
        description="List the codecs that are known here, or describe one with its options.",
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the codec to describe")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--markdown", action="store_true", help="tables, as in docs/codecs.md")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from diffc.codec_list import codecs_available
    from diffc.registry import check_name, declaration

    if args.name is not None:
        # loads a third party's package, which is what was asked for
        declaration(check_name(args.name))
    codecs = codecs_available()
    chosen = codecs if args.name is None else {args.name: codecs[args.name]}
    if args.json:
        import json

        print(json.dumps({name: asdict(each) for name, each in chosen.items()}, indent=1))
    elif args.markdown:
        print(markdown(chosen))
    elif args.name is not None:
        print(page(declaration(args.name), chosen[args.name]))
    else:
        for name, each in chosen.items():
            print(_entry(name, each))
    return 0


def _entry(name: str, info: CodecInfo) -> str:
    state = info.origin if info.installed else f"{info.origin}, not installed"
    lines = [f"{name}: {info.description or 'no description'} ({state})"]
    lines += [f"  {key:<8} {value}" for key, value in _facts(info).items()]
    return "\n".join(lines)


def _facts(info: CodecInfo) -> dict[str, str]:
    facts = {
        "models": ", ".join(info.models),
        "weights": info.weights_licence or "",
        "rates": _rates(info),
        "needs": info.needs,
    }
    return {key: value for key, value in facts.items() if value}


def _rates(info: CodecInfo) -> str:
    return "" if info.rates is None else "{:g} to {:g} bpp on photographs".format(*info.rates)


def page(codec: type[Codec], info: CodecInfo) -> str:
    """Return the page about one codec."""
    from diffc.codec import options_of

    facts = {
        "version": f"{codec.bitstream_version} of its bitstream",
        **_facts(info),
        "packages": ", ".join(codec.needs),
        "traits": ", ".join(_traits(codec)),
    }
    lines = [_entry(codec.name, info).splitlines()[0]]
    lines += [f"  {key:<8} {value}" for key, value in facts.items() if value]
    lines.append("options of its encoder:")
    for each in options_of(codec):
        lines += [f"  {each.flag} {each.name.upper()}", f"      {described(each)}"]
    return "\n".join(lines)


def _traits(codec: type[Codec]) -> list[str]:
    return [name.replace("_", " ") for name, holds in asdict(codec.traits).items() if holds]


def markdown(codecs: dict[str, CodecInfo]) -> str:
    """Return tables of codecs and of their options, without what depends on this machine.

    Of codecs that are built in, unless only one is given.
    """
    from diffc.codec import options_of
    from diffc.registry import declaration

    shown = [
        declaration(name)
        for name, each in codecs.items()
        if each.origin == "built in" or len(codecs) == 1
    ]
    lines = [
        "| codec | what it is | rates on photographs | models | traits |",
        "|---|---|---|---|---|",
    ]
    for each in shown:
        lines.append(
            f"| `{each.name}` | {each.description} | {_rates(codecs[each.name]) or 'not measured'} "
            f"| {_models(each)} | {', '.join(_traits(each))} |"
        )
    for each in shown:
        own = [option for option in options_of(each) if option.name not in COMMON]
        if own:
            lines += ["", f"### `{each.name}`", "", "| option | values | default | what it is |"]
            lines.append("|---|---|---|---|")
        for option in own:
            default = "left out" if option.default is None else f"`{option.default!r}`"
            kind = {object: "any", str: "text"}.get(option.type, option.type.__name__)
            lines.append(
                f"| `{option.name}=` | {option.range or kind} | {default} | {option.help} |"
            )
    return "\n".join(lines)


def _models(codec: type[Codec]) -> str:
    names = ", ".join(f"`{name}`" for name in codec.model_names())
    others = [kind.name for kind in codec.kinds if not kind.embedded]
    return "; ".join(filter(None, (names, ", ".join(f"those of kind {each}" for each in others))))
