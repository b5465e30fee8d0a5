"""The HTML report: one page that stands alone, and that no text in it can change."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from graphfix.model import (
    Arm,
    Break,
    Certainty,
    Counts,
    CudagraphSkip,
    Finding,
    Fix,
    FixRecord,
    FixStatus,
    Location,
    Recompile,
    Report,
    Safety,
    SkippedFrame,
    Status,
    Sync,
    TargetReport,
    Verdict,
)
from graphfix.report import render

VOID = {"meta", "wbr", "br"}


class Page(HTMLParser):
    """The page as a browser reads it: its elements, its text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data


def full(word: str) -> Report:
    """A report with `word` in every text field there is."""
    where = Location(word, 161, 0, 161, len(word))
    found = Break(word, word, word, (word,), where, word, (), 12, True, (word,))
    site = Finding(where, word, word, f"{word} rest", found, Fix(word, word, Safety.PROVEN, (), f"+{word}\n-{word}"))
    counts = Counts(32, 41, 3)
    arms = (Arm(word, 3, (True, False)),)
    verdict = Verdict(word, counts, counts, True, 0.0, True, arms, 1.0, word, word, (word,), word)
    target = TargetReport(
        word,
        word,
        Status.ERROR,
        f"{word}\n{word}",
        graphs=32,
        sites=(site,),
        recompiles=(Recompile(word, word),),
        cudagraph_skips=(CudagraphSkip(word, word, 1),),
        syncs=(Sync(word, 1, word),),
        skipped_frames=(SkippedFrame(word, word, 1, word),),
        verdict=verdict,
    )
    fixes = (FixRecord(word, word, 1, Safety.UNSAFE, FixStatus.REJECTED, word, word),)
    static = replace(site, break_=None)
    return Report({word: word}, (target,), (static,), fixes, (word,), ((word, word),))


def test_no_text_of_the_report_becomes_markup() -> None:
    plain = Page(render(full("harmless"), "html", explain_rule=lambda code: code))
    word = "</pre></style><script>alert('\"&amp;')</script><img src=x onerror=a>"
    hostile = Page(render(full(word), "html", explain_rule=lambda code: code))
    assert [tag for tag, _ in hostile.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    everything = "".join(hostile.texts["body"])
    assert everything.count("<script>") == "".join(plain.texts["body"]).count("harmless")


def test_the_page_stands_alone() -> None:
    text = render(full("harmless"), "html")
    page = Page(text)
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    assert not any({"src", "href"} & set(attributes) for _, attributes in page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def flow(**fields: object) -> Page:
    where = Location("pkg/mask.py", 161, 14, 161, 34)
    found = Break("GB0124", "Tensor.item()", "It reads a value.", ("Keep it.",), where, "pad_mask", (), 12, True)
    fix = Fix("GF101", "keep the tensor", Safety.PROVEN, (), "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n")
    site = Finding(where, "GF101", "", "    max_len = lengths.max().item()  # <n>", found, fix)
    other = replace(site, location=replace(where, line=170, end_line=170), rule=None, fix=None)
    known: dict[str, object] = {"graphs": 32, "graph_breaks": 41, "sites": (site, other)}
    target = TargetReport("flow", "t.py::flow", **{**known, **fields})  # type: ignore[arg-type]
    return Page(render(Report({"graphfix": "0.1.0", "torch": "2.8.0"}, (target,)), "html"))


def test_the_header_sums_up_and_names_the_versions() -> None:
    header = flow().texts["header"][0]
    assert "1 target: 1 with breaks · 2 places to fix, 1 with a proven rule" in header
    assert "graphfix 0.1.0 · torch 2.8.0" in header


def test_a_target_has_a_headline_and_its_sites_a_marked_line() -> None:
    page = flow()
    assert "32 graphs, 2 places to fix, 1 with a proven rule" in page.texts["p"]
    assert page.texts["mark"] == ["lengths.max().item()"] * 2
    assert page.texts["pre"][0] == "max_len = lengths.max().item()  # <n>"
    assert page.texts["td"][0] == "pkg/mask.py:161:15in pad_mask"
    assert "hides the rest of the frame" in page.texts["p"]


def test_explanation_and_hints_fold_away() -> None:
    assert flow().texts["details"][0] == "explanationIt reads a value.Keep it."


def test_the_diff_is_coloured_line_by_line() -> None:
    spans = [attributes["class"] for tag, attributes in flow().tags if tag == "span"]
    assert spans == ["", "", "hunk", "del", "add"]


def test_a_verdict_shows_before_and_after() -> None:
    judged = Verdict("flow", Counts(32, 41, 3), Counts(6, 5, 1), True, 0.0, True, (), 1.0, "inductor", "cpu")
    page = flow(verdict=judged)
    shown = next(text for text in page.texts["div"] if text.startswith("proven") and "before" in text)
    assert re.search(r"beforeaftergraphs326graph breaks415places31", shown)
    bad = flow(verdict=replace(judged, eager_identical=False))
    assert "not proven: eager results differ" in bad.texts["p"]


def test_a_failed_target_shows_its_error_and_stack() -> None:
    page = flow(sites=(), graphs=0, status=Status.TIMEOUT, error='No answer.\nFile "a.py", line 3')
    assert {"timeout", "No answer."} <= set(page.texts["p"])
    assert page.texts["pre"] == ['File "a.py", line 3']


def test_a_rule_that_has_no_fix_here_says_so() -> None:
    found = Finding(Location("a.py", 3), "GF301", "prints", "print(x)")
    assert "GF301no fix" in Page(render(Report({}, findings=(found,)), "html")).texts["td"]


def test_a_static_finding_names_its_function_and_says_if_it_is_only_likely() -> None:
    likely = Finding(Location("a.py", 3), "GF301", "prints", "print(x)", certainty=Certainty.LIKELY, function="Net.go")
    certain = replace(likely, certainty=Certainty.CERTAIN, function="")
    cells = Page(render(Report({}, findings=(likely, certain)), "html")).texts["td"]
    assert [cells[0], cells[2]] == ["a.py:3in Net.go", "GF301likelyno fix"]
    assert [cells[3], cells[5]] == ["a.py:3", "GF301no fix"]


def test_control_characters_get_a_glyph() -> None:
    text = render(full("a\x1b[31mb\u202ec"), "html")
    assert "a␛[31mb\ufffdc" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_no_graph_is_not_clean() -> None:
    assert "no graph was captured: this is not clean" in flow(sites=(), graphs=0).texts["p"]
