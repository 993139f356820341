"""Settings that gunicorn takes from a module alone."""

from __future__ import annotations

from covidlit.platform.folder import current_folder
from covidlit.platform.logs import logging_settings

logconfig_dict = logging_settings(current_folder().settings.operation.log)
