"""What is installed is what is in the tree: the traps of a namespace package in six folders."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PORTIONS = sorted(path.parent.name for path in ROOT.glob("*/tokensense_otel"))


def source_files() -> set[str]:
    """Every file that belongs into a wheel, as it is named there."""
    return {
        path.relative_to(ROOT / portion).as_posix()
        for portion in PORTIONS
        for path in (ROOT / portion / "tokensense_otel").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel, built from a source distribution, and that distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


def test_the_namespace_stays_open() -> None:
    """No `__init__.py` lies directly under a `tokensense_otel/`: it would hide the other portions."""
    import tokensense_otel

    assert [str(path) for path in ROOT.glob("*/tokensense_otel/__init__.py")] == []
    assert getattr(tokensense_otel, "__file__", None) is None
    assert len(list(tokensense_otel.__path__)) >= len(PORTIONS)


def test_every_portion_is_named_everywhere() -> None:
    """A new portion is known to the build, the type checkers, the linter and the checker of import directions."""
    tools = PROJECT["tool"]
    wheel = tools["hatch"]["build"]["targets"]["wheel"]
    assert sorted(tools["hatch"]["build"]["dev-mode-dirs"]) == PORTIONS
    assert sorted(wheel["only-include"]) == sorted(wheel["sources"]) == PORTIONS
    assert sorted(tools["mypy"]["mypy_path"].split(":")) == PORTIONS
    assert sorted(tools["pyright"]["extraPaths"]) == PORTIONS
    assert sorted(tools["ruff"]["src"]) == PORTIONS
    assert sorted(name.partition(".")[2] for name in tools["importlinter"]["root_packages"]) == PORTIONS
    assert f"CODE := {' '.join(tools['mypy']['mypy_path'].split(':'))}" in (ROOT / "Makefile").read_text()


def test_every_portion_says_that_it_is_typed() -> None:
    """`py.typed` lies in each, so that a user's type checker reads it."""
    assert [name for name in PORTIONS if not (ROOT / name / "tokensense_otel" / name / "py.typed").exists()] == []


def test_a_users_service_gets_none_of_the_server() -> None:
    """The base dependencies are OpenTelemetry's; everything else is the `server` extra's."""
    assert all(each.startswith("opentelemetry-") for each in PROJECT["project"]["dependencies"])


def test_the_wheel_holds_the_tree_and_nothing_else(built: tuple[Path, Path]) -> None:
    """Built by way of the sdist, the wheel has every source file and data file, under `tokensense_otel/` only."""
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == source_files()
    assert "tokensense_otel/dataflow/pricing/tiers.yaml" in names
    assert "tokensense_otel/__init__.py" not in names


def test_the_wheel_says_what_it_needs(built: tuple[Path, Path]) -> None:
    """Bytewax, which has no wheels beyond Python 3.12, is required by the `server` extra only."""
    with zipfile.ZipFile(built[0]) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        required = Parser().parsestr(wheel.read(metadata).decode()).get_all("Requires-Dist") or []
    base = [each for each in required if "extra ==" not in each]
    assert len(base) == len(PROJECT["project"]["dependencies"])
    (bytewax,) = [each for each in required if each.startswith("bytewax")]
    assert "extra == 'server'" in bytewax


def test_the_sdist_holds_what_a_packager_needs(built: tuple[Path, Path]) -> None:
    """Sources, tests, documents and the Collector's configuration are in it."""
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "collector-config.yaml"} <= names
    assert {"tests/unit/test_packaging.py", "docs/architecture.md"} <= names


def test_the_command_is_installed() -> None:
    """The console script `tokensense` leads to the entry point."""
    (script,) = entry_points(group="console_scripts", name="tokensense")
    assert script.value == "tokensense_otel.service.main:run"


def test_lock_files_pin_by_hash_and_agree() -> None:
    """Every requirement is pinned with hashes, and what `run.lock` pins, `dev.lock` pins alike."""

    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert all(line.endswith("\\") for line in lines), "a pin without a hash"
        return {line.partition("==")[0]: line.partition("==")[2].split()[0] for line in lines}

    run, dev = pins("run.lock"), pins("dev.lock")
    assert run.items() <= dev.items()
    assert pins("peers.lock").keys() == {"rotel"}
    named = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["server"]]
    wanted = {re.sub(r"[-_.]+", "-", re.split(r"[<>=;\[ ]", each)[0].lower()) for each in named}
    assert wanted <= run.keys()
