"""Which dataflow is best for each product of a pass, and why.

Every product is laid out in all ways that the tile allows, and the best is taken under an objective: its joules, its
seconds, or their product (`edp`, the energy-delay product). A product's joules are those of its events, and of the
chip's static power for as long as the product takes.
"""

from typing import NamedTuple

from photonsim.chip import Chip
from photonsim.cost.energy import price
from photonsim.cost.latency import mapped_step
from photonsim.cost.mapping import (
    DIGITAL_UNIT,
    Plan,
    dataflows,
    lay_out,
    map_product,
    simulated_plan,
    utilisation,
)
from photonsim.cost.workload import MatrixProduct, Workload
from photonsim.errors import check_choice

OBJECTIVES = ("energy", "latency", "edp")


class Option(NamedTuple):
    """A product under one dataflow: joules and seconds of all its trips, share of the array's time that is used."""

    dataflow: str
    joules: float
    seconds: float
    bound_by: str
    utilisation: float
    cells_written: float

    def score(self, objective: str) -> float:
        """What the objective makes small."""
        return {"energy": self.joules, "latency": self.seconds, "edp": self.joules * self.seconds}[objective]


class Choice(NamedTuple):
    """The options of a product, the best first."""

    product: str
    options: tuple[Option, ...]

    def why(self, objective: str) -> str:
        """The choice in words: the best, what it saves against the next, and what is behind it."""
        best, *others = self.options
        if not others:
            return f"{best.dataflow}: the only way"
        ratio = others[0].score(objective) / best.score(objective) if best.score(objective) else 1.0
        writes = f"{best.cells_written:.3g} cells written against {others[0].cells_written:.3g}"
        against = "as good as" if ratio < 1.0005 else f"×{ratio:.3g} better than"
        return f"{best.dataflow}: {objective} {against} {others[0].dataflow}; {writes}, bound by {best.bound_by}"


def best_plan(chip: Chip, workload: Workload, objective: str) -> tuple[Plan, tuple[Choice, ...]]:
    """The best dataflow for every product, and what it was chosen from. Needs concrete numbers, no traced ones."""
    check_choice("objective", objective, OBJECTIVES)
    usual = simulated_plan(chip, workload)
    settled = lay_out(chip, workload, usual).workload
    flows, choices = [], []
    for product in workload.products:
        if not product.on_chip:
            flows.append(DIGITAL_UNIT)
            continue
        options = [_option(chip, product, each, settled, usual.resident) for each in dataflows(chip.tile)]
        choices.append(Choice(product.name, tuple(sorted(options, key=lambda option: option.score(objective)))))
        flows.append(choices[-1].options[0].dataflow)
    return Plan(tuple(flows), usual.resident), tuple(choices)


def _option(chip: Chip, product: MatrixProduct, dataflow: str, settled: Workload, resident: bool) -> Option:
    mapped = map_product(chip, product, dataflow, resident)
    dram_s = float(settled.weights_from_dram(product)) / chip.memory.dram_bandwidth_bits_per_s
    step = mapped_step(chip, product, mapped, dram_s)
    bill = price(chip, mapped.events * product.trips, step.seconds)
    written = mapped.events.weight_writes * product.trips
    used = utilisation(chip, product, mapped)
    return Option(dataflow, float(bill.total_j), float(step.seconds), step.bound_by, used, written)
