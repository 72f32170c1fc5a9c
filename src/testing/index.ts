export { VirtualClock } from "./clock.js";
export { seededRandom } from "./random.js";
export type { LinkOptions } from "./link.js";
export { Link, LinkEnd } from "./link.js";
