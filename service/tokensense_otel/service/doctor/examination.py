"""All checks, in the order in which a person would look."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.doctor import install, place
from tokensense_otel.service.doctor.finding import Check, Finding, fail, ok
from tokensense_otel.service.doctor.secrets import secrets
from tokensense_otel.service.loader import Loaded, load

_INSTALL: tuple[Callable[[], Finding], ...] = (install.python, install.bytewax, install.protobuf, install.clock)
_PLACE: tuple[Check, ...] = (
    place.data_dir,
    place.running,
    place.receivers,
    place.store,
    place.log,
    place.recovery,
    place.written_ahead,
    place.pipeline,
    place.exporters,
)


def examine(config: Path | None, environ: Mapping[str, str]) -> list[Finding]:
    """Run every check. A broken check is a finding, not an end; a broken configuration skips what depends on it."""
    findings = [_safely(check.__name__, check) for check in _INSTALL]
    try:
        loaded = load(config, environ)
    except ConfigError as error:
        return findings + [fail("config", line, "write what the message says") for line in str(error).splitlines()]
    findings.append(ok("config", str(config or "defaults and ./tokensense.yaml")))
    findings += [_safely(check.__name__, _bound(check, loaded)) for check in _PLACE]
    return findings + _each("certificates and keys", lambda: secrets(loaded)) + place.endpoints(loaded)


def _bound(check: Check, loaded: Loaded) -> Callable[[], Finding]:
    return lambda: check(loaded)


def _safely(name: str, check: Callable[[], Finding]) -> Finding:
    return _each(name, lambda: [check()])[0]


def _each(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails in its own way is what we are here to tell
        return [fail(name, f"{type(error).__name__}: {error}", "report this with the output of tokensense doctor")]
