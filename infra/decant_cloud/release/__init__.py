"""What is done around a deployment: look whether it works, and put the versions before it back when it does not."""
