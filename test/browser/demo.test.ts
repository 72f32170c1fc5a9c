// The demo as a visitor has it: the built package, its server as a process of its own, its page in a real browser.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { launchChromium } from "../support/chromium.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const results = fileURLToPath(new URL("../../test-results/", import.meta.url));

/** What is polled for comes within milliseconds, but the machine may be busy. */
const SOON = { timeout: 15_000 };

/** The demo's server with what it printed. */
class Demo {
  readonly process: ChildProcess;
  readonly exit: Promise<unknown[]>;
  out = "";
  err = "";

  constructor(port: number) {
    this.process = spawn(process.execPath, ["examples/demo/server.js"], {
      cwd: root,
      env: { ...process.env, PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exit = once(this.process, "close");
    this.process.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString();
    });
  }

  get lines(): string[] {
    return this.out.split("\n").filter((line) => line !== "");
  }

  /** The lines about closed connections. */
  get closed(): string[] {
    return this.lines.filter((line) => line.includes(": closed "));
  }

  urls(): { page: string; http: string; plain: string } {
    const find = (pattern: RegExp): string => pattern.exec(this.out)?.[1] ?? "";
    return {
      page: find(/^page +(http:\S+)$/m),
      http: find(/^echo, http +(ws:\S+)$/m),
      plain: find(/^echo, plain +(ws:\S+)$/m),
    };
  }

  /** Waits for the URLs, or for the end of the process, which is what it then reports. */
  async started(): Promise<void> {
    while (this.urls().plain === "" && this.process.exitCode === null) {
      await Promise.race([
        this.exit,
        ...(this.process.stdout === null ? [] : [once(this.process.stdout, "data")]),
      ]);
    }
    if (this.urls().plain === "") throw new Error(`the demo did not start: ${this.err}`);
  }
}

function get(url: string, method = "GET"): Promise<{ status: number; type: string; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, type: response.headers["content-type"] ?? "", body });
      });
    })
      .on("error", reject)
      .end();
  });
}

/** The status that a server answers a page of `origin` that asks for a WebSocket. */
function upgradeStatus(url: string, origin: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url.replace(/^ws/, "http"), {
      agent: false,
      headers: {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        Origin: origin,
      },
    });
    asked.on("upgrade", (response, socket) => {
      socket.on("error", () => {});
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    asked.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", reject);
    asked.end();
  });
}

let demo: Demo;
let browser: Browser;

beforeAll(async () => {
  if (!existsSync(new URL("../../dist/adapters/node.js", import.meta.url))) {
    throw new Error("The package is not built, and the demo runs what is built: npm run build");
  }
  mkdirSync(results, { recursive: true });
  demo = new Demo(0);
  [browser] = await Promise.all([launchChromium(), demo.started()]);
});

// What beforeAll did not come to is not there to be stopped.
afterAll(async () => {
  await (browser as Browser | undefined)?.close();
  (demo as Demo | undefined)?.process.kill("SIGKILL");
});

describe("the page", () => {
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    page = await browser.newPage({ viewport: { width: 1120, height: 860 }, colorScheme: "light" });
    page.setDefaultTimeout(5000);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (failed) => complaints.push(`failed: ${failed.url()}`));
    await page.goto(demo.urls().page);
  });

  const rows = (kind: string): Promise<string[]> =>
    page.getByRole("log").locator(`li[data-kind=${kind}]`).allInnerTexts();
  const button = (name: string): ReturnType<Page["getByRole"]> =>
    page.getByRole("button", { name, exact: true });
  const state = (): Promise<string | null> => page.getByRole("status").textContent();

  /** Does something that brings one row of a kind, and returns its text. */
  async function rowAfter(kind: string, act: () => Promise<void>): Promise<string> {
    const before = (await rows(kind)).length;
    await act();
    await expect.poll(async () => (await rows(kind)).length, SOON).toBe(before + 1);
    return (await rows(kind)).at(-1)?.replaceAll(/\s+/g, " ") ?? "";
  }

  async function connectTo(label: string): Promise<string> {
    await page.getByLabel(label).check();
    return rowAfter("open", () => button("Connect").click());
  }

  test.each([
    ["http", "HTTP upgrade port", "a reason"],
    ["plain", "Plain net port", 'ein "Grund" 👋'],
  ] as const)(
    "%s: connects, sends text and binary, closes with 4000 and a reason",
    async (door, label, reason) => {
      const url = demo.urls()[door];
      expect(await connectTo(label)).toContain(`connected to ${url}`);
      expect(await state()).toBe("connected");

      for (const [text, size] of [
        ["Hello", "5 bytes"],
        ["", "0 bytes"],
        ["wörld 👋 \u0000", "13 bytes"],
      ] as const) {
        await page.getByRole("textbox", { name: "Text", exact: true }).fill(text);
        const row = await rowAfter("received", () => button("Send text").click());
        expect(row).toMatch(new RegExp(`text, ${size}, after [0-9.]+ ms identical`));
        expect(row).toContain(JSON.stringify(text));
      }

      for (const [size, shown] of [
        [1, "1 byte"],
        [0, "0 bytes"],
        [126, "126 bytes"],
        [65_536, "65,536 bytes (64 KiB)"],
        [1_048_576, "1,048,576 bytes (1 MiB)"],
      ] as const) {
        await page.getByLabel("Random bytes").fill(String(size));
        const row = await rowAfter("received", () => button("Send binary").click());
        expect(row).toContain(`binary, ${shown}, after `);
        expect(row).toMatch(/ms identical/);
      }

      await page.getByLabel("Code").fill("4000");
      await page.getByLabel("Reason").fill(reason);
      const row = await rowAfter("closed", () => button("Close").click());
      expect(row).toContain("closed with code 4000 clean");
      expect(row).toContain(`wasClean true, reason ${JSON.stringify(reason)}`);
      expect((await rows("sent")).at(-1)).toContain(`reason ${JSON.stringify(reason)}`);
      expect(await state()).toBe("not connected");
      await expect
        .poll(() => demo.closed.at(-1)?.replace(/ at byte [0-9]+/, ""), SOON)
        .toBe(
          `${door}: closed cleanly: received 4000 ${JSON.stringify(reason)}, sent 4000; ` +
            "by peer: closed [RFC 6455 7.1.2] the closing handshake was started",
        );
    },
  );

  test("16 MiB come back", async () => {
    await connectTo("Plain net port");
    await button("16 MiB").click();
    expect(await rowAfter("received", () => button("Send binary").click())).toMatch(
      /binary, 16,777,216 bytes \(16 MiB\), after \d+ ms identical/,
    );
    expect(await rowAfter("closed", () => button("Disconnect").click())).toContain("closed with code 1000");
  });

  test.each([
    ["http", "HTTP upgrade port"],
    ["plain", "Plain net port"],
  ] as const)(
    "%s: a byte more than 16 MiB is closed with 1009, and the page gets to see it",
    async (door, label) => {
      await connectTo(label);
      await button("1 byte too many").click();
      const row = await rowAfter("closed", () => button("Send binary").click());
      expect(row).toContain("closed with code 1009, 1 unanswered");
      await expect.poll(() => demo.closed.at(-1), SOON).toContain(`${door}: closed`);
      expect(demo.closed.at(-1)).toMatch(/sent 1009; by peer: message-limit at byte \d+ \[RFC 6455 10.4\]/);
    },
  );

  test("disconnects with 1000; a Close without a code is shown as 1005", async () => {
    await connectTo("HTTP upgrade port");
    expect(await rowAfter("closed", () => button("Disconnect").click())).toContain("closed with code 1000");
    await connectTo("HTTP upgrade port");
    await page.getByLabel("Code").fill("");
    await page.getByLabel("Reason").fill("");
    expect(await rowAfter("closed", () => button("Close").click())).toContain("closed with code 1005");
    await expect
      .poll(() => demo.closed.at(-1), SOON)
      .toContain('received 1005 "", sent 1005; by peer: closed');
  });

  test.each([
    ["1001", "", "Browsers send 1000, 3000 to 4999"],
    ["5000", "", "Browsers send 1000, 3000 to 4999"],
    ["0x3e8", "", "Browsers send 1000, 3000 to 4999"],
    ["", "why", "A reason needs a code"],
    ["4000", "ü".repeat(62), "A reason has up to 123 bytes, this one 124"],
  ])("code %j with reason %j is not sent, and the page says why", async (code, reason, says) => {
    if ((await state()) !== "connected") await connectTo("Plain net port");
    await page.getByLabel("Code").fill(code);
    await page.getByLabel("Reason").fill(reason);
    await button("Close").click();
    expect(await page.getByRole("alert").textContent()).toContain(says);
    expect(await state()).toBe("connected");
  });

  test("can be read with a keyboard and a screen reader: every control has a name, the log is live", async () => {
    expect(await page.getByRole("log").getAttribute("aria-live")).toBe("polite");
    const nameless = await page.evaluate<number>(
      `[...document.querySelectorAll("input, textarea, button")].filter((control) =>
        control.localName === "button" ? control.textContent.trim() === "" : control.labels.length === 0).length`,
    );
    expect(nameless).toBe(0);
  });

  test.each(["light", "dark"] as const)("looks right, %s, wide and on a phone", async (colorScheme) => {
    if ((await state()) === "connected") await rowAfter("closed", () => button("Disconnect").click());
    await button("Clear").click();
    await page.emulateMedia({ colorScheme });
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("Hello, wörld ✓");
    await page.getByLabel("Random bytes").fill("1048576");
    await page.getByLabel("Code").fill("4000");
    await page.getByLabel("Reason").fill("that was fun");
    await connectTo("HTTP upgrade port");
    await rowAfter("received", () => button("Send text").click());
    await rowAfter("received", () => button("Send binary").click());
    await rowAfter("closed", () => button("Close").click());
    await connectTo("Plain net port");
    await rowAfter("received", () => button("Send text").click());
    for (const [name, viewport] of [
      ["", { width: 1120, height: 860 }],
      ["-phone", { width: 360, height: 740 }],
    ] as const) {
      await page.setViewportSize(viewport);
      const overflow = await page.evaluate<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      expect(overflow).toBe(0);
      await page.screenshot({ path: `${results}demo-${colorScheme}${name}.png`, fullPage: true });
    }
    await page.setViewportSize({ width: 1120, height: 860 });
  });

  test("has nothing to complain about on the console", () => {
    expect(complaints).toEqual([]);
  });
});

describe("the server", () => {
  test("serves the page at / and nothing else", async () => {
    const { page } = demo.urls();
    const found = await get(page);
    expect([found.status, found.type]).toEqual([200, "text/html; charset=utf-8"]);
    expect(found.body).toMatch(/^<!doctype html>/);
    expect(await get(page, "HEAD")).toEqual({ status: 200, type: "text/html; charset=utf-8", body: "" });
    expect((await get(`${page}?query`)).status).toBe(200);
    for (const path of ["index.html", "server.js", "echo", "../package.json", "favicon.ico"]) {
      const missing = await get(page + path);
      expect([path, missing.status, missing.type]).toEqual([path, 404, "text/plain; charset=utf-8"]);
    }
    expect((await get(page, "POST")).status).toBe(404);
  });

  test("the echo on the HTTP port is at /echo alone; the plain port echoes on every path", async () => {
    const { page, http, plain } = demo.urls();
    const origin = page.replace(/\/$/, "");
    expect(await upgradeStatus(http, origin)).toBe(101);
    expect(await upgradeStatus(http.replace("/echo", "/"), origin)).toBe(404);
    expect(await upgradeStatus(plain, origin)).toBe(101);
    expect(await upgradeStatus(plain.replace("/echo", "/"), origin)).toBe(101);
  });

  test("lets in its own page, by address and as localhost, and no other", async () => {
    const { page, http, plain } = demo.urls();
    const own = page.replace(/\/$/, "");
    const local = own.replace("127.0.0.1", "localhost");
    expect(await upgradeStatus(plain, own)).toBe(101);
    expect(await upgradeStatus(plain, local)).toBe(101);
    for (const url of [http, plain]) {
      expect(await upgradeStatus(url, "https://example.com")).toBe(403);
      expect(await upgradeStatus(url, "null")).toBe(403);
    }
  });

  test("does not hoard for a client that sends and does not read, and sends it all back once it does", async () => {
    const { hostname, port } = new URL(demo.urls().plain);
    const socket = connect(Number(port), hostname);
    const size = 1 << 20;
    const frame = Buffer.alloc(14 + size); // masked with zeros
    frame.writeUInt16BE(0x82ff);
    frame.writeUInt32BE(size, 6);
    const count = 100;
    let taken = 0;
    socket.write(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    for (let index = 0; index < count; index++) socket.write(frame, () => taken++);
    // No time is enough to take what is not to be taken: half of it and more is beyond any system's buffers.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(taken).toBeLessThan(count / 2);
    let received = 0;
    socket.on("data", (chunk) => {
      const before = received;
      received += chunk.length;
      const all = count * (size + 10);
      if (before < all && received >= all) socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    });
    await once(socket, "close");
    expect(taken).toBe(count);
    await expect.poll(() => demo.closed.at(-1), SOON).toMatch(/^plain: closed cleanly: received 1005/);
  });

  test("tells the page 1001 when it ends; SIGTERM and SIGINT end it with exit code 0", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const mine = new Demo(0);
      await mine.started();
      const page = await browser.newPage();
      await page.goto(mine.urls().page);
      await page.getByLabel("Plain net port").check();
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await expect.poll(() => page.getByRole("status").textContent(), SOON).toBe("connected");
      mine.process.kill(signal);
      expect(await mine.exit).toEqual([0, null]);
      await expect.poll(() => page.getByRole("log").innerText(), SOON).toContain("closed with code 1001");
      expect(await page.getByRole("log").innerText()).toContain('wasClean true, reason "the demo ends"');
      expect(mine.closed).toEqual([
        'plain: closed cleanly: received 1001 "the demo ends", sent 1001; ' +
          "by local: closed [RFC 6455 7.1.2] the closing handshake was started",
      ]);
      expect(mine.err).toBe("");
      await page.close();
    }
  });

  test("says in one line that a port is in use, and exits with 1", async () => {
    const other = createServer();
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    for (const first of [port, port - 1]) {
      const mine = new Demo(first);
      expect(await mine.exit).toEqual([1, null]);
      expect(mine.err).toMatch(new RegExp(`^Port ${port} is in use\\..*\\n$`));
      expect(mine.out).toBe("");
    }
    other.close();
  });

  test("says in one line that PORT is not a port, and exits with 1", async () => {
    const mine = new Demo(65_536);
    expect(await mine.exit).toEqual([1, null]);
    expect(mine.err).toMatch(/^The demo cannot start: .*\n$/);
  });

  test("SIGTERM ends it with exit code 0 after all that, and it never wrote an error", async () => {
    demo.process.kill("SIGTERM");
    expect(await demo.exit).toEqual([0, null]);
    expect(demo.err).toBe("");
  });
});
