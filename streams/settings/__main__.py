"""Prints docs/settings.md, generated from the sections: ``python -m streams.settings > docs/settings.md``."""

import sys

from streams.settings.page import page

sys.stdout.write(page())
