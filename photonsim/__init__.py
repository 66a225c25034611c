"""photonsim: would an optical chip run my transformer, how accurately, and for how many joules?"""

from importlib.metadata import version as _version

from photonsim.chip import Chip as Chip
from photonsim.chip import describe as describe
from photonsim.chip import load_chip as load_chip
from photonsim.chip import override as override
from photonsim.chip import preset_names as preset_names
from photonsim.chip import save_chip as save_chip
from photonsim.cost import energy as energy
from photonsim.cost import latency as latency
from photonsim.errors import PhotonsimError as PhotonsimError
from photonsim.evaluate import Result as Result
from photonsim.evaluate import error_budget as error_budget
from photonsim.evaluate import run as run
from photonsim.events import EventCounts as EventCounts
from photonsim.models import Model as Model
from photonsim.models import load as load_model
from photonsim.swap import Rule as Rule
from photonsim.swap import simulate as simulate

__version__ = _version("photonsim")
