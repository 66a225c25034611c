"""`photonsim generate`: a prompt answered digitally and on a chip, side by side."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from photonsim.cli.options import (
    DEFAULT_CHIP,
    ChipName,
    Engine,
    ModelName,
    NewTokens,
    NoiseSeed,
    Policy,
    Prompt,
    Record,
    Rules,
    Setting,
    Temperature,
    TopP,
    check_engine,
    chosen_chip,
    chosen_rules,
    plain_console,
)
from photonsim.errors import check_count
from photonsim.evaluate.generation import Photonic, Watch
from photonsim.evaluate.generation import generate as answer
from photonsim.evaluate.samples import sample_answers
from photonsim.models import load
from photonsim.models.generation import Sampler, Token, check_prompt
from photonsim.report import check_writable, write_json
from photonsim.report.generation import answers_table, generation_tables, samples_tables


def generate(
    prompt: Prompt,
    model: ModelName = "tiny",
    chip: ChipName = DEFAULT_CHIP,
    tokens: NewTokens = 64,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: NoiseSeed = 0,
    settings: Setting = None,
    rule: Rules = None,
    policy: Policy = None,
    engine: Engine = "auto",
    samples: Annotated[int, typer.Option(help="Answers of the chip, each with noise and draws of its own.")] = 1,
    json: Record = None,
) -> None:
    """Go on from a prompt, digitally and on a chip side by side: where the answers part, what each costs."""
    check_count("samples", samples)
    if json is not None:
        check_writable(json)
    described, rules = chosen_chip(chip, settings), chosen_rules(rule, policy)
    check_engine(engine)
    sampler = Sampler(temperature, top_p, seed)
    console = plain_console()
    with console.status(f"loading {model}"):
        loaded = load(model)
    check_prompt(loaded, prompt, tokens)
    with console.status(f"programming {described.name}"):
        photonic = Photonic(loaded, described, rules, engine)
    with _side_by_side(photonic, prompt, console) as show:
        result = answer(photonic, prompt, tokens, sampler, seed, watch=show)
    console.print(generation_tables(result))
    record = result.as_dict()
    if samples > 1:
        several = sample_answers(photonic, prompt, samples, tokens, sampler, seed)
        console.print(samples_tables(several, len(result.prompt_tokens)))
        record["samples"] = several.as_dict()
    if json is not None:
        write_json(record, json)
        console.print(f"wrote {json}")


@contextlib.contextmanager
def _side_by_side(photonic: Photonic, prompt: str, console: Console) -> Iterator[Watch]:
    """Shows the two answers as they grow; where the output is no terminal, once, when they are complete."""
    model, chip = photonic.model, photonic.chip
    heading = Text.assemble((f"{model.name} on {chip.title}", "bold"), f"\n\n{prompt}\n")
    live = Live(console=console, auto_refresh=False, vertical_overflow="visible")

    def show(digital: list[Token], on_chip: list[Token]) -> None:
        answers = answers_table(chip.name, [each.id for each in digital], [each.id for each in on_chip], model.decode)
        live.start()
        live.update(Group(heading, answers), refresh=console.is_terminal)

    try:
        yield show
    finally:
        if live.is_started:
            live.stop()
