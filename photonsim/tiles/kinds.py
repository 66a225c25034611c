"""The words by which a chip's description chooses among tiles."""

from photonsim.tiles.base import AbstractTile
from photonsim.tiles.crossbar import Crossbar
from photonsim.tiles.dynamic import DynamicCrossbar
from photonsim.tiles.homodyne import Homodyne
from photonsim.tiles.mesh import Mesh
from photonsim.tiles.pcm_crossbar import PcmCrossbar
from photonsim.tiles.residue import Residue
from photonsim.tiles.sliced import Sliced
from photonsim.tiles.time_integrating import TimeIntegrating
from photonsim.tiles.weight_bank import WeightBank

TILES: dict[str, type[AbstractTile]] = {
    "crossbar": Crossbar,
    "dynamic-crossbar": DynamicCrossbar,
    "homodyne": Homodyne,
    "mesh": Mesh,
    "pcm-crossbar": PcmCrossbar,
    "residue": Residue,
    "sliced": Sliced,
    "time-integrating": TimeIntegrating,
    "weight-bank": WeightBank,
}
