#!/usr/bin/env python3
"""Makes seeds/idx and seeds/gzip_idx: small valid files, and the beginnings of real ones.

    python3 fuzz/make_seeds.py DIRECTORY

DIRECTORY holds MNIST's four files as `.gz`. Only Python's own library is needed.
"""

import gzip
import pathlib
import sys

HEADER = 16  # bytes of a rank-3 header; of a label file, the header and eight labels
PACKED = 64  # enough of a .gz for its header and the beginning of the first block

TINY = {
    "tiny-idx3": bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(12)),
    "tiny-idx1": bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]),
    "no-images": bytes([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]),
}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: make_seeds.py DIRECTORY (with MNIST's four .gz files)")
    seeds = pathlib.Path(__file__).resolve().parent / "seeds"
    for target in ("idx", "gzip_idx"):
        (seeds / target).mkdir(parents=True, exist_ok=True)
    for name, data in TINY.items():
        (seeds / "idx" / name).write_bytes(data)
        (seeds / "gzip_idx" / name).write_bytes(data)
        (seeds / "gzip_idx" / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*-ubyte.gz")):
        with gzip.open(path) as unpacked:
            start = unpacked.read(HEADER)
        (seeds / "idx" / f"{path.stem}.header").write_bytes(start)
        (seeds / "gzip_idx" / f"{path.stem}.header").write_bytes(start)
        (seeds / "gzip_idx" / f"{path.name}.start").write_bytes(path.read_bytes()[:PACKED])


if __name__ == "__main__":
    main()
