// The Java SDK.
import { describeExample } from "./example.ts";

describeExample("the Java SDK", {
  folder: "java",
  columns: ["Java"],
  tools: [
    {
      name: "javac",
      versionArgument: "-version",
      from: "a JDK 17 or newer (Debian: apt-get install openjdk-17-jdk-headless)",
    },
    { name: "mvn", versionArgument: "--version", from: "Maven (Debian: apt-get install maven)" },
  ],
});
