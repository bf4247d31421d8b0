"""Node-RED as a contender: its flow does what the handwritten version does.

It must not be made better or worse than somebody would draw it; npm installs it once, outside the checkout.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VERSION: Final = "4.1.15"
INSTALL_SECONDS: Final = 600.0
_FILES: Final = Path(__file__).parent


def missing() -> str | None:
    """Say why Node-RED cannot take part, else None; npm installs it where it is not yet."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is missing"
    if not _script().exists():
        options = ["--prefix", str(_home()), "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            subprocess.run(
                ["npm", "install", *options, f"node-red@{VERSION}"],
                check=True,
                capture_output=True,
                timeout=INSTALL_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            # What is there in part would be taken for the whole the next time.
            shutil.rmtree(_home(), ignore_errors=True)
            return f"npm could not install node-red@{VERSION}"
    return None


def command(folder: Path) -> list[str]:
    """Return what starts Node-RED with the flow, in a folder where it may write."""
    for name in ("flows.json", "settings.js"):
        shutil.copy(_FILES / name, folder)
    return ["node", str(_script()), "--userDir", str(folder), "--settings", str(folder / "settings.js")]


def _home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "nexthink-ticket-bridge" / f"node-red-{VERSION}"


def _script() -> Path:
    return _home() / "node_modules" / "node-red" / "red.js"
