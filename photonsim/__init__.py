"""photonsim: would an optical chip run my transformer, how accurately, and for how many joules?"""

from importlib.metadata import version as _version

__version__ = _version("photonsim")
