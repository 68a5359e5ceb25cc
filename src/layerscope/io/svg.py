"""SVG files that end with a digest of what is before it, since the format has no checksums."""

import re
from pathlib import Path

from layerscope.io.errors import damaged
from layerscope.io.files import digest_of

SEAL = re.compile(rb"<!-- xxh3 ([0-9a-f]{32}) -->\n")
WIDTH = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt"')
PIXELS = 96 / 72  # of a browser, in a point


def seal_svg(path: Path) -> None:
    """Append the digest of an SVG file, as a comment."""
    svg = path.read_bytes()
    path.write_bytes(svg + f"<!-- xxh3 {digest_of([svg])} -->\n".encode())


def read_svg(path: str | Path) -> tuple[bytes, int]:
    """The bytes of an SVG file and its width in pixels.

    Raises:
        UserError: the file is not as :func:`seal_svg` left it, or no SVG image.
    """
    svg = Path(path).read_bytes()
    seals = list(SEAL.finditer(svg))
    if not seals or seals[-1].end() != len(svg) or digest_of([svg[: seals[-1].start()]]) != seals[-1][1].decode():
        raise damaged(path, "is not a whole SVG image")
    width = WIDTH.search(svg)
    if width is None:
        raise damaged(path, "is not an SVG image")
    return svg, round(float(width[1]) * PIXELS)
