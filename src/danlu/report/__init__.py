"""Reports: what a run's folder holds, as one page."""

from danlu.report.folder import RunFolder
from danlu.report.page import write_report

__all__ = ["RunFolder", "write_report"]
