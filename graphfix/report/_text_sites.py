"""Sites on a terminal: a table where there is room, a list where there is not."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graphfix.model import Finding
from graphfix.report._fold import NAME, PATH, PROSE
from graphfix.report._marks import mark, visible
from graphfix.report._paths import place
from graphfix.report._text_code import Code, Folded
from graphfix.report._text_findings import NOTHING, SAFETY_STYLE
from graphfix.report._words import cost, notes, why

TABLE_FROM = 90
"""Below this width the line would fold into a column too narrow to read."""


def sites(found: tuple[Finding, ...], width: int) -> RenderableType:
    """The sites of one target, the most consequential first."""
    if width < TABLE_FROM:
        return Group(*(_stacked(number, site) for number, site in enumerate(found, 1)))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), leading=1, header_style="dim")
    for name, widest in (("site", width * 26 // 100), ("the line", None), ("why", width * 20 // 100)):
        table.add_column(name, max_width=widest)
    for name, narrowest in (("id", len("GB0000")), ("cost", len("99 graphs")), ("rule", len("proven"))):
        table.add_column(name, overflow="fold", min_width=narrowest)
    for site in found:
        table.add_row(_where(site), Code(mark(site)), _why(site), _id(site), _cost(site), _rule(site))
    return table


def unruled(found: tuple[Finding, ...]) -> Iterator[RenderableType]:
    """Where to read on about the breaks that no rule repairs."""
    ids = dict.fromkeys(site.break_.id for site in found if not site.rule and site.break_ and site.break_.id)
    for name in ids:
        yield Text(f"no rule repairs this {name} yet: `graphfix explain {name}` says what to do", "dim")


def _stacked(number: int, site: Finding) -> Group:
    facts = " ".join(part for part in (_id(site), _cost(site, " ")) if part != NOTHING)
    head = Folded(f"{number}. {place(site.location)}", "bold", after=PATH)
    details = Group(_function(site), Code(mark(site)), _why(site), Text(facts), Text("rule: ") + _rule(site, ", "))
    gap = [Text()] if number > 1 else []
    return Group(*gap, head, _indented(details, 3))


def _where(site: Finding) -> Group:
    return Group(Folded(place(site.location), after=PATH), _function(site))


def _function(site: Finding) -> RenderableType:
    return Folded(f"in {site.break_.function}", "dim", after=NAME) if site.break_ else Text("")


def _why(site: Finding) -> Group:
    return Group(Folded(why(site), after=PROSE), *(Folded(note, "dim", after=PROSE) for note in notes(site)))


def _id(site: Finding) -> str:
    return (site.break_.id if site.break_ else None) or NOTHING


def _cost(site: Finding, between: str = "\n") -> str:
    return between.join(cost(site)) or NOTHING


def _rule(site: Finding, between: str = "\n") -> Text:
    if site.rule is None:
        return Text(NOTHING)
    if site.fix is None:
        return Text(f"{visible(site.rule)}{between}no fix")
    return Text.assemble(f"{visible(site.rule)}{between}", (str(site.fix.safety), SAFETY_STYLE[site.fix.safety]))


def _indented(what: RenderableType, by: int = 4) -> Padding:
    return Padding(what, (0, 0, 0, by))
