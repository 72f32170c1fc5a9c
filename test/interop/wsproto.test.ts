import { exchangesWith } from "./exchanges.js";
import { pythonImplementation } from "./python.js";

exchangesWith(
  pythonImplementation({
    name: "Python's wsproto",
    script: "wsproto_peer.py",
    systemPackage: "python3-wsproto",
    lacks: ["limit messages"],
  }),
);
