"""`photonsim run`: what it prints and writes, and that one seed is one result."""

import json

import pytest
from typer.testing import CliRunner

from photonsim.cli.app import app

SHORT = ["run", "--model", "tiny", "--tokens", "128", "--context", "64"]
KEYS = [
    "model.name",
    "model.digest_sha256",
    "chip.tile.adc.bits",
    "chip.sources",
    "seed",
    "digital.perplexity",
    "chip_result.perplexity",
    "chip_result.kl_to_digital",
    "chip_result.top1_agreement",
    "coverage.mac_share",
    "energy.total_j_per_token",
    "energy.by_component_j_per_token",
    "energy.boundary",
    "latency.s_per_token",
    "baseline",
    "versions",
]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def numbers(record: dict) -> dict:
    """The record without what a clock says."""
    return {
        key: {name: value for name, value in part.items() if name != "wall_seconds"} if isinstance(part, dict) else part
        for key, part in record.items()
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder and the output of one run with everything written."""
    folder = tmp_path_factory.mktemp("run")
    printed = invoke(*SHORT, "--json", str(folder / "run.json"), "--plot", str(folder / "run.png"))
    return folder, printed, json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", KEYS)
def test_the_record_holds_what_is_promised(ran, path):
    value = ran[2]
    for key in path.split("."):
        value = value[key]
    assert value is not None


def test_the_record_is_that_of_the_run(ran):
    _, _, record = ran
    assert (record["model"]["name"], record["chip"]["name"]) == ("tiny", "lightmatter-envise-2025")
    assert (record["tokens"], record["context"], record["seed"]) == (128, 64, 0)
    assert all(baseline["name"] and baseline["total_j_per_token"] > 0 for baseline in record["baseline"])
    assert sum(record["energy"]["by_component_j_per_token"].values()) == pytest.approx(
        record["energy"]["total_j_per_token"]
    )


def test_nothing_but_the_two_files_is_written(ran):
    folder, printed, _ = ran
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "run.png"]
    assert (folder / "run.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote" in printed


def test_piped_output_is_plain_and_80_columns_wide(ran):
    _, printed, _ = ran
    tables = [line for line in printed.splitlines() if not line.startswith("wrote")]
    assert "\x1b" not in printed
    assert max(len(line) for line in tables) <= 80


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_seed_decides_the_numbers(ran, tmp_path, seed):
    invoke(*SHORT, "--seed", seed, "--json", str(tmp_path / "again.json"))
    record = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    assert (numbers(record) == numbers(ran[2])) == (seed == "0")


def test_settings_and_rules_reach_the_chip(ran, tmp_path):
    rule = "model.embed_tokens.weight=digital"
    invoke(*SHORT, "--set", "adc.bits=8", "--rule", rule, "--json", str(tmp_path / "set.json"))
    before, after = ran[2], json.loads((tmp_path / "set.json").read_text(encoding="utf-8"))
    assert (before["chip"]["tile"]["adc"]["bits"], after["chip"]["tile"]["adc"]["bits"]) == (11, 8)
    ratio = after["chip"]["tile"]["adc"]["energy_j"] / before["chip"]["tile"]["adc"]["energy_j"]
    assert ratio == pytest.approx(2.0**-3)
    assert before["coverage"]["mac_share"] == 1
    assert [row["name"] for row in after["coverage"]["digital"]] == ["model.embed_tokens.weight"]
    assert after["chip_result"]["perplexity"] != before["chip_result"]["perplexity"]


def test_a_text_of_ones_own(tmp_path):
    (tmp_path / "mine.txt").write_text("It is the light that does the multiplying. " * 20, encoding="utf-8")
    printed = invoke("run", "--chip", "ideal", "--text", "mine.txt", "--tokens", "64", "--context", "32")
    assert "64 tokens, windows of 32" in printed


def test_several_chips_give_a_list_and_a_figure_each(tmp_path):
    names = ["ideal", "neurophos-t100"]
    chips = [word for name in names for word in ("--chip", name)]
    invoke(*SHORT, *chips, "--json", str(tmp_path / "run.json"), "--plot", str(tmp_path / "run.svg"))
    records = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [record["chip"]["name"] for record in records] == names
    assert records[0]["digital"]["perplexity"] == records[1]["digital"]["perplexity"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-ideal.svg", "run-neurophos-t100.svg", "run.json"]
