"""`photonsim`: a model through a chip, from the command line.

Input that cannot be right ends with one sentence on the error stream and the exit code 2.
"""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from photonsim.chip import Chip, load_chip, preset_names
from photonsim.cli.cost import cost, sensitivity
from photonsim.cli.coverage import coverage
from photonsim.cli.fit import fit
from photonsim.cli.generate import generate
from photonsim.cli.money import money, reason
from photonsim.cli.options import (
    DEFAULT_CHIP,
    Engine,
    Policy,
    Rules,
    Setting,
    check_engine,
    check_figure,
    chosen_chip,
    chosen_rules,
    plain_console,
)
from photonsim.cli.reproduce import reproduce
from photonsim.cli.route import route
from photonsim.cli.scale import scale
from photonsim.errors import PhotonsimError
from photonsim.evaluate import run as run_model
from photonsim.evaluate.run import versions
from photonsim.models import available, load, open_checkpoint, read_text, sample_text
from photonsim.report import check_writable, chip_tables, chips_table, run_tables, save_run_figure, write_json
from photonsim.tiles import engine_here

app = typer.Typer(
    help="Would an optical chip run my transformer, how accurately, and for how many joules?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (generate, route, coverage, cost, sensitivity, scale, money, reason, reproduce, fit):
    app.command()(command)


def main() -> None:
    """Entry point: run the command, and turn a `PhotonsimError` into its sentence and exit code 2."""
    try:
        app()
    except PhotonsimError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"photonsim: {error}", markup=False)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def run(
    model: Annotated[str, typer.Option(help="A model's name, a .gguf file, or a folder with safetensors.")] = "tiny",
    chip: Annotated[
        list[str] | None,
        typer.Option(help="A preset's name, or a chip's .toml file; more than once for several. [default: Envise]"),
    ] = None,
    text: Annotated[Path | None, typer.Option(help="A UTF-8 text; without it, the address that ships with us.")] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of the text to use.")] = 2048,
    context: Annotated[
        int | None, typer.Option(help="Tokens of a window. [default: 512, or what the model and --tokens allow]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    settings: Setting = None,
    rule: Rules = None,
    policy: Policy = None,
    strict: Annotated[bool, typer.Option(help="Refuse products that stay digital without a rule.")] = False,
    engine: Engine = "auto",
    layer_by_layer: Annotated[
        bool, typer.Option("--layer-by-layer", help="Read a folder's weights as they are needed, not all at once.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the complete record here; a list of several chips'.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure here (.png, .pdf, .svg); several get their chip's name.")
    ] = None,
) -> None:
    """Run a language model digitally and on a chip: accuracy, coverage, energy."""
    for path in filter(None, (json, plot)):
        check_writable(path)
    described = [chosen_chip(name, settings) for name in chip or [DEFAULT_CHIP]]
    plots = _plot_paths(plot, described)
    rules = chosen_rules(rule, policy)
    check_engine(engine)
    passage = sample_text() if text is None else read_text(text)
    console = plain_console()
    with console.status(f"loading {model}"):
        loaded = open_checkpoint(model) if layer_by_layer else load(model)
    longest = max(2, min(512, loaded.longest, tokens))
    settled = {"tokens": tokens, "context": longest if context is None else context, "seed": seed, "rules": rules}
    records = []
    for each, path in zip(described, plots, strict=True):
        with _progress(f"{loaded.name} on {each.name}") as progress:
            result = run_model(loaded, each, passage, strict=strict, engine=engine, progress=progress, **settled)
        console.print(run_tables(result))
        records.append(result.as_dict())
        if path is not None:
            save_run_figure(result, path)
            console.print(f"wrote {path}")
    if json is not None:
        write_json(records[0] if len(records) == 1 else records, json)
        console.print(f"wrote {json}")


@app.command()
def chips(
    name: Annotated[str | None, typer.Argument(help="A preset's name or a chip's .toml file.")] = None,
    settings: Setting = None,
) -> None:
    """List the chips, or print one in full with the source of every number."""
    if name is None:
        plain_console().print(chips_table([load_chip(each) for each in preset_names()]))
    else:
        plain_console().print(chip_tables(chosen_chip(name, settings)))


@app.command()
def doctor() -> None:
    """Say what is installed, which engine runs, and which models are found."""
    engine, how = engine_here()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, number in versions().items():
        table.add_row(name, number)
    table.add_row("devices", f"{', '.join(str(device) for device in jax.devices())}; {os.cpu_count()} CPU cores")
    table.add_row("engine", f"{engine}: {how}")
    extras = (("hf", "transformers"), ("hf", "torch"), ("onnx", "onnx"), ("train", "optax"), ("notebooks", "nbclient"))
    for extra, module in extras:
        found = importlib.util.find_spec(module) is not None
        table.add_row(module, "installed" if found else f'not installed: pip install "photonsim[{extra}]"')
    for name, found, where in available():
        table.add_row(f"model {name}", where if found else f"not found: {where}")
    plain_console().print(table)


@contextlib.contextmanager
def _progress(task: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the error stream, moved by what is given, called with (done, total); silent without a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        number = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(number, completed=done, total=total)


def _plot_paths(plot: Path | None, chips: Sequence[Chip]) -> list[Path | None]:
    """Where each chip's figure goes: the given name, with the chip's own at its end where there are several."""
    if plot is None:
        return [None] * len(chips)
    check_figure(plot)
    return [plot] if len(chips) == 1 else [plot.with_stem(f"{plot.stem}-{chip.name}") for chip in chips]
