"""Power, peak and effective bits of whole chips, from the descriptions that ship as presets."""

from collections.abc import Callable

from photonsim.chip import load_chip, override
from photonsim.cost import Product, area_mm2, peak_power_w, peak_tops, peak_tops_per_w, price, tops_per_mm2
from photonsim.cost.area import ACCUMULATORS, ADCS, CELLS, COMBS, DACS, LASERS, MODULATORS, RECEIVERS, SRAM
from photonsim.cost.mapping import DYNAMIC, map_product
from photonsim.cost.tariff import LASER, MODULATION, OVERHEAD, READOUT, WEIGHTS
from photonsim.evaluate.precision import full_scale_enob
from photonsim.evaluate.reproduce.row import Row

PRINTED = "half a unit of the last printed digit"
HPCA = "Zhu et al., HPCA 2024, arXiv 2305.19533; its public simulator"
ALBIREO = "Shiflett et al., ISCA 2021, Table III; devices of CiMLoop's 7nm_components.csv"
LISTED = (LASER, MODULATION, WEIGHTS, READOUT, OVERHEAD)  # the tables' lines; SRAM by access is in none of them
EVERY_SYMBOL = (
    "Read in every symbol, as the study's power table does. SRAM by access and digital accumulation are not in it."
)
EVERY_THIRD = (
    "The study's power table runs amplifiers and converters in every symbol, its energies per inference once for the "
    "three that are accumulated; the preset does the latter, so that they draw a third."
)
AGGRESSIVE_LASER = "The components' file gives the laser 0.0713 mW an endpoint; the table's 0.12 W needs 0.0988."


def listed_power_w(name: str, **settings) -> float:
    """Peak power of a preset in the components that published tables list, W."""
    power = peak_power_w(override(load_chip(name), settings))
    return sum(power[component] for component in LISTED)


def _row(
    name: str,
    what: str,
    unit: str,
    ours: Callable[[], float],
    published: float,
    tolerance: float,
    source: str,
    note: str = "",
    reason: str = PRINTED,
    known: str = "",
) -> Row:
    return Row(f"chips/{name}", what, unit, ours, published, tolerance, reason, source, note, known)


def _lightening(size: str, bits: int, published_w: float, note: str = "") -> Row:
    name = f"lightening-transformer-{size}-{bits}bit"
    return _row(
        f"lightening-{size}-{bits}b-power",
        f"Lightening-Transformer {size.upper()}, {bits} bits, from its preset",
        "W",
        lambda: listed_power_w(name, accumulation=1),
        published_w,
        1e-3,
        HPCA,
        f"{EVERY_SYMBOL} {note}".strip(),
        "a closed form with the same devices: 0.1 %, the last printed digits",
    )


def _albireo(guess: str, published_w: float, known: str = "") -> Row:
    return _row(
        f"albireo-{guess}-power",
        f"Albireo, {guess} devices, from its preset",
        "W",
        lambda: listed_power_w(f"albireo-{guess}"),
        published_w,
        0.01,
        ALBIREO,
        reason="printed powers of components are rounded to 10 mW",
        known=known,
    )


def _lightening_area(component: str, published_mm2: float) -> Row:
    def ours() -> float:
        areas = area_mm2(load_chip("lightening-transformer-b-4bit"))
        return sum(areas.values()) if component == "total" else areas[component]

    return _row(
        f"lightening-b-area-{component.split()[-1].lower()}",
        f"Lightening-Transformer B, area from its preset: {component}",
        "mm²",
        ours,
        published_mm2,
        1e-3,
        HPCA,
        reason="a closed form with the same devices: 0.1 %, the last printed digits",
    )


def qkv_j(what: str) -> float:
    """Joules of one kind of line of DeiT-T's qkv, one layer, on Lightening-Transformer B; weights along the rows."""
    chip = load_chip("lightening-transformer-b-4bit")
    mapped = map_product(chip, Product("qkv", "activation", 1, 576, 192, 197), DYNAMIC)
    bill = price(chip, mapped.events, mapped.cycles / chip.clock_hz)
    return sum(charge.joules for charge in bill.charges if charge.what == what)


def _lightening_qkv(name: str, what: str, published_nj: float, note: str = "", known: str = "") -> Row:
    return _row(
        f"lightening-b-qkv-{name}",
        f"DeiT-T qkv, one layer, Lightening-Transformer B from its preset: {name}",
        "nJ",
        lambda: 1e9 * qkv_j(what),
        published_nj,
        1e-3,
        HPCA,
        note,
        "the same devices and counts: 0.1 %, the last printed digits",
        known,
    )


PADDING = "Diodes of columns without a token are biased too: 17 blocks of 12 for 197 tokens, 3.6 % more."
QKV = (
    _lightening_qkv("laser", "seconds of light, computing", 251.358),
    _lightening_qkv("TX1", "symbols modulated", 1052.84),
    _lightening_qkv("DAC1", "DAC conversions", 839.314),
    _lightening_qkv("TX2", "weight symbols modulated", 254.177),
    _lightening_qkv("DAC2", "weight DAC conversions", 202.629),
    _lightening_qkv("TIA", "amplifier samples", 204.25),
    _lightening_qkv("ADC", "ADC conversions", 251.908),
    _lightening_qkv("PD", "seconds of receiver bias, computing", 798.843, known=PADDING),
    _row(
        "lightening-b-qkv-cycles",
        "DeiT-T qkv, one layer, from the preset",
        "cycles",
        lambda: (
            map_product(
                load_chip("lightening-transformer-b-4bit"), Product("qkv", "activation", 1, 197, 192, 576), DYNAMIC
            ).cycles
        ),
        1632,
        1e-6,
        HPCA,
        reason="whole numbers",
    ),
)

AREAS_MM2 = {LASERS: 0.72, COMBS: 8.4111, MODULATORS: 7.5942, DACS: 15.84, CELLS: 11.3183, RECEIVERS: 0.0288}
AREAS_MM2 |= {ADCS: 1.6416, ACCUMULATORS: 0.0512, SRAM: 14.6954, "total": 60.3006}

ROWS: tuple[Row, ...] = (
    *QKV,
    *(_lightening_area(component, published_mm2) for component, published_mm2 in AREAS_MM2.items()),
    _row(
        "albireo-area",
        "Albireo, area from its preset",
        "mm²",
        lambda: sum(area_mm2(load_chip("albireo-moderate")).values()),
        124.6,
        0.01,
        ALBIREO,
        reason="1 %; the ADCs' 0.4 % are missing, their device area was not published",
    ),
    _row(
        "envise-density",
        "Envise, peak over its four photonic dies",
        "TOPS/mm²",
        lambda: float(tops_per_mm2(load_chip("lightmatter-envise-2025"))),
        0.047,
        0.011,
        "review in AIP Advanced Machine Learning (secondary source); dies of 14 × 24.96 mm",
        "Met through what the itemised lines leave of a die's 349 mm²: a check of the sum, not of the devices.",
    ),
    _lightening("b", 4, 14.752611),
    _lightening("b", 8, 50.935187),
    _lightening("l", 4, 28.06, "28.06 W is recalled from the paper."),
    _lightening("l", 8, 95.92, "95.92 W is recalled from the paper."),
    _row(
        "lightening-b-4b-accumulated",
        "Lightening-Transformer B, 4 bits, read after three symbols",
        "W",
        lambda: listed_power_w("lightening-transformer-b-4bit"),
        14.752611,
        1e-3,
        HPCA,
        known=EVERY_THIRD,
    ),
    _albireo("conservative", 22.7),
    _albireo("moderate", 6.19),
    _albireo("aggressive", 1.64, AGGRESSIVE_LASER),
    _row(
        "albireo-peak",
        "Albireo, 9 × 3 × 45 products at 5 GHz",
        "TOPS",
        lambda: float(peak_tops(load_chip("albireo-conservative"))),
        12.15,
        0.0005,
        "6.1 TMAC/s, ISCA 2021",
    ),
    _row(
        "tempo-efficiency",
        "TeMPO, laser and electronics counted",
        "TOPS/W",
        lambda: float(peak_tops_per_w(load_chip("tempo-2024"), "+ electronics")),
        22.3,
        0.0025,
        "arXiv 2402.07393",
        known="Whether memory is counted is not stated: with the assumed sizes, 28 TOPS/W before it and 14 after.",
    ),
    _row(
        "deap-power",
        "DEAP-CNN, from its preset",
        "W",
        lambda: listed_power_w("deap-cnn-2020"),
        95.0,
        0.0053,
        "UBC, Shining light on silicon photonic DNN accelerators, Table III",
        "113 banks of 9 rings are recalled; the laser, 0.45 W of it, is assumed.",
    ),
    _row(
        "feldmann-peak",
        "phase-change core of Feldmann 2021, 9 × 4 × 4 vectors in two passes",
        "TMAC/s",
        lambda: float(peak_tops(load_chip("feldmann-2021"))) / 2,
        1.0,
        0.5,
        "Nature 589:52 (2021)",
        "Sizes are recalled; signed inputs take two symbols.",
        "printed as an order of magnitude",
    ),
    _row(
        "hamerly-energy",
        "Hamerly's homodyne array, N = 1,000, with converters and laser",
        "fJ/MAC",
        lambda: 2e3 / float(peak_tops_per_w(load_chip("hamerly-homodyne-2019"), "+ laser wall plug")),
        10.0,
        0.5,
        "PRX 9:021032 (2019), projected",
        "With 8-bit converters and 100 photons a product, which are assumed; memory not counted.",
        "printed as about 10",
    ),
    _row(
        "aoc-rate",
        "Microsoft's analog computer, loops per second",
        "MHz",
        lambda: 1e-6 * float(load_chip("microsoft-aoc-2025").clock_hz),
        2000.0,
        1e-3,
        "500 TOPS/W · 800 W / (2 · 100 million weights), Nature, September 2025",
        known="500 TOPS/W is a projection for loops of 0.5 ns; the module that was measured takes 20 ns.",
    ),
    _row(
        "envise-bits",
        "Envise, effective bits of a full-scale reading",
        "bits",
        lambda: full_scale_enob(load_chip("lightmatter-envise-2025")),
        8.0,
        0.00625,
        "error of 2.29 codes on ±1023: public figure data of Nature 640:368",
        known="The 2.29 codes hold gain and offset errors that repeat, which effective bits leave out: 1.77 codes are "
        "left without them, 8.4 bits.",
    ),
)
