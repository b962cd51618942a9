"""Code for an emulator that cannot mount it: each folder as an archive in a bucket, as `sam package` leaves it."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

from decant_cloud.local.deploy import Cloud, refusals

__all__ = ["upload"]

_BUCKET = "decant-code"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of every file: the same code makes the same archive."""


def upload(cloud: Cloud, folder: Path) -> dict[str, str]:
    """Put a folder's archive into the bucket, under a name that changes with it; where it is."""
    archive = _archive(folder)
    key = f"{folder.name}-{hashlib.sha256(archive).hexdigest()[:16]}.zip"
    with refusals(cloud, f"the code of {folder.name}"):
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        s3.put_object(Bucket=_BUCKET, Key=key, Body=archive)
    return {"Bucket": _BUCKET, "Key": key}


def _archive(folder: Path) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        # Our own packages are links in the layer.
        for root, folders, files in os.walk(folder, followlinks=True):
            folders[:] = sorted(each for each in folders if each != "__pycache__")
            for file in sorted(files):
                path = Path(root, file)
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (path.stat().st_mode & 0o777) << 16
                archive.writestr(entry, path.read_bytes())
    return written.getvalue()
