"""HTTP/1.1 as strangers speak it: connections, heads and bodies, each within bounds.

It promises: every request is parsed once and gets one clear answer; only a complete body reaches the endpoint; whatever
is unfinished is bounded in number, bytes and time, and the oldest goes first when there is too much.
"""
