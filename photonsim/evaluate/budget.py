"""The error budget: which disturbances of a chip are on, and what each does alone to one product.

"I turned noise on and nothing changed" is the commonest complaint about simulators. So every run says what was on and
how much it did: a product of normal numbers goes through the chip with everything off but one disturbance, and with
everything on. An effect that is on and yet does nothing is marked.
"""

from dataclasses import dataclass

import jax
from jax import numpy as jnp

from photonsim.chip import Chip, chip_disturbances, disturbances_on, override

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


def error_budget(chip: Chip, seed: int = 0) -> list[Effect]:
    """Every effect alone, and last, under the name `all together`, the chip as it is."""
    disturbances = chip_disturbances(chip)
    present = disturbances_on(chip)
    everything_off = {path: value for each in disturbances for path, value in each.off.items()}
    effects = []
    for each in disturbances:
        mine, on = each.off, each in present
        rest = {path: value for path, value in everything_off.items() if path not in mine}
        error = reference_error(override(chip, rest), seed) if on else None
        effects.append(Effect(each.name, each.setting, on, error))
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
