"""`python -m reports.measures warehouse/views.sql` writes the measures in the warehouse's views anew."""

import sys
from pathlib import Path

from reports.measures.views import rendered

views = Path(sys.argv[1])
views.write_text(rendered(views.read_text(encoding="utf-8")), encoding="utf-8")
