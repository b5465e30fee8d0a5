"""Making fixes: the repair loop and the one write at its end."""
