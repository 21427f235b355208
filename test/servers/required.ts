// What must be there on this machine: the names in PANNIER_TEST_REQUIRE, separated by commas, as in "redis,protoc".

/** Whether a missing one of these is a failure and not a counted skip. */
export function isRequired(name: string): boolean {
  return (process.env.PANNIER_TEST_REQUIRE ?? "").split(",").includes(name);
}
