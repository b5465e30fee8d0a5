"""Finding breaks: in files by syntax, in targets by compiling them."""
