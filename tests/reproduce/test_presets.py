"""Every chip that ships multiplies, prices what it did, and says where its numbers are from."""

import functools
import itertools
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override, preset_names
from photonsim.cost import BOUNDARIES, peak_tops, peak_tops_per_w, price
from photonsim.tiles import Crossbar

CHIPS = [name for name in preset_names() if name != "ideal"]
LARGE_MESHES = ("adept-2023", "lightmatter-mars-2020", "taichi-2024")  # some 10 s each to compile a matrix into
MULTIPLIED = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE_MESHES else name for name in CHIPS]


def test_the_page_of_chips_has_each_of_them_and_its_remark():
    page = (Path(__file__).parents[2] / "docs/chips.md").read_text("utf-8")
    for name in CHIPS:
        assert page.count(f"| `{name}` |") == 3, f"{name}: run benchmarks/chips.py"
        assert f"**{load_chip(name).title}** (`{name}`)." in page


@pytest.mark.parametrize("name", MULTIPLIED)
def test_a_preset_multiplies_better_than_it_guesses_and_prices_it(name):
    chip = load_chip(name)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(16, 40)).astype(np.float32), rng.normal(size=(40, 8)).astype(np.float32)
    answer = np.asarray(chip.matmul(jnp.asarray(x), chip.program(jnp.asarray(w)), jax.random.key(0)))
    assert np.corrcoef(answer.ravel(), (x @ w).ravel())[0, 1] > 0.5
    bill = price(chip, chip.events(1, 16, 40, 8), seconds=1e-6)
    assert 0 < bill.total_j < np.inf


@pytest.mark.parametrize("name", CHIPS)
def test_quoted_throughput_follows_from_the_description_or_the_sources_disagree_in_the_open(name):
    """Neurophos quotes 235 and 470 POPS of one chip; four arrays are taken, and both figures are shown."""
    chip = load_chip(name)
    quoted = [figure.value for figure in chip.quoted if figure.unit == "TOPS"]
    ours = float(peak_tops(chip))
    assert not quoted or any(ours == pytest.approx(value, rel=0.002) for value in quoted)


@pytest.mark.parametrize("name", CHIPS)
def test_efficiency_falls_as_the_boundary_widens(name):
    chip = load_chip(name)
    efficiencies = [float(peak_tops_per_w(chip, boundary)) for boundary in BOUNDARIES]
    assert all(inner >= outer for inner, outer in itertools.pairwise(efficiencies))


@pytest.mark.parametrize("name", CHIPS)
def test_a_guess_is_marked_with_the_range_that_holds_it(name):
    for path, source in load_chip(name).sources:
        if source.low is not None and source.high is not None:
            assert source.assumed, path
            assert source.low < source.high, path


def test_the_effective_bits_of_pace_are_those_measured():
    tile = load_chip("lightelligence-pace").tile
    assert isinstance(tile, Crossbar)
    assert tile.adc.noise_limited_enob == pytest.approx(7.61, abs=0.005)


def test_one_reading_of_the_rack_errs_as_measured():
    """19.4 % of the outputs' rms. Three columns are one draw: eight dies.

    Uniform data; how the authors scaled theirs is not published.
    """
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, (800, 9)).astype(np.float32), rng.uniform(-1, 1, (9, 3)).astype(np.float32)
    w /= np.abs(w).max(0)
    x /= np.abs(x).max(1, keepdims=True)
    squares = []
    for seed in range(8):
        chip = override(load_chip("meyer-2026-rack"), {"die.seed": seed})
        answers = np.asarray(chip.matmul(jnp.asarray(x), chip.program(jnp.asarray(w)), jax.random.key(seed), "jax"))
        squares.append(np.mean((answers - x @ w) ** 2) / np.mean((x @ w) ** 2))
    assert np.sqrt(np.mean(squares)) == pytest.approx(0.194, rel=0.25)


@pytest.mark.parametrize("name", CHIPS)
def test_every_number_that_nobody_published_has_a_range(name):
    chip = load_chip(name)
    settings = describe(chip)
    for path, source in chip.sources:
        value = functools.reduce(lambda table, key: table[key], path.split("."), settings)
        if source.assumed and isinstance(value, int | float) and not isinstance(value, bool):
            assert source.low is not None, f"{path} = {value} is assumed, and its range is not given"
            assert source.high is not None
            assert source.low <= value <= source.high, path
