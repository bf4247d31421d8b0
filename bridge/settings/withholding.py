"""Returns settings without anything secret in them, for what has to know the rest.

It must not change what is no secret: what is made of such settings reads and shows the same.
"""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr

Model = TypeVar("Model", bound=BaseModel)

# It opens nothing. That a secret is given stays to be seen, because what is read can depend on that.
_WITHHELD: Final = SecretStr("withheld")


def without_secrets(settings: Model) -> Model:
    """Return the same settings, with one word in place of every secret that is given."""
    # By its type and not by its name, so that a secret setting which is added later is left out as well.
    return settings.model_copy(update={name: _withheld(value) for name, value in settings})


def _withheld(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _WITHHELD
    if isinstance(value, BaseModel):
        return without_secrets(value)
    if isinstance(value, tuple):
        return tuple(map(_withheld, value))
    return value
