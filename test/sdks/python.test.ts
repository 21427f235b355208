// The Python SDK.
import { describeExample } from "./example.ts";

describeExample("the Python SDK", {
  folder: "python",
  columns: ["Python"],
  tools: [
    {
      name: "python3",
      versionArgument: "--version",
      from: "Python 3.10 or newer with its venv module (Debian: apt-get install python3-venv)",
    },
  ],
});
