"""What each command does, from its arguments to an outcome. `cli` imports one of these at a time."""
