"""What a newcomer reads stays short, and every page of it can be reached. Starts no process."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
SITE = TOP / "docs"
PAGES = sorted(SITE.rglob("*.md"))
LONGEST = 110  # two screens


def _targets(path: Path) -> list[Path]:
    """The files of this project that the page links to."""
    links = re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", path.read_text(encoding="utf-8"))
    return [(path.parent / link).resolve() for link in links if not re.match(r"[a-z]+:", link)]


def test_the_readme_fits_two_screens() -> None:
    assert len((TOP / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_page_is_reached_by_links_from_the_readme_or_the_navigation() -> None:
    navigation = TOP / "mkdocs.yml"
    named = re.findall(r"[\w/-]+\.md\b", navigation.read_text(encoding="utf-8")) if navigation.exists() else []
    reached, waiting = set(), [TOP / "README.md", *(SITE / name for name in named)]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += _targets(page)
    assert [str(page.relative_to(SITE)) for page in PAGES if page not in reached] == []


def test_each_word_of_the_glossary_is_explained_once() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (SITE / "glossary.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(words) == len(set(words)) >= 30
