"""The console in the browser: one page, its style and its scripts, served as they lie here; no build step.

Nothing here holds data: the page asks the lookups for it, like any other client, and shows the same token.
`vendor` holds uPlot 1.6.32 (https://github.com/leeoniya/uPlot, MIT), unchanged, beside its licence.
"""

from importlib.resources import files
from typing import Final

PAGE: Final = "index.html"

ASSETS: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "stream.js": "text/javascript",
    "charts.js": "text/javascript",
    "lookup.js": "text/javascript",
    "retention.js": "text/javascript",
    "experiments.js": "text/javascript",
    "elements.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "vendor/uPlot.js": "text/javascript",
    "vendor/uPlot.css": "text/css",
}
"""What the page loads, and what it is."""


def read(name: str) -> bytes:
    """Return a file of this folder.

    >>> read(PAGE)[:15]
    b'<!doctype html>'
    """
    return files(__name__).joinpath(name).read_bytes()
