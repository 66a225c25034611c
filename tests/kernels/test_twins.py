"""Every kernel of the table agrees with its definition to the tolerance that stands there."""

import numpy as np
import pytest

from photonsim.tiles.twins import TWINS


def magnitude_of(arguments):
    """Bound of the sum of the magnitudes of all terms of a product's answer, per element."""
    x, levels, gain, offset, _, _, scale = [np.abs(np.asarray(a, np.float64)) for a in arguments[:7]]
    blocks, rows, _ = levels.shape
    padded = np.pad(x, ((0, 0), (0, blocks * rows - x.shape[1]))).reshape(x.shape[0], blocks, rows)
    s_x = padded.max(axis=2) * (1 + 2.0**-8)
    light = np.einsum("mtr,trn,tn->mn", padded, levels, gain * scale)
    return light + np.einsum("mt,tn->mn", s_x, offset * scale)


@pytest.mark.parametrize("name", TWINS)
def test_kernel_agrees_with_its_twin(name):
    twin = TWINS[name]
    arguments = twin.arguments()
    found, expected = [np.asarray(function(*arguments)) for function in (twin.kernel, twin.definition)]
    assert np.abs(expected.astype(np.float64)).max() > 0
    if twin.roundings == 0:
        np.testing.assert_array_equal(found, expected)
    else:
        assert (np.abs(found - expected) <= twin.roundings * 2.0**-24 * magnitude_of(arguments)).all()
