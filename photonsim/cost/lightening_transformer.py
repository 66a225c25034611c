"""Power, area, energy and time of a dynamic coherent crossbar, by the cost model of Lightening-Transformer.

A DPTC core multiplies two *live* matrices: `height` rows of one and `width` columns of the other are modulated onto
`wavelengths` channels, every crossing interferes one pair and a balanced photodiode sums over the wavelengths. Nothing
is programmed, so both operands pay for conversion and modulation, and each is shared along one side of the core. Of
the `cores_per_tile` cores of a tile the photocurrents are added before one amplifier and converter; the second operand
is modulated once and broadcast to all tiles; partial sums collect on a capacitor for `time_accumulation` symbols.

The model is that of the authors (Zhu et al., HPCA 2024, arXiv 2305.19533, and their public simulator), so that their
figures can be recomputed; five of its choices are unusual and are followed, each marked "as published" below. It is a
price list for a chip, not a tile: it says nothing of the answers.
"""

import math
from typing import NamedTuple

import equinox as eqx

from photonsim.converters import Dac
from photonsim.errors import check_bits, check_count

UM2_PER_MM2 = 1e6


class DeviceTable(eqx.Module):
    """The published devices: losses in dB, powers in W, energies in J, lengths in µm.

    Source of every number: `params/device_params/default.yaml`, `hardware/ADC.py`, `hardware/DAC.py` and
    `entry_area_power_profile.py` of the authors' simulator.
    """

    modulator_loss_db: float = 1.2
    modulator_energy_j: float = 450e-15  # one symbol of a Mach-Zehnder modulator
    modulator_um: tuple[float, float] = (260.0, 20.0)
    router_loss_db: float = 0.93  # microring multiplexer; each channel passes two
    router_power_w: float = 0.275e-3
    router_um: tuple[float, float] = (4.8, 4.8)
    splitter_loss_db: float = 0.1
    splitter_um: tuple[float, float] = (1.8, 1.3)
    phase_shifter_loss_db: float = 0.33
    phase_shifter_um: tuple[float, float] = (100.0, 45.0)
    coupler_loss_db: float = 0.33
    coupler_um: tuple[float, float] = (5.25, 2.4)
    photodiode_power_w: float = 1.1e-3
    photodiode_sensitivity_dbm: float = -25.0
    photodiode_um: tuple[float, float] = (4.0, 10.0)
    laser_wall_plug_efficiency: float = 0.2
    laser_um: tuple[float, float] = (400.0, 300.0)
    comb_um: tuple[float, float] = (1184.0, 1184.0)
    adc_power_w: float = 14.8e-3  # at 8 bits, 10 GS/s; P ∝ bits · rate
    adc_area_um2: float = 2850.0
    dac_power_w: float = 50e-3  # at 8 bits, 14 GS/s; P ∝ 2^bits / bits · rate
    dac_area_um2: float = 11000.0
    tia_power_w: float = 3e-3
    tia_area_um2: float = 50.0
    adder_power_w: float = 0.2e-3 / 4.39  # ISAAC's adder, scaled to 14 nm
    adder_area_um2: float = 0.00024e6 / 2.7
    global_buffer_power_w: float = 315.2512e-3 / 4  # per tile
    local_buffer_power_w: float = 0.172725e-3
    core_buffer_power_w: float = 0.0154e-3
    global_buffer_area_mm2: float = 14.348352 / 4  # per tile
    local_buffer_area_mm2: float = 0.0683105
    core_buffer_area_mm2: float = 0.000305237
    dram_j_per_word: float = 62.4e-12  # a word is 16 bits
    global_buffer_j_per_word: float = 1.655e-12
    local_buffer_j_per_word: float = 0.92e-12
    network_j_per_word: float = 2.0e-12
    register_j_per_word: float = 0.073e-12
    dram_bandwidth_bits_per_s: float = 2.0**40 * 8  # 1 TB/s
    sram_clock_hz: float = 500e6
    local_buffer_bytes: int = 4096


class Gemm(NamedTuple):
    """A product (rows, inner) × (inner, columns), `batch` at once and `repeats` times in a model.

    `live`: both operands are activations and stay on the chip; else the first are weights from DRAM.
    """

    name: str
    rows: int
    inner: int
    columns: int
    batch: int = 1
    live: bool = False
    repeats: int = 1


class LighteningTransformer(eqx.Module):
    """DOTA: `tiles` of `cores_per_tile` cores, each `height` × `width` outputs of `wavelengths` products a symbol."""

    bits: int = eqx.field(static=True)
    tiles: int = eqx.field(static=True, default=4)
    cores_per_tile: int = eqx.field(static=True, default=2)
    height: int = eqx.field(static=True, default=12)
    width: int = eqx.field(static=True, default=12)
    wavelengths: int = eqx.field(static=True, default=12)
    time_accumulation: int = eqx.field(static=True, default=3)
    clock_hz: float = 5e9
    devices: DeviceTable = DeviceTable()

    def __check_init__(self):
        check_bits("bits", self.bits)
        for name in ("tiles", "cores_per_tile", "height", "width", "wavelengths", "time_accumulation"):
            check_count(name, getattr(self, name))

    @property
    def cores(self) -> int:
        """Cores of the chip."""
        return self.tiles * self.cores_per_tile

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates of all cores in one symbol."""
        return self.cores * self.height * self.width * self.wavelengths

    # Prices of single events

    @property
    def insertion_loss_db(self) -> float:
        """Loss of the best path: modulator, two routers, a splitter tree; then splitter, phase shifter, coupler."""
        d = self.devices
        stages = math.ceil(math.log2(max(self.height, self.width)))
        modulation = d.modulator_loss_db + 2 * d.router_loss_db + d.splitter_loss_db * stages
        return modulation + d.splitter_loss_db + d.phase_shifter_loss_db + d.coupler_loss_db

    @property
    def laser_power_w(self) -> float:
        """Electrical power of one core's laser: `10^((S + IL + 10 log₁₀ HW)/10) · 2^bits / η`, W.

        As published: the photodiode's sensitivity for one bit is multiplied by 2^bits, where shot noise asks for
        4^bits.
        """
        d = self.devices
        level_dbm = d.photodiode_sensitivity_dbm + self.insertion_loss_db + 10 * math.log10(self.height * self.width)
        return 1e-3 * 10 ** (level_dbm / 10) * 2**self.bits / d.laser_wall_plug_efficiency

    @property
    def dac_energy_j(self) -> float:
        """Energy of one input conversion, J, by the `2^bits / bits` law of `photonsim.converters.Dac`."""
        return Dac(bits=8, energy_j=self.devices.dac_power_w / 14e9).energy_at(self.bits)

    @property
    def adc_energy_j(self) -> float:
        """Energy of one output conversion, J; as published it grows with the bits, not with 2^bits (Walden)."""
        return self.devices.adc_power_w / 10e9 * self.bits / 8

    @property
    def modulation_energy_j(self) -> float:
        """Energy of one symbol on one channel: the modulator and its two routers, J."""
        return self.devices.modulator_energy_j + 2 * self.devices.router_power_w / self.clock_hz

    # The chip at its peak

    def power_w(self) -> dict[str, float]:
        """Watts of every component with all cores busy."""
        d, outputs = self.devices, self.tiles * self.height * self.width
        channels = self._channels
        buffers = 2 * self.tiles + self.cores + self.cores_per_tile
        return {
            "laser": self.cores * self.laser_power_w,
            "DAC": channels * self.dac_energy_j * self.clock_hz,
            "MZM": channels * self.modulation_energy_j * self.clock_hz,
            "ADC": outputs * self.adc_energy_j * self.clock_hz,
            "TIA": outputs * d.tia_power_w,
            "PD": 2 * outputs * self.cores_per_tile * d.photodiode_power_w,
            "adder": outputs * d.adder_power_w,
            "memory": self.tiles * d.global_buffer_power_w
            + (self.tiles + 1) * d.local_buffer_power_w
            + buffers * d.core_buffer_power_w,
        }

    def area_mm2(self) -> dict[str, float]:
        """Square millimetres of every component; the nodes of a core with the published 30 and 20 µm of spacing."""
        d, outputs, sources = self.devices, self.tiles * self.height * self.width, self.tiles + self.cores_per_tile
        length = d.splitter_um[0] + d.phase_shifter_um[0] + d.coupler_um[0] + d.photodiode_um[1] + 30
        across = d.splitter_um[0] + max(d.phase_shifter_um[1], d.coupler_um[1], 2 * d.photodiode_um[0]) + 20
        routers = self.cores * (self.height + self.width) * self.wavelengths * 2 * math.prod(d.router_um)
        buffers = 2 * self.tiles + self.cores + self.cores_per_tile
        um2 = {
            "laser": sources * math.prod(d.laser_um),
            "DAC": self._channels * d.dac_area_um2,
            "MZM": self._channels * math.prod(d.modulator_um) + routers,
            "ADC": outputs * d.adc_area_um2,
            "TIA": outputs * d.tia_area_um2,
            "core": self.cores * (self.height * self.width * length * across + self._splitter_tree_um2),
            "adder": outputs * d.adder_area_um2,
            "comb": sources * math.prod(d.comb_um),
        }
        memory = self.tiles * d.global_buffer_area_mm2 + (self.tiles + 1) * d.local_buffer_area_mm2
        return {name: area / UM2_PER_MM2 for name, area in um2.items()} | {
            "memory": memory + buffers * d.core_buffer_area_mm2
        }

    @property
    def _channels(self) -> int:
        """Modulated channels: the first operand's in every core, the second's once for all tiles."""
        return self.wavelengths * (self.height * self.cores + self.width * self.cores_per_tile)

    @property
    def _splitter_tree_um2(self) -> float:
        length, across = self.devices.splitter_um
        trees = (length * math.ceil(math.log2(side) + 1) * across * side for side in (self.height, self.width))
        return length * across + sum(trees)

    # One product

    def _blocks(self, gemm: Gemm) -> tuple[int, int, int]:
        """Blocks along rows, inner length and columns."""
        return (
            math.ceil(gemm.rows / self.height),
            math.ceil(gemm.inner / self.wavelengths),
            math.ceil(gemm.columns / self.width),
        )

    def cycles(self, gemm: Gemm) -> int:
        """Symbols of one product: `⌈ batch ⌈M/12⌉ ⌈K/12⌉ ⌈N/12⌉ / cores ⌉`."""
        return math.ceil(gemm.batch * math.prod(self._blocks(gemm)) / self.cores)

    def seconds(self, gemm: Gemm) -> float:
        """Time of one product: the symbols, or the load of its weights from DRAM where that takes longer."""
        computing = self.cycles(gemm) / self.clock_hz
        if gemm.live:
            return computing
        d = self.devices
        load_s = self.height * gemm.inner * self.bits * self.tiles / d.dram_bandwidth_bits_per_s
        loads = math.ceil(gemm.rows / (self.tiles * self.height))
        return max(computing, loads * math.ceil(load_s * d.sram_clock_hz) / d.sram_clock_hz)

    def energy_j(self, gemm: Gemm) -> dict[str, float]:
        """Joules of one product by component: first computing, then moving data."""
        return self.computing_j(gemm) | self.moving_j(gemm)

    def computing_j(self, gemm: Gemm) -> dict[str, float]:
        """Joules of light, conversion and detection."""
        d, (down, deep, across) = self.devices, self._blocks(gemm)
        first, second = self._modulated(gemm)
        readings = gemm.batch * self._readings(gemm)
        detections = gemm.batch * gemm.rows * gemm.columns * deep
        return {
            "laser": self.laser_power_w / self.clock_hz * gemm.batch * down * deep * across,
            "TX1": first * self.modulation_energy_j,
            "DAC1": first * self.dac_energy_j,
            "TX2": second * self.modulation_energy_j,
            "DAC2": second * self.dac_energy_j,
            "PD": 2 * detections * d.photodiode_power_w / self.clock_hz,
            "TIA": readings * d.tia_power_w / self.clock_hz,
            "ADC": readings * self.adc_energy_j,
            "adder": readings * d.adder_power_w / self.clock_hz,
        }

    def moving_j(self, gemm: Gemm) -> dict[str, float]:
        """Joules of moving operands and results: registers and network, local buffer, global buffer, DRAM.

        As published, what live operands read from the global buffer is free: the simulator multiplies its price twice.
        """
        d, words = self.devices, gemm.batch * self.bits / 16
        first, second = (count / gemm.batch for count in self._modulated(gemm))
        readings = self._readings(gemm)
        weights = gemm.rows * gemm.inner
        tile_rows_kb = self.height * gemm.inner * self.bits / 8 / d.local_buffer_bytes
        passes = max(tile_rows_kb if gemm.live else math.ceil(tile_rows_kb), 1)
        results = gemm.rows * gemm.columns * (2 * passes - 1)  # written back and fetched again for every pass
        from_global = 0.0 if gemm.live else weights + second
        from_dram = 0 if gemm.live else weights
        return {
            "registers": words
            * (2 * d.register_j_per_word * (first + second + readings) + d.network_j_per_word * readings),
            "local buffer": words * d.local_buffer_j_per_word * (first + second + weights + second + results),
            "global buffer": words * d.global_buffer_j_per_word * (results + from_global + from_dram),
            "DRAM": words * d.dram_j_per_word * from_dram,
        }

    def _modulated(self, gemm: Gemm) -> tuple[float, float]:
        """Symbols modulated for the first operand and, shared by all tiles, for the second."""
        down, _, across = self._blocks(gemm)
        first = gemm.batch * gemm.rows * gemm.inner * across
        return first, gemm.batch * gemm.inner * gemm.columns * down / self.tiles

    def _readings(self, gemm: Gemm) -> int:
        """Conversions of one product of the batch: after accumulation over time and over the cores of a tile."""
        deep = math.ceil(gemm.inner / self.wavelengths)
        over_time = min(self.time_accumulation, math.ceil(gemm.inner / (self.cores_per_tile * self.wavelengths)))
        return gemm.rows * gemm.columns * math.ceil(math.ceil(deep / over_time) / self.cores_per_tile)


class Encoder(NamedTuple):
    """A transformer encoder of `layers` layers, `dim` wide, over `tokens` tokens; `patch` pixels a side, or none."""

    name: str
    dim: int
    heads: int
    tokens: int
    classes: int
    patch: int | None = None
    layers: int = 12


DEIT_T = Encoder("DeiT-T", dim=192, heads=3, tokens=197, classes=1000, patch=16)
DEIT_B = Encoder("DeiT-B", dim=768, heads=12, tokens=197, classes=1000, patch=16)
BERT_B = Encoder("BERT-B", dim=768, heads=12, tokens=128, classes=2)


def gemms(model: Encoder) -> list[Gemm]:
    """The products of one inference, weights first: (out, in) × (in, tokens), and the two of each head."""
    d, t, layers, head = model.dim, model.tokens, model.layers, model.dim // model.heads
    embedding = [] if model.patch is None else [Gemm("embed", d, 3 * model.patch**2, t - 1)]
    return [
        *embedding,
        Gemm("qkv", 3 * d, d, t, repeats=layers),
        Gemm("q kᵀ", t, head, t, batch=model.heads, live=True, repeats=layers),
        Gemm("a v", t, t, head, batch=model.heads, live=True, repeats=layers),
        Gemm("projection", d, d, t, repeats=layers),
        Gemm("up", 4 * d, d, t, repeats=layers),
        Gemm("down", d, 4 * d, t, repeats=layers),
        Gemm("head", model.classes, d, 1),
    ]


def inference_j(chip: LighteningTransformer, model: Encoder) -> float:
    """Joules of one inference of batch 1."""
    products_j = sum(gemm.repeats * sum(chip.energy_j(gemm).values()) for gemm in gemms(model))
    return products_j + _vector_work_j(chip, model)


def inference_s(chip: LighteningTransformer, model: Encoder) -> float:
    """Seconds of one inference of batch 1, its products one after another.

    As published, softmax, norms and activations take no time: the simulator adds their seconds to milliseconds. Added
    rightly they are 0.14 % of DeiT-T.
    """
    return sum(gemm.repeats * chip.seconds(gemm) for gemm in gemms(model))


def _vector_work_j(chip: LighteningTransformer, model: Encoder) -> float:
    """Joules of softmax, norms, residuals and activations; as published for one layer only, and always at 4 bits."""
    bits, d, t = 4, model.dim, model.tokens
    softmax, norms, residuals, activations = t * t * model.heads, t * (d + 1), t * 2 * d, t * 4 * d
    everything = softmax + norms + residuals + activations
    arithmetic_j = 0.1e-12 * (8 * activations + 5 * norms + residuals) + 51.6e-12 / 44.8 * softmax * bits / 8
    return arithmetic_j + 2 * everything * chip.devices.global_buffer_j_per_word * bits / 16
