import { startWith } from "./ws.js";

export { version } from "../peers/ws-no-bufferutil.js";

export const start = startWith(false);
