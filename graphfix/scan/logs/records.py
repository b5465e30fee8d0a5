"""Groups the lines of a log into the records that Dynamo wrote, freed of all that stands before and between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a record tells of, by the words it begins with."""

    BREAK = r"Graph break(?: \([^)]*\))? in user code at "
    SKIP = r"Graph break: torch\.compile cannot properly resume"
    ITEM = r"Graph break from `?Tensor\.item\(\)`?"
    CUT_ITEM = r"Graph break: from user code at:"
    RAISED = r"torch\._dynamo\.exc\.(?:Unsupported|UserError): "
    BACKEND = r"Backend compiler (?:exception|failed)"
    RECOMPILE = r"Recompiling function \S+ in "
    LIMIT = r"torch\._dynamo hit config\.(?:recompile|cache_size)_limit"
    SKIPPED_FRAME = r"skipping: \S+ \(reason: "
    CUDAGRAPH_SKIP = r"skipping cudagraphs due to "


@dataclass(frozen=True, slots=True)
class Record:
    kind: Kind
    text: str


_WORDS = ("Graph break", "dynamo.exc.", "Backend compiler", "Recompiling function", "hit config.", "skipping")
"""One of these is in every line that begins a record: quick to look for in a log of millions of lines."""

_BEGINS = re.compile("|".join(f"(?P<{kind.name}>{kind.value})" for kind in Kind))
_GLOG = re.compile(
    r"^.*?(?P<own>(?:\[rank\d+\]:)?[VDIWEC]\d{4} \d\d:\d\d:[\d.]+ (?:\d+ )?[^\]\s][^\]]*:\d+\])"
    r"(?: ?\[(?:[!\d/_-]+|__\w+)\])* ?"
)
_ESCAPES = re.compile(r"(?:\x1b|#033)\[[\d;]*[A-Za-z]")
_QUOTED = re.compile(r"^(?:> ?)+")
_CLOCK = re.compile(r"\d+(?:[-:.,/T]\d+)+Z?")

_FOLDED = re.compile(
    r"[ \t]+(?=(?P<heading>User code traceback:|Graph break: from user code at:|from user code:"
    r"|Graph Break Reason: |Reason: )"
    r'|Explanation: |Hint: |Developer debug context: |File "[^"]+", line \d+, in )'
)
"""Where a record that was pasted as one line broke its lines."""

_LONGEST = 1000
_PATIENCE = 200
"""Lines of others that may stand between two of one record."""


def records(lines: Iterable[str]) -> Iterator[Record]:
    """The records in the order in which they end.

    A record goes on while the prefix of its lines stays the same: torch's own (level, time, process, place), or what
    a container or service writes before each line; other lines in between belong to other records. Where only the
    first line has a prefix, or none has, a record goes on until the next one begins.
    """
    open_records: list[_Open] = []
    for raw in lines:
        begins = any(word in raw for word in _WORDS)
        if not begins and not open_records:
            continue
        line = _QUOTED.sub("", _ESCAPES.sub("", raw.rstrip("\r\n")))
        glog = _GLOG.match(line)
        begin = _BEGINS.search(line) if begins else None
        if begin is not None and _opens(open_records, line, glog, begin):
            new = _Open.at(line, glog, begin)
            yield from _take_out(open_records, [record for record in open_records if record.key == new.key])
            open_records.append(new)
        else:
            next((record for record in reversed(open_records) if record.take(line, glog)), None)
        yield from _take_out(open_records, [record for record in open_records if record.is_done()])
    yield from (record.done() for record in open_records)


def _opens(open_records: list[_Open], line: str, glog: re.Match[str] | None, begin: re.Match[str]) -> bool:
    """Whether a line that could begin a record is no part of one: most records quote further ones."""
    kind = Kind[begin.lastgroup or ""]
    around = next((record for record in reversed(open_records) if record.is_own(line, glog)), None)
    if around is None or around.kind is Kind.CUDAGRAPH_SKIP:
        return True
    if kind is Kind.CUT_ITEM:
        return around.kind is not Kind.ITEM
    if kind is Kind.BACKEND:
        return False
    if kind is Kind.RAISED:  # a traceback in the record itself, or an exception that was printed after it
        return glog is None and around.kind is not Kind.SKIP and not around.is_cause()
    return True


@dataclass(eq=False)
class _Open:
    """A record that may go on. `sure`: its prefix was seen again, so that lines without it are not its own."""

    kind: Kind
    own: str | None
    outer: re.Pattern[str]
    lines: list[str] = field(default_factory=list)
    sure: bool = False
    waited: int = 0

    @staticmethod
    def at(line: str, glog: re.Match[str] | None, begin: re.Match[str]) -> _Open:
        outer = "" if glog else line[: begin.start()]
        record = _Open(Kind[begin.lastgroup or ""], glog["own"] if glog else None, _like(outer))
        record.lines.append(line[begin.start() :])
        return record

    @property
    def key(self) -> tuple[str | None, re.Pattern[str]]:
        """What tells whether another record comes from the same place."""
        return (self.own, self.outer)

    def is_own(self, line: str, glog: re.Match[str] | None) -> bool:
        if glog or self.own is not None:
            return (glog["own"] if glog else None) == self.own or (glog is None and not self.sure)
        return not self.sure or self.outer.match(line) is not None

    def take(self, line: str, glog: re.Match[str] | None) -> bool:
        """Add a line, if it is the record's own."""
        self.waited += 1
        if not self.is_own(line, glog):
            return False
        prefix = glog if glog and self.own is not None else self.outer.match(line) if self.own is None else None
        self.sure |= prefix is not None and prefix.end() > 0
        self.lines.append(line[prefix.end() :] if prefix else line)
        self.waited = 0
        return True

    def is_cause(self) -> bool:
        """Whether the exception that comes next was raised because of this one."""
        return self.kind is Kind.RAISED and any("direct cause of the following" in line for line in self.lines)

    def is_done(self) -> bool:
        """Whether nothing can follow: all was said, too much was, or nothing for too long."""
        said = self.kind is Kind.SKIPPED_FRAME and self.lines[-1].endswith(")")
        return said or len(self.lines) >= _LONGEST or self.waited >= _PATIENCE

    def done(self) -> Record:
        text = "\n".join(self.lines)
        if len(self.lines) == 1:
            text = _FOLDED.sub(lambda match: "\n" if match["heading"] else "\n  ", text)
        return Record(self.kind, text)


def _like(prefix: str) -> re.Pattern[str]:
    """Matches the same prefix at another time of day; the blanks at its end may be missing on empty lines."""
    bare = prefix.rstrip()
    words = re.split(f"({_CLOCK.pattern})", bare)
    clocks = (r"[\d\-:.,/TZ]+" if number % 2 else re.escape(word) for number, word in enumerate(words))
    return re.compile("".join(clocks) + rf"\s{{0,{len(prefix) - len(bare)}}}")


def _take_out(open_records: list[_Open], ended: list[_Open]) -> Iterator[Record]:
    for record in ended:
        open_records.remove(record)
        yield record.done()
