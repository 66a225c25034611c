"""`photonsim coverage`: which products of a model would run on a chip, from its configuration alone."""

from pathlib import Path
from typing import Annotated

import typer

from photonsim.cli.options import DEFAULT_CHIP, Policy, Rules, Setting, chosen_chip, chosen_rules, plain_console
from photonsim.evaluate.coverage import config_coverage
from photonsim.report import check_writable, write_json
from photonsim.report.coverage import coverage_tables


def coverage(
    model: Annotated[
        str, typer.Argument(help="A model's name, a Hugging Face folder, its config.json, a .gguf or an .onnx file.")
    ],
    chip: Annotated[str, typer.Option(help="A preset's name, or a chip's .toml file.")] = DEFAULT_CHIP,
    context: Annotated[
        int | None, typer.Option(help="Tokens of the pass. [default: 512, or what the model takes]")
    ] = None,
    settings: Setting = None,
    rule: Rules = None,
    policy: Policy = None,
    strict: Annotated[bool, typer.Option(help="Refuse products that stay digital without a rule.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write every product here.")] = None,
) -> None:
    """List a model's matrix products, on the chip and off it. No weights are needed, only the configuration."""
    if json is not None:
        check_writable(json)
    described, rules = chosen_chip(chip, settings), chosen_rules(rule, policy)
    name, table = config_coverage(model, described, rules, context, strict)
    console = plain_console()
    console.print(coverage_tables(table, f"{name} on {described.title}"))
    if json is not None:
        write_json(table.as_dict(), json)
        console.print(f"wrote {json}")
