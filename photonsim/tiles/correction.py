"""What the digital side knows of its columns, and so can divide by and take off.

A correction is knowledge of a die as it was when it was characterised, or as a calibration has measured it. What has
changed since, and what a measurement got wrong, stays in the answers.
"""

import abc

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import PhotonsimError


class AbstractCorrection(eqx.Module):
    """Knowledge of gain and offset, column by column."""

    @abc.abstractmethod
    def gain(self, made: Float[Array, "c n"], mean) -> Float[Array, "c n"]:
        """The gain to divide by, of columns `made` with these around this mean."""

    @abc.abstractmethod
    def offset(self, made: Float[Array, "c n"], mean) -> Float[Array, "c n"]:
        """The offset to take off, a fraction of the ADC's full scale."""

    @property
    def of_references(self) -> "AbstractCorrection":
        """What is known of the columns that tiles read beside those of the matrix."""
        return self


class NoCorrection(AbstractCorrection):
    """Nothing is known: columns are taken to be as designed."""

    def gain(self, made, mean):
        """As designed: 1."""
        return jnp.ones_like(made)

    def offset(self, made, mean):
        """As designed: 0."""
        return jnp.zeros_like(made)


class MeanCorrection(AbstractCorrection):
    """The mean gain and offset of the process are known."""

    def gain(self, made, mean):
        """The mean."""
        return jnp.full_like(made, mean)

    def offset(self, made, mean):
        """The mean."""
        return jnp.full_like(made, mean)


class ColumnCorrection(AbstractCorrection):
    """Every column's gain and offset is known exactly, as it was made."""

    def gain(self, made, mean):
        """Each column's."""
        return made

    def offset(self, made, mean):
        """Each column's."""
        return made


class MeasuredCorrection(AbstractCorrection):
    """Gain and offset of every core's columns as a calibration found them, and those of its reference column if any.

    - `column_gain`, `column_offset`: (cores, columns); offsets are fractions of the ADC's full scale.
    - `reference_gain`: (cores, 1).
    """

    column_gain: Float[Array, "c n"]
    column_offset: Float[Array, "c n"]
    reference_gain: Float[Array, "c 1"]

    def gain(self, made, mean):
        """As measured."""
        return _fitting(self.column_gain, made)

    def offset(self, made, mean):
        """As measured."""
        return _fitting(self.column_offset, made)

    @property
    def of_references(self) -> "AbstractCorrection":
        """The reference's own gain; its offset is in those of the columns."""
        return MeasuredCorrection(self.reference_gain, jnp.zeros_like(self.reference_gain), self.reference_gain)


def _fitting(measured: Float[Array, "c n"], made: Float[Array, "c n"]) -> Float[Array, "c n"]:
    if measured.shape != made.shape:
        raise PhotonsimError(
            f"die.correction was measured on {measured.shape} cores and columns, and the chip has {made.shape}: "
            "calibrate it again."
        )
    return jnp.asarray(measured, made.dtype)


CORRECTIONS: dict[str, type[AbstractCorrection]] = {
    "column": ColumnCorrection,
    "mean": MeanCorrection,
    "measured": MeasuredCorrection,
    "none": NoCorrection,
}
