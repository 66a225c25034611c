"""`photonsim route`: a prompt answered on a chip, and digitally where the chip is not sure."""

from typing import Annotated

import typer
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
from photonsim.cost import baselines
from photonsim.cost.baselines import RUN_BASELINES
from photonsim.errors import check_choice
from photonsim.evaluate.generation import Photonic, generate, origin
from photonsim.evaluate.routing import LEVELS, MEASURES, Route, layer_rules
from photonsim.evaluate.routing import route as routed_answer
from photonsim.models import load, sample_text
from photonsim.models.generation import Sampler, check_prompt
from photonsim.report import check_writable, write_json
from photonsim.report.generation import answers_table, generation_tables
from photonsim.report.routing import layers_table, routed_tables

LAYER = "layer"


def route(
    prompt: Prompt,
    threshold: Annotated[float, typer.Option(help="Digital below this confidence: 0 nothing, 1 everything.")],
    level: Annotated[
        str, typer.Option(help="What is sent: each token, the request, or layers by a calibration text.")
    ] = LEVELS[0],
    confidence: Annotated[str, typer.Option(help=f"Of a token: {', '.join(MEASURES)}.")] = "probability",
    hardware: Annotated[str, typer.Option(help="What computes again; see `photonsim chips`.")] = RUN_BASELINES[0],
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
    json: Record = None,
) -> None:
    """Answer on a chip, and digitally where the chip is not sure. The energy of both is counted."""
    check_choice("--level", level, (*LEVELS, LAYER))
    routing = Route(threshold, LEVELS[0] if level == LAYER else level, confidence)
    check_choice("--hardware", hardware, baselines())
    if json is not None:
        check_writable(json)
    described, rules = chosen_chip(chip, settings), chosen_rules(rule, policy)
    check_engine(engine)
    sampler, console = Sampler(temperature, top_p, seed), plain_console()
    with console.status(f"loading {model}"):
        loaded = load(model)
    check_prompt(loaded, prompt, tokens)
    console.print(Text.assemble((f"{loaded.name} on {described.title}", "bold"), f"\n\n{prompt}\n"))
    record = origin(loaded, described, prompt, sampler, seed)
    if level == LAYER:
        with console.status("one layer after the other on the chip"):
            rules, agreement = layer_rules(loaded, described, sample_text(), threshold, rules=rules, seed=seed)
        console.print(layers_table(agreement, threshold))
        record["layers"] = {"threshold": threshold, "agreement": agreement}
    with console.status(f"programming {described.name}"):
        photonic = Photonic(loaded, described, rules, engine)
    if level == LAYER:
        found = generate(photonic, prompt, tokens, sampler, seed)
        console.print(answers_table(described.name, found.digital.tokens, found.on_chip.tokens, loaded.decode))
        console.print(generation_tables(found))
    else:
        found = routed_answer(photonic, prompt, routing, tokens, sampler, seed, hardware)
        console.print(routed_tables(found, described, loaded.decode))
    if json is not None:
        write_json(record | found.as_dict(), json)
        console.print(f"wrote {json}")
