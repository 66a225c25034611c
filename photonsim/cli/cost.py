"""`photonsim cost` and `photonsim sensitivity`: any model from its config, without weights."""

from pathlib import Path
from typing import Annotated

import typer

from photonsim.chip import Chip
from photonsim.cli.options import DEFAULT_CHIP, Setting, check_figure, chosen_chip, plain_console
from photonsim.cost import baselines, explain, explain_area, load_architecture
from photonsim.cost.architecture import Architecture
from photonsim.cost.break_even import break_even
from photonsim.cost.break_even_map import price_map, shape_map
from photonsim.cost.cluster import SPLITS, several
from photonsim.cost.explanation import explain_vector_work
from photonsim.cost.planning import OBJECTIVES
from photonsim.cost.sensitivity import sensitivities
from photonsim.cost.serving import Request, concurrent_requests, serve, serve_digitally
from photonsim.cost.tariff import VECTOR_UNIT
from photonsim.cost.workload import Storage
from photonsim.errors import PhotonsimError, check_choice, nearest
from photonsim.models.registry import TINY_FOLDER
from photonsim.report import check_writable, write_json
from photonsim.report.cost import cost_tables, mapping_lines
from photonsim.report.cost_figure import save_cost_figure
from photonsim.report.cost_record import Digital, Priced, cost_record, cost_rows
from photonsim.report.files import write_csv
from photonsim.report.sensitivity import sensitivity_table

AGAINST = "nvidia-5nm-int4"
MAPPING, AREA, EVERYTHING = "mapping", "area", "all"  # what can be opened beside a component
OPENED = f"Open a component of the bill, or '{AREA}', '{MAPPING}', '{EVERYTHING}'."
Model = Annotated[str, typer.Argument(help="A built-in architecture, or a Hugging Face config.json.")]
ChipName = Annotated[str, typer.Option("--chip", help="A preset's name, or a chip's .toml file.")]
Prompt = Annotated[int, typer.Option(help="Tokens in.")]
Output = Annotated[int, typer.Option(help="Tokens out.")]
Batch = Annotated[int, typer.Option(help="Requests at once.")]
WeightBits = Annotated[int, typer.Option(help="Bits of a weight in memory.")]


def cost(
    model: Model,
    chip: ChipName = DEFAULT_CHIP,
    prompt: Prompt = 512,
    output: Output = 256,
    batch: Batch = 1,
    chips: Annotated[int, typer.Option(help="Chips that share the model.")] = 1,
    split: Annotated[str, typer.Option(help=f"How they share it: {' or '.join(SPLITS)}.")] = SPLITS[0],
    objective: Annotated[
        str | None, typer.Option(help=f"Map every product as is best for {', '.join(OBJECTIVES)}.")
    ] = None,
    weight_bits: WeightBits = 8,
    kv_bits: Annotated[int, typer.Option(help="Bits of a number in the KV cache.")] = 16,
    settings: Setting = None,
    against: Annotated[str, typer.Option(help="The baseline to break even with.")] = AGAINST,
    explain_: Annotated[str | None, typer.Option("--explain", metavar="COMPONENT", help=OPENED)] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the figure here (.png, .pdf, .svg).")] = None,
    csv_: Annotated[Path | None, typer.Option("--csv", help="Write the lines of the bill here.")] = None,
) -> None:
    """Price a model on a chip from its config alone: prefill, decode, boundaries, baselines, break-even."""
    for path in filter(None, (json, csv_, plot)):
        check_writable(path)
    check_figure(plot)
    check_choice("--split", split, SPLITS)
    if objective is not None:
        check_choice("--objective", objective, OBJECTIVES)
    request, storage = Request(prompt, output, batch), Storage(weight_bits=weight_bits, kv_bits=kv_bits)
    shape, hardware = find_architecture(model), chosen_chip(chip, settings)
    service = serve(hardware, shape, request, storage, objective, chips, split)
    console = plain_console()
    if explain_ is not None and not any((json, csv_, plot)):
        group = several(hardware, chips, split)
        bare = Priced(shape, group, hardware, chips, split, service, 0, (), against, (), objective)
        console.print("\n".join(_explained(bare, explain_)), soft_wrap=True)
        return
    priced = _priced(shape, hardware, service, storage, against, objective, (chips, split))
    console.print("\n".join(_explained(priced, explain_)) if explain_ else cost_tables(priced))
    if json is not None:
        write_json(cost_record(priced), json)
        console.print(f"wrote {json}")
    if csv_ is not None:
        write_csv(cost_rows(priced), csv_)
        console.print(f"wrote {csv_}")
    if plot is not None:
        save_cost_figure(priced, plot)
        console.print(f"wrote {plot}")


def sensitivity(
    model: Model,
    chip: ChipName = DEFAULT_CHIP,
    prompt: Prompt = 512,
    output: Output = 256,
    batch: Batch = 1,
    weight_bits: WeightBits = 8,
    settings: Setting = None,
    json: Annotated[Path | None, typer.Option(help="Write the ranking here.")] = None,
) -> None:
    """Rank the components whose improvement saves most joules of a request."""
    if json is not None:
        check_writable(json)
    shape, hardware = find_architecture(model), chosen_chip(chip, settings)
    request = Request(prompt, output, batch)
    found = sensitivities(hardware, shape, request, Storage(weight_bits=weight_bits))
    console = plain_console()
    console.print(sensitivity_table(shape, hardware, request, found))
    if json is not None:
        write_json([each._asdict() for each in found], json)
        console.print(f"wrote {json}")


def find_architecture(name: str) -> Architecture:
    """A built-in architecture, a config.json, or the small model that ships with photonsim."""
    return load_architecture(TINY_FOLDER / "config.json" if name == "tiny" else name)


def _priced(shape, single: Chip, service, storage, against: str, objective, sharing: tuple[int, str]) -> Priced:
    known, request, hardware = baselines(), service.request, several(single, *sharing)
    check_choice("--against", against, known)
    digital = []
    for name, baseline in known.items():
        if not name.endswith("-peak") or name == against:
            answer = serve_digitally(baseline, hardware, shape, request, storage)
            digital.append(Digital(name, baseline.title, baseline.status, answer.accelerators, answer))
    digital.sort(key=lambda each: float(each.service.j_per_request))
    even = break_even(hardware, shape, request, known[against], storage)
    maps = tuple(draw(hardware, shape, request, known[against], storage) for draw in (price_map, shape_map))
    concurrent = concurrent_requests(hardware, shape, request, storage)
    return Priced(
        shape, hardware, single, *sharing, service, concurrent, tuple(digital), against, even, objective, maps
    )


def _explained(priced: Priced, component: str) -> list[str]:
    """A component of every phase, opened; found by any part of its name."""
    if component == MAPPING:
        if priced.objective is None:
            return ["Every product is mapped as the simulator computes it; --objective energy looks for the best."]
        return mapping_lines(priced)
    if component == AREA:
        return explain_area(priced.single)
    components = priced.service.prefill.site.components
    found = [each for each in components if component.lower() in each.lower() or component == EVERYTHING]
    if not found:
        known = (*components, MAPPING, AREA, EVERYTHING)
        raise PhotonsimError(f"--explain {component}: no such component. {nearest(component, known)}")
    lines = []
    for phase in priced.phases.values():
        for each in found:
            lines += explain(phase.site, each, priced.chip, phase.tokens)
            lines += [*(explain_vector_work(phase.workload) if each == VECTOR_UNIT else ()), ""]
    return lines
