"""`python -m warehouse docs/warehouse.md` writes what is generated of that page anew, from a warehouse's COMMENTs."""

import sys
from pathlib import Path

from warehouse.catalog import GENERATED, describe, page
from warehouse.connection import in_memory
from warehouse.database import create_tables

db = in_memory()
create_tables(db)
describe(db)
document = Path(sys.argv[1])
written, _, _ = document.read_text(encoding="utf-8").partition(GENERATED)
document.write_text(written + page(db), encoding="utf-8")
db.close()
