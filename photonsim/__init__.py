"""photonsim: would an optical chip run my transformer, how accurately, and for how many joules?"""

from importlib.metadata import version as _version

from photonsim.chip import Chip, describe, load_chip, override, preset_names, save_chip
from photonsim.cost import energy, latency
from photonsim.errors import PhotonsimError
from photonsim.evaluate import Result, error_budget, run
from photonsim.events import EventCounts
from photonsim.models import Model
from photonsim.models import load as load_model
from photonsim.swap import Rule, simulate

__version__ = _version("photonsim")
__all__ = [
    "Chip",
    "EventCounts",
    "Model",
    "PhotonsimError",
    "Result",
    "Rule",
    "describe",
    "energy",
    "error_budget",
    "latency",
    "load_chip",
    "load_model",
    "override",
    "preset_names",
    "run",
    "save_chip",
    "simulate",
]
