"""The package websockets as a peer, in both roles; steered as steering.py says."""

import asyncio
import http
import os
import threading
from urllib.parse import parse_qs, urlsplit

import steering

try:
    import websockets
    from websockets.extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory,
        ServerPerMessageDeflateFactory,
    )
    from websockets.legacy.client import WebSocketClientProtocol
    from websockets.legacy.server import WebSocketServerProtocol
except ImportError as error:
    steering.missing("python3-websockets", error)

connections = {}


class Telling:
    """Tells of the pings that arrive, which the package answers by itself."""

    connection = None

    async def pong(self, data=b""):
        steering.tell("ping", self.connection, payload=bytes(data))
        await super().pong(data)


class Client(Telling, WebSocketClientProtocol):
    async def read_http_response(self):
        status, headers = await super().read_http_response()
        if status != 101:
            body = await self.reader.readexactly(int(headers["Content-Length"]))
            steering.tell("rejected", self.connection, status=status, body=body.decode())
        return status, headers


class Server(Telling, WebSocketServerProtocol):
    settings = {}
    deflate = None

    def process_extensions(self, headers, available):
        if self.deflate is not None:
            available = [ServerPerMessageDeflateFactory(**self.deflate)]
        return super().process_extensions(headers, available)

    async def process_request(self, path, request_headers):
        where = urlsplit(path)
        query = parse_qs(where.query)
        self.connection = query["id"][0]
        self.deflate = steering.deflate_in(query)
        if where.path == "/limit":
            self.max_size = self.settings["limit"]
        if where.path.startswith("/reject/"):
            return http.HTTPStatus(int(where.path[8:])), [], self.settings["refusal"].encode()
        return None


class Connection:
    """An open connection: what arrives is told, what is commanded is done in order."""

    def __init__(self, socket):
        self.socket = socket
        self.fragments = None

    async def receive(self, header):
        name = self.socket.connection
        steering.tell("open", name, subprotocol=self.socket.subprotocol, header=header)
        try:
            while True:
                steering.tell("message", name, payload=await self.socket.recv())
        except websockets.ConnectionClosed:
            pass
        await self.socket.wait_closed()
        steering.tell("closed", name, code=self.socket.close_code, reason=self.socket.close_reason)

    async def carry_out(self, command):
        what = command["do"]
        if what == "send":
            await self.socket.send(steering.payload_of(command["payload"]))
        elif what == "fragment":
            await self.send_fragment(steering.payload_of(command["payload"]), command["final"])
        elif what == "ping":
            payload = steering.payload_of(command["payload"])
            pong = await self.socket.ping(payload)
            pong.add_done_callback(
                lambda done: done.cancelled() or done.exception() or self.tell_pong(payload)
            )
        elif what == "close":
            asyncio.ensure_future(self.socket.close(command["code"], command["reason"]))
        elif what == "drop":
            self.socket.transport.abort()
        elif what == "write":
            self.socket.transport.write(steering.payload_of(command["bytes"]))

    def tell_pong(self, payload):
        steering.tell("pong", self.socket.connection, payload=payload)

    async def send_fragment(self, payload, final):
        """The package takes fragments from an iterator; returns when this one is written."""
        if self.fragments is None:
            self.fragments = asyncio.Queue()
            asyncio.ensure_future(self.socket.send(iterate(self.fragments)))
        queue = self.fragments
        queue.put_nowait(payload)
        await queue.join()
        if final:
            self.fragments = None
            queue.put_nowait(None)


async def iterate(queue):
    while True:
        fragment = await queue.get()
        if fragment is None:
            return
        yield fragment
        queue.task_done()


async def serve(command):
    Server.settings = command

    async def handle(socket):
        connection = connections[socket.connection] = Connection(socket)
        await connection.receive(socket.request_headers.get("X-Asked"))

    server = await websockets.serve(
        handle,
        "127.0.0.1",
        0,
        create_protocol=Server,
        subprotocols=[steering.CHOSEN],
        extra_headers={"X-Answered": command["answered"]},
        ping_interval=None,
    )
    steering.tell("listening", port=server.sockets[0].getsockname()[1])


async def connect(command):
    name = command["connection"]

    deflate = command["deflate"]
    extensions = None
    if deflate is not None:
        wanted = {"client_max_window_bits": True, **steering.deflate_of(deflate)}
        extensions = [ClientPerMessageDeflateFactory(**wanted)]

    def create(*args, **kwargs):
        client = Client(*args, **kwargs)
        client.connection = name
        return client

    try:
        socket = await websockets.connect(
            command["url"],
            create_protocol=create,
            compression=None if extensions else "deflate",
            extensions=extensions,
            subprotocols=command["subprotocols"] or None,
            extra_headers=command["headers"],
            ping_interval=None,
            max_size=command["limit"] or 2**21,
        )
    except websockets.InvalidStatusCode:
        return  # told already
    connection = connections[name] = Connection(socket)
    await connection.receive(socket.response_headers.get("X-Answered"))


async def main():
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    def read():
        for command in steering.commands():
            loop.call_soon_threadsafe(queue.put_nowait, command)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        command = await queue.get()
        if command["do"] == "listen":
            await serve(command)
        elif command["do"] == "connect":
            asyncio.ensure_future(connect(command))
        else:
            connection = connections.get(command["connection"])
            if connection is not None:
                try:
                    await connection.carry_out(command)
                except websockets.ConnectionClosed:
                    pass  # too late


steering.live_boundedly()
asyncio.run(main())
