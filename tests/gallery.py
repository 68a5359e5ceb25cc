"""Take the pictures of docs/gallery.md from a finished default study, small enough for the repository.

snakemake --cores 8 && python tests/gallery.py
"""

import sys
from pathlib import Path

from PIL import Image

from layerscope.io.files import whole_file

PROJECT = Path(__file__).parents[1]
PICTURES = PROJECT / "docs/gallery"
WIDTH = 960  # pixels
COLOURS = 64


def take(results: Path) -> None:
    """Make one picture of each figure, and remove those of figures that are no more."""
    figures = sorted(results.glob("*/figures/*.png"))
    names = {path.name for path in figures}
    for path in PICTURES.glob("*.png"):
        if path.name not in names:
            path.unlink()
    for path in figures:
        with Image.open(path) as drawn, whole_file(PICTURES / path.name) as temporary:
            size = WIDTH, round(drawn.height * WIDTH / drawn.width)
            small = drawn.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            small.quantize(COLOURS, dither=Image.Dither.NONE).save(temporary, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "results")
