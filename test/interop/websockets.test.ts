import { deflatesWith } from "./deflate-exchanges.js";
import { exchangesWith } from "./exchanges.js";
import { pythonImplementation } from "./python.js";

const implementation = pythonImplementation({
  name: "Python's websockets",
  script: "websockets_peer.py",
  systemPackage: "python3-websockets",
});

exchangesWith(implementation);
deflatesWith(implementation, { bits: { theirs: [9, 12, 15], ours: [8, 9, 12, 15] } });
