"""What a server of Python's web standard (WSGI) starts."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "covidlit.platform.settings")
application = get_wsgi_application()
