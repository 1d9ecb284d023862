"""The tables of docs/rules, written from the rules themselves: each page's options, and the index of all rules.

python -m tokensense_otel.service.loading.rule_pages docs/rules
"""

import sys
from pathlib import Path

from tokensense_otel.dataflow.rules.registry import RuleInfo, rule_infos
from tokensense_otel.service.loading.reference import table

OPTIONS = ("<!-- options -->", "<!-- /options -->")
INDEX = ("<!-- rules -->", "<!-- /rules -->")


def with_options(page: str, info: RuleInfo) -> str:
    """A rule's page with its options written anew."""
    return _between(page, OPTIONS, table(info.config_type))


def with_index(page: str, infos: list[RuleInfo]) -> str:
    """The index with a row for each rule."""
    rows = [
        f"| [{info.name}]({info.name}.md) | {info.defaults['severity']} | {', '.join(info.scope).replace('_', ' ')} "
        f"| {info.description} |"
        for info in infos
    ]
    return _between(
        page, INDEX, "\n".join(["| rule | severity | judged for each | fires when |", "|---|---|---|---|", *rows])
    )


def rewritten(folder: Path) -> dict[Path, str]:
    """Each page of a rule and the index, as they should be. A page without the markers stays as it is."""
    infos = rule_infos()
    index = folder / "README.md"
    pages = {folder / f"{info.name}.md": info for info in infos}
    made = {path: with_options(path.read_text(encoding="utf-8"), info) for path, info in pages.items() if path.exists()}
    return made | {index: with_index(index.read_text(encoding="utf-8"), infos)}


def _between(page: str, markers: tuple[str, str], text: str) -> str:
    begin, end = markers
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}" if found and closed else page


def main(folder: Path) -> None:
    """Rewrite the tables of a folder."""
    for path, text in rewritten(folder).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
