"""wsproto over plain blocking sockets as a peer, in both roles; steered as steering.py says."""

import os
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import steering

try:
    from wsproto import ConnectionType, WSConnection
    from wsproto.connection import ConnectionState
    from wsproto.events import (
        AcceptConnection,
        BytesMessage,
        CloseConnection,
        Ping,
        Pong,
        RejectConnection,
        RejectData,
        Request,
        TextMessage,
    )
    from wsproto.extensions import PerMessageDeflate
    from wsproto.utilities import LocalProtocolError
except ImportError as error:
    steering.missing("python3-wsproto", error)

connections = {}


class Connection:
    """One connection: a thread reads, and whoever commands writes."""

    def __init__(self, sock, role, settings, name=None):
        self.sock = sock
        self.protocol = WSConnection(role)
        self.is_server = role is ConnectionType.SERVER
        self.settings = settings
        self.name = name
        self.lock = threading.Lock()
        self.message = []
        self.body = b""
        self.status = None
        self.close = None
        self.over = False

    def run(self):
        try:
            self.read()
        except OSError:
            pass
        self.sock.close()
        if self.status is None:
            code, reason = self.close or (1006, "")
            steering.tell("closed", self.name, code=code, reason=reason)

    def read(self):
        while True:
            data = self.sock.recv(65536)
            with self.lock:
                if not data:
                    return
                if self.over:
                    continue  # nothing is awaited any more but the end
                self.protocol.receive_data(data)
                for event in self.protocol.events():
                    self.see(event)
                    if self.over:
                        break

    def send(self, event):
        self.sock.sendall(self.protocol.send(event))

    def see(self, event):
        if isinstance(event, Request):
            self.answer(event)
        elif isinstance(event, AcceptConnection):
            answered = dict(event.extra_headers).get(b"x-answered")
            header = answered.decode() if answered is not None else None
            steering.tell("open", self.name, subprotocol=event.subprotocol, header=header)
        elif isinstance(event, RejectConnection):
            self.status = event.status_code
        elif isinstance(event, RejectData):
            self.body += event.data
            if event.body_finished:
                steering.tell("rejected", self.name, status=self.status, body=self.body.decode())
        elif isinstance(event, (TextMessage, BytesMessage)):
            self.message.append(event.data)
            if event.message_finished:
                empty = "" if isinstance(event, TextMessage) else b""
                steering.tell("message", self.name, payload=empty.join(self.message))
                self.message = []
        elif isinstance(event, Ping):
            steering.tell("ping", self.name, payload=bytes(event.payload))
            self.send(event.response())
        elif isinstance(event, Pong):
            steering.tell("pong", self.name, payload=bytes(event.payload))
        elif isinstance(event, CloseConnection):
            self.see_close(event)

    def see_close(self, event):
        self.over = True
        failed = self.protocol.state is ConnectionState.OPEN  # we broke a rule: it is no Close frame that is told
        if not failed:
            self.close = (int(event.code), event.reason or "")
        if self.protocol.state is not ConnectionState.CLOSED:
            self.send(event.response())
        if failed or self.is_server:
            self.sock.shutdown(socket.SHUT_WR)  # RFC 6455 7.1.1: a server ends first

    def answer(self, request):
        where = urlsplit(request.target)
        query = parse_qs(where.query)
        self.name = query["id"][0]
        connections[self.name] = self
        if where.path.startswith("/reject/"):
            refusal = self.settings["refusal"].encode()
            self.status = int(where.path[8:])
            headers = [(b"content-length", b"%d" % len(refusal))]
            self.send(RejectConnection(status_code=self.status, headers=headers, has_body=True))
            self.send(RejectData(data=refusal))
            self.over = True
            self.sock.shutdown(socket.SHUT_WR)
            return
        chosen = steering.CHOSEN if steering.CHOSEN in request.subprotocols else None
        answered = (b"X-Answered", self.settings["answered"].encode())
        extensions = extensions_of(steering.deflate_in(query))
        self.send(AcceptConnection(subprotocol=chosen, extra_headers=[answered], extensions=extensions))
        asked = dict(request.extra_headers).get(b"x-asked")
        header = asked.decode() if asked is not None else None
        steering.tell("open", self.name, subprotocol=chosen, header=header)

    def carry_out(self, command):
        what = command["do"]
        if what == "drop":
            self.sock.shutdown(socket.SHUT_RDWR)
            return
        with self.lock:
            if what == "send":
                self.send(message_of(command["payload"], True))
            elif what == "fragment":
                self.send(message_of(command["payload"], command["final"]))
            elif what == "ping":
                self.send(Ping(payload=steering.payload_of(command["payload"])))
            elif what == "close":
                self.send(CloseConnection(code=command["code"], reason=command["reason"] or None))
            elif what == "write":
                self.sock.sendall(steering.payload_of(command["bytes"]))


def extensions_of(deflate):
    return [] if deflate is None else [PerMessageDeflate(**deflate)]


def message_of(value, final):
    payload = steering.payload_of(value)
    kind = TextMessage if isinstance(payload, str) else BytesMessage
    return kind(data=payload, message_finished=final)


def in_background(work, *args):
    threading.Thread(target=work, args=args, daemon=True).start()


def listen(command):
    listener = socket.create_server(("127.0.0.1", 0))
    steering.tell("listening", port=listener.getsockname()[1])

    def accept():
        while True:
            sock, _ = listener.accept()
            in_background(Connection(sock, ConnectionType.SERVER, command).run)

    in_background(accept)


def connect(command):
    where = urlsplit(command["url"])
    sock = socket.create_connection((where.hostname, where.port))
    connection = Connection(sock, ConnectionType.CLIENT, command, command["connection"])
    connections[connection.name] = connection
    headers = [(name.encode(), value.encode()) for name, value in command["headers"].items()]
    wanted = command["deflate"]
    extensions = extensions_of(None if wanted is None else steering.deflate_of(wanted))
    connection.send(
        Request(
            host=where.netloc,
            target=where.path or "/",
            subprotocols=command["subprotocols"],
            extra_headers=headers,
            extensions=extensions,
        )
    )
    in_background(connection.run)


steering.live_boundedly()
for command in steering.commands():
    if command["do"] == "listen":
        listen(command)
    elif command["do"] == "connect":
        connect(command)
    elif command["connection"] in connections:
        try:
            connections[command["connection"]].carry_out(command)
        except (OSError, LocalProtocolError):
            pass  # too late
os._exit(0)
