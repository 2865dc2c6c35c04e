"""Reports of the workshop: one HTML file, complete in itself, for light, dark, print and readers.

No script, no font and nothing else from elsewhere: a policy in the page forbids it. Whatever comes
from a file or a user is escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LIGHT = (
    "color-scheme:light;--ground:#f4f6f8;--surface:#fff;--edge:#dfe3e8;--strong:#8a94a0;"
    "--text:#161b22;--soft:#55606d;--good:#1b6e3d;--bad:#b3221c;--warn:#8a5200;--cell:26 95 180;"
    "--c1:#1a5fb4;--c2:#b8670a;--c3:#6238b5;--c4:#1a7f78;--c5:#b3226f;"
)
DARK = (
    "color-scheme:dark;--ground:#0e1116;--surface:#161a20;--edge:#2a303a;--strong:#77818e;"
    "--text:#e8ebef;--soft:#9ca7b4;--good:#74cf96;--bad:#ff8f86;--warn:#f5b95c;--cell:130 180 255;"
    "--c1:#82b4ff;--c2:#f0a54a;--c3:#bda5ff;--c4:#57cfc4;--c5:#ff8fc4;"
)
COLOURED = "".join(
    f".bar.c{n},.dot.c{n},.point.c{n}{{fill:var(--c{n})}}.line.c{n},.dot.c{n}{{stroke:var(--c{n})}}"
    for n in range(1, 6)
)
STYLE = (
    f":root{{{LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}"
    f"@media print{{:root{{{LIGHT}--ground:#fff}}}}"
    """
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;font-variant-numeric:tabular-nums;
print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:26px;line-height:1.2;letter-spacing:-.01em;margin:0 0 4px}
h2{font-size:18px;margin:0 0 4px}h3{font-size:15px;margin:18px 0 6px}
p{margin:0 0 8px;max-width:78ch}.soft{color:var(--soft)}.small{font-size:13px}
h1,h2,h3,p,td,th,dd,li{overflow-wrap:anywhere}
section{background:var(--surface);border:1px solid var(--edge);border-radius:10px;
padding:18px 20px;margin-top:16px}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--c1);outline-offset:2px}
table{border-collapse:collapse;margin:10px 0 4px;min-width:min(100%,420px)}
caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:4px}
th,td{padding:6px 14px 6px 0;border-top:1px solid var(--edge);text-align:left;
vertical-align:baseline;overflow-wrap:normal}
thead th{border-top:0;font-size:13px;color:var(--soft);font-weight:600}
tbody th{font-weight:600}.num{text-align:right;white-space:nowrap}
td.best{font-weight:700;color:var(--good)}td.bad{color:var(--bad);font-weight:600}
.side{display:grid;gap:8px 24px;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr))}
.side.narrow{grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr))}
figure{margin:8px 0 0;min-width:0}
figcaption{font-size:13px;color:var(--soft);margin-top:2px;max-width:78ch}
.plot{display:block;width:100%;height:auto}
.plot text{font-size:12px;fill:var(--text)}.plot .tick{fill:var(--soft)}
.plot .title{fill:var(--soft);font-weight:600}.plot .named{font-weight:600}
.plot .halo{paint-order:stroke;stroke:var(--surface);stroke-width:4px;stroke-linejoin:round}
.plot .figure{fill:var(--soft);font-size:11px}
.grid{stroke:var(--edge);stroke-width:1;fill:none;shape-rendering:crispEdges}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.dot{stroke-width:2;fill-opacity:.75}.plot .dot.hollow{fill:var(--surface);fill-opacity:.6}
.front{fill:none;stroke:var(--strong);stroke-width:1.5;stroke-dasharray:6 4}
.leader{stroke:var(--strong);stroke-width:1}
.mark{fill:none;stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 4}
.level{fill:none;stroke:var(--good);stroke-width:1.5;stroke-dasharray:2 3}
.cell{fill:rgb(var(--cell))}.none{fill:none;stroke:var(--edge)}
.plot .inside{font-size:11px}.plot .over{fill:var(--surface);font-weight:600}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0 0;padding:0}
.tile{background:var(--surface);border:1px solid var(--edge);border-radius:10px;
padding:12px 16px;flex:1 1 150px;min-width:0;margin:0}
.tile dt{font-size:13px;color:var(--soft);font-weight:600}
.tile dd{margin:0;font-size:24px;font-weight:650;line-height:1.3}
.tile .small{font-size:12px;font-weight:400;color:var(--soft)}
.notes{margin:6px 0 0;padding-left:18px}.notes li{margin:2px 0;max-width:90ch}
.verdict{display:block;border-left:4px solid var(--strong);padding:2px 0 2px 12px;margin:8px 0}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}
footer{margin-top:18px;color:var(--soft);font-size:13px}
@media(max-width:640px){main{padding:18px 10px 32px}section{padding:14px 12px}}
@media print{main{max-width:none;padding:0}section{break-inside:avoid;border:0;padding:8px 0}
.plot{min-width:0!important}.scroll{overflow:visible}}
"""
)


@dataclass(frozen=True)
class Cell:
    """A field of a table. is_best, is_bad: it stands out, in colour and weight."""

    words: str
    is_best: bool = False
    is_bad: bool = False


@dataclass(frozen=True)
class Tile:
    """One figure that matters. foot: what is to be known of it."""

    name: str
    value: str
    foot: str = ""


def document(title: str, subtitle: str, parts: Sequence[str], footer: str = "") -> str:
    """The whole page. parts: what the functions below give."""
    foot = f"<footer>{escape(footer)}</footer>" if footer else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}{COLOURED}</style></head><body><main>\n"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p>\n'
        + "\n".join(parts)
        + f"\n{foot}</main></body></html>\n"
    )


def section(title: str, parts: Sequence[str], words: str = "") -> str:
    """A part with a heading. words: a sentence or two below it."""
    said = f'<p class="soft">{escape(words)}</p>' if words else ""
    return f"<section><h2>{escape(title)}</h2>{said}{''.join(parts)}</section>"


def heading(words: str) -> str:
    """A smaller heading inside a section."""
    return f"<h3>{escape(words)}</h3>"


def paragraph(words: str) -> str:
    return f"<p>{escape(words)}</p>"


def verdict(words: str, is_good: bool | None) -> str:
    """A sentence that decides something; is_good None: neither way."""
    kind = {None: "", True: " good", False: " bad"}[is_good]
    return f'<p class="verdict{kind}">{escape(words)}</p>'


def notes(lines: Sequence[str]) -> str:
    """A list of sentences; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes small">{items}</ul>' if items else ""


def figure(svg: str, caption: str = "") -> str:
    """A plot. It scrolls where the screen is too narrow for its words."""
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="scroll" tabindex="0">{svg}</div>{said}</figure>'


def side_by_side(parts: Sequence[str]) -> str:
    """Two in a row where there is room."""
    return f'<div class="side">{"".join(parts)}</div>'


def many_side_by_side(parts: Sequence[str]) -> str:
    """Narrow ones, three in a row where there is room."""
    return f'<div class="side narrow">{"".join(parts)}</div>'


def tiles(all_of: Sequence[Tile]) -> str:
    def one(tile: Tile) -> str:
        foot = f'<div class="small">{escape(tile.foot)}</div>' if tile.foot else ""
        value = f"<dd>{escape(tile.value)}{foot}</dd>"
        return f'<div class="tile"><dt>{escape(tile.name)}</dt>{value}</div>'

    return f'<dl class="tiles">{"".join(map(one, all_of))}</dl>'


def table(
    header: Sequence[str], rows: Sequence[Sequence[str | Cell]], caption: str, words: int = 1
) -> str:
    """A table. words: so many columns from the left are text, all others numbers."""

    def row(fields: Sequence[str | Cell]) -> str:
        cells = [each if isinstance(each, Cell) else Cell(each) for each in fields]
        first = f'<th scope="row">{escape(cells[0].words)}</th>'
        rest = [_cell(each, place >= words) for place, each in enumerate(cells[1:], start=1)]
        return f"<tr>{first}{''.join(rest)}</tr>"

    head = "".join(
        f'<th scope="col"{"" if place < words else " class=num"}>{escape(each)}</th>'
        for place, each in enumerate(header)
    )
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(map(row, rows))}</tbody></table></div>"
    )


def _cell(cell: Cell, is_number: bool) -> str:
    marks = ((is_number, "num"), (cell.is_best, "best"), (cell.is_bad, "bad"))
    kinds = " ".join(name for is_so, name in marks if is_so)
    return f'<td class="{kinds}">{escape(cell.words)}</td>'
