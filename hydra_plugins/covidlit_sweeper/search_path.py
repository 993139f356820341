"""Lets every Hydra application find the sweeper's settings."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class CovidlitSweeperSearchPath(SearchPathPlugin):
    """Adds the groups `hydra/sweeper`, `hydra/sweeper/sampler` and `hydra/sweeper/pruner`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder of the settings."""
        search_path.append("covidlit-sweeper", "pkg://hydra_plugins.covidlit_sweeper.conf")
