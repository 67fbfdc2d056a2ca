"""A web server on this machine that answers as a hostile one would: redirects, bombs, no end, a byte now and then."""

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]
Asked = list[tuple[str, dict[str, str]]]


@contextmanager
def a_server(answer: Answer) -> Iterator[tuple[int, Asked]]:
    """A server that answers every request so; gives its port, and what came: method and target, and the headers."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def _answered(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((f"{self.command} {self.path}", dict(self.headers.items())))
            answer(self)

        do_GET = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answered  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """One answer; underscores in the names of headers are hyphens."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    return answer


def bombing(status: int, inflated: int) -> Answer:
    """A thousandth of so many bytes as gzip."""
    packer, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(1 << 20)
    bomb = b"".join([*(packer.compress(zeros) for _ in range(inflated >> 20)), packer.flush()])
    return answering(status, bomb, Content_Encoding="gzip")


def endless(to: BaseHTTPRequestHandler) -> None:
    """As fast as the line takes it, until it is closed."""
    to.send_response(200)
    to.send_header("Content-Length", str(1 << 40))
    to.end_headers()
    while True:
        to.wfile.write(bytes(1 << 20))


def trickling(let_go: threading.Event) -> Answer:
    """A byte of a header every few milliseconds, until the event is set: no read waits for long, and all for ever."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not let_go.wait(0.05):
            to.wfile.write(b"x")

    return answer
