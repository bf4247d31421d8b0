"""Writes the page and the example that are made from the settings: `python -m bridge.settings PAGE EXAMPLE`.

It must not be needed to run the bridge.
"""

import sys
from pathlib import Path

from bridge.settings.documents import env_example, settings_page

page, example = sys.argv[1:]
Path(page).write_text(settings_page(), encoding="utf-8")
Path(example).write_text(env_example(), encoding="utf-8")
