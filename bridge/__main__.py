"""`python -m bridge`, the same as the installed command `bridge`."""

from bridge.cli import main

main(prog_name="bridge")
