"""Options that several commands share, and what is made of them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from photonsim.chip import Chip, load_chip, override
from photonsim.chip.description import parse_assignment
from photonsim.errors import PhotonsimError
from photonsim.swap import POLICIES, Rule, parse_rule
from photonsim.swap import policy as find_policy
from photonsim.tiles import ENGINES

DEFAULT_CHIP = "lightmatter-envise-2025"
Setting = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the chip.")]
Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="PATTERN=ACTION", help="Where products go, e.g. 'model.embed*=digital'."),
]
Policy = Annotated[str | None, typer.Option(help=f"Rules by name, after --rule: {', '.join(POLICIES)}.")]
Prompt = Annotated[str, typer.Argument(help="The text to go on from.")]
ModelName = Annotated[str, typer.Option("--model", help="A model's name, a .gguf file, or a folder with safetensors.")]
ChipName = Annotated[str, typer.Option("--chip", help="A preset's name, or a chip's .toml file.")]
NewTokens = Annotated[int, typer.Option("--tokens", help="New tokens, at most.")]
Temperature = Annotated[float, typer.Option(help="0 takes the most likely token; 1 draws as the model says.")]
TopP = Annotated[float, typer.Option(help="Draw from the fewest tokens with this share of probability.")]
NoiseSeed = Annotated[int, typer.Option("--seed", help="Seed of the noise and of the draws.")]
Record = Annotated[Path | None, typer.Option("--json", help="Write the complete record here.")]
Engine = Annotated[str, typer.Option(help=f"{', '.join(ENGINES)}.")]


def chosen_chip(name: str, settings: Sequence[str] | None) -> Chip:
    """The chip of `--chip` with what `--set` changes."""
    chip = load_chip(name)
    return override(chip, dict(parse_assignment(each) for each in settings)) if settings else chip


def chosen_rules(rules: Sequence[str] | None, policy: str | None) -> list[Rule]:
    """The rules of `--rule`, then those of `--policy`."""
    return [*map(parse_rule, rules or ()), *(find_policy(policy) if policy is not None else ())]


def check_engine(engine: str) -> None:
    """Refuse an `--engine` that there is not."""
    if engine not in ENGINES:
        raise PhotonsimError(f"--engine {engine} is unknown: it is one of {', '.join(ENGINES)}.")


def check_figure(path: Path | None) -> None:
    """Refuse a figure's name whose ending is of no known format."""
    if path is not None and path.suffix not in (".png", ".pdf", ".svg"):
        raise PhotonsimError(f"--plot {path}: the name must end in .png, .pdf or .svg.")


def plain_console() -> Console:
    """Standard output; 80 columns and no colour where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False, markup=False)
