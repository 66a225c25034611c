"""What a model costs in dollars, as tables of 80 columns, as a record for JSON, and as rows for CSV."""

from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.explanation import source_text
from photonsim.cost.money import BreakEvenPrice, Offer, Rate, Training, break_even_price
from photonsim.cost.prices import PHOTONIC, Prices, listed
from photonsim.report.layout import plain_table
from photonsim.report.quantities import PREFIXES, si, significant


class Bought(NamedTuple):
    """Everything that `photonsim money` finds out; of `offers` and `trainings` the first is the photonic chip's."""

    model: Architecture
    chip: Chip
    prices: Prices
    offers: tuple[Offer, ...]
    trainings: tuple[Training, ...]
    accelerators: int  # that a training runs on

    @property
    def price_usd(self) -> float:
        """Of a photonic chip."""
        return self.prices.accelerators[PHOTONIC].price_usd

    def break_even(self, other: Offer) -> BreakEvenPrice:
        """Price of a photonic chip at which it costs what `other` does."""
        return break_even_price(self.offers[0], self.price_usd, other)


# Dollars


def usd(value: float | None) -> str:
    """Dollars with three digits: `$0.0012`, `$41.2`, `$5.58 M`."""
    if value is None:
        return "–"
    if abs(value) < 1e4:
        return f"${significant(value)}"
    return f"${si(value, '').strip()}".replace("G", "B") if value < 1e15 else f"${value:.2e}"


def duration(seconds: float) -> str:
    """Seconds as a person waits them: `333 ms`, `7.3 min`, `4.1 h`, `12 days`."""
    for unit, each in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * each:
            return f"{significant(seconds / each)} {unit}"
    return si(seconds, "s")


# The record


def money_record(bought: Bought) -> dict[str, Any]:
    """All of it as plain data."""
    request = bought.offers[0].service.request
    return {
        "model": {"name": bought.model.name, "parameters": bought.model.parameters, "assumed": bought.model.assumed},
        "chip": {"name": bought.chip.name, "status": bought.chip.status, "price_usd": bought.price_usd},
        "request": dict(request._asdict()),
        "serving": [_offer_record(each, bought) for each in bought.offers],
        "training": [_training_record(each, bought.accelerators) for each in bought.trainings],
        "prices": prices_record(bought.prices),
    }


def _offer_record(each: Offer, bought: Bought) -> dict[str, Any]:
    light = each is bought.offers[0]
    return {
        "name": each.name,
        "title": each.title,
        "accelerators": each.accelerators,
        "input_usd_per_million": _rate_record(each.input),
        "output_usd_per_million": _rate_record(each.output) if each.output else None,
        "request_usd": float(each.request_usd),
        "rented_input_usd_per_million": each.rented_input_usd,
        "rented_output_usd_per_million": each.rented_output_usd,
        "photonic_chip_breaks_even_at": None if light else bought.break_even(each)._asdict(),
    }


def _rate_record(rate: Rate) -> dict[str, float]:
    hardware, energy = float(rate.hardware_usd), float(rate.energy_usd)
    return {"total": hardware + energy, "hardware": hardware, "energy": energy}


def _training_record(each: Training, accelerators: int) -> dict[str, Any]:
    return each._asdict() | {"usd": each.usd, "accelerators": accelerators, "days": each.days(accelerators)}


def prices_record(prices: Prices) -> list[dict[str, Any]]:
    """Every price with where it is from."""
    return [
        {
            "name": name,
            "value": value,
            "source": source.text,
            "assumed": source.assumed,
            "range": None if source.low is None else [source.low, source.high],
        }
        for name, value, source in listed(prices)
    ]


def money_rows(bought: Bought) -> list[list[str | float]]:
    """One number a line for CSV: what, hardware, item, dollars."""
    rows: list[list[str | float]] = [["what", "hardware", "item", "usd"]]
    for each in bought.offers:
        for name, rate in (("million tokens in", each.input), ("million tokens out", each.output)):
            if rate is not None:
                rows.append([name, each.name, "hardware", float(rate.hardware_usd)])
                rows.append([name, each.name, "energy", float(rate.energy_usd)])
    for run in bought.trainings:
        items = {"hardware": run.hardware_usd, "energy": run.energy_usd, "people": run.people_usd, "data": run.data_usd}
        rows += [["training", run.name, item, value] for item, value in items.items()]
    return rows


# The tables


def money_tables(bought: Bought) -> RenderableType:
    """All that was found, 80 columns wide."""
    heading = Text(f"{bought.model.title or bought.model.name}, in dollars", style="bold")
    parts = [heading, _serving_table(bought), *([_break_even_table(bought)] if bought.offers[1:] else [])]
    parts += [_training_table(bought), _notes(bought)]
    return Group(*(part for part in parts for part in (part, Text())))


def _serving_table(bought: Bought) -> Table:
    request = bought.offers[0].service.request
    out = f"{request.output} out, " if bought.offers[0].output else ""
    tokens = bought.offers[0].service.prefill.tokens // request.batch
    caption = f"{tokens} tokens in, {out}{request.batch} requests at once"
    table = plain_table("Dollars for a million tokens", caption, tight=True)
    table.add_column("", justify="right")
    table.add_column("hardware", overflow="fold")
    for header in ("in", "out", "of it\nenergy", "rented,\nin", "rented,\nout", "a request"):
        table.add_column(header, justify="right", no_wrap=True)
    for each in bought.offers:
        written = usd(float(each.output.usd)) if each.output else "–"
        share = 100 * float(each.request_energy_usd / each.request_usd)
        cells = (usd(float(each.input.usd)), written, f"{share:.2g} %")
        rents = (usd(each.rented_input_usd), usd(each.rented_output_usd))
        style = "bold" if each is bought.offers[0] else ""
        table.add_row(f"{each.accelerators} × ", each.name, *cells, *rents, usd(float(each.request_usd)), style=style)
    return table


def _break_even_table(bought: Bought) -> Table:
    caption = f"now {usd(bought.price_usd)}; none if electricity is dearer"
    table = plain_table("Price of a chip at which it costs the same", caption)
    table.add_column("against")
    for header in ("a token in", "a token out", "a request"):
        table.add_column(header, justify="right")
    for each in bought.offers[1:]:
        even = bought.break_even(each)
        written = _even(even.output_usd) if each.output else "–"
        table.add_row(each.name, _even(even.input_usd), written, _even(even.request_usd))
    return table


def _even(price_usd: float | None) -> str:
    return "none" if price_usd is None else usd(price_usd)


def _training_table(bought: Bought) -> Table:
    first = bought.trainings[0]
    caption = f"{short(first.tokens)} tokens, {first.operations:.3g} operations; {bought.accelerators:,} accelerators"
    table = plain_table("Training", caption, tight=True)
    table.add_column("hardware", overflow="fold")
    for header in ("hours", "days", "hardware", "energy", "people\nand data", "all", "rented"):
        table.add_column(header, justify="right", no_wrap=True)
    for run in bought.trainings:
        dollars = (run.hardware_usd, run.energy_usd, run.people_usd + run.data_usd, run.usd, run.rented_usd)
        days = significant(run.days(bought.accelerators))
        style = "bold" if run is first else ""
        table.add_row(run.name, short(run.accelerator_hours), days, *map(usd, dollars), style=style)
    return table


def _notes(bought: Bought) -> Text:
    lines = []
    if bought.model.assumed:
        lines.append(
            f"{bought.model.title}: {bought.model.source}. The price is that of the profile, not of the model."
        )
    light, others = bought.offers[0], bought.offers[1:]
    if others:
        best = min(others, key=lambda each: float(each.request_usd))
        ratio = significant(float(light.request_usd / best.request_usd))
        lines.append(f"At {usd(bought.price_usd)} a chip, a request costs {ratio} times what it does on {best.name}.")
    lines.append(
        "Training on light is priced as three forward passes for each token, by the chip's own bill. Nobody has done "
        "it, and whether it would learn is not asked."
    )
    run, prices = bought.trainings[0], bought.prices
    lines.append(
        f"People and data are the same assumed {usd(run.people_usd + run.data_usd)} for every model. Serving hardware "
        f"is used for {100 * prices.busy_share:.0f} % of its hours, owned or rented; idle, it draws no power."
    )
    guesses = sum(source.assumed for _, _, source in listed(prices))
    lines.append(f"{guesses} prices are assumed and dated: --prices lists them, --price NAME=DOLLARS changes one.")
    return Text("\n".join(lines))


def short(number: float) -> str:
    """A large count with three digits: `2.79M`, `14.8T`."""
    if number < 1000:
        return significant(number)
    if number >= 10.0 ** max(PREFIXES) * 1000:
        return f"{number:.3g}"
    return si(number, "").replace(" ", "").replace("G", "B").replace("P", "Q")


def prices_table(prices: Prices) -> Table:
    """Every price, its range and its source."""
    table = plain_table("Prices", "US dollars; each is set by --price NAME=VALUE")
    table.add_column("price", overflow="fold", ratio=4)
    table.add_column("value", justify="right", ratio=2)
    table.add_column("source", overflow="fold", ratio=6)
    for name, value, source in listed(prices):
        table.add_row(name, f"{value:,.6g}", source_text(source))
    return table
