"""The ports that several receivers share: taken once, before any of them starts, and kept while they may come back."""

import contextlib
import copy
from collections.abc import Iterator

from tokensense_otel.receiver.listening import reserve
from tokensense_otel.service import places
from tokensense_otel.service.loader import Loaded, restore
from tokensense_otel.service.units import units_of


@contextlib.contextmanager
def kept_ports(loaded: Loaded, wait_s: float) -> Iterator[Loaded]:
    """Settings with the real ports, which are held for the receivers; as they were where there is only one receiver.

    `wait_s` is how long receivers of a predecessor, which still serve these ports, are waited for.

    Raises:
        ConfigError: when a port cannot be had.
    """
    settings = loaded.settings
    if settings.receiver.processes == 1:
        yield loaded
        return
    for unit in units_of(settings, ("receiver",)):
        with places.only_one(settings.data_dir, unit.name, wait_s=wait_s):
            pass
    raw = copy.deepcopy(loaded.raw)
    with contextlib.ExitStack() as held:
        for name in ("grpc", "http"):
            endpoint: str = getattr(settings.receiver, name).endpoint
            holder, real = reserve(f"receiver.{name}.endpoint", endpoint)
            held.enter_context(holder)
            raw.setdefault("receiver", {}).setdefault(name, {})["endpoint"] = real
        yield restore(raw, loaded.base_dir)
