"""What the console's pages work with.

It must not construct anything: composition hands it over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bridge.charting import Charting
from bridge.connections import Connections
from bridge.ledger import Ledger
from bridge.mapping.language import MappingSet
from bridge.operations import Operations
from bridge.settings import Settings
from bridge.signing_in import SigningIn
from bridge.vitals import Vitals
from bridge.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the pages.

    `mapping_set` looks up the set in force, and gives None where there is none that this version can read;
    `has_mapping_set` says what is known already.
    `signing_in` is None where the console is open, and nobody needs to.
    """

    ledger: Ledger
    vitals: Vitals
    charting: Charting
    operations: Operations
    workshop: Workshop
    connections: Callable[[], Connections]
    mapping_set: Callable[[], MappingSet | None]
    has_mapping_set: Callable[[], bool]
    settings: Callable[[], Settings]
    clock: Callable[[], datetime]
    signing_in: SigningIn | None
