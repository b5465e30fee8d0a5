"""What a rule is: a pattern that breaks the graph, the rewrite that repairs it, and the cases that show it."""

from __future__ import annotations

import ast
import difflib
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from graphfix.errors import SourceError
from graphfix.model import Assumption, Break, Edit, Fix, Location, Safety
from graphfix.source.module import Module, N
from graphfix.source.paths import short

__all__ = ["Case", "Finds", "Leaves", "Rewrite", "Rewrites", "Rule", "Safety", "Site"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a rule wants to change: edits of one file or more, the branch it rewrites, if any, and what it assumes.

    `onward`: where the graph breaks instead, such as a branch on the number that is a tensor now. The rewrite is kept
    only if other rules repair those places.
    """

    edits: tuple[Edit, ...]
    branch: Location | None = None
    assumption: Assumption | None = None
    onward: tuple[Location, ...] = ()


@dataclass(frozen=True)
class Site:
    """A node that may be repaired: found statically (`break_` is None), or named by Dynamo.

    `dual` asks for the dual form: the new code where Dynamo compiles, the original elsewhere (see `Rule.dual`).
    `sure`: the text leaves no doubt that this breaks the graph, once a compiled region runs it. `message` says what
    breaks, where the rule's title does not. `callers` are the calls that led to the function around the node, innermost
    first, each with its module. `held` tells of an assumption whether it held on the target's calls (see `may_hold`);
    `ran` gives the modules whose code these calls ran, each with the lines.
    """

    module: Module
    node: ast.AST
    break_: Break | None = None
    dual: bool = False
    sure: bool = True
    message: str = ""
    callers: tuple[tuple[Module, ast.AST], ...] = ()
    held: Callable[[Assumption], bool] | None = field(default=None, compare=False)
    ran: Callable[[], Sequence[tuple[Module, frozenset[int]]]] = field(default=tuple, compare=False)

    def may_hold(self, assumption: Assumption) -> bool:
        """Whether what a rewrite would assume was true on every call, for all that is known. Ask before the rewrite is
        made: a rule may have many to offer."""
        return self.held is None or self.held(assumption)

    @property
    def around(self) -> Site | None:
        """The call that led here, in the caller's own module; None where Dynamo named none."""
        if not self.callers:
            return None
        (module, node), *rest = self.callers
        return replace(self, module=module, node=node, callers=tuple(rest))

    def enclosing(self, kind: type[N]) -> N | None:
        """The innermost `kind` around the node, within its function."""
        return self.module.enclosing(self.node, kind)

    def replace(
        self, old: ast.AST | Sequence[ast.stmt], template: str, /, **parts: ast.AST | Sequence[ast.stmt]
    ) -> Rewrite | None:
        """A rewrite that puts `template`, or its dual form, in place of `old` (see `graphfix.source.rewrite.replace`).

        `old` may be several statements that follow one another; they have no dual form. None where the place has a
        shape that the template cannot take.
        """
        from graphfix.source import rewrite
        from graphfix.source.dual import both_ways

        try:
            if self.dual:
                if not isinstance(old, ast.AST):
                    return None
                template, parts = both_ways(self.module, old, template, parts)
            edits = rewrite.replace(self.module, old, template, parts)
        except rewrite.CannotRewrite:
            return None
        branch = self.module.location(old.test) if isinstance(old, ast.If) else None
        return Rewrite(edits, branch)

    def before(self, statement: ast.stmt, template: str, /, **parts: ast.AST | Sequence[ast.stmt]) -> Rewrite | None:
        """A rewrite that puts the statements of `template` above `statement`, such as a guard of what is assumed there.

        In the dual form they run only where Dynamo compiles. None where nothing can stand above the statement.
        """
        from graphfix.source import rewrite

        if self.dual:
            lines = "".join(f"    {line}\n" for line in template.strip("\n").splitlines())
            template = f"if {{torch}}.compiler.is_compiling():\n{lines}"
        try:
            text = template.strip("\n") + "\n{statement}"
            edits = rewrite.replace(self.module, statement, text, {**parts, "statement": statement})
        except rewrite.CannotRewrite:
            return None
        return Rewrite(edits)

    def replace_each(self, changes: Sequence[tuple[ast.expr, str, Mapping[str, ast.AST]]]) -> Rewrite | None:
        """One rewrite of several expressions, each by a template and its parts (see `replace`), also on one line.

        None where one of them cannot be rewritten, or holds another.
        """
        rewrites = [self.replace(old, template, **parts) for old, template, parts in changes]
        text = self.module.text
        return self.together(*(one and Rewrite(tuple(narrowed(text, edit) for edit in one.edits)) for one in rewrites))

    @staticmethod
    def together(*rewrites: Rewrite | None) -> Rewrite | None:
        """One rewrite of several places, made of one rewrite for each; None where one is missing or they overlap.

        What is put above a line and what replaces that line go together.
        """
        edits: dict[Edit, None] = {}
        for rewrite in rewrites:
            if rewrite is None:
                return None
            edits |= dict.fromkeys(rewrite.edits)
        joined: list[Edit] = []
        for edit in _with_imports_joined(sorted(edits, key=lambda edit: (edit.path, edit.start, edit.end))):
            last = joined[-1] if joined and joined[-1].path == edit.path else None
            if last is not None and last.start == last.end == edit.start < edit.end:
                joined[-1] = replace(edit, text=last.text + edit.text)
            elif last is not None and (last.end > edit.start or last.start == edit.start):
                return None
            else:
                joined.append(edit)
        branch = next((one.branch for one in rewrites if one and one.branch), None)
        assumption = next((one.assumption for one in rewrites if one and one.assumption), None)
        onward = dict.fromkeys(place for one in rewrites if one for place in one.onward)
        return Rewrite(tuple(joined), branch, assumption, tuple(onward))


@dataclass(frozen=True, slots=True)
class Rewrites:
    """Source that breaks the graph, the exact source after the rule, and calls (`f(torch.ones(3))`) that run it."""

    before: str
    after: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaves:
    """Source that the rule must not touch, though it looks alike. `calls` may be empty: then nothing is run."""

    source: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finds:
    """Source whose `lines` the rule finds for certain, no others, and where Dynamo breaks when the calls run.

    `calls` may be empty, for what is no graph break: then nothing is run.
    """

    source: str
    lines: tuple[int, ...]
    calls: tuple[str, ...] = ()


Case = Rewrites | Leaves | Finds


class Rule:
    """One pattern and its repair. The class docstring has four headings, which `graphfix explain` prints:
    What it does, Why it breaks the graph, Example, Safety.

    `dual`: where the direct form cannot be proven, graphfix may try the rewrite as
    `new if torch.compiler.is_compiling() else original`, which leaves eager as it was. A rule whose new code asks
    `is_compiling()` itself leaves it out.

    `repairs` holds the break ids that `rewrite` may repair, `failures` parts of what torch says where the compiler
    itself fails (a break without an id) that it may repair, `backend` the one that does so where another would not:
    the cases are compiled with it. A rule that only finds has none, and `names` instead the
    ids of the breaks that it finds; what it finds where another rule finds something, too, is left to that one.
    `both_ways`: a rewrite of a branch is kept only where runs took both of its ways.
    `draws_less`: compiled code leaves out random numbers that eager code draws; only an unsafe rule may say so.
    `marks`: `find` is asked only where the text holds one of these, few and rare; empty, where to ask for the calls of
    a name or the nodes of a kind is cheaper (`Analysis.calls`, `Analysis.nodes`). `anywhere`: what it finds counts in
    code that nothing compiles, too, as with a setting; such a rule has marks.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    title: ClassVar[str]
    safety: ClassVar[Safety]
    repairs: ClassVar[frozenset[str]] = frozenset()
    failures: ClassVar[tuple[str, ...]] = ()
    backend: ClassVar[str] = ""
    names: ClassVar[frozenset[str]] = frozenset()
    marks: ClassVar[tuple[str, ...]] = ()
    anywhere: ClassVar[bool] = False
    cases: ClassVar[tuple[Case, ...]]
    dual: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False
    draws_less: ClassVar[bool] = False

    @property
    def only_finds(self) -> bool:
        """Whether the rule makes no rewrites."""
        return not self.repairs and not self.failures

    def find(self, module: Module) -> Iterator[Site]:
        """The sites that syntax and scope alone make certain; none, for a pattern that only a run can tell."""
        yield from ()

    def rewrite(self, site: Site) -> Rewrite | None:
        """The repair of one site, None where the pattern is another one."""
        return None

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        """The repairs to choose from, the likeliest first: each is tried until one is proven."""
        yield self.rewrite(site)

    def fix(self, site: Site) -> Fix | None:
        """The first rewrite as a record, in the dual form where there is no other; None where there is none."""
        offered = itertools.chain(self.fixes(site), self.fixes(replace(site, dual=True)))
        return next(filter(None, offered), None)

    def fixes(self, site: Site) -> Iterator[Fix | None]:
        """The rewrites as records, each with its diff; none where the dual form is asked for and not allowed."""
        if site.dual and not self.dual:
            return
        try:
            for found in self.rewrites(site):
                yield self._record(site, found) if found is not None and found.edits else None
        except SourceError:
            return

    def _record(self, site: Site, found: Rewrite) -> Fix:
        texts = {module.path: module.text for module in (site.module, *(module for module, _ in site.callers))}
        if any(edit.path not in texts for edit in found.edits):
            texts |= {module.path: module.text for module, _ in site.ran()}
        files = itertools.groupby(sorted(found.edits, key=lambda edit: edit.path), key=lambda edit: edit.path)
        shown = "".join(diff(short(path), texts[path], apply(texts[path], tuple(edits))) for path, edits in files)
        keeps_eager = site.dual and self.safety is Safety.PROVEN
        safety = Safety.EXACT if keeps_eager else self.safety
        return Fix(
            self.code, self.title, safety, found.edits, shown, found.branch, site.dual, found.assumption, found.onward
        )


def _with_imports_joined(edits: Sequence[Edit]) -> list[Edit]:
    """The edits, those that insert imports at one place made one, each import once."""
    joined: list[Edit] = []
    for edit in edits:
        last = joined[-1] if joined else None
        if last and (last.path, last.start, last.end) == (edit.path, edit.start, edit.end) and edit.start == edit.end:
            lines = dict.fromkeys([*last.text.splitlines(keepends=True), *edit.text.splitlines(keepends=True)])
            if all(line.startswith(("import ", "from ")) or not line.strip() for line in lines):
                joined[-1] = Edit(edit.path, edit.start, edit.end, "".join(lines))
                continue
        joined.append(edit)
    return joined


def narrowed(text: str, edit: Edit) -> Edit:
    """The edit without what stays the same at its start and end."""
    old, new = text[edit.start : edit.end], edit.text
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    return Edit(edit.path, edit.start + head, edit.end - tail, new[head : len(new) - tail])


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def apply(text: str, edits: tuple[Edit, ...]) -> str:
    """The text with the edits (which do not overlap) made."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def diff(path: str, before: str, after: str) -> str:
    """A unified diff of the file at the relative `path`, as `patch -p1` and `git apply` read it."""
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))  # form feeds end no line
    end = "\t" if " " in path else ""  # `patch` takes a space for the end of the name, unless a tab follows
    lines = difflib.unified_diff(old, new, f"a/{path}{end}", f"b/{path}{end}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
