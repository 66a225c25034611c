"""`photonsim scale`: joules per token against the size of the model, for light and for digital hardware."""

from pathlib import Path
from typing import Annotated

import typer

from photonsim.chip import Chip
from photonsim.cli.options import Setting, check_figure, chosen_chip, plain_console
from photonsim.cost import baselines
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import AbstractBaseline
from photonsim.cost.decoder_family import ASPECT, decoder_family, read_size
from photonsim.cost.scaling import advantages, scaling_study
from photonsim.cost.workload import Storage
from photonsim.errors import check_choice
from photonsim.report import check_writable, write_json
from photonsim.report.files import write_csv
from photonsim.report.scaling import (
    CLAIMS,
    Study,
    is_of_size,
    save_scaling_figure,
    scaling_record,
    scaling_rows,
    scaling_tables,
)

CHIP = "optical-transformer-2023"
AGAINST = ("b200-fp8", "nvidia-5nm-int4")


def scale(
    chip: Annotated[
        list[str] | None, typer.Option(help=f"A crossbar's name or .toml file; more than once. Without it, {CHIP}.")
    ] = None,
    smallest: Annotated[str, typer.Option("--from", help="Smallest model: parameters, or a model's name.")] = "gpt2",
    largest: Annotated[str, typer.Option("--to", help="Largest model: parameters, or a model's name.")] = "1e15",
    tokens: Annotated[int, typer.Option(help="Tokens of the prefill that shares the weights.")] = 1024,
    aspect: Annotated[float, typer.Option(help="Width over depth of the models that are only scaled.")] = ASPECT,
    weight_bits: Annotated[int, typer.Option(help="Bits of a weight in memory.")] = 8,
    settings: Setting = None,
    against: Annotated[
        list[str] | None, typer.Option(help=f"Digital baselines beside 300 fJ/MAC. Without it, {' '.join(AGAINST)}.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything here.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a line for each chip and model here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the figure here (.png, .pdf, .svg).")] = None,
) -> None:
    """Joules per token from GPT-2 to a quadrillion parameters: what light gains with width, and what caps it."""
    for path in filter(None, (json, csv, plot)):
        check_writable(path)
    check_figure(plot)
    chips, digital = [chosen_chip(name, settings) for name in chip or [CHIP]], _digital(against or AGAINST)
    family = decoder_family(read_size(smallest), read_size(largest), aspect)
    storage = Storage(weight_bits=weight_bits)
    studies = [_study(each, family, tokens, aspect, digital, storage) for each in chips]
    console = plain_console()
    for study in studies:
        console.print(scaling_tables(study))
    if json is not None:
        write_json([scaling_record(study) for study in studies], json)
        console.print(f"wrote {json}")
    if csv is not None:
        write_csv(scaling_rows(studies), csv)
        console.print(f"wrote {csv}")
    if plot is not None:
        save_scaling_figure(studies, plot)
        console.print(f"wrote {plot}")


def _digital(names: list[str] | tuple[str, ...]) -> tuple[AbstractBaseline, ...]:
    known = baselines()
    for name in names:
        check_choice("--against", name, known)
    return tuple(known[name] for name in names)


def _study(
    chip: Chip,
    family: tuple[Architecture, ...],
    tokens: int,
    aspect: float,
    against: tuple[AbstractBaseline, ...],
    storage: Storage,
) -> Study:
    points = scaling_study(chip, family, tokens, against, storage)
    claimed = [model for model in family if any(is_of_size(model, size) for size, *_ in CLAIMS)]
    reached = {model.name: advantages(chip, model, tokens, storage) for model in claimed}
    return Study(chip, tokens, aspect, against, points, reached)
