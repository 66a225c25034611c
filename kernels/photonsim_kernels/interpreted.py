"""Under `NUMBA_DISABLE_JIT=1` Python runs everything, vector instructions too: LLVM's, one after another, by NumPy.

Numba then leaves functions as they are written, so that a debugger can walk through them. What is written as LLVM
instructions (`simd.py`) has no Python to fall back on. So it is built as ever, and its instructions are carried out
here, on numbers of NumPy and on the process's own memory: several thousand times slower than compiled, the same bits.
Types, widths, addresses and the order of tasks are Python's then, which knows nothing of Numba's typing or of LLVM.

Integers are kept signed; instructions that read them as unsigned look at them so. An address is an int64. What no
kernel emits is not here.
"""

import ctypes
import functools
import re
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.np.numpy_support import as_dtype


def multiply_add(a, b, c):
    """a · b + c in float32, rounded once, of numbers or arrays.

    A product of two float32 is exact in float64, and the sum, rounded to odd there, rounds to the right float32 (Boldo
    and Melquiond, IEEE Trans. Computers 57:462, 2008).
    """
    product, added = np.multiply(a, b, dtype=np.float64), np.float64(c)
    total = product + added
    rest = total - product
    error = (product - (total - rest)) + (added - rest)
    inexact_and_even = (error != 0) & np.isfinite(total) & (total.view(np.int64) & 1 == 0)
    total = np.where(inexact_and_even, np.nextafter(total, np.copysign(np.inf, error)), total)
    return total.astype(np.float32)[()]


class Pointer:
    """Numbers or records in memory, by their index."""

    def __init__(self, address, kind):
        self.address, self.kind = int(address), np.dtype((np.record, kind) if kind.names else kind)

    def array(self, shape, first=0):
        shape = shape if isinstance(shape, tuple) else (shape,)
        count = int(np.prod(shape))
        if count == 0:
            return np.empty(shape, self.kind)
        address, size = self.address + first * self.kind.itemsize, count * self.kind.itemsize
        return np.frombuffer(memoryview((ctypes.c_char * size).from_address(address)), self.kind).reshape(shape)

    def __getitem__(self, index):
        return self.array(1, int(index))[0]

    def __setitem__(self, index, value):
        self.array(1, int(index))[0] = value


def carray(pointer, shape):
    """`numba.carray` of a `Pointer`."""
    return pointer.array(shape)


_FUNCTIONS = {}  # by address


class Callback:
    """A Python function that C can call, in place of `numba.cfunc`."""

    def __init__(self, signature, function):
        returned = None if signature.return_type == types.void else ctypes.c_int64
        self.from_c = ctypes.CFUNCTYPE(returned, *[ctypes.c_int64] * len(signature.args))(function)
        self.address = ctypes.cast(self.from_c, ctypes.c_void_p).value
        _FUNCTIONS[self.address] = function


def _unsigned(a):
    return a.view(f"u{a.dtype.itemsize}")


def _shift_right(a, bits):
    return (_unsigned(a) >> _unsigned(bits)).view(a.dtype)


def _neighbours(a, b, kind):
    """Sums of neighbouring products."""
    products = a.astype(kind) * b.astype(kind)
    return products[::2] + products[1::2]


def _byte_pairs(a, b):
    """`vpmaddubsw`: unsigned by signed, saturated."""
    return np.clip(_neighbours(_unsigned(a), b, np.int32), -(2**15), 2**15 - 1).astype(np.int16)


def _with_element(vector, number, place):
    vector = vector.copy()
    vector[place] = number
    return vector


_NUMBERS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "shl": np.left_shift, "ashr": np.right_shift,
    "lshr": _shift_right, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "fadd": np.add,
    "fsub": np.subtract, "fmul": np.multiply, "fdiv": np.divide, "fneg": np.negative, "select": np.where,
    "insertelement": _with_element, "shufflevector": lambda a, b, order: np.concatenate([a, b])[order],
}  # fmt: skip
_COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_INTRINSICS = {
    "prefetch.p0": lambda *operands: None,
    "fmuladd": multiply_add, "sqrt": np.sqrt, "rint": np.rint, "floor": np.floor, "fabs": np.abs,
    "lrint": lambda a: np.rint(a).astype(np.int32),
    "x86.avx2.psign.b": lambda a, b: a * np.sign(b),
    "x86.avx2.pmadd.wd": lambda a, b: _neighbours(a, b, np.int32), "x86.avx2.pmadd.ub.sw": _byte_pairs,
}  # fmt: skip


def _kind_of(type_):
    """NumPy's type of the numbers of an LLVM type, and how many there are: () for one."""
    if isinstance(type_, ir.VectorType):
        return _kind_of(type_.element)[0], (type_.count,)
    if isinstance(type_, ir.IntType):
        return np.dtype(f"i{type_.width // 8}" if type_.width > 1 else bool), ()
    return np.dtype({"float": "f4", "double": "f8"}.get(str(type_), "i8")), ()


def _constant(value):
    if isinstance(value, ir.Function):
        known = not value.name.startswith("llvm.")
        return llvmlite.binding.address_of_symbol(value.name) if known else 0
    kind, shape = _kind_of(value.type)
    given = value.constant if shape and isinstance(value.constant, (list, tuple)) else [value.constant]
    given = [getattr(number, "constant", number) for number in given]
    given = [0 if number in (None, ir.Undefined) else number for number in given]
    return np.broadcast_to(np.array(given).astype(kind), shape or 1).reshape(shape)


def _count_on(address, number):
    place = Pointer(address, number.dtype)
    before = place[0]
    place[0] = before + number
    return before


def _operation(instruction):
    """What an instruction makes of its operands."""
    name, (kind, shape) = instruction.opname, _kind_of(instruction.type)
    if name in ("icmp", "fcmp"):
        compare, unsigned = _COMPARISONS[instruction.op[-2:]], instruction.op[0] == "u" and name == "icmp"
        return (lambda a, b: compare(_unsigned(a), _unsigned(b))) if unsigned else compare
    if name == "sext":
        return lambda a: -a.astype(kind) if a.dtype == bool else a.astype(kind)
    if name in ("trunc", "sitofp", "fptosi"):
        return lambda a: a.astype(kind)
    if name == "zext":
        return lambda a: (a if a.dtype == bool else _unsigned(a)).astype(kind)
    if name == "bitcast":
        return lambda a: a.view(kind)
    if name in ("inttoptr", "ptrtoint"):
        return lambda a: a
    if name == "load":
        size = kind.itemsize * int(np.prod(shape))
        return lambda address: np.frombuffer(ctypes.string_at(int(address), size), kind).reshape(shape)
    if name == "atomicrmw":  # only additions
        return _count_on
    if name == "store":
        return lambda value, address: ctypes.memmove(int(address), value.tobytes(), value.nbytes)
    if name == "call":
        called = re.sub(r"^llvm\.|(\.v?\d*[fi]\d+)+$", "", instruction.callee.name)
        if called in _INTRINSICS:
            return _INTRINSICS[called]
        return lambda *operands: np.int64(_FUNCTIONS[int(operands[-1])](*operands[:-1]) or 0)
    return _NUMBERS[name]


class _Instructions:
    """An emitted function, built once. The numbers of a run are known by the `id` of what LLVM calls a value."""

    def __init__(self, signature, codegen):
        context: Any = cpu_target.target_context
        kinds = [context.get_value_type(kind) for kind in signature.args]
        returned = ir.FunctionType(context.get_value_type(signature.return_type), kinds)
        self.signature, self.function = signature, ir.Function(ir.Module(), returned, "emitted")
        builder = ir.IRBuilder(self.function.append_basic_block())
        builder.ret(codegen(context, builder, signature, self.function.args))
        self.constants, self.memory, self.steps = {}, {}, {}
        for block in self.function.blocks:
            *before, last = block.instructions
            phis = [one for one in before if isinstance(one, ir.PhiInstr)]
            sources = [{id(come_from): self._known(value) for value, come_from in phi.incomings} for phi in phis]
            steps = [self._step(one) for one in before if not isinstance(one, (ir.PhiInstr, ir.AllocaInstr))]
            blocks = [value for value in last.operands if isinstance(value, ir.Block)]
            decides = [self._known(value) for value in last.operands if not isinstance(value, ir.Block)]
            self.steps[id(block)] = list(zip(map(id, phis), sources, strict=True)), steps, decides, blocks
            for one in before:
                if isinstance(one, ir.AllocaInstr):
                    kind, shape = _kind_of(one.allocated_type)
                    self.memory[id(one)] = kind.itemsize * int(np.prod(shape))

    def _known(self, value):
        """By which name a value is known; constants are seen to."""
        if isinstance(value, (ir.Constant, ir.Function)):
            self.constants[id(value)] = _constant(value)
        return id(value)

    def _step(self, instruction):
        operands = list(instruction.operands)
        if isinstance(instruction, ir.CallInstr):
            operands = list(instruction.args)
            operands += [] if str(getattr(instruction.callee, "name", "")).startswith("llvm.") else [instruction.callee]
        return id(instruction), [self._known(value) for value in operands], _operation(instruction)

    def __call__(self, *arguments):
        numbers = dict(self.constants)
        for place, kind, given in zip(self.function.args, self.signature.args, arguments, strict=True):
            if not isinstance(kind, (types.DType, types.NumberClass)):
                numbers[id(place)] = np.asarray(given).astype(as_dtype(kind)).astype(_kind_of(place.type)[0])
        memory = {name: ctypes.create_string_buffer(size) for name, size in self.memory.items()}
        numbers |= {name: np.int64(ctypes.addressof(held)) for name, held in memory.items()}
        with np.errstate(all="ignore"):
            result = self._run(numbers)
        kind = self.signature.return_type
        if kind == types.void:
            return None
        return (
            Pointer(result, as_dtype(kind.dtype)) if isinstance(kind, types.CPointer) else as_dtype(kind).type(result)
        )

    def _run(self, numbers):
        block, before = id(self.function.entry_basic_block), 0
        while True:
            phis, steps, decides, blocks = self.steps[block]
            incoming = [numbers[sources[before]] for _, sources in phis]
            numbers.update(zip([name for name, _ in phis], incoming, strict=True))
            for name, operands, act in steps:
                numbers[name] = act(*[numbers[operand] for operand in operands])
            if not blocks:
                return numbers[decides[0]] if decides else None
            taken = 0 if not decides or numbers[decides[0]] else 1
            block, before = id(blocks[taken]), block


def emitted(function):
    """A Python function that carries out what `function`, as for `numba.extending.intrinsic`, emits."""

    @functools.cache
    def build(*kinds):
        return _Instructions(*function(None, *[None if kind is None else numba.typeof(kind) for kind in kinds]))

    @functools.wraps(function)
    def run(*arguments):
        kinds = [given if isinstance(given, (type, np.dtype)) else None for given in arguments]
        return build(*kinds)(*arguments)

    return run
