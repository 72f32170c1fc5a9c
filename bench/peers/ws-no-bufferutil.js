import { loadWs, peerOf, versionOf } from "./ws.js";

export const version = versionOf("ws");
export const { createReceiver, createSender, createIdle } = peerOf(loadWs(false));
