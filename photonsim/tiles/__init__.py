"""Matrix-multiply units: a matrix you can multiply by, that answers as light would, and hands you the bill."""

from photonsim.tiles.base import AbstractTile as AbstractTile
from photonsim.tiles.base import Converters as Converters
from photonsim.tiles.base import Devices as Devices
from photonsim.tiles.base import Disturbance as Disturbance
from photonsim.tiles.base import Reload as Reload
from photonsim.tiles.crossbar import Crossbar as Crossbar
from photonsim.tiles.die import Die as Die
from photonsim.tiles.dynamic import DynamicCrossbar as DynamicCrossbar
from photonsim.tiles.engine import ENGINES as ENGINES
from photonsim.tiles.engine import engine_here as engine_here
from photonsim.tiles.fast import fast_engine_available as fast_engine_available
from photonsim.tiles.homodyne import Homodyne as Homodyne
from photonsim.tiles.mesh import Mesh as Mesh
from photonsim.tiles.partial_sums import Programmed as Programmed
from photonsim.tiles.pcm_crossbar import PcmCrossbar as PcmCrossbar
from photonsim.tiles.residue import Residue as Residue
from photonsim.tiles.sliced import Sliced as Sliced
from photonsim.tiles.time_integrating import TimeIntegrating as TimeIntegrating
from photonsim.tiles.weight_bank import WeightBank as WeightBank
