"""Where a finished report goes, and in which format: the screen, standard output, a file, or a file a chart."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from reports import formats
from reports.errors import RequestError
from reports.formats import output as written
from reports.tables.report import Report


@dataclass(frozen=True, slots=True)
class Destination:
    """The format `form` on standard output, or at the path `output`: a file, or a folder for charts.

    `raw` leaves the texts of CSV as they are, formulas included; `bom` makes CSV begin with a byte order mark.
    """

    form: str
    output: Path | None
    raw: bool
    bom: bool

    @classmethod
    def of(cls, form: str | None, output: Path | None, *, raw: bool, bom: bool) -> "Destination":
        """Return the destination; without a format, the ending of the file names it. Raises RequestError."""
        return cls(form or _form_of(output), output, raw, bom)

    def write(self, report: Report) -> None:
        """Print the report, or write it to its file. Raises RequestError where the format does not go there."""
        if self.bom and self.form != "csv":
            raise RequestError(
                f"--bom is for csv, and {self.form} was asked for: leave it out, or ask for --format csv"
            )
        if self.form in formats.PICTURES:
            self._write_pictures(report)
        elif self.form in formats.FILES:
            self._write_bytes(formats.encoded(report, self.form))
        else:
            self._write_text(report)

    def _write_text(self, report: Report) -> None:
        for_people = self.output is None and self.form == "table" and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if for_people else None
        text = formats.render(report, self.form, raw=self.raw, width=width, color=for_people)
        content = text.encode("utf-8-sig" if self.bom else "utf-8")
        if self.output is not None:
            written.write({self.output: content})
        elif self.form == "table":
            sys.stdout.write(text)  # in the terminal's own encoding: it is for people
        else:
            written.standard_output(content)

    def _write_bytes(self, content: bytes) -> None:
        if self.output is not None:
            written.write({self.output: content})
        elif sys.stdout.isatty():
            raise RequestError(f"{self.form} is not for a terminal: expected --output FILE.{self.form}")
        else:
            written.standard_output(content)

    def _write_pictures(self, report: Report) -> None:
        """Write each chart into a folder as REPORT-CHART.FORM, or next to a file of that format as FILE-CHART.FORM."""
        if self.output is None:
            raise RequestError(f"{self.form} has a file for each chart: expected --output FOLDER")
        charts = formats.pictures(report, self.form)
        if not charts:
            raise RequestError(f"the report {report.name} has no chart of this period: expected another format")
        is_file = self.output.suffix == f".{self.form}"
        folder, stem = (self.output.parent, self.output.stem) if is_file else (self.output, report.name)
        written.write({folder / f"{stem}-{name}.{self.form}": content for name, content in charts.items()})


def _form_of(output: Path | None) -> str:
    if output is None:
        return "table"
    form = output.suffix.removeprefix(".")
    if form not in (*formats.EVERY, *formats.PICTURES):
        raise RequestError(
            f"{output} does not say which format is meant: expected --format, or a name that ends in one of "
            f"{', '.join('.' + known for known in (*formats.EVERY, *formats.PICTURES))}"
        )
    return form
