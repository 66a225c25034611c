"""Numba kernels of photonsim: plain loops on arrays, which know neither JAX nor the simulator."""
