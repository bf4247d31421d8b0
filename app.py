"""Gunicorn's door to the web process.

It must not configure anything; gunicorn.conf.py and the environment do.
"""

from bridge.errors import ConfigurationError
from bridge.serving import create_app

try:
    app = create_app()
except ConfigurationError as error:
    raise SystemExit(str(error)) from None
