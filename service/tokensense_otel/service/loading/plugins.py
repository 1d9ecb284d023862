"""Rules in Python beside the configuration: their paths start at its folder, wherever they are loaded later."""

from pathlib import Path

from tokensense_otel.core.plugins import is_file
from tokensense_otel.service.loading.document import Document


def find(document: Document, base_dir: Path) -> None:
    """Make `rules.plugins` absolute, in place; a mistake is left for the check of the keys."""
    rules = document.data.get("rules")
    names = rules.get("plugins") if isinstance(rules, dict) else None
    if isinstance(rules, dict) and isinstance(names, list):
        rules["plugins"] = [str(base_dir / name) if isinstance(name, str) and is_file(name) else name for name in names]
