"""Counts the clicks that web puts into Redis, and tells the counts."""

import json
import logging
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import reload
from redis import Redis

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
log = logging.getLogger()


def count():
    """Moves clicks into the counts, for ever; waits for Redis when it is away."""
    while True:
        try:
            with Redis() as redis:
                log.info("waiting for clicks")
                while True:
                    got = redis.send("BLPOP", "clicks", "10")
                    if got:
                        total = redis.send("HINCRBY", "counts", got[1], "1")
                        log.info("click code=%s total=%d", got[1], total)
        except (OSError, ValueError) as error:
            log.warning("redis is down, trying again in a second: %s", error)
            time.sleep(1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(200, "ok")
        elif self.path == "/counts":
            try:
                with Redis() as redis:
                    flat = redis.send("HGETALL", "counts")
                self.answer(200, {code: int(n) for code, n in zip(flat[::2], flat[1::2])})
            except (OSError, ValueError) as error:
                log.error("counts not read: %s", error)
                self.answer(503, "redis does not answer")
        else:
            self.answer(404, "no such page")

    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # the page asks every two seconds; only clicks are worth a line


if __name__ == "__main__":
    # As the first process of a container it gets no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for work in (count, reload.watch):
        threading.Thread(target=work, daemon=True).start()
    log.info("listening on :8000")
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
