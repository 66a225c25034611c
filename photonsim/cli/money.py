"""`photonsim money` and `photonsim reason`: what a model costs in dollars, and what its thinking costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from photonsim.cli.cost import Batch, ChipName, Model, Output, Prompt, WeightBits, find_architecture
from photonsim.cli.options import DEFAULT_CHIP, Setting, check_figure, chosen_chip, plain_console
from photonsim.cost import baselines
from photonsim.cost.baselines import Board
from photonsim.cost.money import (
    TOKENS_PER_PARAMETER,
    digital_offer,
    photonic_offer,
    train_digitally,
    train_on_light,
)
from photonsim.cost.prices import PHOTONIC, Prices, default_prices, with_prices
from photonsim.cost.reasoning import Question, answers, digital_answers
from photonsim.cost.serving import Request
from photonsim.cost.workload import Storage
from photonsim.errors import PhotonsimError, check_choice, check_count
from photonsim.report import check_writable, write_json
from photonsim.report.files import write_csv
from photonsim.report.money import Bought, money_record, money_rows, money_tables, prices_table
from photonsim.report.reasoning import Thought, save_thought_figure, thought_record, thought_rows, thought_tables

AGAINST = ("h100-int8", "b200-fp8")
THINKING = (0, 1_000, 3_000, 10_000, 30_000, 100_000)
Chips = Annotated[int | None, typer.Option(help="Photonic chips. Without it, as many as hold the model.")]
Price = Annotated[
    list[str] | None, typer.Option("--price", metavar="NAME=DOLLARS", help="Change a price; --prices lists them.")
]
Against = Annotated[list[str] | None, typer.Option(help=f"Boards to compare. Without it, {' '.join(AGAINST)}.")]
Json = Annotated[Path | None, typer.Option(help="Write everything here.")]
Csv = Annotated[Path | None, typer.Option(help="Write the numbers here, one a line.")]


def money(
    model: Annotated[str | None, typer.Argument(help="A built-in architecture, or a config.json.")] = None,
    chip: ChipName = DEFAULT_CHIP,
    prompt: Prompt = 512,
    output: Output = 256,
    batch: Batch = 32,
    chips: Chips = None,
    weight_bits: WeightBits = 8,
    settings: Setting = None,
    price: Price = None,
    against: Against = None,
    train: Annotated[
        float | None, typer.Option(help="Tokens to train on. Without it, 20 for each parameter of a token.")
    ] = None,
    accelerators: Annotated[int, typer.Option(help="Accelerators that train at the same time.")] = 2048,
    prices: Annotated[bool, typer.Option("--prices", help="List all prices with their sources, and stop.")] = False,
    json: Json = None,
    csv: Csv = None,
) -> None:
    """Dollars to serve and to train a model, on photonic chips and on GPUs; the price at which a chip breaks even."""
    for path in filter(None, (json, csv)):
        check_writable(path)
    known, console = chosen_prices(price), plain_console()
    if prices:
        console.print(prices_table(known))
        return
    if model is None:
        raise PhotonsimError("photonsim money needs a model, such as llama-3.1-70b; or --prices for the prices alone.")
    shape, hardware, boards = find_architecture(model), chosen_chip(chip, settings), _boards(against)
    request, storage = Request(prompt, output, batch), Storage(weight_bits=weight_bits)
    check_count("--accelerators", accelerators)
    tokens = TOKENS_PER_PARAMETER * shape.active_parameters if train is None else train
    light = photonic_offer(hardware, shape, request, known, storage, chips)
    offers = [digital_offer(each, hardware, shape, request, known, storage) for each in boards]
    trainings = [train_digitally(each, hardware, shape, tokens, known) for each in boards]
    runs = (train_on_light(hardware, shape, tokens, known), *trainings)
    bought = Bought(shape, hardware, known, (light, *offers), runs, accelerators)
    console.print(money_tables(bought))
    _write(money_record(bought), json, money_rows(bought), csv)


def reason(
    model: Model,
    chip: ChipName = DEFAULT_CHIP,
    thinking: Annotated[
        list[int] | None, typer.Option(help="Thinking tokens; more than once. Without it, 0 to 100,000.")
    ] = None,
    prompt: Prompt = 512,
    answer: Annotated[int, typer.Option(help="Tokens of the answer that follows.")] = 256,
    batch: Batch = 1,
    chips: Chips = None,
    weight_bits: WeightBits = 8,
    settings: Setting = None,
    price: Price = None,
    against: Against = None,
    json: Json = None,
    csv: Csv = None,
    plot: Annotated[Path | None, typer.Option(help="Write the figure here (.png, .pdf, .svg).")] = None,
) -> None:
    """Joules, seconds and dollars of an answer against the tokens that a model thinks before it."""
    for path in filter(None, (json, csv, plot)):
        check_writable(path)
    check_figure(plot)
    known, shape, hardware = chosen_prices(price), find_architecture(model), chosen_chip(chip, settings)
    question, storage = Question(prompt, answer, batch), Storage(weight_bits=weight_bits)
    amounts = sorted(set(thinking or THINKING))
    found = {hardware.name: answers(hardware, shape, question, amounts, known, storage, chips)}
    for board in _boards(against):
        found[board.name] = digital_answers(board, hardware, shape, question, amounts, known, storage)
    thought = Thought(shape, hardware, question, found)
    plain_console().print(thought_tables(thought))
    _write(thought_record(thought), json, thought_rows(thought), csv)
    if plot is not None:
        save_thought_figure(thought, plot)
        plain_console().print(f"wrote {plot}")


def chosen_prices(assignments: Sequence[str] | None) -> Prices:
    """The default prices with what `--price` changes."""
    if not assignments:
        return default_prices()
    return with_prices(dict(_parse_price(each) for each in assignments))


def _parse_price(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        wrong = f"{value!r} is not a number" if equals else "there is no '='"
        raise PhotonsimError(f"--price {text}: {wrong}. Write NAME=DOLLARS, as {PHOTONIC}.price_usd=20000.") from None


def _boards(names: Sequence[str] | None) -> list[Board]:
    known = baselines()
    found = []
    for name in names or AGAINST:
        check_choice("--against", name, known)
        board = known[name]
        if not isinstance(board, Board):
            raise PhotonsimError(f"--against {name}: it is no board that could be bought; take {' or '.join(AGAINST)}.")
        found.append(board)
    return found


def _write(record, json: Path | None, rows, csv: Path | None) -> None:
    console = plain_console()
    if json is not None:
        write_json(record, json)
        console.print(f"wrote {json}")
    if csv is not None:
        write_csv(rows, csv)
        console.print(f"wrote {csv}")
