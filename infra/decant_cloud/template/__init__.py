"""What `template.yaml` declares: functions and stages, with intrinsic functions evaluated and SAM transformed."""
