"""Power and area of Albireo, a broadcast convolution engine of modulators and microrings, by counting its devices.

Albireo (Shiflett et al., ISCA 2021) has `groups` photonic locally connected groups of `units` units each. A unit holds
a 3 × 3 filter on 9 Mach-Zehnder modulators and computes 5 neighbouring outputs, 45 products, with two switching
microrings each (one per sign). The 21 inputs of every unit are modulated once and broadcast to all groups. The units of
a group add their photocurrents before 5 amplifiers and converters.

Powers of the devices at three guesses of their future: `7nm_components.csv` of CiMLoop (`albireo_isca_2021`), which
agrees with the paper's table; conversion energies are those of 5 GHz, and 8 GHz in the aggressive case.
"""

from typing import NamedTuple

UM2_PER_MM2 = 1e6


class Devices(NamedTuple):
    """One guess of the devices: power of one, W, or energy of one sample, J."""

    microring_w: float
    modulator_w: float
    laser_w: float  # per endpoint of its light, one for each product
    amplifier_j: float
    dac_j: float
    adc_j: float  # 29 mW a channel at 5 GHz (UBC, Shining Light, Table IV); scaled as the DAC where not given
    clock_hz: float


SCALINGS = {
    "conservative": Devices(3.1e-3, 11.3e-3, 1.94e-3, 0.6e-12, 5.2e-12, 5.8e-12, 5e9),
    "moderate": Devices(0.388e-3, 1.41e-3, 0.0713e-3, 0.3e-12, 2.6e-12, 2.9e-12, 5e9),
    "aggressive": Devices(0.155e-3, 0.565e-3, 0.0713e-3, 0.0375e-12, 0.325e-12, 0.3625e-12, 8e9),
}
CACHE_W = 0.03
AREAS_UM2 = {  # of one device
    "AWG": 1_108_089.0,
    "star coupler": 262_500.0,
    "laser": 6_153.0,
    "MZM": 15_066.0,
    "MRR": 410.0,
    "photodiode": 9_230.0,
    "TIA": 2_769.0,
    "DAC": 153.0,
    "cache": 590.0 * 340.0,
}


def counts(
    groups: int = 9, units: int = 3, products: int = 45, filter_weights: int = 9, inputs: int = 21
) -> dict[str, int]:
    """How many there are of each device, by name."""
    modulators = units * inputs + groups * units * filter_weights
    outputs = groups * products // filter_weights
    return {
        "AWG": groups * units * 3,
        "star coupler": groups * units * 3,
        "laser": groups * units * products,
        "MZM": modulators,
        "MRR": 2 * groups * units * products,
        "photodiode": groups * units,
        "TIA": outputs,
        "DAC": modulators,
        "ADC": outputs,
        "cache": 1,
    }


def power_w(devices: Devices) -> dict[str, float]:
    """Watts of every component."""
    number = counts()
    return {
        "MRR": number["MRR"] * devices.microring_w,
        "MZM": number["MZM"] * devices.modulator_w,
        "laser": number["laser"] * devices.laser_w,
        "TIA": number["TIA"] * devices.amplifier_j * devices.clock_hz,
        "DAC": number["DAC"] * devices.dac_j * devices.clock_hz,
        "ADC": number["ADC"] * devices.adc_j * devices.clock_hz,
        "cache": CACHE_W,
    }


def area_mm2() -> dict[str, float]:
    """Square millimetres of every component but the ADCs, which the device table lacks (0.4 % by Fig. 9)."""
    return {name: counts()[name] * area_um2 / UM2_PER_MM2 for name, area_um2 in AREAS_UM2.items()}
