"""What `doctor` says of certificates and keys."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.support.certificates import Files, issue
from tokensense_otel.service.doctor.finding import Finding, Verdict
from tokensense_otel.service.doctor.secrets import secrets
from tokensense_otel.service.loader import load

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
DAY = timedelta(days=1)


def examined(folder: Path, receiver: dict[str, Any]) -> list[Finding]:
    config = folder / "tokensense.yaml"
    config.write_text(yaml.safe_dump({"receiver": receiver}))
    return secrets(load(config, {}), lambda: NOW_NS)


def with_tls(files: Files, **more: Any) -> dict[str, Any]:
    return {"http": {"tls": {"cert_file": str(files.cert), "key_file": str(files.key), **more}}}


def issued(folder: Path, since: datetime, until: datetime) -> Files:
    files = issue(trustme.CA(), folder, since=since, until=until)
    files.key.chmod(0o600)
    return files


def test_without_certificates_and_keys_there_is_nothing_to_say(tmp_path: Path) -> None:
    """An install without TLS and without a file of keys has no finding about them."""
    assert examined(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("since", "until", "verdict", "says"),
    [
        (NOW - DAY, NOW + 14 * DAY, Verdict.OK, "until 2026-12-08"),
        (NOW - DAY, NOW + 14 * DAY - timedelta(seconds=1), Verdict.WARN, "until 2026-12-08"),
        (NOW - DAY, NOW + timedelta(seconds=1), Verdict.WARN, "until 2026-11-24"),
        (NOW - DAY, NOW, Verdict.FAIL, "it expired on 2026-11-24 12:00 UTC"),
        (NOW, NOW + 90 * DAY, Verdict.OK, "until 2027-02-22"),
        (NOW + timedelta(seconds=1), NOW + 90 * DAY, Verdict.FAIL, "it is not valid before 2026-11-24 12:00 UTC"),
    ],
)
def test_a_certificate_is_judged_by_its_time(
    tmp_path: Path, since: datetime, until: datetime, verdict: Verdict, says: str
) -> None:
    """From two weeks before its end it is a warning, from its end and before its beginning a failure."""
    (found,) = examined(tmp_path, with_tls(issued(tmp_path, since, until)))
    assert (found.check, found.verdict) == ("receiver.http.tls", verdict)
    assert says in found.detail
    assert bool(found.mend) == (verdict is not Verdict.OK)


def _of_another(files: Files, folder: Path) -> None:
    shutil.copy(issue(trustme.CA(), folder / "other").key, files.key)


def _missing(files: Files, folder: Path) -> None:
    files.cert.unlink()


def _garbage(files: Files, folder: Path) -> None:
    files.cert.write_text("no PEM")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_of_another, "cert_file and key_file are no PEM certificate and its key (key values mismatch)"),
        (_missing, "cannot be read (No such file or directory)"),
        (_garbage, "cert_file and key_file are no PEM certificate and its key"),
    ],
)
def test_what_no_server_could_use_is_a_failure(
    tmp_path: Path, damage: Callable[[Files, Path], None], says: str
) -> None:
    """A key of another certificate, a missing file and one that is no PEM are said as the start would say them."""
    files = issued(tmp_path, NOW - DAY, NOW + 90 * DAY)
    damage(files, tmp_path)
    (found,) = examined(tmp_path, with_tls(files))
    assert found.verdict is Verdict.FAIL
    assert says in found.detail


def test_an_authority_that_ended_is_a_failure(tmp_path: Path) -> None:
    """With mTLS, senders' certificates are of no use once their authority's has expired."""
    files = issued(tmp_path, NOW - DAY, NOW + 90 * DAY)
    old = issue(trustme.CA(), tmp_path / "old", since=NOW - 9 * DAY, until=NOW - DAY)
    (found,) = examined(tmp_path, with_tls(files, client_ca_file=str(old.cert)))
    assert (found.verdict, "it expired on 2026-11-23 12:00 UTC" in found.detail) == (Verdict.FAIL, True)


@pytest.mark.parametrize(("mode", "verdict"), [(0o600, Verdict.OK), (0o640, Verdict.OK), (0o604, Verdict.WARN)])
def test_a_key_that_everybody_may_read_is_a_warning(tmp_path: Path, mode: int, verdict: Verdict) -> None:
    """Its owner and its group may read a certificate's key, every other user may not."""
    files = issued(tmp_path, NOW - DAY, NOW + 90 * DAY)
    files.key.chmod(mode)
    (found,) = examined(tmp_path, with_tls(files))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("content", "mode", "verdict", "says"),
    [
        ("[{name: a, key: secret}]", 0o600, Verdict.OK, "keys.yaml"),
        ("[{name: a, key: secret}]", 0o644, Verdict.WARN, "can be read by every user"),
        ("[{name: a}]", 0o600, Verdict.FAIL, "write either key or key_sha256"),
        (None, 0o600, Verdict.FAIL, "cannot be read"),
    ],
)
def test_the_file_of_keys_is_looked_at(
    tmp_path: Path, content: str | None, mode: int, verdict: Verdict, says: str
) -> None:
    """What the receiver would refuse is a failure, a file that everybody may read a warning; no key is shown."""
    keys = tmp_path / "keys.yaml"
    if content is not None:
        keys.write_text(content)
        keys.chmod(mode)
    (found,) = examined(tmp_path, {"auth": {"keys_file": str(keys)}})
    assert (found.check, found.verdict) == ("receiver.auth.keys_file", verdict)
    assert says in found.detail
    assert "secret" not in found.detail + found.mend
