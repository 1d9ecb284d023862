"""`prices:` in the configuration and in a file of its own: what is taken, and that every mistake names its line."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_for_hypothesis
from hypothesis import strategies as st

from tests.support.markdown import blocks, page
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.service.config import Settings
from tokensense_otel.service.handshake import encode_settings, read_settings
from tokensense_otel.service.loader import load, load_settings

OWN = """\
prices:
  file: contract/prices.yaml
  models:
    - {model: inline, input: 1, output: 2}
"""
FILE = """\
models:
  - model: filed
    input: 0.1
    output: 0.2
    since: 2026-01-31
factors:
  - {factor: 0.85}
"""


def write(folder: Path, own: str = OWN, file: str | bytes = FILE) -> Path:
    (folder / "contract").mkdir()
    (folder / "contract" / "prices.yaml").write_bytes(file.encode() if isinstance(file, str) else file)
    path = folder / "tokensense.yaml"
    path.write_text(own)
    return path


def problems(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    """Lines of what is wrong, without the folder in front."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("text", [FILE, "prices:\n  " + FILE.replace("\n", "\n  ")], ids=["bare", "beneath its key"])
def test_a_file_s_entries_come_before_those_written_here(tmp_path: Path, text: str) -> None:
    """Bare lists or the whole section; dates and decimals are exact."""
    prices = load_settings(write(tmp_path, file=text), {}).prices

    assert [each.model for each in prices.models] == ["filed", "inline"]
    assert (prices.models[0].input, prices.models[0].since) == (Decimal("0.1"), date(2026, 1, 31))
    assert prices.factors[0].factor == Decimal("0.85")


def test_where_prices_stand_makes_no_difference_to_the_catalogue(tmp_path: Path) -> None:
    """The version of a catalogue is of its prices, not of the files that they came from."""
    split = load_settings(write(tmp_path), {})
    whole = Settings.model_validate({"prices": split.prices.model_dump(exclude={"file"})})
    assert Catalogue.load(split.prices).version == Catalogue.load(whole.prices).version


def test_parts_get_the_prices_that_were_checked(tmp_path: Path) -> None:
    """What a supervisor hands on holds the file's entries, so that a part neither reads nor misses the file."""
    loaded = load(write(tmp_path), {})
    (tmp_path / "contract" / "prices.yaml").unlink()
    (tmp_path / "pipe").write_bytes(encode_settings(loaded.raw, loaded.base_dir))

    with (tmp_path / "pipe").open("rb") as pipe:
        assert read_settings(pipe).settings.prices == loaded.settings.prices


def test_variables_stand_in_a_prices_file(tmp_path: Path) -> None:
    """As anywhere in the configuration, and one that is not set is a problem of that line."""
    path = write(tmp_path, file="aliases:\n  - {name: '${PROD}', model: gpt-4o}\n")
    assert load_settings(path, {"PROD": "prod-chat"}).prices.aliases[0].name == "prod-chat"
    assert problems(path)[0].startswith("contract/prices.yaml:2: aliases.0.name: PROD is not set")


@pytest.mark.parametrize(
    ("own", "file", "line"),
    [
        (OWN, "models:\n  - {model: m}\n", "contract/prices.yaml:2: prices.models.0: model 'm' has no price"),
        (OWN, "models:\n  - model: m\n    input: x\n", "contract/prices.yaml:3: prices.models.0.input: this is not a"),
        (OWN, "models:\n  - model: m\n    inputs: 1\n", "contract/prices.yaml:3: prices.models.0.inputs: there is no"),
        (OWN, "factors:\n- {factor: 0}\n", "contract/prices.yaml:2: prices.factors.0.factor: this should be greater"),
        (OWN, "factors:\n- {factor: 1, since: soon}\n", "contract/prices.yaml:2: prices.factors.0.since: this is no"),
        (OWN, "model: []\n", "contract/prices.yaml:1: model: there is no such key in a prices file; write models"),
        (OWN, "file: x.yaml\n", "contract/prices.yaml:1: file: there is no such key in a prices file; write"),
        (OWN, "models: {}\n", "contract/prices.yaml:1: models: this is not a list; write each entry after a dash"),
        (OWN, "models: [\n", "contract/prices.yaml:2: this is not YAML:"),
        (OWN, "- 1\n", "contract/prices.yaml:1: this is not a mapping"),
        (OWN, b"\xff\xfe\x00", "tokensense.yaml:2: prices.file: contract/prices.yaml is not UTF-8 text"),
        ("prices: {file: none.yaml}\n", FILE, "tokensense.yaml:1: prices.file: none.yaml cannot be read (No such file"),
        ("prices: {file: 5}\n", FILE, "tokensense.yaml:1: prices.file: this is not text"),
        ('prices: {file: "a\\0b"}\n', FILE, "tokensense.yaml:1: prices.file: this is no path"),
        (OWN + "    - {model: Filed, input: 1, since: 2026-01-31}\n", FILE, "prices.models: models 0 and 2 are about"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_that_says_where(tmp_path: Path, own: str, file: str | bytes, line: str) -> None:
    """The file and line of the entry, wherever it stands, and what to write."""
    found = problems(write(tmp_path, own, file))
    assert len(found) == 1
    assert line in found[0]


def test_entries_written_here_keep_their_own_lines(tmp_path: Path) -> None:
    """A mistake beside a file's entries is told by the line of the configuration."""
    path = write(tmp_path, OWN + "    - {model: second, input: -1}\n")
    assert problems(path) == [
        "tokensense.yaml:5: prices.models.2.input: this should be greater than or equal to 0",
    ]


KEYS = st.sampled_from(
    ["models", "factors", "aliases", "prices", "file", "model", "input", "factor", "name", "since", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates()


@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)),
    st.sampled_from(["prices: {file: p.yaml}", "prices: {file: p.yaml, models: [{model: m, input: 1}]}"]),
)
@settings_for_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_whatever_stands_in_a_prices_file_is_prices_or_problems(tmp_path: Path, data: Any, own: str) -> None:
    """Anything at all loads, or is refused with lines that each name a file: nothing else escapes."""
    (tmp_path / "tokensense.yaml").write_text(own)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(data))
    lines: list[str] = []
    try:
        Catalogue.load(load_settings(tmp_path / "tokensense.yaml", {}).prices)
    except ConfigError as error:
        lines = str(error).splitlines()
    assert all(line.startswith(str(tmp_path)) for line in lines)


@pytest.mark.parametrize("text", blocks(page("docs/prices.md"), "yaml"))
def test_the_example_of_the_documentation_prices_calls(tmp_path: Path, text: str) -> None:
    """What docs/prices.md shows can be copied, and changes the catalogue."""
    (tmp_path / "tokensense.yaml").write_text(text)
    prices = load_settings(tmp_path / "tokensense.yaml", {}).prices
    assert (len(prices.aliases), len(prices.models), len(prices.factors)) == (4, 3, 1)
    assert "+user-" in Catalogue.load(prices).version
