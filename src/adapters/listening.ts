import type { Address } from "./endpoint.js";

// What Deno's and Bun's listeners have alike.

/** Listens on all addresses: of IPv6, too, where the system has it. */
export function listenAnywhere<Listener>(at: (hostname: string) => Listener): Listener {
  try {
    return at("::");
  } catch (error) {
    if ((error as { code?: unknown }).code === "EADDRINUSE") throw error;
    return at("0.0.0.0");
  }
}

/** Where one listens. */
export function addressOf(listener: {
  readonly hostname?: string | undefined;
  readonly port?: number | undefined;
}): Address {
  const { hostname = "", port = 0 } = listener;
  return { address: hostname, family: hostname.includes(":") ? "IPv6" : "IPv4", port };
}
