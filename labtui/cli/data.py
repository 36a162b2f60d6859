"""The command that looks at data without launching anything."""

import argparse
from dataclasses import dataclass

from engines import catalog
from engines.data.settings import Data
from engines.runs.home import Home
from engines.settings import group, resolve
from labtui.cli.common import OK, USAGE, Command, add_settings, print_json, say, show


@dataclass(frozen=True)
class _Settings:
    data: Data = group(Data)


def add(command: Command) -> None:
    sub = command("data", _data, "show what the lab sees of a source of reviews: classes, lengths, copies, splits")
    sub.add_argument("source", help="a file, a folder, an archive, a data set of the hub, or quickstart")
    add_settings(sub, "data.label=stars")
    sub.add_argument("--model", default="", metavar="NAME", help="count tokens as this model's tokenizer does")
    sub.add_argument(
        "--max-length",
        type=int,
        default=512,
        metavar="TOKENS",
        help="what is longer counts as truncated (default: 512)",
    )
    sub.add_argument("--json", action="store_true", help="print one JSON object")


def _data(arguments: argparse.Namespace) -> int:
    from labtui import inputs

    overrides = {"data.source": arguments.source, **catalog.parse_overrides(arguments.settings, _Settings)}
    data: Data = resolve(_Settings, overrides, "labtui data").data
    description = inputs.describe(Home(), data, arguments.model, max_length=arguments.max_length)
    if arguments.json:
        more = {"notes": inputs.notes(description), "smallest_difference": inputs.smallest_difference(description)}
        print_json({**{key: value for key, value in description.items() if key != "events"}, **more})
    else:
        for line in inputs.lines(description):
            show(line)
    for problem in description["problems"]:
        say(f"labtui: {problem}")
    return USAGE if description["problems"] else OK
