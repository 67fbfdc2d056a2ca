"""`python -m reports.measures warehouse/views` writes the measures in the warehouse's views anew."""

import sys
from pathlib import Path

from reports.measures.views import rendered

for view in Path(sys.argv[1]).glob("*.sql"):
    view.write_text(rendered(view.read_text(encoding="utf-8")), encoding="utf-8")
