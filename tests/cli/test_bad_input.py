"""Input that cannot be right: exit code 2, one sentence or two on the error stream, nothing left behind."""

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from photonsim.chip import load_chip, save_chip
from photonsim.cli.app import main
from photonsim.models.registry import TINY_FOLDER

RUN = ["run", "--tokens", "128", "--context", "64", "--json", "out.json", "--plot", "out.png"]


@pytest.fixture
def refused(monkeypatch, capfd, tmp_path):
    """Run the command line in an empty folder's terms: the message, after checking what every refusal keeps to."""

    def refuse(*arguments: str) -> str:
        before = sorted(path.name for path in tmp_path.rglob("*"))
        monkeypatch.setattr("sys.argv", ["photonsim", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert stopped.value.code == 2
        assert out == ""
        assert err.startswith("photonsim: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        assert sorted(path.name for path in tmp_path.rglob("*")) == before
        return err

    return refuse


def test_an_unknown_model_is_answered_with_the_nearest_names(refused):
    assert "Did you mean smollm2-135m?" in refused(*RUN, "--model", "smollm-135m")


def test_an_unknown_chip_is_answered_with_the_nearest_names(refused):
    assert "Did you mean lightmatter-envise-2025?" in refused(*RUN, "--chip", "envise-2025")
    assert "Did you mean neurophos-t100?" in refused("chips", "neurophos")


def test_a_truncated_gguf(refused, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(20))
    assert "cut.gguf" in refused(*RUN, "--model", "cut.gguf")
    assert "absent.gguf" in refused(*RUN, "--model", "absent.gguf")


def test_a_text_shorter_than_the_context(refused, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.", encoding="utf-8")
    assert "give a longer text" in refused(*RUN, "--text", "short.txt")
    assert "less than the context of 64" in refused(*RUN, "--tokens", "32")


@pytest.mark.parametrize("setting", ["adc.bits=0", "input_dac.bits=-3", "cell.bits=17", "adc.bits=2.5"])
def test_bits_that_no_converter_has(refused, setting):
    message = refused(*RUN, "--set", setting)
    assert setting.partition("=")[0] in message


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("adc.bit=8", "Did you mean tile.adc.bits"),
        ("adc.bits", "NAME=VALUE"),
        ("laser.wall_plug_efficiency=1.5", "passive part"),
        ("laser.power_w=nan", "a finite number is needed"),
    ],
)
def test_a_setting_that_cannot_be(refused, setting, message):
    assert message in refused(*RUN, "--set", setting)


def test_a_key_of_a_chip_file_that_does_not_exist(refused, tmp_path):
    save_chip(load_chip("ideal"), tmp_path / "my.toml")
    text = (tmp_path / "my.toml").read_text()
    (tmp_path / "my.toml").write_text(text.replace("rows = 128", "rows = 128\nrowz = 1", 1))
    assert "tile.rowz does not exist. Did you mean rows?" in refused(*RUN, "--chip", "my.toml")
    assert "cannot be read" in refused(*RUN, "--chip", "absent.toml")


def test_weights_that_are_not_numbers(refused, tmp_path):
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "nan", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = np.nan
    save_file(tensors, folder / "model.safetensors")
    assert "model.norm.weight holds NaN or infinite weights" in refused(*RUN, "--model", "nan")


def test_a_rule_that_matches_nothing(refused):
    assert "matches no matrix product" in refused(*RUN, "--rule", "*.nonsense=digital")
    assert "PATTERN=digital" in refused(*RUN, "--rule", "nonsense")


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_an_output_that_cannot_be_written_is_refused_before_the_run(refused, monkeypatch, option):
    monkeypatch.setattr("photonsim.cli.app.load", None)  # the model is not even loaded
    assert "does not exist" in refused(*RUN, option, "absent/out.png")
    assert "is a folder" in refused(*RUN, option, ".")


def test_a_figure_of_an_unknown_kind(refused):
    assert ".png, .pdf or .svg" in refused(*RUN, "--plot", "out.gif")


def test_an_engine_that_does_not_exist(refused):
    assert "auto, jax, numba" in refused(*RUN, "--engine", "abacus")


def test_the_context_needs_room(refused):
    for context in ("1", "0", "-5"):
        assert "at least 2 tokens" in refused(*RUN, "--context", context)
