"""What the site needs beside the pages: those at the top of the repository, pictures drawn in the reader's own browser, a check.

mkdocs calls these functions (mkdocs.yml, `hooks`). A link between pages is written for a git host, as the path from one file to
the other. Here it becomes a path within the site; a link to what is no page (the code, the licence) becomes its words alone.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "AGENTS.md": "for-agents.md",
}
"""Pages that lie at the top of the repository, and their names within the site."""

MERMAID = "javascripts/mermaid.min.js"
_LINK = re.compile(r"(?P<words>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")
_REMOTE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^\s\">]+", re.IGNORECASE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let pictures be drawn by the script that MERMAID_JS names; without it they are shown as their text."""
    if os.environ.get("MERMAID_JS"):
        config.extra_javascript.append(MERMAID)
    else:
        config.mdx_configs["pymdownx.superfences"]["custom_fences"] = []
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages of the top, and the script."""
    for name, place in PAGES.items():
        if (TOP / name).is_file():
            files.append(File.generated(config, place, content=(TOP / name).read_text(encoding="utf-8")))
    script = os.environ.get("MERMAID_JS")
    if script:
        files.append(File.generated(config, MERMAID, content=Path(script).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the page's links into those of the site, outside of blocks of code."""
    parts = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    lies = next((name for name, place in PAGES.items() if place == page.file.src_uri), f"docs/{page.file.src_uri}")
    parts[::2] = [_LINK.sub(lambda match: _led(match, lies, page.file.src_uri), part) for part in parts[::2]]
    return "".join(parts)


def _led(match: re.Match[str], lies: str, stands: str) -> str:
    """Return a link of the file `lies` as the page `stands` has it."""
    path, hash_, anchor = match["target"].partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return match[0]
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(lies), path))
    if aim in PAGES:
        place = PAGES[aim]
    elif aim.startswith("docs/"):
        place = aim.removeprefix("docs/")
    else:
        if not (TOP / aim).exists():
            raise PluginError(f"{lies}: a link leads to {match['target']}, and nothing is there")
        return match["words"].lstrip("!")[1:-1]
    return f"{match['words']}({posixpath.relpath(place, posixpath.dirname(stands) or '.')}{hash_}{anchor})"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Set off what is typed in an example from what is printed."""
    return re.sub(r'<span class="go">(\w+\$ )(.*?)</span>', r'<span class="gp">\1</span><strong>\2</strong>', html)


def on_post_page(output: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Refuse a page that would fetch something from elsewhere when it is read."""
    remote = _REMOTE.search(output)
    if remote:
        raise PluginError(f"{page.file.src_uri} fetches from elsewhere: {remote[0]}")
    return output
