"""The compiled kernels of `photonsim_kernels` as functions that XLA calls on the CPU: typed FFI handlers, no Python.

Where this jaxlib speaks another version of the interface, a Python callback takes a kernel's place, and a notice says
so.
"""

import ctypes
import functools
import importlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

HANDLERS = {  # name for XLA: module of the kernels, and the handler in it
    "photonsim_crossbar": ("xla_ffi", "crossbar_handler"),
    "photonsim_mesh": ("mesh_product", "mesh_handler"),
    "photonsim_patches": ("patch_rows", "patch_handler"),
    "photonsim_bank": ("ring_banks", "bank_handler"),
    "photonsim_residue": ("residue_product", "residue_handler"),
}


@functools.cache
def register(target: str) -> tuple[bool, str]:
    """Tell XLA about a kernel, once: whether products on the CPU go through it, and how, or why not."""
    version = _ffi_major_version()
    module, name = HANDLERS[target]
    try:
        frame = importlib.import_module("photonsim_kernels.xla_frame")
        handler = getattr(importlib.import_module(f"photonsim_kernels.{module}"), name)
    except Exception as error:  # numba that does not fit this Python or processor: any error it likes
        return False, f"the kernels do not load here ({type(error).__name__}: {error})"
    if version != frame.SUPPORTED_MAJOR or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False, f"this jaxlib's FFI has major version {version}, and the kernels speak {frame.SUPPORTED_MAJOR}"
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    jax.ffi.register_ffi_target(target, new_capsule(handler.address, None, None), platform="cpu", api_version=1)
    return True, "compiled Numba kernel, called by XLA"


def _ffi_major_version() -> int | None:
    """Major version of XLA's FFI, from the header that jaxlib ships; `None` where there is no such header."""
    try:
        header = (Path(jax.ffi.include_dir()) / "xla/ffi/api/c_api.h").read_text()
    except (OSError, AttributeError):
        return None
    match = re.search(r"#define XLA_FFI_API_MAJOR (\d+)", header)
    return int(match.group(1)) if match else None


def call(
    target: str, load: Callable[[], Callable], result: jax.ShapeDtypeStruct, operands: Any, vmap_method: str
) -> Any:
    """A kernel's answer; `load()` gives the same kernel for NumPy, which is called where XLA cannot."""
    available, why_not = register(target)
    if available:
        return jax.ffi.ffi_call(target, result, vmap_method=vmap_method)(*operands)
    warnings.warn(f"The fast engine goes through Python: {why_not}.", stacklevel=2)
    return jax.pure_callback(load(), result, *operands, vmap_method=vmap_method)
