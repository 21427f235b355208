// The .NET SDK.
import { describeExample } from "./example.ts";

describeExample("the .NET SDK", {
  folder: "dotnet",
  columns: [".NET"],
  tools: [{ name: "dotnet", versionArgument: "--version", from: ".NET 8 (https://dotnet.microsoft.com/download)" }],
});
