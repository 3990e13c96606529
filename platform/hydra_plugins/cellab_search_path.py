"""Puts the configs of every installed cellab plug-in on Hydra's search path."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from cellab.components import packages


class CellabSearchPath(SearchPathPlugin):
    """Appends `<package>/config` of each `cellab.components` entry point."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra once per composition."""
        for package in packages():
            search_path.append(provider=package.origin, path=f"file://{package.config}")
