/** Has the engine collect what nobody needs, where it lets itself be asked. */
export function collect() {
  if (typeof Bun !== "undefined") Bun.gc(true);
  else for (let i = 0; i < 3; i++) globalThis.gc?.();
}
