"""Commands that remove what is kept: `purge`.

They must not decide what may go; the use cases do.
"""

import click

from bridge.bootstrap import retaining
from bridge.cli.opening import bridge_to_act
from bridge.cli.showing import line


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be removed.")
def purge(dry_run: bool) -> None:
    """Remove now what has been kept as long as the settings say. A worker does the same once a day."""
    with bridge_to_act() as bridge:
        keeping = retaining(bridge)
        done = keeping.preview() if dry_run else keeping.purge()
    line(f"{'that would go' if dry_run else 'removed'}:")
    line(f"payloads of deliveries  {done.payloads}", indent=2)
    line(f"what mappings saw       {done.findings} deliveries", indent=2)
    line(f"all but the key of      {done.runs} runs", indent=2)
    line(f"all but the seal of     {done.segments} segments of the audit", indent=2)
