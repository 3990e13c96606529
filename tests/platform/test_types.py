"""Mappings whose keys nobody knows stay few: what has known keys is a dataclass or a TypedDict."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPEN = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[(?:str|Any|object), Any\]")
MOST = 3  # in a thousand lines


def test_open_mappings_are_few():
    sources = [path for folder in ("platform", "dashboards") for path in (ROOT / folder).rglob("*.py")]
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sources}
    found = {path: len(OPEN.findall(text)) for path, text in texts.items()}
    lines = sum(text.count("\n") for text in texts.values())
    assert lines > 10_000
    worst = sorted(found, key=lambda path: -found[path])[:5]
    told = ", ".join(f"{path}: {found[path]}" for path in worst)
    assert sum(found.values()) < MOST * lines / 1000, f"{sum(found.values())} in {lines} lines ({told})"
