// The Go SDK.
import { describeExample } from "./example.ts";

describeExample("the Go SDK", {
  folder: "go",
  columns: ["Go"],
  tools: [{ name: "go", versionArgument: "version", from: "Go 1.22 or newer (https://go.dev/dl)" }],
});
