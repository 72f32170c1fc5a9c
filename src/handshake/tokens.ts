// The small grammars of HTTP fields (RFC 9110 5.6), each scanned once from left to right.

/** Whether `text` is a token (RFC 9110 5.6.2). */
export function isToken(text: string): boolean {
  return text.length > 0 && tokenEnd(text, 0) === text.length;
}

/** The elements of a comma-separated list of tokens, empty ones left out; undefined where it is malformed. */
export function parseTokenList(field: string): string[] | undefined {
  const tokens: string[] = [];
  let at = 0;
  while (at < field.length) {
    at = skipSpace(field, at);
    const end = tokenEnd(field, at);
    if (end > at) tokens.push(field.slice(at, end));
    at = skipSpace(field, end);
    if (at < field.length && field[at++] !== ",") return undefined;
  }
  return tokens;
}

/** Whether the comma-separated list `field` has the element `lowerName`, in any case. */
export function listHas(field: string | undefined, lowerName: string): boolean {
  return field?.split(",").some((element) => trimSpace(element).toLowerCase() === lowerName) === true;
}

/** The index after the token that begins at `at`; `at` itself where none does. */
export function tokenEnd(text: string, at: number): number {
  TOKEN.lastIndex = at;
  TOKEN.test(text);
  return TOKEN.lastIndex;
}

const TOKEN = /[!#$%&'*+\-.^`|~\w]*/y;

/** The index after the optional white space at `at` (RFC 9110 5.6.3). */
export function skipSpace(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}

/** `text` without the white space around it that HTTP allows. */
export function trimSpace(text: string): string {
  const start = skipSpace(text, 0);
  let end = text.length;
  while (end > start && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  return text.slice(start, end);
}
