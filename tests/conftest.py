"""The test world is strict: warnings are errors, dtypes do not promote by themselves, each test has its own folder."""

import os

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
hypothesis.settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("default")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _no_output_left_behind(monkeypatch, tmp_path):
    """Every test runs in a folder of its own, so that none can find or leave a file in the checkout."""
    monkeypatch.chdir(tmp_path)
