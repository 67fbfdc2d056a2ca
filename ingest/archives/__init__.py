"""Archives of events as people keep them: packed or not, in UTF-8 or UTF-16, a body a line or whole answers of lists.

It promises: memory and disk stay bounded whatever an archive holds; nothing in an archive is left out silently; a body
is the bytes that the archive has, except for text in UTF-16 or UTF-32 and for bodies that were wrapped whole.
"""
