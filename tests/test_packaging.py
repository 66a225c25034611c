"""The two traps of our layout."""

from importlib.metadata import version
from pathlib import Path

import photonsim

ROOT = Path(__file__).resolve().parents[1]


def test_the_kernels_folder_is_not_a_package():
    """`kernels` is a package others import; a `kernels/__init__.py` would shadow it and break transformers."""
    assert (ROOT / "kernels").is_dir()
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_the_version_is_that_of_the_distribution():
    assert photonsim.__version__ == version("photonsim")
