"""Writes the page of the explorer: one file with its style, its scripts and the manifest in it."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerscope.io.content_policy import source_of
from layerscope.io.files import whole_file

# In the order in which the page runs them: each uses those before it.
SCRIPTS = (
    "dom",
    "data",
    "models",
    "numbers",
    "scales",
    "state",
    "filter",
    "tokens",
    "plot",
    "neuron_plots",
    "contexts",
    "neuron_panel",
    "neuron",
    "density",
    "map_panel",
    "map",
    "token_search",
    "rows",
    "table",
    "keys",
    "app",
)


def write_index(path: str | Path, manifest: dict[str, Any]) -> None:
    """Write ``index.html``, which asks for nothing but the data files beside it.

    Args:
        manifest: what the page has to know of corpus, models and columns before it reads a data file.

    Raises:
        ValueError: a number in ``manifest`` that JSON does not have.
    """
    environment = Environment(
        loader=PackageLoader("layerscope", "explorer/page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    # All but ASCII is escaped, and so are <, > and &: no text of the manifest can end the script that holds it.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    folder = Path(__file__).parent / "page"
    style = (folder / "style.css").read_text(encoding="utf-8")
    scripts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    page = environment.get_template("index.html").render(
        style=style,
        scripts=scripts,
        manifest=manifest,
        style_source=source_of(style),
        script_sources=" ".join(map(source_of, scripts)),
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
