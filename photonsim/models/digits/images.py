"""1,797 handwritten digits of 8 × 8 pixels (Alpaydin and Kaynak 1998, CC BY 4.0; see the README of this folder)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32
from safetensors.numpy import load_file

TEST_IMAGES = 597
SPLIT_SEED = 0
WHITE = 16  # the largest grey level


class Digits(NamedTuple):
    """Images with grey levels in [0, 1], and what they show."""

    images: Float32[np.ndarray, "count 64"]
    labels: Int32[np.ndarray, " count"]


def load_digits() -> tuple[Digits, Digits]:
    """1,200 images to train with and 597 to test with, always the same."""
    arrays = load_file(Path(__file__).parent / "digits.safetensors")
    images, labels = arrays["images"].astype(np.float32) / WHITE, arrays["labels"].astype(np.int32)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, test = order[TEST_IMAGES:], order[:TEST_IMAGES]
    return Digits(images[train], labels[train]), Digits(images[test], labels[test])
