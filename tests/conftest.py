"""The test world is strict: warnings are errors, dtypes do not promote by themselves, each test has its own folder.

What XLA compiles is kept in a folder for the next test, worker or run that compiles the same: a third of the time of
these tests was spent there. LLVM's level 2 compiles them to the same bits as XLA's own level 3, which unrolls the loops
over these small arrays and can take ten times as long over it.
"""

import os
from pathlib import Path

import llvmlite.binding

COMPILED = Path(__file__).parents[1] / ".cache" / f"xla-{llvmlite.binding.get_host_cpu_name()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))  # before JAX is imported, and for programs we start
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=2")

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
hypothesis.settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("default")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_collection_modifyitems(items):
    """Slow tests come first, so that none is left to one worker when the others have done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _no_output_left_behind(monkeypatch, tmp_path):
    """Every test runs in a folder of its own, so that none can find or leave a file in the checkout."""
    monkeypatch.chdir(tmp_path)
