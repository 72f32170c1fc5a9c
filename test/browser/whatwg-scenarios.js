// What a page can do with a WebSocket, and what it sees of it: run in Chromium with its own classes, and on Node with ours.
// Each scenario gives a value that JSON can hold. (Two things are left out: URLs are relative to a page; and Chromium cuts
// fractions of codes off where WebIDL's [Clamp] rounds, and takes an undefined code before a reason for 0.)

/** Resolves with the socket's events and its readyState at each, up to the close. */
function eventsOf(socket, onevent = () => undefined) {
  return new Promise((resolve) => {
    const seen = [];
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => {
        const entry = [type, socket.readyState];
        if (type === "message")
          entry.push(typeof event.data === "string" ? event.data : event.data.byteLength);
        if (type === "close") entry.push(event.code, event.reason, event.wasClean);
        seen.push(entry);
        onevent(type, event);
        if (type === "close") resolve(seen);
      });
    }
  });
}

function thrown(action) {
  try {
    action();
    return "nothing";
  } catch (error) {
    return `${error.constructor.name} ${error.name}`;
  }
}

async function rejection(promise) {
  try {
    return ["resolves", await promise];
  } catch (error) {
    return ["rejects", error.name, error.closeCode, error.reason];
  }
}

const opened = (socket) => new Promise((resolve) => socket.addEventListener("open", resolve));
const nextMessage = (socket) =>
  new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data), { once: true }));

const CLOSE_ARGUMENTS = [
  [999],
  [1001],
  [1005],
  [2999],
  [5000],
  [-1],
  [65536 + 1000],
  [NaN],
  [Infinity],
  [2999.4],
  [1000.4],
  [1000.5],
  ["1000"],
  ["x"],
  [null],
  [1000, "x".repeat(123)],
  [1000, "x".repeat(124)],
  [1000, "ü".repeat(62)],
  [999, "x".repeat(124)],
];

export const scenarios = {
  "constructor: URLs": ({ WebSocket }) =>
    ["ws://", "ws://h/#", "ws://h/#x", "ftp://h/", "mailto:x", "ws://h:99999/", "ws://[::1/"].map((url) =>
      thrown(() => new WebSocket(url)),
    ),

  "constructor: the url it has": ({ WebSocket, url }) =>
    ["?a b", "ü?ü", "../x/./y"].map((path) => {
      const socket = new WebSocket(url + path);
      socket.onerror = null;
      socket.close();
      return socket.url.replace(url, "");
    }),

  "constructor: http becomes ws": ({ WebSocket, url }) => {
    const socket = new WebSocket(new URL(url.replace("ws:", "http:")));
    socket.close();
    return socket.url.slice(0, 5);
  },

  "constructor: subprotocols": ({ WebSocket, url }) =>
    ["", "a b", "a,b", "ü", ["a", "a"], ["a", ""], ["a", "A"], [], [1]].map((protocols) =>
      thrown(() => new WebSocket(url, protocols).close()),
    ),

  "constants and first values": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    const { readyState, bufferedAmount, extensions, protocol, onopen } = socket;
    const values = [
      ...["CONNECTING", "OPEN", "CLOSING", "CLOSED"].flatMap((name) => [WebSocket[name], socket[name]]),
      ...[readyState, bufferedAmount, extensions, protocol, onopen, String(socket)],
      socket.binaryType,
      socket instanceof EventTarget,
      WebSocket.name,
    ];
    socket.binaryType = "arraybuffer";
    values.push(socket.binaryType);
    socket.binaryType = "nonsense";
    values.push(socket.binaryType);
    socket.close();
    await eventsOf(socket);
    return values;
  },

  "send before open": ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    const name = thrown(() => socket.send("x"));
    socket.close();
    return [name, socket.bufferedAmount];
  },

  "close: arguments": ({ WebSocket, url }) =>
    CLOSE_ARGUMENTS.map((args) => {
      const socket = new WebSocket(url);
      const name = thrown(() => socket.close(...args));
      const state = socket.readyState;
      socket.close();
      return [name, state];
    }),

  "close before open": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    const events = eventsOf(socket);
    socket.close(3000, "early");
    return [socket.readyState, await events];
  },

  "close while the server decides": async ({ WebSocket, url }) => {
    const socket = new WebSocket(`${url}never`);
    const events = eventsOf(socket);
    setTimeout(() => socket.close(), 50);
    return events;
  },

  ...Object.fromEntries(
    [[], [1000], [3000, "bye"], [4999, "wörld"], [3000, "\ud800"]].map((args) => [
      `close(${JSON.stringify(args)}), and what the server sees`,
      async ({ WebSocket, url }) => {
        const socket = new WebSocket(`${url}closed`);
        await opened(socket);
        const events = eventsOf(socket);
        socket.close(...args);
        socket.close(4000, "too late");
        const state = socket.readyState;
        await events;
        return [state, await events];
      },
    ]),
  ),

  "texts and bytes come back": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const events = eventsOf(socket, (type) => {
      if (type !== "open") return;
      for (const text of ["", "grüße 中 😀", "\ud800", "x".repeat(70_000)]) socket.send(text);
      for (const size of [0, 1, 126, 65_536]) socket.send(new Uint8Array(size));
      socket.send(new Uint16Array([1, 2, 3]).subarray(1));
      socket.send(new DataView(new ArrayBuffer(7), 2));
      socket.send(new ArrayBuffer(3));
      socket.send(new Blob(["blob"]));
      socket.send("end");
    });
    socket.addEventListener("message", ({ data }) => data === "end" && socket.close(1000));
    return events;
  },

  "what is no string and no bytes is sent as text": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    await opened(socket);
    const seen = [];
    for (const value of [1, null, undefined, {}, ["a", "b"], true]) {
      socket.send(value);
      seen.push(await nextMessage(socket));
    }
    socket.close();
    return seen;
  },

  "a message event": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    await opened(socket);
    socket.send(new Uint8Array([1, 2]));
    const event = await new Promise((resolve) => (socket.onmessage = resolve));
    socket.close();
    const { origin, lastEventId, bubbles, cancelable, data } = event;
    return [
      ...[
        event instanceof MessageEvent,
        event.target === socket,
        origin === new URL(url).origin.replace("http", "ws"),
      ],
      ...[lastEventId, bubbles, cancelable, data.constructor.name, data.size],
    ];
  },

  "Blobs keep their place": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    await opened(socket);
    const events = eventsOf(socket);
    const buffer = new Uint8Array(4);
    socket.send(new Blob(["x".repeat(100_000)]));
    socket.send("a");
    socket.send(buffer);
    buffer.fill(1);
    socket.send(new Blob(["yy"]));
    socket.send("b");
    const { bufferedAmount } = socket;
    await new Promise((resolve) => {
      socket.addEventListener("message", ({ data }) => data === "b" && resolve());
    });
    socket.send(new Blob(["z"]));
    socket.close(1000);
    return [bufferedAmount, await events];
  },

  "bufferedAmount grows within a task, and is 0 when all has left": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    await opened(socket);
    const amounts = [];
    for (const data of ["hello", "ü", new Uint8Array(1000), "x".repeat(100_000), ""]) {
      socket.send(data);
      amounts.push(socket.bufferedAmount);
    }
    const last = new Promise((resolve) => {
      socket.addEventListener("message", ({ data }) => data === "" && resolve());
    });
    await last;
    while (socket.bufferedAmount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    amounts.push(socket.bufferedAmount);
    const events = eventsOf(socket);
    socket.close();
    socket.send("12345");
    amounts.push(socket.bufferedAmount);
    await events;
    socket.send(new Uint8Array(10));
    amounts.push(socket.bufferedAmount);
    return amounts;
  },

  "handlers: their order, and what is none": async ({ WebSocket, url }) => {
    const socket = new WebSocket(url);
    const calls = [];
    socket.onmessage = () => calls.push("replaced");
    socket.addEventListener("message", () => calls.push("listener"));
    socket.onmessage = function (event) {
      calls.push(`handler ${this === socket} ${event.type}`);
    };
    socket.onclose = 5;
    calls.push(socket.onclose, typeof socket.onmessage);
    await opened(socket);
    socket.send("x");
    await nextMessage(socket);
    socket.onmessage = null;
    socket.send("y");
    await nextMessage(socket);
    socket.onmessage = () => calls.push("last");
    socket.send("z");
    await nextMessage(socket);
    socket.close();
    return calls;
  },

  "no message after close()": async ({ WebSocket, url }) => {
    const socket = new WebSocket(`${url}chatter`);
    const events = eventsOf(socket, (type) => type === "message" && socket.close(3000));
    return events;
  },

  "a subprotocol": async ({ WebSocket, url }) => {
    const socket = new WebSocket(`${url}protocol`, ["b", "a"]);
    const events = eventsOf(socket, () => socket.close());
    await events;
    return [socket.protocol, socket.extensions, await events];
  },

  "a subprotocol that the server does not take": async ({ WebSocket, url }) =>
    eventsOf(new WebSocket(url, ["a"]), (type, { target }) => type === "open" && target.close()),

  ...Object.fromEntries(
    [
      "reject",
      "close-1000",
      "close-4000",
      "terminate",
      "end",
      "bad-frame",
      "masked",
      "bad-text",
      "bad-close",
      "nobody",
    ].map((path) => [
      `the server: ${path}`,
      async ({ WebSocket, url }) => eventsOf(new WebSocket(url + path)),
    ]),
  ),

  "stream: constructor": ({ WebSocketStream, url }) => [
    ...["ws://h/#", "ftp://h/"].map((bad) => thrown(() => new WebSocketStream(bad))),
    thrown(() => new WebSocketStream(url, { protocols: ["a", "a"] })),
    thrown(() => new WebSocketStream(url, { protocols: ["a b"] })),
    WebSocketStream.name,
  ],

  "stream: messages, both ways, and a close": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(`${url}protocol`, { protocols: ["b", "a"] });
    const { readable, writable, protocol, extensions } = await stream.opened;
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    const seen = [];
    for (const chunk of ["grüße", "", new Uint8Array([1, 2, 3]), new ArrayBuffer(2), 5]) {
      await writer.write(chunk);
      const { value, done } = await reader.read();
      seen.push([done, typeof value === "string" ? value : `${value.constructor.name} ${value.byteLength}`]);
    }
    stream.close({ closeCode: 3000, reason: "bye" });
    const closed = await stream.closed;
    return [
      ...[stream.url === `${url}protocol`, protocol, extensions, seen, closed],
      await reader.read(),
      await rejection(writer.write("late")),
    ];
  },

  "stream: 300 messages at the reader's pace": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(url);
    const { readable, writable } = await stream.opened;
    const writer = writable.getWriter();
    const writing = (async () => {
      for (let index = 0; index < 300; index++) await writer.write(`${index} ${"x".repeat(1000)}`);
    })();
    let expected = 0;
    for await (const text of readable) {
      if (!text.startsWith(`${expected} `)) return `${text} in place of ${expected}`;
      if (++expected === 300) break; // cancels
    }
    await writing;
    return [expected, await stream.closed];
  },

  ...Object.fromEntries(
    ["reject", "close-1000", "close-4000", "terminate", "end", "bad-frame", "nobody"].map((path) => [
      `stream: the server: ${path}`,
      async ({ WebSocketStream, url }) => {
        const stream = new WebSocketStream(url + path);
        const first = await rejection(stream.opened);
        if (first[0] === "rejects") return [first, await rejection(stream.closed)];
        const { readable, writable } = first[1];
        const [reader, writer] = [readable.getReader(), writable.getWriter()];
        return [
          await rejection(stream.closed),
          await rejection(reader.read()),
          await rejection(writer.write("late")),
        ];
      },
    ]),
  ),

  ...Object.fromEntries(
    [
      ["writer.close()", ({ writer }) => writer.close()],
      ["writer.abort()", ({ writer }) => writer.abort()],
      ["writer.abort(an Error)", ({ writer }) => writer.abort(new Error("mine"))],
      [
        "writer.abort(a WebSocketError)",
        ({ writer, WebSocketError }) =>
          writer.abort(new WebSocketError("m", { closeCode: 3001, reason: "r" })),
      ],
      ["reader.cancel()", ({ reader }) => reader.cancel()],
      [
        "reader.cancel(a WebSocketError)",
        ({ reader, WebSocketError }) => reader.cancel(new WebSocketError("m", { reason: "only" })),
      ],
      ["close()", ({ stream }) => stream.close()],
      ["close({ reason })", ({ stream }) => stream.close({ reason: "only" })],
      [
        "close() twice",
        ({ stream }) => [stream.close({ closeCode: 3002 }), stream.close({ closeCode: 3003 })],
      ],
    ].map(([name, act]) => [
      `stream: ${name}, and what the server sees`,
      async ({ WebSocketStream, WebSocketError, url }) => {
        const stream = new WebSocketStream(`${url}closed`);
        const { readable, writable } = await stream.opened;
        const [reader, writer] = [readable.getReader(), writable.getWriter()];
        const done = act({ stream, reader, writer, WebSocketError });
        const closed = await rejection(stream.closed);
        return [
          closed,
          await rejection(Promise.resolve(done).then(() => "done")),
          await rejection(reader.read()),
        ];
      },
    ]),
  ),

  "stream: close() with messages that nobody has read": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(`${url}chatter`);
    const { readable } = await stream.opened;
    const reader = readable.getReader();
    const first = await reader.read();
    stream.close({ closeCode: 3000 });
    const closed = await rejection(stream.closed);
    const rest = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest.push(next.value);
    return [first, closed, rest];
  },

  "stream: the writer closes, with messages that nobody has read": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(`${url}chatter`);
    const { readable, writable } = await stream.opened;
    const reader = readable.getReader();
    const first = await reader.read();
    const closing = rejection(writable.getWriter().close());
    const closed = await rejection(stream.closed);
    const rest = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest.push(next.value);
    return [first, closed, await closing, rest];
  },

  "stream: the reader is told of the end without reading": async ({ WebSocketStream, url }) => {
    const results = [];
    for (const path of ["", "close-4000", "terminate"]) {
      const stream = new WebSocketStream(url + path);
      const { readable } = await stream.opened;
      const reader = readable.getReader();
      if (path === "") stream.close();
      results.push(await rejection(reader.closed.then(() => "closed")));
    }
    return results;
  },

  "stream: the server closes behind messages that nobody has read": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(`${url}chatter-close`);
    const { readable } = await stream.opened;
    const reader = readable.getReader();
    const seen = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) seen.push(next.value);
    return [seen, await rejection(stream.closed)];
  },

  "stream: close arguments": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(url);
    await stream.opened;
    const names = [{ closeCode: 999 }, { closeCode: 1001 }, { closeCode: 3000, reason: "x".repeat(124) }].map(
      (close) => thrown(() => stream.close(close)),
    );
    stream.close();
    return [names, await stream.closed];
  },

  "stream: close() before it is open": async ({ WebSocketStream, url }) => {
    const stream = new WebSocketStream(`${url}never`);
    setTimeout(() => stream.close(), 20);
    return [await rejection(stream.opened), await rejection(stream.closed)];
  },

  "stream: aborted before, and while it connects": async ({ WebSocketStream, url }) => {
    const results = [];
    const before = new WebSocketStream(url, { signal: AbortSignal.abort() });
    results.push(await rejection(before.opened), await rejection(before.closed));
    const controller = new AbortController();
    const during = new WebSocketStream(`${url}never`, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    results.push(await rejection(during.opened), await rejection(during.closed));
    const late = new AbortController();
    const after = new WebSocketStream(url, { signal: late.signal });
    await after.opened;
    late.abort();
    after.close({ closeCode: 3000 });
    results.push(await rejection(after.closed));
    return results;
  },

  WebSocketError: ({ WebSocketError }) => {
    const values = [
      [],
      ["m"],
      ["m", { closeCode: 3000 }],
      ["m", { closeCode: 1000, reason: "r" }],
      ["m", { reason: "r" }],
    ].map((args) => {
      const error = new WebSocketError(...args);
      return [
        error.name,
        error.message,
        error.closeCode,
        error.reason,
        error.code,
        error instanceof DOMException,
      ];
    });
    return [
      ...values,
      thrown(() => new WebSocketError("m", { closeCode: 999 })),
      thrown(() => new WebSocketError("m", { closeCode: 3000, reason: "x".repeat(124) })),
    ];
  },
};
