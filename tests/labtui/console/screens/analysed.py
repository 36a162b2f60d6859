"""A host whose runs are measured in this process, and what its screen shows."""

from typing import Any

from engines.runs.home import Home
from engines.study.reader import ResultsReader
from tests.labtui.console.screens.conftest import Host


class AnalysedHost(Host):
    """What `LabApp` has that the screens of comparisons and plots use."""

    def __init__(self, home: Home, ascii_only: bool = False) -> None:
        super().__init__(home, ascii_only)
        self.analyst: Any = ResultsReader(home)
