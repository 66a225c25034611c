"""A chip as text: presets, TOML in and out, overrides, and what is said about mistakes."""

import pytest

from photonsim.chip import describe, load_chip, override, preset_names, save_chip
from photonsim.chip.defaults import DEFAULTS
from photonsim.chip.description import parse_assignment
from photonsim.errors import PhotonsimError


def test_the_three_first_presets_ship():
    assert {"ideal", "lightmatter-envise-2025", "neurophos-t100"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_written_and_read_back_is_the_same_chip(name, tmp_path):
    chip = load_chip(name)
    save_chip(chip, tmp_path / "copy.toml")
    copy = load_chip(tmp_path / "copy.toml")
    assert describe(copy) == describe(chip)


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "ideal"])
def test_every_number_of_a_real_chip_names_its_source(name):
    chip = load_chip(name)
    sourced = {path for path, _ in chip.sources}
    defaults = {"tile.die.seed", "overhead_power_w", "tile.receiver.shot_noise", "tile.laser.rin_db_per_hz"}
    defaults |= set(DEFAULTS)
    nothing = {"rate_hz": 1e12, "lanes": 1, "span": 1.0}  # fast and many enough for any symbol; of a straight line

    def walk(table, prefix=""):
        for key, value in table.items():
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")
            elif isinstance(value, float | int) and not isinstance(value, bool):
                yield f"{prefix}{key}", value

    settings = {key: value for key, value in describe(chip).items() if key not in ("sources", "quoted")}
    used = {path for path, value in walk(settings) if value not in (0, nothing.get(path.rpartition(".")[2]))}
    policy = describe(chip)["tile"]["adc"]["range_policy"]
    unused = {"gain": "tile.adc.sigmas", "sigma": "tile.adc.gain"}[policy]
    untouched = {f"tile.die.{key}" for key in ("gain_mean", "noise_spread")} - sourced if policy == "sigma" else set()
    assert used - sourced - defaults - {unused} - untouched == set()


def test_peak_throughput_follows_from_the_description_alone():
    assert 2 * load_chip("lightmatter-envise-2025").macs_per_cycle * 0.5e9 / 1e12 == pytest.approx(65.5, rel=1e-3)
    t100 = load_chip("neurophos-t100")
    assert 2 * t100.macs_per_cycle * t100.clock_hz / 1e12 == pytest.approx(470_000, rel=1e-3)


def test_an_override_changes_one_setting_and_drops_its_source():
    chip = load_chip("lightmatter-envise-2025")
    changed = override(chip, {"cell.bits": 8, "laser.power_w": 1})
    assert "tile.cell.bits" not in dict(changed.sources)
    assert "tile.adc.gain" in dict(changed.sources)
    before, after = describe(chip), describe(changed)
    before["tile"]["cell"]["bits"], before["tile"]["laser"]["power_w"] = 8, 1.0
    assert {k: v for k, v in after.items() if k != "sources"} == {k: v for k, v in before.items() if k != "sources"}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("adc.bits=8", "adc.bits", 8),
        ("adc.bits=none", "adc.bits", "none"),
        ("laser.power_w = 1e-3", "laser.power_w", 1e-3),
    ],
)
def test_assignments_are_read_as_toml_or_as_words(text, name, value):
    assert parse_assignment(text) == (name, value)


@pytest.mark.parametrize("text", ["adc.bits", "=8", "adc.bits="])
def test_a_broken_assignment_is_explained(text):
    with pytest.raises(PhotonsimError, match="NAME=VALUE"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("adc.bits", 0, "from 1 to 16"),
        ("adc.bits", -4, "from 1 to 16"),
        ("adc.bits", "many", "whole number"),
        ("adc.bit", 8, "Did you mean tile.adc.bits"),
        ("bits", 8, "ambiguous"),
        ("laser.power_w", "bright", "must be a number"),
        ("die.seed", 1.5, "must be a whole number"),
    ],
)
def test_a_wrong_override_is_explained(name, value, message):
    with pytest.raises(PhotonsimError, match=message):
        override(load_chip("ideal"), {name: value})


def test_an_unknown_chip_is_answered_with_the_nearest_names():
    with pytest.raises(PhotonsimError, match="Did you mean lightmatter-envise-2025"):
        load_chip("envise-2025")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("rows = 128", "rows = 128\nrowz = 3"), r"tile\.rowz does not exist\. Did you mean rows"),
        (("rows = 128", ""), r"tile\.rows is missing"),
        (("cores = 4", "cores = 0"), "whole number of at least 1"),
        (("[memory]", "[memory"), "not valid TOML"),
        (('kind = "crossbar"', 'kind = "abacus"'), "Known: crossbar"),
        (("cores = 4", 'cores = { value = 4, surce = "x" }'), "needs the keys value and source"),
        (("insertion_loss_db = 0.0", 'insertion_loss_db = "low"'), "must be a number"),
    ],
)
def test_a_mistake_in_a_chip_file_is_one_sentence(edit, message, tmp_path):
    save_chip(load_chip("ideal"), tmp_path / "chip.toml")
    text = (tmp_path / "chip.toml").read_text()
    assert edit[0] in text
    (tmp_path / "chip.toml").write_text(text.replace(*edit, 1))
    with pytest.raises(PhotonsimError, match=message):
        load_chip(tmp_path / "chip.toml")


def test_a_missing_chip_file_is_one_sentence(tmp_path):
    with pytest.raises(PhotonsimError, match="cannot be read: No such file"):
        load_chip(tmp_path / "nowhere.toml")
