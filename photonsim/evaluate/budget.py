"""The error budget: which disturbances of a chip are on, and what each does alone to one product.

"I turned noise on and nothing changed" is the commonest complaint about simulators. So every run says what was on and
how much it did: a product of normal numbers goes through the chip with everything off but one disturbance, and with
everything on. An effect that is on and yet does nothing is marked.
"""

from dataclasses import dataclass

import jax
from jax import numpy as jnp

from photonsim.chip import Chip, describe, override
from photonsim.errors import PhotonsimError

TOGETHER = "all together"  # the last line of a budget
ROWS, INNER, COLUMNS = 128, 512, 128  # of the reference product: four blocks of a 128-row tile


@dataclass(frozen=True)
class Effect:
    """A disturbance: the settings that make it, those that take it away, and the error it makes alone.

    `relative_error` is the RMS of the error over that of the exact product; `None` where the effect is off.
    """

    name: str
    setting: str
    on: bool
    relative_error: float | None = None


OFF = {
    "input converter": {"tile.input_dac.bits": "none"},
    "weight levels": {"tile.cell.bits": "none"},
    "output converter": {"tile.adc.bits": "none"},
    "measured noise": {"tile.adc.noise_rms": 0.0, "tile.die.noise_spread": 0.0},
    "common-mode noise": {"tile.die.common_mode_rms": 0.0},
    "amplifier and dark noise": {"tile.receiver.tia_noise_a_per_sqrt_hz": 0.0, "tile.receiver.dark_current_a": 0.0},
    "shot noise": {"tile.receiver.shot_noise": False},
    "column gain": {"tile.die.gain_mean": 1.0, "tile.die.gain_spread": 0.0},
    "column offset": {"tile.die.offset_mean": 0.0, "tile.die.offset_spread": 0.0},
}


def error_budget(chip: Chip, seed: int = 0) -> list[Effect]:
    """Every effect alone, and last, under the name `all together`, the chip as it is."""
    everything_off = {path: value for settings in OFF.values() for path, value in settings.items()}
    effects = []
    for name, settings in OFF.items():
        on = any(_setting(chip, path) != value for path, value in settings.items())
        rest = {path: value for path, value in everything_off.items() if path not in settings}
        error = reference_error(override(chip, rest), seed) if on else None
        effects.append(Effect(name, _summary(chip, name), on, error))
    effects.append(Effect(TOGETHER, "", True, reference_error(chip, seed)))
    return effects


def silent_effects(effects: list[Effect]) -> list[str]:
    """Names of effects that are on and changed the reference product by less than float rounding."""
    return [each.name for each in effects if each.on and each.name != TOGETHER and (each.relative_error or 0) < 1e-6]


def reference_error(chip: Chip, seed: int = 0) -> float:
    """RMS error over RMS value of a product of normal numbers, 128 × 512 by 512 × 128, on the chip."""
    keys = jax.random.split(jax.random.key(seed), 3)
    x = jax.random.normal(keys[0], (ROWS, INNER), jnp.float32)
    w = jax.random.normal(keys[1], (INNER, COLUMNS), jnp.float32)
    exact = jnp.matmul(x, w, precision="highest")
    error = chip.matmul(x, chip.program(w), keys[2]) - exact
    return float(jnp.linalg.norm(error) / jnp.linalg.norm(exact))


def _setting(chip: Chip, path: str):
    table = describe(chip)
    for key in path.split("."):
        if key not in table:
            raise PhotonsimError(f"The chip {chip.name} has no setting {path}.")
        table = table[key]
    return table


def _summary(chip: Chip, name: str) -> str:
    """What of the chip makes the effect, in a few words."""
    tile = chip.tile
    return {
        "input converter": f"{_bits(tile.input_dac.bits)}",
        "weight levels": f"{_bits(tile.cell.bits)}",
        "output converter": f"{_bits(tile.adc.bits)}, {_range(tile.adc)}",
        "measured noise": f"{tile.adc.noise_rms:.2e} of full scale",
        "common-mode noise": f"{tile.die.common_mode_rms:.2e} of full scale",
        "amplifier and dark noise": f"{tile.receiver.tia_noise_a_per_sqrt_hz * 1e12:g} pA/√Hz",
        "shot noise": f"{float(tile.photons_per_mac):.3g} photons/MAC at full scale",
        "column gain": f"{tile.die.gain_mean:g} ± {tile.die.gain_spread:g}",
        "column offset": f"± {tile.die.offset_spread:.2e} of full scale",
    }[name]


def _bits(bits: int | None) -> str:
    return "ideal" if bits is None else f"{bits} bits"


def _range(adc) -> str:
    return f"gain {adc.gain:g}" if adc.range_policy == "gain" else f"range ±{adc.sigmas:g}σ"
