"""Judging fixes: patched sources in memory, the four conditions, the arms of a branch."""
