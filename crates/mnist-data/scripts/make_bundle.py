#!/usr/bin/env python3
"""Makes data/{index,mask,values}.br, the three Brotli streams that the feature `bundled` ships.

    python3 -m venv .venv && .venv/bin/pip install 'numpy==2.*' 'brotli==1.*'
    .venv/bin/python scripts/make_bundle.py DIRECTORY

DIRECTORY holds MNIST's four original IDX files, plain or gzipped; their SHA-256 is checked before
anything is written. The output depends on nothing but the input and the version of Brotli's encoder
(PyPI brotli 1.2.1 made the committed files), and takes about two minutes.

The layout
----------
Brotli's job is made easier by reordering, so that bytes with the same distribution stand together:

  mask    one bit per pixel (lit or not), 70,000 x 28 x 28 in scan order. Each bit belongs to one of 1024
          contexts: the ten neighbours already decoded, as JBIG's ten-pixel template picks them.
          Per context the bits are packed into bytes, first bit lowest; contexts stand in rising order.
  values  one byte for each lit pixel, grouped by 4096 contexts: which of the four neighbours still to come
          are lit (known from the mask) and the classes of the values to the left and above.
  index   the labels (one byte each, training set first), then how many bits each mask context has and
          how many bytes each value context has (u32, little endian): where each group begins.

The decoder (src/bundled/layout.rs) walks the pixels in the same order, with one cursor per context.

What was measured
-----------------
Bytes for all 70,000 images (the index adds 35,463):

  bzip2 -9                       9,756,427
  zstd -22                       9,419,060
  Brotli 11                      9,085,952
  xz -9e                         9,079,604
  this layout, zstd -22          7,949,939
  this layout, Brotli 11         7,733,814  (window 2^16; 7,746,054 with 2^22)
  this layout, LZMA -9e lc=0     7,727,594  (0.51 s to decode in Rust; Brotli 0.10 s)
"""

import gzip
import hashlib
import pathlib
import sys

import brotli
import numpy as np

FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SIDE = 28
PAD = 2  # the contexts look at most two pixels away
# Lower bounds of the value classes 1..12; class 0 is "not lit". Strokes saturate at 251 to 255 and each
# of these is a class of its own, nearly, because neighbours inside a stroke tend to be equal.
CLASS_BOUNDS = [1, 32, 64, 96, 128, 160, 192, 224, 250, 253, 254, 255]
# Bits of the mask context, lowest first, as (dy, dx).
MASK_TEMPLATE = [(-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-2, -1), (-2, 0), (-2, 1), (0, -2), (0, -1)]
# Bits of the part of the value context that comes from the mask, lowest first.
VALUE_TEMPLATE = [(1, -1), (1, 0), (1, 1), (0, 1)]
# Matches are rare and short in data sorted like this, so a small window costs next to nothing in
# size and keeps the decoder's ring buffer inside the processor's cache.
WINDOW_BITS = 16


def payload(directory: pathlib.Path, name: str) -> np.ndarray:
    """The bytes of one IDX file after its header."""
    plain, packed = directory / name, directory / f"{name}.gz"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    found = hashlib.sha256(data).hexdigest()
    if found != FILES[name]:
        sys.exit(f"{name}: SHA-256 is {found}, expected {FILES[name]}")
    return np.frombuffer(data, np.uint8, offset=16 if "idx3" in name else 8)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: make_bundle.py DIRECTORY (with MNIST's four files, plain or .gz)")
    source = pathlib.Path(sys.argv[1])
    images = np.concatenate([payload(source, f"{s}-images-idx3-ubyte") for s in ("train", "t10k")])
    labels = np.concatenate([payload(source, f"{s}-labels-idx1-ubyte") for s in ("train", "t10k")])
    images = images.reshape(-1, SIDE, SIDE)
    padded = np.pad(images, ((0, 0), (PAD, PAD), (PAD, PAD)))

    def neighbour(dy: int, dx: int) -> np.ndarray:
        return padded[:, PAD + dy : PAD + dy + SIDE, PAD + dx : PAD + dx + SIDE].ravel()

    def template(offsets: list[tuple[int, int]]) -> np.ndarray:
        bits = np.zeros(images.size, np.uint16)
        for i, (dy, dx) in enumerate(offsets):
            bits |= (neighbour(dy, dx) > 0).astype(np.uint16) << i
        return bits

    lit = images.ravel() > 0
    context = template(MASK_TEMPLATE)
    order = np.argsort(context, kind="stable")
    mask_counts = np.bincount(context, minlength=1 << len(MASK_TEMPLATE))
    groups = np.split(lit[order], np.cumsum(mask_counts)[:-1])
    mask = b"".join(np.packbits(g, bitorder="little").tobytes() for g in groups)

    classes = np.searchsorted(CLASS_BOUNDS, np.arange(256), side="right").astype(np.uint16)
    context = (template(VALUE_TEMPLATE) << 8 | classes[neighbour(0, -1)] << 4 | classes[neighbour(-1, 0)])[lit]
    values = images.ravel()[lit][np.argsort(context, kind="stable")].tobytes()
    value_counts = np.bincount(context, minlength=1 << (len(VALUE_TEMPLATE) + 8))

    index = labels.tobytes() + mask_counts.astype("<u4").tobytes() + value_counts.astype("<u4").tobytes()

    target = pathlib.Path(__file__).resolve().parent.parent / "data"
    for name, data in {"index": index, "mask": mask, "values": values}.items():
        packed = brotli.compress(data, quality=11, lgwin=WINDOW_BITS)
        (target / f"{name}.br").write_bytes(packed)
        print(f"{name}: {len(data)} -> {len(packed)} bytes")


if __name__ == "__main__":
    main()
