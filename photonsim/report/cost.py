"""What a model costs on a chip, as tables of 80 columns."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.cost.bill import SITE_BOUNDARIES, tops_per_w
from photonsim.cost.latency import DRAM, RELOAD, SRAM
from photonsim.cost.mapping import (
    DIGITAL_UNIT,
    DYNAMIC,
    EXCHANGED,
    INPUT_STATIONARY,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
)
from photonsim.cost.serving import Phase
from photonsim.report.chips import area_table
from photonsim.report.cost_record import PACKAGE, Priced, array_used, cost_record
from photonsim.report.layout import plain_table
from photonsim.report.quantities import plain_setting, si, significant

SHORT = {  # what a dataflow does, where there is little room
    WEIGHT_STATIONARY: "weights stay",
    INPUT_STATIONARY: "inputs stay",
    OUTPUT_STATIONARY: "outputs stay",
    DYNAMIC: "both move",
    EXCHANGED: "exchanged",
    DIGITAL_UNIT: "digital",
}


def cost_tables(priced: Priced) -> RenderableType:
    """All that was found, 80 columns wide."""
    title = priced.model.title or priced.model.name
    count = f"{priced.chips} × " if priced.chips > 1 else ""
    heading = Text(f"{title} on {count}{priced.chip.title}", style="bold")
    parts: list[RenderableType] = [heading, _answer(priced), _energy(priced), _boundaries(priced), _products(priced)]
    parts += [area_table(priced.single, priced.chips), _baselines(priced)]
    parts += [*([_break_even(priced)] if priced.break_even else []), *_map_tables(priced), _notes(priced)]
    return Group(*(part for part in parts for part in (part, Text())))


def _answer(priced: Priced) -> Table:
    service, request = priced.service, priced.service.request
    asked = f"{request.prompt} tokens in, {request.output} out" if service.decode else "one pass"
    table = plain_table(
        "A request", f"{asked}, batch {request.batch}; {priced.model.parameters / 1e9:.3g} billion parameters"
    )
    table.add_column("")
    for name in priced.phases:
        table.add_column(name, justify="right")
    phases = list(priced.phases.values())
    table.add_row("energy per token", *(si(float(phase.j_per_token), "J") for phase in phases))
    table.add_row("time of a pass", *(si(float(phase.latency.seconds), "s") for phase in phases))
    table.add_row("bound by", *(phase.latency.bound_by for phase in phases))
    table.add_row("optical array used", *(f"{100 * array_used(phase, priced.chip):.2g} %" for phase in phases))
    table.add_section()
    last = [""] * (len(phases) - 1)
    table.add_row("energy per request", *last, si(float(service.j_per_request), "J"))
    if service.decode:
        table.add_row("first token after, last after", si(service.first_token_s, "s"), si(service.s_per_request, "s"))
        table.add_row("tokens per second, all requests", *last, significant(float(service.tokens_per_s)))
        table.add_row("requests that fit the memory", *last, f"{priced.concurrent:,}")
    return table


def _energy(priced: Priced) -> Table:
    table = plain_table("Energy per token", f"by component; boundary: {PACKAGE}")
    table.add_column("component")
    for name in priced.phases:
        table.add_column(name, justify="right")
        table.add_column("share", justify="right")
    phases = list(priced.phases.values())
    for component in phases[0].bill.components:
        each = [float(phase.bill.component_j(component)) / phase.tokens for phase in phases]
        if any(each):
            shares = [100 * joules / float(phase.j_per_token) for joules, phase in zip(each, phases, strict=True)]
            cells = [cell for j, share in zip(each, shares, strict=True) for cell in (si(j, "J"), f"{share:.1f} %")]
            table.add_row(component, *cells)
    table.add_section()
    totals = [cell for phase in phases for cell in (si(float(phase.j_per_token), "J"), "100 %")]
    table.add_row("total", *totals, style="bold")
    return table


def _boundaries(priced: Priced) -> Table:
    table = plain_table("Boundaries", "each holds the ones above it; a multiply-accumulate is two operations")
    table.add_column("inside")
    for name in priced.phases:
        table.add_column(f"{name}\nJ/token", justify="right")
        table.add_column(f"{name}\nTOPS/W", justify="right")
    table.add_column("J/request", justify="right")
    for boundary in SITE_BOUNDARIES:
        cells = []
        for phase in priced.phases.values():
            cells.append(si(float(phase.site.within_j(boundary)) / phase.tokens, "J"))
            cells.append(significant(float(tops_per_w(phase.site, boundary))))
        table.add_row(boundary, *cells, si(float(priced.service.within_j(boundary)), "J"))
    return table


def _products(priced: Priced) -> Table:
    """Where the time of a token goes, product by product."""
    caption = f"share of a pass, and what bounds it; DRAM is {priced.chip.memory.dram_name}"
    table = plain_table("Where the time goes", caption, tight=True)
    table.add_column("product", overflow="fold")
    table.add_column("dataflow", no_wrap=True)
    for name in priced.phases:
        table.add_column(name, justify="right")
        table.add_column("bound by", no_wrap=True)
    steps = {name: _by_name(phase) for name, phase in priced.phases.items()}
    for product in dict.fromkeys(step for found in steps.values() for step in found):
        cells, flows = [], []
        for name, phase in priced.phases.items():
            step = steps[name].get(product)
            cells += ["–", ""] if step is None else [_percent(step[0] / phase.latency.seconds), step[1]]
            flows += [] if step is None else [step[2]]
        table.add_row(product, SHORT.get(next(filter(None, flows), ""), "–"), *cells)
    return table


def _by_name(phase: Phase) -> dict[str, tuple[float, str, str]]:
    """Seconds, bound and dataflow of the products of a name, those of layers of several kinds together."""
    found: dict[str, tuple[float, str, str]] = {}
    for step in phase.latency.steps:
        seconds = found.get(step.name, (0.0, "", ""))[0] + float(step.seconds)
        found[step.name] = (seconds, step.bound_by, step.dataflow)
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _baselines(priced: Priced) -> Table:
    table = plain_table("The same request elsewhere", "inside the package, and with host and building")
    table.add_column("hardware", overflow="fold")
    for header in ("decode\ntime/token", "decode\nbound by", "package\nJ/request", "site\nJ/request"):
        table.add_column(header, justify="right")
    rows = [(f"{priced.chip.title}, {priced.chip.status}", priced.service, "bold")]
    rows += [
        (f"{f'{each.boards} × ' if each.boards > 1 else ''}{each.title}", each.service, "") for each in priced.digital
    ]
    for title, service, style in rows:
        phase = service.decode or service.prefill
        bound = phase.latency.bound_by
        energies = (si(float(service.j_per_request), "J"), si(float(service.site_j_per_request), "J"))
        table.add_row(title, si(float(phase.s_per_token), "s"), bound, *energies, style=style)
    return table


def _break_even(priced: Priced) -> Table:
    table = plain_table("Break-even", f"J/request inside the package, against {priced.against}; each setting alone")
    table.add_column("setting", overflow="fold")
    for header in ("now", "breaks even at", "× digital now", "at best"):
        table.add_column(header, justify="right")
    for each in priced.break_even:
        at = "never" if each.at is None and not each.wins_now else "always" if each.at is None else significant(each.at)
        ratios = (significant(each.ratio_now), significant(each.ratio_best))
        table.add_row(each.setting, significant(each.now), at, *ratios)
    return table


def _map_tables(priced: Priced) -> list[Table]:
    """Two settings at a time, joules of light over joules of the baseline."""
    tables = []
    for found in priced.maps:
        caption = f"down: {found.y_setting}; across: {found.x_setting}"
        table = plain_table(f"× {priced.against}", caption)
        table.add_column("")
        for value in found.x:
            table.add_column(plain_setting(value), justify="right")
        for value, row in zip(found.y, found.ratio, strict=True):
            cells = ("–" if math.isnan(each) else significant(each) for each in row)
            table.add_row(plain_setting(value), *cells)
        tables.append(table)
    return tables


def _notes(priced: Priced) -> Text:
    lines = []
    if priced.model.assumed:
        lines.append(
            f"{priced.model.title}: {priced.model.source}. The price is that of the profile, not of the model."
        )
    service = priced.service
    if service.decode and service.request.batch == 1:
        lines.append(_why_decode_waits(priced, service.decode))
    if service.prefill.choices:
        lines.append(f"Dataflows are the best for {priced.objective}; --explain mapping says why.")
    if priced.maps and (service.prefill.choices or priced.chips > 1):
        lines.append("Break-even is that of the usual dataflows, and leaves out messages between chips.")
    guesses = len(cost_record(priced)["assumed"])
    lines.append(f"{guesses} settings behind these numbers are assumed; --explain COMPONENT opens a line of the bill.")
    return Text("\n".join(lines))


def _why_decode_waits(priced: Priced, phase: Phase) -> str:
    """Batch 1 reads every weight for one token: what that means here, and on the digital hardware."""
    by_bound_s = phase.latency.by_bound_s
    bound, share = phase.latency.bound_by, _percent(by_bound_s[phase.latency.bound_by] / phase.latency.seconds)
    weights = f"all weights that a token meets, {phase.workload.weight_bits / 8e9:.3g} GB,"
    reason = {
        DRAM: f"{weights} are read from {priced.chip.memory.dram_name} for one token, {share} of its time",
        RELOAD: f"{weights} are fetched and written into the cells for one token, {share} of its time",
        SRAM: f"{weights} are read from SRAM for one token, {share} of its time",
    }.get(bound)
    if reason is None:
        return f"Decode at batch 1 is bound by {bound}, {share} of its time: this chip is slower than its own memory."
    elsewhere = {each.service.decode.latency.bound_by for each in priced.digital if each.service.decode}
    also = " So is all the digital hardware, by DRAM." if elsewhere == {DRAM} else ""
    return (
        f"Decode at batch 1 is memory-bound: {reason}.{also} Light does not help there; a larger --batch shares "
        "the weights."
    )


def mapping_lines(priced: Priced) -> list[str]:
    """Why every product is mapped as it is."""
    lines = []
    for name, phase in priced.phases.items():
        lines.append(f"{name}, best for {priced.objective}:")
        lines += [f"  {choice.product}: {choice.why(priced.objective or '')}" for choice in phase.choices]
    return lines
