"""Link budgets: decibels add, the way back is the inverse, and published sums of losses come out."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photonsim.devices import Crossings, Laser, LinkBudget, Loss, Receiver, SplitterTree, Waveguide
from photonsim.errors import PhotonsimError
from photonsim.units import watts_from_dbm

# Lightening-Transformer, HPCA 2024, device table: a modulator between a demultiplexing and a multiplexing ring and a
# tree of Y-branches to 12 cores; then a Y-branch, a coupler and a phase shifter in front of the detectors
LT_MODULATION = (Loss("modulator", 1.2), Loss("ring", 0.93, count=2), SplitterTree(12, stage_loss_db=0.1))
LT_COMPUTE = (Loss("Y-branch", 0.1), Loss("directional coupler", 0.33), Loss("phase shifter", 0.33))
LT_SENSITIVITY_DBM = -25.0


def lightening_transformer_laser_w(bits):
    """Wall power of one core's laser: the sensitivity of the detector doubles with every bit."""
    link = LinkBudget((*LT_MODULATION, *LT_COMPUTE), fan_out=12)
    detected_w = watts_from_dbm(LT_SENSITIVITY_DBM) * 2**bits
    return float(link.wall_power_w(detected_w, wall_plug_efficiency=0.2))


def test_lightening_transformers_losses_are_3_46_and_0_76_db():
    assert LinkBudget(LT_MODULATION).excess_loss_db == pytest.approx(3.46)
    assert LinkBudget(LT_COMPUTE).excess_loss_db == pytest.approx(0.76)


@pytest.mark.parametrize(("cores", "bits", "power_mw"), [(1, 4, 96.2615), (8, 4, 770.0917), (8, 8, 12321.468)])
def test_lightening_transformers_laser_power_follows_from_its_losses(cores, bits, power_mw):
    assert 1e3 * cores * lightening_transformer_laser_w(bits) == pytest.approx(power_mw, rel=2e-6)


def test_a_splitter_tree_divides_by_n_and_deepens_with_its_logarithm():
    tree = SplitterTree(12, stage_loss_db=0.1)
    assert tree.stages == 4
    assert tree.split_loss_db == pytest.approx(10 * math.log10(12))
    assert tree.excess_loss_db == pytest.approx(0.4)
    assert float(LinkBudget((SplitterTree(64),)).transmission) == pytest.approx(1 / 64)
    assert SplitterTree(1, 0.1).excess_loss_db == 0.0


def coherent_crossbar(size):
    """The path of Mukherjee, Lis and Shekhar with their own parameters, at 4 bits."""
    fixed = (
        Loss("edge coupler", 0.6),
        Loss("modulator", 2.8),
        Loss("modulator bias", 3.0),
        Loss("margin", 2.0),
        Loss("eye height of 16 × 16 levels", 11.76),
        Loss("directional coupler", 0.06),
        Loss("phase shifter", 0.33),
    )
    return LinkBudget((*fixed, SplitterTree(size, 0.05), Loss("row tree", 0.05, count=SplitterTree(size).stages)))


def test_a_coherent_crossbar_loses_27_db_at_4_and_44_at_128():
    """Published totals of Mukherjee, Lis and Shekhar; waveguides and crossings of their layout are not in their table,
    so ours stay below, the more the larger the array."""
    assert float(coherent_crossbar(4).loss_db) == pytest.approx(27, abs=0.5)
    assert 44 - 2 < float(coherent_crossbar(128).loss_db) < 44


def test_every_doubling_of_a_broadcast_costs_more_than_3_db():
    losses = [float(coherent_crossbar(size).loss_db) for size in (4, 8, 16, 32, 64, 128)]
    np.testing.assert_allclose(np.diff(losses), 10 * math.log10(2) + 2 * 0.05, atol=1e-4)


def test_waveguides_lose_by_the_centimetre_and_crossings_by_the_piece():
    assert Waveguide(1.5, 0.02).excess_loss_db == pytest.approx(3.0)
    assert Crossings(10, 0.2).excess_loss_db == pytest.approx(2.0)
    assert Crossings(10, 0.2, crosstalk_db=-30.0).leaked == pytest.approx(0.01)
    assert Crossings(0, 0.2).excess_loss_db == 0.0


@settings(max_examples=25)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=5), st.integers(1, 256), st.floats(1e-9, 1e-3))
def test_the_way_back_is_the_inverse_and_nothing_is_gained(losses_db, fan_out, detected_w):
    link = LinkBudget(tuple(Loss("part", loss) for loss in losses_db), fan_out)
    laser_w = link.laser_power_w(detected_w)
    assert float(link.detected_power_w(laser_w)) == pytest.approx(detected_w, rel=1e-5)
    assert float(laser_w) >= detected_w * fan_out * (1 - 1e-5)
    assert float(link.loss_db) == pytest.approx(sum(losses_db) + 10 * math.log10(fan_out), abs=1e-3)


def test_photons_follow_from_laser_losses_and_clock():
    """1 mW through 20 dB is 10 µW; at 1550 nm and 10 GHz that is 1e-5 / (1.2816e-19 · 1e10) = 7803 photons."""
    laser = Laser(power_w=1e-3, wall_plug_efficiency=0.2, wavelength_m=1550e-9)
    link = LinkBudget((Loss("all", 10.0),), fan_out=10)
    assert float(link.photons_per_symbol(laser, 10e9)) == pytest.approx(7803, rel=1e-3)


def test_a_receivers_need_becomes_the_lasers_power_at_the_wall():
    receiver = Receiver(1.0, 0.0, tia_noise_a_per_sqrt_hz=5e-12, shot_noise=False)
    link = LinkBudget((Loss("path", 10.0),), fan_out=32)
    needs = [float(link.wall_power_w(receiver.power_for_enob_w(bits, 0.5e9), 0.1)) for bits in (4, 5, 6)]
    # under the amplifier's noise alone a bit doubles the light
    np.testing.assert_allclose(np.diff(np.log2(needs)), 1.0, atol=1e-4)
    assert needs[0] == pytest.approx(3200 * float(receiver.power_for_enob_w(4, 0.5e9)), rel=1e-4)


def test_gradient_of_wall_power_with_loss_is_ln10_over_ten():
    wall = lambda loss_db: LinkBudget((Loss("path", loss_db),), 8).wall_power_w(1e-6, 0.2)  # noqa: E731
    gradient = float(jax.grad(wall)(12.0))
    assert gradient == pytest.approx(math.log(10) / 10 * float(wall(12.0)), rel=1e-4)
    assert gradient == pytest.approx(float(wall(12.1) - wall(11.9)) / 0.2, rel=1e-3)


def test_a_passive_part_with_gain_is_refused():
    with pytest.raises(PhotonsimError, match="edge coupler"):
        Loss("edge coupler", -1.0)
    with pytest.raises(PhotonsimError, match="fan_out"):
        SplitterTree(0)
