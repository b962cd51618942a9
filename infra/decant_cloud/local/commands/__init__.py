"""What `python -m decant_cloud.local` does, a module for each command."""
