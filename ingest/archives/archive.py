"""An archive: the texts in it, whatever it is packed in."""

from collections.abc import Iterator
from io import BufferedReader

from ingest.archives import packed, zipped
from ingest.archives.bodies import Bodies
from ingest.archives.text import utf8


def texts(source: BufferedReader) -> Iterator[tuple[str, Bodies]]:
    """Yield what each text of an archive is called, `""` where it is the archive itself, and its bodies.

    Both raise ArchiveError: an archive where it cannot be read at all, a text at the place from which it cannot, and
    then the next one may be read.
    """
    if source.peek(len(zipped.BEGINS[0])).startswith(zipped.BEGINS):
        for name, blocks in zipped.members(source):
            yield name, Bodies(utf8(blocks))
    else:
        yield "", Bodies(utf8(packed.unpacked(source)))
