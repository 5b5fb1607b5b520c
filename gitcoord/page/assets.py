"""What the page is made of: three files that lie beside this one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gitcoord.views.page import Assets


@cache
def assets() -> Assets:
    """Return the page's body, style and script."""
    here = Path(__file__).parent
    body, style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return Assets(body.strip(), style.strip(), script.strip())
