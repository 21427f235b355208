// The JavaScript SDK, over both protocols.
import { describeExample } from "./example.ts";

describeExample("the JavaScript SDK", {
  folder: "javascript",
  columns: ["JavaScript, HTTP", "JavaScript, gRPC"],
  tools: [],
});
