"""New functions and tasks: their files and their block in `template.yaml`."""
