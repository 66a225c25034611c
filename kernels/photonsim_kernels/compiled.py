"""How our functions are compiled: one decorator, so that the choices and their prices stand in one place.

- The compiled code is kept on disk, since compiling takes many seconds. The folder is `NUMBA_CACHE_DIR` if that is set,
  else the user's cache folder; where neither can be written, nothing is kept and each process compiles anew. Numba
  looks only at the file of the function itself when it decides whether its code is stale, so the folder's name carries
  a digest of the whole package.
- `nogil`: XLA's and Python's threads run side by side.
- No `fastmath` anywhere: a number must not depend on how a compiler may reassociate it. Where a multiplication and an
  addition are to become one instruction, the code says so (`simd.py`).
- `error_model="numpy"`: a division by zero gives infinity, not an exception that a handler cannot raise.
- Under `NUMBA_DISABLE_JIT=1` nothing is compiled: see `interpreted.py`.
"""

import functools
import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
import numba.extending
import numpy as np
from numba.core import config
from numba.np.ufunc import parallel

from photonsim_kernels import interpreted

SETTINGS: Any = config  # its attributes are made at run time

# Cached code of a parallel function crashes when it is loaded before the threading layer is: so load the layer first.
numba.get_num_threads()


def _source_digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _user_cache_folder() -> Path:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


@functools.cache
def cache_folder() -> Path | None:
    """Where compiled code is kept; `None` where no folder can be written."""
    try:
        folder = _user_cache_folder() / "photonsim" / f"kernels-{_source_digest()}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None


def _cached(decorate):
    """Apply a Numba decorator with our folder as its cache, and leave Numba's own setting as it was."""
    folder = cache_folder()
    if folder is None:
        return decorate(cache=False)
    before = SETTINGS.CACHE_DIR
    SETTINGS.CACHE_DIR = str(folder)
    try:
        return decorate(cache=True)
    finally:
        SETTINGS.CACHE_DIR = before


def compiled(function=None, *, signature=None, **options) -> Any:
    """`numba.njit` with the choices above; by a signature once, else for each number that a call spells out."""
    if function is None:
        return functools.partial(compiled, signature=signature, **options)
    if SETTINGS.DISABLE_JIT:
        return np.errstate(over="ignore")(function)  # whole numbers of a fixed width wrap
    options = {"nogil": True, "error_model": "numpy", **options}
    return _cached(lambda cache: numba.njit(signature, cache=cache, **options)(function))


def compiled_callback(signature) -> Any:
    """`numba.cfunc` with the choices above: a function that C can call."""
    if SETTINGS.DISABLE_JIT:
        return functools.partial(interpreted.Callback, signature)
    return lambda function: _cached(lambda cache: numba.cfunc(signature, cache=cache)(function))


def emitted(function) -> Any:
    """A function whose code is written out as LLVM instructions by what it returns; see `simd.py`."""
    return interpreted.emitted(function) if SETTINGS.DISABLE_JIT else numba.extending.intrinsic(function)


@functools.cache
def threads_may_overlap() -> bool:
    """Whether two threads may run parallel kernels at once: Numba's own `workqueue` layer aborts the process."""
    numba.get_num_threads()
    _start_threads()
    return parallel.threading_layer() != "workqueue"


@functools.cache
def _start_threads() -> None:
    _touch_in_parallel(2)


@compiled(parallel=True)
def _touch_in_parallel(count):
    total = 0
    for i in numba.prange(count):
        total += i
    return total
