"""Whether processors are ours alone: what a second thread of the same core takes from us cannot be seen otherwise.

Two threads of a core share what is decoded in a cycle. A loop of vector additions, which a core alone does four or more
of in a cycle, feels any neighbour at once, and one bound by multiplications, as BLAS is, hardly any. So the speed of
such a loop, before a measurement and after it, tells whether the core was quiet.
"""

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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


@numba.njit(nogil=True)
def _run(rounds):
    return _add(rounds)


class Quiet:
    """So many of the processors that we may use: this thread is bound to one, and threads of its own to the others."""

    def __init__(self, processors: int):
        first, *others = sorted(os.sched_getaffinity(0))[:processors]
        _bind_threads(first, others or [first])
        self._watchers = [ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {p})) for p in others]
        self.greatest = max(max(self._speeds()) for _ in range(2000))

    def __call__(self) -> bool:
        speeds = self._speeds()
        self.greatest = max(self.greatest, *speeds)
        return min(speeds) > QUIET * self.greatest

    def _speeds(self) -> list[float]:
        """Of all processors at once, as they will work."""
        seen = [watcher.submit(_speed) for watcher in self._watchers]
        return [_speed(), *[speed.result() for speed in seen]]


def _bind_threads(first: int, others: list[int]) -> None:
    """Bind this thread to the first processor, and those that work for it to the others: watchers displace none."""
    os.sched_setaffinity(0, {first})
    threads = sorted({int(task) for task in os.listdir("/proc/self/task")} - {threading.get_native_id()})
    for thread, processor in zip(threads, itertools.cycle(others), strict=False):
        os.sched_setaffinity(thread, {processor})


def _speed() -> float:
    """Additions of a vector in a nanosecond: of the second of two runs, as the first waits for its code."""
    _run(ROUNDS)
    start = time.perf_counter_ns()
    _run(ROUNDS)
    return ROUNDS * VECTORS / (time.perf_counter_ns() - start)
