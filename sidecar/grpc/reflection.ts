// Server reflection (v1 and v1alpha, whose messages are the same): which services there are, and the definitions of
// their messages, for tools such as grpcurl. The descriptors are loaded at the first question.

import type { DescribedFile } from "#proto/gen/descriptors.ts";
import { ServerReflectionRequest, ServerReflectionResponse } from "#proto/gen/grpc/reflection/v1/reflection.ts";
import { encodeMessage } from "#proto/wire.ts";
import { Code } from "./codes.ts";
import { decodeRequest, type Method, type StreamCall } from "./method.ts";

/** The descriptors by what one can ask for. */
interface Definitions {
  readonly files: readonly DescribedFile[];
  readonly byPath: ReadonlyMap<string, DescribedFile>;
  readonly bySymbol: ReadonlyMap<string, DescribedFile>;
}

type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;

export function reflectionMethods(): readonly Method[] {
  return ["v1", "v1alpha"].map((version) => ({
    kind: "stream",
    path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    api: "pannier/v1",
    serve,
  }));
}

async function serve(requests: AsyncIterable<Uint8Array>, call: StreamCall): Promise<void> {
  for await (const bytes of requests) {
    const originalRequest = decodeRequest(ServerReflectionRequest, bytes);
    const messageResponse = answer(await load(), originalRequest);
    const response = { validHost: originalRequest.host, originalRequest, messageResponse };
    await call.send(encodeMessage(ServerReflectionResponse, response));
  }
}

let loaded: Promise<Definitions> | null = null;

function load(): Promise<Definitions> {
  loaded ??= import("#proto/gen/descriptors.ts").then(({ FILES }) => ({
    files: FILES,
    byPath: new Map(FILES.map((file) => [file.path, file])),
    bySymbol: new Map(FILES.flatMap((file) => file.symbols.map((symbol) => [symbol, file]))),
  }));
  return loaded;
}

function answer(definitions: Definitions, { messageRequest: asked }: ServerReflectionRequest): Answer {
  switch (asked?.$case) {
    case "listServices": {
      const service = definitions.files.flatMap(({ services }) => services.map((name) => ({ name })));
      return { $case: "listServicesResponse", listServicesResponse: { service } };
    }
    case "fileByFilename":
      return files(definitions, definitions.byPath.get(asked.fileByFilename), asked.fileByFilename);
    case "fileContainingSymbol":
      return files(definitions, definitions.bySymbol.get(asked.fileContainingSymbol), asked.fileContainingSymbol);
    case "allExtensionNumbersOfType": {
      const baseTypeName = asked.allExtensionNumbersOfType;
      if (!definitions.bySymbol.has(baseTypeName)) return notFound(baseTypeName);
      const none = { baseTypeName, extensionNumber: [] };
      return { $case: "allExtensionNumbersResponse", allExtensionNumbersResponse: none };
    }
    case "fileContainingExtension":
      return notFound(`an extension of ${asked.fileContainingExtension.containingType}`);
    default:
      return failure("InvalidArgument", "the request asks for nothing that this service knows");
  }
}

/** A file with all that it imports, itself first. */
function files({ byPath }: Definitions, wanted: DescribedFile | undefined, name: string): Answer {
  if (wanted === undefined) return notFound(name);
  const all = new Set([wanted]);
  // A set goes on over what is added meanwhile.
  for (const file of all) {
    for (const path of file.imports) {
      const imported = byPath.get(path);
      if (imported !== undefined) all.add(imported);
    }
  }
  const fileDescriptorProto = [...all].map(({ base64 }) => Buffer.from(base64, "base64"));
  return { $case: "fileDescriptorResponse", fileDescriptorResponse: { fileDescriptorProto } };
}

function notFound(name: string): Answer {
  return failure("NotFound", `not found: ${name}`);
}

function failure(code: "NotFound" | "InvalidArgument", errorMessage: string): Answer {
  return { $case: "errorResponse", errorResponse: { errorCode: Code[code], errorMessage } };
}
