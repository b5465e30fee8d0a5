"""The rules: one file each, named after the pattern that breaks the graph."""
