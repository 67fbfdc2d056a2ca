"""An archive: the texts in it, whatever it is packed in."""

from collections.abc import Iterator
from io import BufferedReader

from ingest.archives import packed, zipped
from ingest.archives.bodies import Bodies
from ingest.archives.text import utf8


def texts(source: BufferedReader) -> Iterator[tuple[str, Bodies]]:
    """Yield the name of each text of an archive, `""` where the archive is the text, and its bodies.

    Both iterators raise ArchiveError: the outer one where the archive cannot be read, the inner one where its text
    cannot be read on; the next text may be readable then.
    """
    if source.peek(len(zipped.BEGINS[0])).startswith(zipped.BEGINS):
        for name, blocks in zipped.members(source):
            yield name, Bodies(utf8(blocks))
    else:
        yield "", Bodies(utf8(packed.unpacked(source)))
