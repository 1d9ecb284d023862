import msgspec
import pytest

from tokensense_otel.dataflow.snapshots import check_version


@pytest.mark.parametrize("rest", [[], [1, "a"], [{"any": ["layout"]}]])
def test_another_version_is_refused_whatever_its_layout(rest: list[object]) -> None:
    """Only the version is looked at: the one that is read passes, and the ones beside it are named."""
    check_version(msgspec.msgpack.encode([2, *rest]), 2, "a ledger")
    for version in (1, 3):
        with pytest.raises(ValueError, match=rf"a ledger has version {version}; this version reads 2"):
            check_version(msgspec.msgpack.encode([version, *rest]), 2, "a ledger")
