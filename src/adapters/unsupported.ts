import { UsageError } from "../errors.js";

// What one runtime can and another cannot is said, never passed over.

/** Throws where `options` has a value under a name that is not among `known`. */
export function requireSupported(
  options: object | undefined,
  known: readonly string[],
  runtime: string,
): void {
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value !== undefined && !known.includes(name)) {
      throw unsupported(runtime, `there is no ${name} here, only ${known.join(", ")}`);
    }
  }
}

export function unsupported(runtime: string, message: string): UsageError {
  return new UsageError("unsupported", `on ${runtime} ${message}`);
}
