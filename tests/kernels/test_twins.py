"""Every kernel of the table agrees with its definition to the tolerance that stands there."""

import numpy as np
import pytest

from photonsim.tiles.twins import TWINS


@pytest.mark.parametrize("name", TWINS)
def test_kernel_agrees_with_its_twin(name):
    twin = TWINS[name]
    arguments = twin.arguments()
    found, expected = [np.asarray(function(*arguments)) for function in (twin.kernel, twin.definition)]
    assert np.abs(expected.astype(np.complex128)).max() > 0
    if twin.roundings == 0:
        np.testing.assert_array_equal(found, expected)
    else:
        assert twin.magnitude is not None
        assert (np.abs(found - expected) <= twin.roundings * 2.0**-24 * twin.magnitude(arguments)).all()
