"""The kernel for GPUs on a machine without one: what JAX interprets, and what it hands to Triton."""

import jax
import pytest

from photonsim.tiles import twins
from photonsim.tiles.gpu_product import analog_matmul_on_gpu


@pytest.mark.parametrize("mode", ["quantised", "all"])
@pytest.mark.parametrize("bits", [8, None])
def test_the_kernel_lowers_for_a_gpu_of_nvidia(mode, bits):
    operands = twins._as_defined(*twins.draw_operands(70, 100, 83, 48, mode, bits))
    product = jax.jit(analog_matmul_on_gpu, static_argnums=2)
    lowered = product.trace(*operands).lower(lowering_platforms=("cuda",)).as_text()
    assert "xla.gpu.triton" in lowered
