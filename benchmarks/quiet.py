"""Whether a processor is ours alone: what a second thread of the same core takes from us cannot be seen otherwise.

Two threads of a core share what is decoded in a cycle. A loop of vector additions, which a core alone does four or more
of in a cycle, feels any neighbour at once, and one bound by multiplications, as BLAS is, hardly any. So the speed of
such a loop, before a measurement and after it, tells whether the core was quiet.
"""

import time

import numba
from llvmlite import ir
from numba import types
from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted

VECTORS, ROUNDS = 12, 40_000  # some 40 µs
QUIET = 0.95  # of the greatest speed that was seen


@emitted
def _add(typing_context, rounds):
    """`rounds` times as many independent additions as there are vectors."""

    def codegen(context, builder, signature, arguments):
        before, loop, after = builder.block, *[builder.append_basic_block(name) for name in ("add", "added")]
        builder.branch(loop)
        builder.position_at_end(loop)
        done, sums = builder.phi(simd.LONG), [builder.phi(simd.INTS) for _ in range(VECTORS)]
        results = simd.in_step(builder, [builder.add(value, simd.ints(1)) for value in sums])
        following = builder.add(done, simd.LONG(1))
        builder.cbranch(builder.icmp_signed("<", following, arguments[0]), loop, after)
        for phi, first, result in zip(
            [done, *sums], [simd.LONG(0), *[simd.ints(0)] * VECTORS], [following, *results], strict=True
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(result, loop)
        builder.position_at_end(after)
        total = results[0]
        for result in results[1:]:
            total = builder.xor(total, result)
        return builder.extract_element(total, ir.Constant(simd.INT, 0))

    return types.int32(types.intp), codegen


@numba.njit
def _run(rounds):
    return _add(rounds)


class Quiet:
    """The processor this thread runs on; it is to be bound to one."""

    def __init__(self):
        self.greatest = max(self._speed() for _ in range(2000))

    def __call__(self) -> bool:
        speed = self._speed()
        self.greatest = max(self.greatest, speed)
        return speed > QUIET * self.greatest

    @staticmethod
    def _speed() -> float:
        """Additions of a vector in a nanosecond: of the second of two runs, as the first waits for its code."""
        _run(ROUNDS)
        start = time.perf_counter_ns()
        _run(ROUNDS)
        return ROUNDS * VECTORS / (time.perf_counter_ns() - start)
