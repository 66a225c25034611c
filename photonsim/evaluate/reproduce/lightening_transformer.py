"""Lightening-Transformer (HPCA 2024), DOTA-B: the outputs of its authors' simulator from our rewriting of its model."""

from collections.abc import Callable

from photonsim.cost.lightening_transformer import (
    BERT_B,
    DEIT_B,
    DEIT_T,
    Encoder,
    LighteningTransformer,
    gemms,
    inference_j,
    inference_s,
)
from photonsim.devices.directional_coupler import splitter_dispersion, wdm_offsets_m
from photonsim.evaluate.reproduce.row import Row

SOURCE = "Zhu et al., HPCA 2024, arXiv 2305.19533; its public simulator"
EXACT = "a closed form with the same devices: 0.1 %, the last printed digits"
CHIPS = {bits: LighteningTransformer(bits=bits) for bits in (4, 8)}
QKV = gemms(DEIT_T)[1]


def _row(name: str, what: str, unit: str, ours: Callable[[], float], published: float, note: str = "") -> Row:
    return Row(f"lightening/{name}", what, unit, ours, published, 1e-3, EXACT, SOURCE, note)


def _power(bits: int, component: str, published_mw: float) -> Row:
    powers = CHIPS[bits].power_w

    def ours() -> float:
        return 1e3 * (sum(powers().values()) if component == "total" else powers()[component])

    return _row(
        f"power-{component.lower()}-{bits}b", f"DOTA-B power, {component}, {bits} bits", "mW", ours, published_mw
    )


def _area(component: str, published_mm2: float, note: str = "") -> Row:
    areas = CHIPS[4].area_mm2

    def ours() -> float:
        return sum(areas().values()) if component == "total" else areas()[component]

    return _row(f"area-{component.lower()}", f"DOTA-B area, {component}", "mm²", ours, published_mm2, note)


def _inference(model: Encoder, bits: int, published_mj: float, published_ms: float) -> list[Row]:
    where = f"{model.name}, {model.tokens} tokens, {bits} bits"
    name = f"{model.name.lower()}-{bits}b"
    return [
        _row(
            f"energy-{name}",
            f"energy of {where}",
            "mJ",
            lambda: 1e3 * inference_j(CHIPS[bits], model),
            published_mj,
            "As published, live operands read the global buffer for free and vector work is counted for one layer.",
        ),
        _row(
            f"latency-{name}",
            f"latency of {where}",
            "ms",
            lambda: 1e3 * inference_s(CHIPS[bits], model),
            published_ms,
            "As published, vector work takes no time (0.14 % of DeiT-T's).",
        ),
    ]


def _qkv(component: str, published_mj: float) -> Row:
    def ours() -> float:
        if component in ("computing", "moving"):
            return 1e3 * sum(getattr(CHIPS[4], f"{component}_j")(QKV).values())
        return 1e3 * CHIPS[4].energy_j(QKV)[component]

    return _row(f"qkv-{component.lower()}", f"DeiT-T qkv, one layer, 4 bits: {component}", "mJ", ours, published_mj)


def _dispersion() -> list[float]:
    """Error `2 κ − 1` of a splitter at each of 12 channels, 0.4 nm apart."""
    return list(2 * splitter_dispersion(wdm_offsets_m(12, 0.4e-9)) - 1)


POWERS = {
    4: {"laser": 770.0917, "DAC": 3214.286, "MZM": 4032.0, "ADC": 2131.2, "TIA": 1728.0, "PD": 2534.4}
    | {"adder": 26.241, "memory": 316.392, "total": 14752.611},
    8: {"laser": 12321.468, "DAC": 25714.286, "ADC": 4262.4, "total": 50935.187},
}
AREAS = {"laser": 0.72, "DAC": 15.84, "MZM": 7.5942, "ADC": 1.6416, "TIA": 0.0288, "core": 11.3183, "adder": 0.0512}
AREAS |= {"memory": 14.6954, "comb": 8.4111}
QKV_MJ = {"computing": 0.00385842, "laser": 0.000251358, "ADC": 0.000251908, "TX1": 0.00105284, "DAC1": 0.000839314}
QKV_MJ |= {"TX2": 0.000254177, "DAC2": 0.000202629, "PD": 0.000798843, "TIA": 0.00020425, "moving": 0.00301206}
QKV_MJ |= {"DRAM": 0.00172524}

ROWS: tuple[Row, ...] = (
    _row("laser-core-4b", "laser of one core, 4 bits", "mW", lambda: 1e3 * CHIPS[4].laser_power_w, 96.2615),
    *(_power(bits, component, power_mw) for bits, powers in POWERS.items() for component, power_mw in powers.items()),
    *(_area(component, area_mm2) for component, area_mm2 in AREAS.items()),
    _area("total", 60.3006, "The simulator's README says 60.3294 mm²; its components add up to this."),
    _row("qkv-cycles", "cycles of DeiT-T's qkv, one layer", "cycles", lambda: CHIPS[4].cycles(QKV), 1632),
    _row(
        "qkv-latency",
        "DeiT-T's qkv in all 12 layers",
        "ms",
        lambda: 12e3 * CHIPS[4].cycles(QKV) / CHIPS[4].clock_hz,
        0.0039168,
    ),
    *_inference(DEIT_T, 4, 0.38430, 0.019353),
    *_inference(DEIT_T, 8, 1.20547, 0.019437),
    *_inference(DEIT_B, 4, 5.43715, 0.265279),
    *_inference(DEIT_B, 8, 16.9820, 0.265615),
    *_inference(BERT_B, 4, 3.95167, 0.167447),
    *_inference(BERT_B, 8, 11.7665, 0.167463),
    *(_qkv(component, energy_mj) for component, energy_mj in QKV_MJ.items()),
    _row("dispersion-first", "coupler error of the first of 12 channels", "1", lambda: _dispersion()[0], -0.008883),
    _row("dispersion-last", "coupler error of the last of 12 channels", "1", lambda: _dispersion()[-1], 0.008936),
)
