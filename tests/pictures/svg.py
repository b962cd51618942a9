"""SVG documents with the reader's colours: light, and dark where the system is."""

from collections.abc import Sequence
from html import escape

__all__ = ["box", "document", "line", "text"]

_STYLE = """
  svg { --ink: #1f2430; --dim: #5c6470; --back: #ffffff; --box: #f4f5f8; --edge: #c9ced8; }
  svg { --own: #3f51b5; --other: #aab2c0; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e8eaf0; --dim: #a0a8b5; --back: #14171e; --box: #1f242e; --edge: #414959; }
    svg { --own: #8c9eff; --other: #566074; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
  text.code { font: 11.5px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
  text.title { font-weight: 600; }
  text.small { font-size: 11px; }
  text.dim { fill: var(--dim); }
  .back { fill: var(--back); }
  .box { fill: var(--box); stroke: var(--edge); }
  .inner { fill: var(--back); stroke: var(--edge); }
  .own { fill: var(--own); }
  .other { fill: var(--other); }
  .line { fill: none; stroke: var(--dim); stroke-width: 1.5; marker-end: url(#end); }
  .tip { fill: var(--dim); }
"""


def document(width: float, height: float, parts: Sequence[str], *, label: str, style: str = "") -> str:
    """A complete document.

    Args:
        width: Width, pixels.
        height: Height, pixels.
        parts: Elements, those in front last.
        label: What the picture shows, for screen readers.
        style: More rules of CSS.
    """
    tip = '<path class="tip" d="M0,0 L8,4 L0,8 z"/>'
    marker = f'<marker id="end" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">{tip}</marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img"'
    body = "\n".join(parts)
    back = f'<rect class="back" width="{width:g}" height="{height:g}" rx="8"/>'
    return (
        f'{head} aria-label="{escape(label)}">\n<style>{_STYLE}{style}</style>\n<defs>{marker}</defs>\n'
        f"{back}\n{body}\n</svg>\n"
    )


def text(x: float, y: float, content: str, kind: str = "", *, anchor: str = "start") -> str:
    """A line of text, at its baseline."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str = "box") -> str:
    """A rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" class="{kind}"/>'


def line(*points: tuple[float, float]) -> str:
    """A line with an arrow at its end."""
    return f'<polyline class="line" points="{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>'
