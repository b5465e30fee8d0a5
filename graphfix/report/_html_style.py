"""The look of the HTML page: light and dark, a phone and a screen, nothing fetched."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #5b6572; --page: #fff; --card: #f6f7f9; --line: #d9dee4;
  --mark: #ffd7d5; --mark-ink: #a40e26; --good: #0f7b3a; --bad: #b42318; --warn: #8a5a00;
  --add: #dafbe1; --del: #ffebe9; --hunk: #ddf4ff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b1; --page: #14171c; --card: #1d2128;
  --line: #343b45; --mark: #6e2b33; --mark-ink: #ffd9d9; --good: #58c57d; --bad: #ff8a80; --warn: #e5b454;
  --add: #15361f; --del: #43191c; --hunk: #14304a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0; }
p { margin: .25rem 0; } code, pre { font: .875em/1.5 ui-monospace, monospace; }
pre { margin: .4rem 0; padding: .5rem .6rem; overflow-x: auto; background: var(--card); border-radius: 6px; }
header { border-bottom: 1px solid var(--line); padding-bottom: 1rem; }
section { margin-top: 1.75rem; }
.soft { color: var(--soft); font-size: .9em; } .path { overflow-wrap: anywhere; }
.clean, .proven, .kept, .exact { color: var(--good); } .failed, .rejected { color: var(--bad); }
.breaks, .empty, .skipped, .unsafe { color: var(--warn); }
.headline { font-weight: 600; }
mark { background: var(--mark); color: var(--mark-ink); border-radius: 3px; padding: 0 .1em; }
table { width: 100%; border-collapse: collapse; margin-top: .75rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85em; }
th, td { padding: .45rem .6rem .45rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
td.line { min-width: 20rem; } td.line pre { white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: .25rem 0; } summary { cursor: pointer; color: var(--soft); font-size: .9em; }
ul { margin: .25rem 0; padding-left: 1.2rem; }
.diff span { display: block; min-height: 1.5em; } .diff .add { background: var(--add); }
.diff .del { background: var(--del); } .diff .hunk { background: var(--hunk); }
.verdict { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 6px; padding: .6rem .9rem;
  margin-top: .9rem; } .verdict.proven { border-left-color: var(--good); color: inherit; }
.verdict table { width: auto; margin: .4rem 0; } .verdict td, .verdict th { padding-right: 1.5rem; }
@media (max-width: 44rem) {
  .wide thead { display: none; } .wide, .wide tbody, .wide tr, .wide td { display: block; width: 100%; }
  .wide tr { padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .wide td { border: 0; padding: .1rem 0; min-width: 0; }
  .wide td[data-label] { display: inline-block; width: auto; margin-right: 1.2rem; }
  .wide td[data-label]::before { content: attr(data-label) " "; color: var(--soft); font-size: .85em; }
}
"""
