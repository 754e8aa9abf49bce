#!/usr/bin/env python3
"""zip-bootstrap.py BINARY ZIP: packs a binary for Lambda, as an executable `bootstrap`."""

import pathlib
import sys
import zipfile

binary, target = map(pathlib.Path, sys.argv[1:])
entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))  # the same binary makes the same zip
entry.external_attr = 0o755 << 16
entry.compress_type = zipfile.ZIP_DEFLATED
target.parent.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(target, "w", compresslevel=1) as archive:
    archive.writestr(entry, binary.read_bytes())
