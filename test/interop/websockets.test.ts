import { exchangesWith } from "./exchanges.js";
import { pythonImplementation } from "./python.js";

exchangesWith(
  pythonImplementation({
    name: "Python's websockets",
    script: "websockets_peer.py",
    systemPackage: "python3-websockets",
  }),
);
