import { loadWs, peerOf, versionOf } from "./ws.js";

export const version = versionOf("ws");
export const { hasDeflate, createReceiver, createSender, createIdle } = peerOf(loadWs(false));
