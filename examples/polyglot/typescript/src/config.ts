// Owns where the engine is and how to speak to it.

import { readFileSync } from "node:fs";
import { ChannelCredentials, type ClientOptions, credentials, Metadata } from "@grpc/grpc-js";

export interface Config {
  /** host:port, or dns:///name:port for all replicas behind a name. */
  apiAddress: string;
  /** Left out: a worker asks the api. */
  dispatcherAddress?: string | undefined;
  /** Sent with every call. */
  token?: string | undefined;
  /** Where to read it in place of `token`, anew for each connection. */
  tokenFile?: string | undefined;
  credentials: ChannelCredentials;
}

/** Reads the variables that every Windlass program reads. */
export function configFromEnv(env: NodeJS.ProcessEnv = process.env): Config {
  return {
    apiAddress: env["WINDLASS_API_ADDRESS"] || "127.0.0.1:7070",
    dispatcherAddress: env["WINDLASS_DISPATCHER_ADDRESS"] || undefined,
    token: env["WINDLASS_TOKEN"] || undefined,
    tokenFile: env["WINDLASS_TOKEN_FILE"] || undefined,
    credentials: credentialsFrom(env["WINDLASS_TLS_CA"], env["WINDLASS_TLS_CERT"], env["WINDLASS_TLS_KEY"]),
  };
}

function credentialsFrom(authorities?: string, certificate?: string, key?: string): ChannelCredentials {
  const read = (path?: string) => (path ? readFileSync(path) : null);
  return authorities || certificate
    ? credentials.createSsl(read(authorities), read(key), read(certificate))
    : credentials.createInsecure();
}

// A client's calls may be repeated: a submit names its run. Workers have a back-off of their own.
const serviceConfig = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{ service: "windlass.v1.RunService" }],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.3s",
        maxBackoff: "3s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

export const channelOptions: ClientOptions = {
  "grpc.service_config": JSON.stringify(serviceConfig),
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  // The worker has a back-off of its own; that of a shared connection would reach two minutes.
  "grpc.use_local_subchannel_pool": 1,
};

/** What every call carries. gRPC's own call credentials would need TLS even on loopback. */
export function callMetadata(config: Config): Metadata {
  const metadata = new Metadata();
  const token = config.token ?? (config.tokenFile && readFileSync(config.tokenFile, "utf8").trim());
  if (token) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}
