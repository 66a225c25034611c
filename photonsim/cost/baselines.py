"""The same work on digital hardware: what the photonic chip has to beat.

Two kinds of figure circulate, and they differ by a factor of thirty, so each baseline says which it is:

- `Board`: a whole accelerator at its rated power for as long as the work takes, `E = P_board · t`. The time is a
  roofline at a stated utilisation of the peak, over the board's own memory. Idle and static power, memory and losses
  are all inside: it is what is paid at the board's supply, if the board draws its rating.
- `ComputeFloor`: the best published energy of the multiply-accumulates alone, with the buffers beside them,
  `E = MACs · e + DRAM + vector work`. DRAM traffic, its price per bit and the vector unit are those of the photonic
  chip it stands beside, so that the two differ in how they multiply and in nothing else; package overhead is left out
  in its favour. Its time assumes as many units as reach the photonic chip's peak throughput.

Where a maker publishes no power, the board has an assumed one with a range, and its status says so.

Products, vector operations and DRAM traffic are those of the `Workload`, the same for all. A product that the photonic
chip leaves to its digital unit is an ordinary product here.
"""

import abc
import dataclasses
import importlib.resources
import math
import tomllib
from collections.abc import Mapping
from typing import Any

import equinox as eqx

from photonsim.chip import Chip, Source
from photonsim.cost.bill import ELECTRONICS, MEMORY, Bill, Charge
from photonsim.cost.latency import Latency, Step, vector_step
from photonsim.cost.tariff import DIGITAL_PRODUCTS, DRAM, VECTOR_UNIT, Line, charge
from photonsim.cost.workload import Workload, check_capacity, kept_in_sram, macs
from photonsim.errors import check_count, check_fraction, check_number

BOARD = "board power × time"
RUN_BASELINES = ("h100-int8", "nvidia-5nm-int4", "h100-int8-peak")  # those that a run prints unasked


class AbstractBaseline(eqx.Module):
    """Digital hardware that does a workload; `chip` is the photonic chip it stands beside."""

    name: eqx.AbstractVar[str]
    title: eqx.AbstractVar[str]
    status: eqx.AbstractVar[str]
    sources: eqx.AbstractVar[tuple[tuple[str, Source], ...]]

    @property
    @abc.abstractmethod
    def mac_j_at_peak(self) -> Any:
        """Energy per multiply-accumulate with every unit busy, J."""

    @property
    def tops_per_w_at_peak(self):
        """The same as two operations per multiply-accumulate over its energy, TOPS/W."""
        return 2 / self.mac_j_at_peak / 1e12

    def enough(self, workload: Workload) -> "AbstractBaseline":
        """As much of the hardware as the workload needs to fit: the same, where memory is the photonic chip's."""
        return self

    @abc.abstractmethod
    def latency(self, chip: Chip, workload: Workload) -> Latency:
        """Seconds of one pass, step by step."""

    @abc.abstractmethod
    def energy(self, chip: Chip, workload: Workload) -> Bill:
        """The bill of one pass."""


class Board(AbstractBaseline):
    """A whole accelerator board: `E = P_board · Σ max(MACs / (utilisation · peak / 2), bits / bandwidth)`.

    - `peak_ops_per_s`: dense peak, two operations per multiply-accumulate.
    - `utilisation`: share of the peak that the products reach where arithmetic is the bound, 0–1.
    - `board_power_w`: rated power, memory included, W.
    - `dram_bandwidth_bits_per_s`, `dram_capacity_bits`: of the board's own memory.
    - `sram_capacity_bits`: what it keeps on its die between layers and passes, by the rules of the chip beside it.
    - `vector_operations_per_s`: rate of everything that is not a product.
    - `boards`: how many share the model, each with its share of the work; messages between them are free, in their
      favour.
    """

    name: str = eqx.field(static=True)
    title: str = eqx.field(static=True)
    status: str = eqx.field(static=True)
    peak_ops_per_s: float
    utilisation: float
    board_power_w: float
    dram_bandwidth_bits_per_s: float
    dram_capacity_bits: float
    sram_capacity_bits: float
    vector_operations_per_s: float
    boards: int = eqx.field(static=True, default=1)
    sources: tuple[tuple[str, Source], ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        check_count(f"{self.name}.boards", self.boards)
        check_number(f"{self.name}.sram_capacity_bits", self.sram_capacity_bits, at_least=0.0)
        check_fraction(f"{self.name}.utilisation", self.utilisation)
        for field in ("peak_ops_per_s", "board_power_w", "dram_bandwidth_bits_per_s", "vector_operations_per_s"):
            check_number(f"{self.name}.{field}", getattr(self, field), above=0.0)

    @property
    def mac_j_at_peak(self):
        """See `AbstractBaseline.mac_j_at_peak`: the `0.71 pJ/MAC` of an H100."""
        return 2 * self.board_power_w / self.peak_ops_per_s

    def at_peak(self) -> "Board":
        """The same board with every unit busy, which no program reaches: the figure that data sheets imply."""
        peak = Source("the peak by definition: no program reaches it")
        sources = tuple((name, peak if name == "utilisation" else source) for name, source in self.sources)
        changes: dict[str, Any] = {
            "name": f"{self.name}-peak",
            "title": f"{self.title}, at its peak",
            "sources": sources,
        }
        return dataclasses.replace(self, utilisation=1.0, **changes)

    def enough(self, workload: Workload) -> "Board":
        """As many boards as the workload needs to fit into their memory."""
        return dataclasses.replace(self, boards=math.ceil(workload.resident_bits / self.dram_capacity_bits))

    def latency(self, chip: Chip, workload: Workload) -> Latency:
        """See `AbstractBaseline.latency`; the photonic chip plays no part."""
        workload = kept_in_sram(workload, self.boards * self.sram_capacity_bits)
        macs_per_s = self.boards * self.utilisation * self.peak_ops_per_s / 2
        bandwidth = self.boards * self.dram_bandwidth_bits_per_s
        products = _product_steps(workload, macs_per_s, bandwidth)
        vector = vector_step(workload, self.boards * self.vector_operations_per_s, bandwidth)
        return Latency((*products, vector))

    def energy(self, chip: Chip, workload: Workload) -> Bill:
        """See `AbstractBaseline.energy`; one line, since a board's power is rated as a whole."""
        check_capacity(self.name, workload, self.boards * self.dram_capacity_bits)
        seconds = self.latency(chip, workload).seconds
        line = Line(BOARD, MEMORY, "seconds of a board", "board_power_w", self.boards * seconds)
        limits = ("peak_ops_per_s", "utilisation", "dram_bandwidth_bits_per_s", "vector_operations_per_s")
        return _bill(self, (BOARD,), (charge(line, self, self.sources, limits),), workload, seconds)


class ComputeFloor(AbstractBaseline):
    """The arithmetic alone: `E = MACs · mac_j`, and the photonic chip's own prices for DRAM and vector work.

    - `mac_j`: energy of one multiply-accumulate, J.
    """

    name: str = eqx.field(static=True)
    title: str = eqx.field(static=True)
    status: str = eqx.field(static=True)
    mac_j: float
    sources: tuple[tuple[str, Source], ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        check_number(f"{self.name}.mac_j", self.mac_j, at_least=0.0)

    @property
    def mac_j_at_peak(self):
        """See `AbstractBaseline.mac_j_at_peak`: the floor has no other."""
        return self.mac_j

    def latency(self, chip: Chip, workload: Workload) -> Latency:
        """See `AbstractBaseline.latency`: the photonic chip's peak rate, memory and vector unit."""
        workload = kept_in_sram(workload, chip.memory.sram_capacity_bits)
        bandwidth = chip.memory.dram_bandwidth_bits_per_s
        products = _product_steps(workload, chip.macs_per_cycle * chip.clock_hz, bandwidth)
        return Latency((*products, vector_step(workload, chip.digital.vector_operations_per_s, bandwidth)))

    def energy(self, chip: Chip, workload: Workload) -> Bill:
        """See `AbstractBaseline.energy`."""
        check_capacity(self.name, workload, chip.memory.dram_capacity_bits)
        given, workload = workload, kept_in_sram(workload, chip.memory.sram_capacity_bits)
        read, written, operations = workload.dram_read_bits, workload.dram_write_bits, workload.vector_operations
        beside = (
            Line(DRAM, MEMORY, "bits read", "memory.dram_j_per_bit", float(read)),
            Line(DRAM, MEMORY, "bits written", "memory.dram_j_per_bit", float(written)),
            Line(VECTOR_UNIT, ELECTRONICS, "vector operations", "digital.vector_operation_j", float(operations)),
        )
        own = charge(Line(DIGITAL_PRODUCTS, ELECTRONICS, "MACs", "mac_j", float(workload.macs)), self, self.sources)
        charges = (own, *(charge(line, chip, chip.sources) for line in beside))
        seconds = self.latency(chip, given).seconds
        return _bill(self, (DIGITAL_PRODUCTS, DRAM, VECTOR_UNIT), charges, workload, seconds)


def _product_steps(workload: Workload, macs_per_s, bandwidth_bits_per_s) -> list[Step]:
    """Roofline of every product on a digital unit."""
    return [
        Step(
            product.name,
            digital_s=float(macs(product)) / macs_per_s,
            dram_s=float(workload.weights_from_dram(product)) / bandwidth_bits_per_s,
        )
        for product in workload.products
    ]


def _bill(
    baseline: AbstractBaseline, components: tuple[str, ...], charges: tuple[Charge, ...], workload: Workload, seconds
) -> Bill:
    return Bill(f"{baseline.name}, {workload.phase}", components, charges, float(workload.macs), seconds)


# The ones that ship with photonsim

KINDS: dict[str, type[AbstractBaseline]] = {"board": Board, "floor": ComputeFloor}


def baselines() -> dict[str, AbstractBaseline]:
    """The digital baselines by name: those of `baselines.toml`, and every board at its peak too."""
    text = importlib.resources.files("photonsim.cost").joinpath("baselines.toml").read_text(encoding="utf-8")
    known = [_read(name, table) for name, table in tomllib.loads(text).items()]
    known += [baseline.at_peak() for baseline in known if isinstance(baseline, Board)]
    return {baseline.name: baseline for baseline in known}


def _read(name: str, table: Mapping[str, Any]) -> AbstractBaseline:
    priced = {key: entry for key, entry in table.items() if isinstance(entry, Mapping)}
    sources = tuple((key, _source(entry)) for key, entry in priced.items())
    values = {key: entry["value"] for key, entry in priced.items()}
    kind = KINDS[table["kind"]]
    return kind(name=name, title=table["title"], status=table["status"], sources=sources, **values)


def _source(entry: Mapping[str, Any]) -> Source:
    low, high = entry.get("range", (None, None))
    return Source(entry["source"], entry.get("assumed", False), low, high)
