"""Results for people and for programs: tables, figures, JSON."""

from photonsim.report.chips import chip_tables as chip_tables
from photonsim.report.chips import chips_table as chips_table
from photonsim.report.figure import run_figure as run_figure
from photonsim.report.figure import save_run_figure as save_run_figure
from photonsim.report.files import check_writable as check_writable
from photonsim.report.files import write_json as write_json
from photonsim.report.tables import run_tables as run_tables
