"""The style that all reports share, and a page in it."""

from __future__ import annotations

from html import escape
from typing import Final

# The Okabe-Ito palette, which colour-blind readers tell apart; its yellow and black are changed to
# what can be seen on both grounds.
STYLE: Final = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2430; --faint: #5d6975;
  --rule: #d9dee4; --panel: #f5f7f9; --warn: #9a4a00;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0548a; --c4: #b08600; --c5: #3a8fc4;
  --c6: #6b6b6b; --c7: #7a3fbf; }
@media (prefers-color-scheme: dark) { :root { --ground: #14191f; --ink: #e4e9ee;
  --faint: #9aa7b4; --rule: #323c47; --panel: #1c232b; --warn: #ffb066;
  --c0: #4da3e0; --c1: #ff8a3d; --c2: #2fcf9d; --c3: #e08fbd; --c4: #e6c229; --c5: #8fd0f5;
  --c6: #b5b5b5; --c7: #b48cf0; } }
body { background: var(--ground); color: var(--ink); margin: 0 auto; max-width: 1120px;
  padding: 24px; font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 4px; } h2 { margin: 36px 0 8px; font-size: 19px; }
.caution { color: var(--warn); font-weight: 600; }
.note { color: var(--faint); max-width: 75ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 14px 5px 0; text-align: left; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
thead th { font-weight: 600; white-space: normal; }
tr.main td { font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 16px; }
.charts > * { background: var(--panel); border-radius: 8px; padding: 8px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--faint); font-size: 11px; } svg .title { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--rule); fill: none; }
.line { fill: none; stroke-width: 2; stroke: currentColor; } .dot { fill: currentColor; }
.line.dashed { stroke-dasharray: 5 4; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
.c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.c6 { color: var(--c6); } .c7 { color: var(--c7); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; }
.legend svg { display: inline-block; width: 26px; height: 10px; margin-right: 6px; }
.confusion { margin: 4px auto; } .confusion td, .confusion th { padding: 5px 8px; border: 0; }
.confusion td { text-align: right;
  background: color-mix(in srgb, var(--c0) calc(var(--share) * 70%), transparent); }
.caption { margin: 2px 8px 8px; font-size: 13px; text-align: center; }
pre { background: var(--panel); padding: 12px; border-radius: 8px; overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; margin: 12px 0; }
"""


def document(title: str, body: str, more_style: str = "") -> str:
    """Return an HTML page of the house's style that needs no other file.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML.
    more_style
        CSS of this page alone.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{more_style}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )
