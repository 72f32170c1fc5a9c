// A connection's state is plain fields: these walk them.

/** The fields of what is shared by all connections, or only follows the clock: `deadline` shows what becomes of that. */
const LEFT_OUT = new Set(["now", "clockIsOld", "timerIsOld", "phaseDeadline", "settings", "timeouts"]);

/** All that `root` knows, as one string: two are equal where nothing changed between them. */
export function snapshot(root: object): string {
  const seen = new Map<object, number>();
  const write = (value: unknown): unknown => {
    if (typeof value === "function") return "a function";
    if (typeof value === "number" || typeof value === "bigint" || value === undefined) return String(value);
    if (typeof value !== "object" || value === null) return value;
    const known = seen.get(value);
    if (known !== undefined) return `the object ${known}`;
    seen.set(value, seen.size);
    if (ArrayBuffer.isView(value)) {
      const { buffer, byteOffset, byteLength } = value;
      // What is longer than this is shared, or was checked when it was shorter.
      const shown = new Uint8Array(buffer, byteOffset, Math.min(byteLength, 4096));
      return [byteOffset, byteLength, Buffer.from(shown).toString("latin1")];
    }
    if (Array.isArray(value)) return value.map(write);
    return Object.entries(value)
      .filter(([name]) => !LEFT_OUT.has(name))
      .map(([name, field]) => [name, write(field)]);
  };
  return JSON.stringify(write(root));
}

/** How many bytes of memory the typed arrays and strings take that `root` reaches, each buffer counted once. */
export function reachableBytes(root: object): number {
  const seen = new Set<unknown>();
  let sum = 0;
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "string") sum += value.length;
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    if (ArrayBuffer.isView(value)) {
      if (!seen.has(value.buffer)) sum += value.buffer.byteLength;
      seen.add(value.buffer);
      continue;
    }
    sum += 16; // an object, or an element of a list, takes memory too
    for (const [name, field] of Object.entries(value)) if (!LEFT_OUT.has(name)) waiting.push(field);
  }
  return sum;
}
