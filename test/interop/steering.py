"""What both peers share: JSON lines on standard input say what to do, JSON lines on standard output what was seen."""

import base64
import json
import os
import sys
import threading

CHOSEN = "chat.v2"
LIFE = 180  # seconds: whoever started this may be gone

_lock = threading.Lock()


def tell(event, connection=None, **fields):
    """Writes a line. Bytes go as base64, text as it is."""
    for name, value in fields.items():
        if isinstance(value, (bytes, bytearray)):
            fields[name] = {"base64": base64.b64encode(value).decode("ascii")}
    line = json.dumps({"event": event, "connection": connection, **fields})
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def payload_of(value):
    """A text, or bytes."""
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def deflate_of(wanted):
    """What is wanted of permessage-deflate, as both packages call it."""
    names = {
        "serverNoContextTakeover": "server_no_context_takeover",
        "clientNoContextTakeover": "client_no_context_takeover",
        "serverMaxWindowBits": "server_max_window_bits",
        "clientMaxWindowBits": "client_max_window_bits",
    }
    return {names[name]: value for name, value in wanted.items()}


def deflate_in(query):
    """The same, of a parsed query; none where there is none."""
    return deflate_of(json.loads(query["deflate"][0])) if "deflate" in query else None


def commands():
    """The lines of standard input, until it ends."""
    for line in sys.stdin.buffer:
        yield json.loads(line)


def missing(package, error):
    """Says which package is not there, and ends."""
    tell("missing", package=package, detail=str(error))
    sys.exit(1)


def live_boundedly():
    timer = threading.Timer(LIFE, os._exit, (3,))
    timer.daemon = True
    timer.start()
