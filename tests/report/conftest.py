"""One small run, shared by the tests of what is made of it."""

import pytest

from photonsim.chip import load_chip
from photonsim.evaluate import run
from photonsim.models import load, sample_text


@pytest.fixture(scope="package")
def result():
    """The tiny model on Envise, two windows of 64 tokens."""
    return run(load("tiny"), load_chip("lightmatter-envise-2025"), sample_text(), tokens=128, context=64)
