import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service.loading.document import Document, parse

SAMPLE = """\
# the first line is a comment
receiver:
  grpc: {endpoint: "127.0.0.1:0"}
  auth:
    keys:
      - name: a
        key: x
      - name: b
api: &there
  endpoint: "127.0.0.1:3001"
other:
  <<: *there
  endpoint: "127.0.0.1:3002"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("receiver",), 2),
        (("receiver", "grpc", "endpoint"), 3),
        (("receiver", "auth", "keys", 1, "name"), 8),
        (("receiver", "auth", "keys", 1, "missing"), 8),
        (("other", "endpoint"), 13),
    ],
)
def test_each_key_remembers_its_line(path: tuple[str | int, ...], line: int) -> None:
    """The place of a key is its line, and of a key that is not there that of the nearest one above."""
    assert parse(SAMPLE, "f.yaml").place(path) == f"f.yaml:{line}"


def test_merges_and_aliases_are_resolved() -> None:
    """YAML's own means against repetition work; a key of one's own wins over a merged one."""
    assert parse(SAMPLE, "f.yaml").data["other"] == {"endpoint": "127.0.0.1:3002"}


def test_an_empty_file_is_an_empty_mapping() -> None:
    """Nothing, and nothing but comments, are configurations: all defaults."""
    assert parse("", "f.yaml") == Document("f.yaml")
    assert parse("# nothing\n", "f.yaml").data == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "f.yaml:1: this is not a mapping; write keys such as data_dir: ./data"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4: b.c: the key is here twice; keep one of the two"),
        ("a: 1\n1: 2\n", "f.yaml:2: 1: a key has to be text; put it in quotes"),
        ("a: [1\n", "f.yaml:2: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: *b\n", "f.yaml:1: this is not YAML: found undefined alias 'b'"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1: a: tags such as !!python are not taken; write plain values"),
        ("a: &x [*x]\n", "f.yaml:1: a.0: an alias unfolds without end; write the value out"),
        ("a: 2026-99-99\n", "f.yaml: month must be in 1..12; put the value in quotes"),
        ("a: \x00\n", "f.yaml: this is not YAML: unacceptable character"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2: this is not YAML: but found another document"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(text: str, problem: str) -> None:
    """Broken YAML, doubled keys and the like are one line that says where."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_aliases_cannot_blow_up() -> None:
    """Nine levels of nine aliases (387 million values) are refused at once instead of filling the memory."""
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="an alias unfolds without end"):
        parse("\n".join(levels), "f.yaml")


@given(st.text(max_size=200))
def test_no_text_escapes_as_another_error(text: str) -> None:
    """Whatever stands in the file, the answer is a document or one ConfigError of one line."""
    try:
        document = parse(text, "f.yaml")
    except ConfigError as error:
        lines = str(error).splitlines()
    else:
        lines = [document.name]
    assert len(lines) == 1
