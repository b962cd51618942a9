"""What `python -m infra.local` does, a module for each command."""
