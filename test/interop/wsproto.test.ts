import { deflatesWith } from "./deflate-exchanges.js";
import { exchangesWith } from "./exchanges.js";
import { pythonImplementation } from "./python.js";

const implementation = pythonImplementation({
  name: "Python's wsproto",
  script: "wsproto_peer.py",
  systemPackage: "python3-wsproto",
  lacks: ["limit messages"],
});

exchangesWith(implementation);
deflatesWith(implementation, {
  bits: { theirs: [9, 12, 15], ours: [9, 12, 15] },
  // A ping makes it forget that the message around it is compressed.
  pingsInside: false,
});
