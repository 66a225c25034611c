"""Area: counts of devices times their own area, against two published chips and by its laws."""

from dataclasses import replace
from typing import cast

import equinox as eqx
import jax
import pytest

from photonsim.chip import load_chip, preset_names, save_chip
from photonsim.cost import area, area_mm2, peak_tops, tops_per_mm2
from photonsim.cost.albireo import area_mm2 as albireo_area_mm2
from photonsim.cost.area import ADCS, CELLS, DACS
from photonsim.cost.lightening_transformer import LighteningTransformer
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar

ENVISE = load_chip("lightmatter-envise-2025")


@pytest.mark.parametrize(("size", "tiles"), [("b", 4), ("l", 8)])
def test_the_preset_takes_the_ground_that_the_closed_form_says(size, tiles):
    found = area_mm2(load_chip(f"lightening-transformer-{size}-4bit"))
    published = LighteningTransformer(bits=4, tiles=tiles).area_mm2()
    assert sum(found.values()) == pytest.approx(sum(published.values()), rel=1e-6)
    assert sorted(value for value in found.values() if value) == pytest.approx(sorted(published.values()), rel=1e-6)


def test_albireo_takes_the_ground_of_its_devices():
    assert sum(area_mm2(load_chip("albireo-moderate")).values()) == pytest.approx(sum(albireo_area_mm2().values()))


@pytest.mark.parametrize("name", preset_names())
def test_the_parts_are_the_whole_and_none_is_negative(name):
    chip = load_chip(name)
    assert sum(area_mm2(chip).values()) == pytest.approx(sum(patch.mm2 for patch in area(chip)), rel=1e-12)
    assert all(patch.mm2 >= 0 and patch.sources for patch in area(chip))
    assert tops_per_mm2(chip) == pytest.approx(peak_tops(chip) / sum(area_mm2(chip).values()))


def test_twice_the_array_is_four_times_the_cells_and_twice_the_converters():
    tile = cast(Crossbar, ENVISE.tile)
    large = replace(ENVISE, tile=replace(tile, rows=2 * tile.rows, columns=2 * tile.columns))
    small = eqx.tree_at(lambda c: c.floorplan.core_m2, ENVISE, 0.0)
    large = eqx.tree_at(lambda c: c.floorplan.core_m2, large, 0.0)
    ratios = {name: area_mm2(large)[name] / area_mm2(small)[name] for name in (CELLS, DACS, ADCS)}
    assert ratios == pytest.approx({CELLS: 4, DACS: 2, ADCS: 2})


def test_columns_that_share_a_converter_need_fewer():
    tile = cast(Crossbar, ENVISE.tile)
    shared = replace(ENVISE, tile=replace(tile, adc=replace(tile.adc, lanes=8)))
    assert area_mm2(shared)[ADCS] == pytest.approx(area_mm2(ENVISE)[ADCS] / 8)


def test_area_grows_with_the_layout_factor_of_the_cells_alone():
    slope = jax.grad(lambda factor: sum(area_mm2(with_factor(factor)).values()))(2.0)
    assert slope == pytest.approx(4 * 128**2 * ENVISE.floorplan.cell_m2 * 1e6, rel=1e-6)


def with_factor(factor):
    return eqx.tree_at(lambda c: c.floorplan.layout_factor, ENVISE, factor)


def test_a_floorplan_survives_its_file(tmp_path):
    save_chip(ENVISE, tmp_path / "again.toml")
    assert load_chip(tmp_path / "again.toml").floorplan == ENVISE.floorplan


@pytest.mark.parametrize(
    ("field", "value", "words"), [("adc_m2", -1.0, "at least 0"), ("layout_factor", 0.5, "below 1")]
)
def test_a_negative_area_is_refused(field, value, words):
    with pytest.raises(PhotonsimError, match=rf"floorplan\.{field} = .*{words}"):
        replace(ENVISE.floorplan, **{field: value})
