"""Cold starts, of what `sam build` makes here and of what it makes by default."""
