"""Archives of events as people keep them: packed or not, in UTF-8 or UTF-16, a body a line or whole answers of lists.

Promises that memory and disk stay bounded whatever an archive holds, that nothing of it is left out without a word, and
that bodies are the bytes that the archive has, but for what was UTF-16 or UTF-32 or was wrapped whole.
"""
