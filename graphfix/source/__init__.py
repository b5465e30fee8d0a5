"""Source text: read, parsed, searched by place and by scope, edited without touching what was not asked for."""
