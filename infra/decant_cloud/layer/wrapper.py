"""The wrapper script of the layer that starts Decant's runtime loop in a function that streams responses.

Source: AWS Lambda Developer Guide, "Modifying the runtime environment" (wrapper scripts).
"""

from pathlib import Path

__all__ = ["NAME", "PATH", "write_wrapper"]

NAME = "stream-responses"
PATH = f"/opt/{NAME}"
"""Value of AWS_LAMBDA_EXEC_WRAPPER."""

_SCRIPT = """\
#!/bin/sh
# Starts Decant's runtime loop in place of AWS's runtime client, whose command line is in the arguments.
if [ -n "$AWS_SAM_LOCAL" ]; then
    exec "$@" # `sam local` cannot stream
fi
layer="${0%/*}/python"
case ":$PYTHONPATH:" in
*":$layer:"*) ;;
*) export PYTHONPATH="$layer/lib/python3.13/site-packages:$layer:$PYTHONPATH" ;;
esac
cd "$LAMBDA_TASK_ROOT" && exec "$1" -u -m decant.web.runtime_loop
"""


def write_wrapper(layer: Path) -> list[Path]:
    """Write the script into a layer that contains `decant`; returns the files written.

    Args:
        layer: Folder that becomes /opt.
    """
    if not (layer / "python/decant").is_dir():
        return []
    script = layer / NAME
    if not script.is_file() or script.read_text() != _SCRIPT:
        script.write_text(_SCRIPT)
        script.chmod(0o755)
    return [script]
