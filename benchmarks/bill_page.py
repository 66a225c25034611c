"""Write the page of the bill, `docs/bill.md`, and its figures: `python benchmarks/bill_page.py`.

Every number on the page is computed when this runs, but for the seconds that pricing takes, which `benchmarks/cost.py`
measured into `docs/cost.json`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from photonsim.chip import Chip, load_chip
from photonsim.chip.waterfall import waterfall
from photonsim.cost import baselines, load_architecture
from photonsim.cost.baselines import Board
from photonsim.cost.break_even_map import BreakEvenMap, price_map, shape_map
from photonsim.cost.by_product import product_bills
from photonsim.cost.serving import Phase, Request, Service, serve, serve_digitally
from photonsim.report.cost_figure import (
    draw_components,
    draw_light,
    draw_map,
    draw_products,
    draw_roofline,
    save_figure,
)
from photonsim.report.figure import STYLE
from photonsim.report.quantities import si, significant

DOCS = Path(__file__).resolve().parents[1] / "docs"
MODEL, REQUEST = "llama-3.1-8b", Request(prompt=512, output=256)
CHIPS = (
    "lightening-transformer-b-4bit",
    "lightening-transformer-b-8bit",
    "tempo-2024",
    "lightelligence-pace",
    "lightmatter-envise-2025",
    "neurophos-t100",
)
THREE = ("lightening-transformer-b-4bit", "lightmatter-envise-2025", "neurophos-t100")
MAPPED, AGAINST = "lightening-transformer-b-8bit", "b200-fp8"
BESIDE = ("h100-int8", "b200-fp8", "nvidia-5nm-int4")
PREFILL_ONLY = Request(prompt=512, output=1)


def short(chip: Chip) -> str:
    """A chip's title up to its bracket."""
    return chip.title.split(" (")[0]


def figure(name: str, size: tuple[float, float], columns: int, draw: Callable[[list[Axes]], None]) -> str:
    """One figure of some panels side by side, and the line of the page that shows it."""
    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=size, layout="constrained")
        axes = made.subplots(1, columns)
        draw([axes] if columns == 1 else list(axes))
        save_figure(made, DOCS / f"images/bill_{name}.png")
    return f"![{name.replace('_', ' ')}](images/bill_{name}.png)"


def phases(service: Service) -> dict[str, Phase]:
    """Prefill and decode."""
    assert service.decode is not None
    return {"prefill": service.prefill, "decode": service.decode}


def components(axes: list[Axes], chips: list[Chip], services: list[Service]) -> None:
    for panel, name in zip(axes, ("prefill", "decode"), strict=True):
        shown = {short(chip): phases(each)[name] for chip, each in zip(chips, services, strict=True)}
        draw_components(panel, {title: (phase.bill, phase.tokens) for title, phase in shown.items()})
        panel.set_title(f"{name.capitalize()}, batch 1")
    axes[1].set_yticklabels([])


def layers(axes: list[Axes], chip: Chip, service: Service) -> None:
    for panel, (name, phase) in zip(axes, phases(service).items(), strict=True):
        assert phase.layout is not None
        draw_products(panel, product_bills(chip, phase.layout), phase.tokens)
        panel.set_title(f"{name.capitalize()} on {short(chip)}")


def rooflines(axes: list[Axes], chips: list[Chip], services: list[Service]) -> None:
    board = baselines()["h100-int8"]
    assert isinstance(board, Board)
    for panel, chip, service in zip(axes, chips, services, strict=True):
        draw_roofline(panel, chip, phases(service), board)
        panel.set_title(short(chip))


def light(axes: list[Axes], chips: list[Chip]) -> None:
    for panel, chip in zip(axes, chips, strict=True):
        path = waterfall(chip)
        assert path is not None
        draw_light(panel, path)
        panel.set_title(short(chip))


def maps(axes: list[Axes], found: tuple[BreakEvenMap, BreakEvenMap]) -> None:
    titles = ("512 tokens in, 1 out", "512 tokens in, 256 out")
    for panel, each, title in zip(axes, found, titles, strict=True):
        draw_map(panel, each, AGAINST, (each.x_now, each.y_now))
        panel.set_title(title)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def energies(chips: list[Chip], services: list[Service]) -> str:
    """Joules per token, what bounds the pass, and joules per request, beside digital hardware."""
    model = load_architecture(MODEL)
    known = baselines()
    rows = [(short(chip), service) for chip, service in zip(chips, services, strict=True)]
    rows += [(known[each].title, serve_digitally(known[each], chips[0], model, REQUEST)) for each in BESIDE]
    cells = []
    for title, service in rows:
        per_phase = [
            f"{si(float(phase.j_per_token), 'J')}, {phase.latency.bound_by}" for phase in phases(service).values()
        ]
        ends = (si(float(service.j_per_request), "J"), si(float(service.site_j_per_request), "J"))
        cells.append((title, *per_phase, *ends))
    return table(("hardware", "prefill, J/token", "decode, J/token", "J/request, package", "J/request, site"), cells)


def shares(chip: Chip, service: Service) -> str:
    """What the largest components of decode are, and what of it bounds the time."""
    bill, latency = phases(service)["decode"].bill, phases(service)["decode"].latency
    parts = {name: float(joules) / float(bill.total_j) for name, joules in bill.by_component_j().items()}
    largest = sorted(parts, key=lambda name: -parts[name])[:2]
    words = " and ".join(f"{name} {100 * parts[name]:.0f} %" for name in largest)
    bound = latency.by_bound_s[latency.bound_by] / latency.seconds
    return f"{short(chip)}: {words}; bound by {latency.bound_by} for {100 * float(bound):.0f} % of the time"


def seconds() -> str:
    """What `benchmarks/cost.py` measured."""
    record = json.loads((DOCS / "cost.json").read_text("utf-8"))
    rows = [(name, significant(value, 2)) for name, value in record["processor_s"].items()]
    return table((f"on {record['machine']}, shared with others", "processor seconds"), rows)


def page(pictures: dict[str, str], chips: list[Chip], services: list[Service], found: BreakEvenMap) -> str:
    """The page."""
    model = load_architecture(MODEL)
    facts = "\n".join(f"- {shares(chip, service)}." for chip, service in zip(chips, services, strict=True))
    best, worst = found.best, max(max(row) for row in found.ratio)
    rival, mapped = baselines()[AGAINST].title, short(load_chip(MAPPED))
    low, high, prompt, output = significant(best, 2), significant(worst, 2), REQUEST.prompt, REQUEST.output
    return f"""# What a token costs

Generated by `benchmarks/bill_page.py`. The model is {model.title}, 8-bit weights, 16-bit KV cache; the request
{prompt} tokens in and {output} out, one at a time; the boundary the package with its memory and the laser at the wall,
unless said otherwise. Every chip is the preset of its name, with what is *assumed* in it. The same for any model and
chip:

```sh
photonsim cost llama-3.1-8b --chip lightmatter-envise-2025 --plot bill.png --csv bill.csv --json bill.json
photonsim cost llama-3.1-8b --explain adc      # or area, mapping, all: every line down to its source
```

## Component by component

{pictures["components"]}

{energies(chips, services)}

Largest parts of a decode step, which reads (or writes into cells) every weight for one token:

{facts}

## Layer by layer

{pictures["layers"]}

Layers of a kind are one bar, all of them together. *Vector work* is softmax, norms and the KV cache.

## What bounds the time

{pictures["rooflines"]}

A prefill uses each weight for {prompt} tokens, a decode step at batch 1 for one: two operations for each byte. There no
optics help, and no digital hardware either: the roof is the memory's. Where weights must be written into cells first,
the dashed line is lower still. Attention has no point, since it fetches no weights; `--json` has it by product.

## The way of the light

{pictures["light"]}

Grey is heat in the laser, red is lost, blue is divided: light that other products of the same symbol use. At full scale
(input and weight both 1), losses as in the preset, most of which are *assumed*.

## Where light would win

{pictures["break_even"]}

{mapped} against {rival}, energy of the package. Left, a prompt alone: efficiency of the laser
against energy of all converters, everything else held; the ratio goes from {low} to {high}, and the black line is
even. Right, a whole request: size of the array against batch, the laser held, so that a larger array has fewer photons
for each product; a dash does not fit the memory. A price says nothing of the answer: `photonsim run` does.

## How long pricing takes

{seconds()}

A request is priced from the config alone. Settings that are numbers are swept by one `vmap` over the chip.
"""


def main() -> None:
    """Draw the figures and write the page."""
    model, baseline = load_architecture(MODEL), baselines()[AGAINST]
    chips = [load_chip(name) for name in CHIPS]
    services = [serve(chip, model, REQUEST) for chip in chips]
    three = [(chip, each) for chip, each in zip(chips, services, strict=True) if chip.name in THREE]
    mapped = load_chip(MAPPED)
    prices = price_map(mapped, model, PREFILL_ONLY, baseline, points=61)
    shapes = shape_map(mapped, model, REQUEST, baseline)
    pictures = {
        "components": figure("components", (12, 4.2), 2, lambda axes: components(axes, chips, services)),
        "layers": figure("layers", (12, 4.6), 2, lambda axes: layers(axes, chips[0], services[0])),
        "rooflines": figure(
            "rooflines", (14, 4.6), 3, lambda axes: rooflines(axes, *map(list, zip(*three, strict=True)))
        ),
        "light": figure("light", (14, 3.6), 3, lambda axes: light(axes, [chip for chip, _ in three])),
        "break_even": figure("break_even", (12, 4.8), 2, lambda axes: maps(axes, (prices, shapes))),
    }
    (DOCS / "bill.md").write_text(page(pictures, chips, services, prices), "utf-8")


if __name__ == "__main__":
    main()
