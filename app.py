"""Gunicorn's door to the web process.

It must not configure anything; gunicorn.conf.py and the environment do.
"""

from bridge.serving import create_app

app = create_app()
