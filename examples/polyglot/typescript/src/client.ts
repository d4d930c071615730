// A client: submits runs, waits for them, cancels and lists them. Copy it as the start of an SDK.

import { type CallOptions, Client as GrpcClient, type Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { v7 as uuidv7 } from "uuid";
import { callMetadata, channelOptions, type Config } from "./config.js";
import { Status } from "./gen/google/rpc/status.js";
import { ErrorDetail, ErrorReason } from "./gen/windlass/v1/error.js";
import { type Failure, type Run, type RunSpec, RunStatus } from "./gen/windlass/v1/run.js";
import {
  CancelOutcome,
  CancelRunsRequest,
  ListRunsRequest,
  RunFilter,
  RunServiceClient,
  SubmitRunsRequest,
  WaitResultRequest,
} from "./gen/windlass/v1/run_service.js";

/** One call waits this long for the end of a run; `wait` calls again until its own time is over. */
const WAIT_AT_ONCE_MS = 30_000;
const CALL_MS = 10_000;

/** What the engine answered in place of a result. */
export class WindlassError extends Error {
  override name = "WindlassError";

  constructor(
    /** gRPC's code groups; the detail tells exactly: reason, and the field or limit at fault. */
    readonly code: status,
    readonly detail: ErrorDetail,
  ) {
    super(`${detail.message} (${ErrorReason[detail.reason]})`);
  }
}

/** The run ended FAILED; `failure` is that of its last attempt, in whichever language. */
export class RunFailed extends Error {
  override name = "RunFailed";

  constructor(
    readonly runId: string,
    readonly failure: Failure,
  ) {
    super(`run ${runId} failed: ${failure.type}: ${failure.message}`);
  }
}

/** The run ended CANCELLED. */
export class RunCancelled extends Error {
  override name = "RunCancelled";

  constructor(
    readonly runId: string,
    readonly reason: string,
  ) {
    super(`run ${runId} was cancelled: ${reason}`);
  }
}

/** The run had not ended in the time given. It goes on. */
export class WaitTimeout extends Error {
  override name = "WaitTimeout";
}

export class Client {
  readonly #runs: RunServiceClient;
  readonly #metadata: Metadata;

  /** Connects at its first call. */
  constructor(config: Config) {
    this.#runs = new RunServiceClient(config.apiAddress, config.credentials, channelOptions);
    this.#metadata = callMetadata(config);
  }

  close(): void {
    this.#runs.close();
  }

  /** Stores a run and returns its id. `spec` sets what else it has: priority, queue, delay, metadata. */
  async submit(workflow: string, input: unknown = {}, spec: Partial<RunSpec> = {}): Promise<string> {
    // Minted here, so that the call may be repeated without starting a second run.
    const runId = uuidv7();
    const inputJson = Buffer.from(JSON.stringify(input));
    const run = { runId, spec: { ...spec, workflowName: workflow, inputJson } };
    const { outcomes } = await this.#call(this.#runs.submitRuns, SubmitRunsRequest.fromPartial({ runs: [run] }));
    // Each of the runs of one call is accepted or refused by itself.
    const refusal = outcomes[0]?.error;
    if (refusal) throw new WindlassError(status.INVALID_ARGUMENT, refusal);
    return runId;
  }

  /** Waits for the end of a run and returns its output. Throws RunFailed, RunCancelled or WaitTimeout. */
  async wait(runId: string, timeoutMs = Infinity): Promise<unknown> {
    const until = performance.now() + timeoutMs;
    for (let left = timeoutMs; left > 0; left = until - performance.now()) {
      const atOnce = Math.ceil(Math.min(left, WAIT_AT_ONCE_MS));
      try {
        const request = WaitResultRequest.fromPartial({ runId, timeoutMs: BigInt(atOnce) });
        const { result } = await this.#call(this.#runs.waitResult, request, atOnce + CALL_MS);
        if (result?.status === RunStatus.RUN_STATUS_COMPLETED) return JSON.parse(result.outputJson.toString());
        if (result?.failure) throw new RunFailed(runId, result.failure);
        throw new RunCancelled(runId, result?.cancelReason ?? "");
      } catch (error) {
        if ((error as Partial<ServiceError>).code !== status.DEADLINE_EXCEEDED) throw error;
      }
    }
    throw new WaitTimeout(`run ${runId} has not ended within ${timeoutMs} ms`);
  }

  /** Submits and waits. */
  async run(workflow: string, input: unknown, timeoutMs = Infinity): Promise<unknown> {
    return this.wait(await this.submit(workflow, input), timeoutMs);
  }

  /** Cancels a run: at once where it has not started; a worker that has it is told. */
  async cancel(runId: string, reason = ""): Promise<CancelOutcome> {
    const { outcomes } = await this.#call(this.#runs.cancelRuns, CancelRunsRequest.fromPartial({ runIds: [runId], reason }));
    return outcomes[0] ?? CancelOutcome.UNRECOGNIZED;
  }

  /** Yields the runs that the filter describes, newest first, page after page. */
  async *list(filter: Partial<RunFilter> = {}, pageSize = 0): AsyncGenerator<Run> {
    let pageToken = "";
    do {
      const request = ListRunsRequest.fromPartial({ filter, pageSize, pageToken });
      const page = await this.#call(this.#runs.listRuns, request);
      yield* page.runs;
      pageToken = page.nextPageToken; // a page may hold no run and still have a next one
    } while (pageToken);
  }

  #call<Q, R>(method: Unary<Q, R>, request: Q, timeoutMs = CALL_MS): Promise<R> {
    return unary(this.#runs, method, request, this.#metadata, timeoutMs);
  }
}

type Unary<Q, R> = (
  request: Q,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: R) => void,
) => unknown;

/** Makes a call a promise, and its error a WindlassError where the engine gave one. */
export function unary<Q, R>(
  client: GrpcClient,
  method: Unary<Q, R>,
  request: Q,
  metadata: Metadata,
  timeoutMs: number,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs };
    method.call(client, request, metadata, options, (error, response) =>
      error ? reject(typed(error)) : resolve(response),
    );
  });
}

/** Gives the error that a status carries as its detail; any other stays what it is. */
export function typed(error: ServiceError): Error {
  const [trailer] = error.metadata.get("grpc-status-details-bin");
  const details = trailer === undefined ? [] : Status.decode(Buffer.from(trailer)).details;
  const detail = details.find((each) => each.typeUrl.endsWith("/windlass.v1.ErrorDetail"));
  return detail ? new WindlassError(error.code, ErrorDetail.decode(detail.value)) : error;
}
