"""Tasks on threads: one parallel loop for all kernels, which calls a task by its address.

A task is a C function of a job's address and its own number. It is published under a name, and compiled code finds its
address by that name when it is loaded: code that is kept on disk must not hold addresses of an earlier process.
"""

import os

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled, compiled_callback, emitted, threads_may_overlap

ON_TASK = types.void(types.intp, types.intp)  # (address of the job, number of the task)
_TASK = ir.FunctionType(ir.VoidType(), [simd.LONG, simd.LONG])
_KEPT = []
MOST_THREADS = 256  # that can share out the tasks of a product


def publish(name: str, callback):
    """Let compiled code find a compiled callback by a name: a function without arguments that gives its address."""
    _KEPT.append(callback)
    llvmlite.binding.add_symbol(name, callback.address)

    @emitted
    def address(typing_context):
        def codegen(context, builder, signature, arguments):
            return builder.ptrtoint(cgutils.get_or_insert_function(builder.module, _TASK, name), simd.LONG)

        return types.intp(), codegen

    return address


@emitted
def _call(typing_context, task, job, i):
    """Run task `i` of a job."""

    def codegen(context, builder, signature, arguments):
        task, *operands = arguments
        builder.call(builder.inttoptr(task, _TASK.as_pointer()), operands)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@emitted
def _count_on(typing_context, address):
    """Add one to the number at an address, whoever else does so at that moment; the number before."""

    def codegen(context, builder, signature, arguments):
        counter = builder.inttoptr(arguments[0], simd.LONG.as_pointer())
        return builder.atomic_rmw("add", counter, simd.LONG(1), "monotonic")

    return types.intp(types.intp), codegen


@compiled(parallel=True)
def _run_on_threads(task, job, count, counter):
    """Each thread takes the next task when it has finished one: a busy processor does fewer."""
    for _ in numba.prange(min(count, MOST_THREADS)):
        i = _count_on(counter)
        while i < count:
            _call(task, job, i)
            i = _count_on(counter)


@compiled
def run_tasks(task, job, count, alone):
    """Run tasks 0 … count - 1 of a job, on threads unless it is to run `alone`, or two kernels may not overlap."""
    taken = np.zeros(1, np.int64)
    if alone or must_run_alone():
        for i in range(count):
            _call(task, job, i)
    else:
        _run_on_threads(task, job, count, taken.ctypes.data)
    return taken[0]  # a use, so that it lives until all is done


@compiled_callback(types.intp())
def _yes():
    return 1


@compiled_callback(types.intp())
def _no():
    return 0


# Asked at run time, by symbol: code that was compiled under one threading layer is found again under another.
publish("photonsim_alone", _no if threads_may_overlap() and numba.get_num_threads() > 1 else _yes)
_KEPT += [_yes, _no]


@emitted
def must_run_alone(typing_context):
    def codegen(context, builder, signature, arguments):
        asked = ir.FunctionType(simd.LONG, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, asked, "photonsim_alone"), [])

    return types.intp(), codegen


# Threads do not survive a fork, and GNU's OpenMP ends a child that asks for them: so a child works alone.
_forked: list[bool] = []
os.register_at_fork(after_in_child=lambda: _forked.append(True))


def forked() -> bool:
    """Whether this process is a fork of one that had threads."""
    return bool(_forked)
