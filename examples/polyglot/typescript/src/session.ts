// Owns one stream to one dispatcher, from Hello until it breaks or is left. What is held is the worker's.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import type { Attempt } from "./attempt.js";
import { typed } from "./client.js";
import { callMetadata, channelOptions } from "./config.js";
import {
  Completed,
  Failed,
  Heartbeat,
  Report,
  ReportOutcome,
  TaskChunks,
  TaskLog,
  TaskProgress,
  type Welcome,
} from "./gen/windlass/v1/dispatch.js";
import { type ConnectRequest, type ConnectResponse, DispatchServiceClient } from "./gen/windlass/v1/dispatch_service.js";
import type { Worker } from "./worker.js";

export const PATIENCE_MS = 5_000; // for a welcome, and for the api
const CLOSE_MS = 1_000;
const MESSAGE_ROOM = 2 * 1024 * 1024; // a message may have 4 MiB; the largest single item still fits on top
const LINES_AT_ONCE = 1_000;
const CHUNKS_AT_ONCE = 9; // attempts, of which each has less than 1,024 chunks under way

type Message = NonNullable<ConnectRequest["message"]>;

/** What waits to be sent. */
export interface Unsent {
  logs: TaskLog[];
  chunks: TaskChunks[];
  words: TaskProgress[];
  accepts: Attempt[];
  asking: Attempt[]; // for more time, or to go on without a slot
  reports: Attempt[];
}

export class Session {
  greeted = false;
  readonly #worker: Worker;
  readonly #call: ClientDuplexStream<ConnectRequest, ConnectResponse>;
  readonly #client: DispatchServiceClient;
  readonly #ended = new AbortController();
  #sentAt: number | undefined; // the Hello, then the heartbeat that is not answered yet
  #sequence = 0n;
  #drainingTold: boolean;
  #timer: NodeJS.Timeout; // for a welcome, then for heartbeats

  constructor(worker: Worker, address: string) {
    this.#worker = worker;
    this.#client = new DispatchServiceClient(address, worker.config.credentials, channelOptions);
    this.#call = this.#client.connect(callMetadata(worker.config));
    this.#call.on("data", (response: ConnectResponse) => this.#receive(response.message));
    this.#call.on("error", (error: ServiceError) => this.leave(typed(error)));
    this.#call.on("end", () => this.leave(new Error("the dispatcher ended the stream")));
    this.#timer = setTimeout(() => this.leave(new Error("no welcome in time")), PATIENCE_MS);
    this.#drainingTold = worker.draining;
  }

  /** Holds the connection until it has ended; returns why. */
  async serve(): Promise<unknown> {
    const { signal } = this.#ended;
    try {
      this.#sentAt = performance.now();
      await this.#send({ $case: "hello", value: this.#worker.hello() });
      while (!signal.aborted && !this.#worker.hasLeft) {
        const { changed } = this.#worker; // what changes while we send is sent in the next turn
        if (this.greeted) for (const message of this.#outgoing()) await this.#send(message);
        await changed;
      }
      if (!signal.aborted) {
        this.#call.end();
        await sleep(CLOSE_MS, undefined, { signal }).catch(() => undefined);
      }
      return signal.reason;
    } finally {
      clearTimeout(this.#timer);
      this.#call.cancel();
      this.#client.close();
    }
  }

  /** Ends the stream; `serve` throws the reason. */
  leave(reason: Error): void {
    this.#ended.abort(reason);
    this.#worker.change();
  }

  async #send(message: Message): Promise<void> {
    const { signal } = this.#ended;
    if (!this.#call.write({ message })) await once(this.#call, "drain", { signal }).catch(() => undefined);
  }

  #receive(message: ConnectResponse["message"]): void {
    const worker = this.#worker;
    switch (message?.$case) {
      case "welcome":
        return this.#welcome(message.value);
      case "assignments":
        return worker.start(message.value.assignments);
      case "acks":
        for (const { leaseId, outcome } of message.value.acks) {
          if (outcome > ReportOutcome.REPORT_OUTCOME_DUPLICATE)
            console.error(`an outcome was not taken: ${ReportOutcome[outcome]} (lease ${leaseId})`);
          worker.acknowledge(leaseId);
        }
        for (const ack of message.value.chunks) worker.held.get(ack.leaseId)?.stream.settle(ack);
        if (message.value.chunks.length) worker.change();
        return;
      case "heartbeatAnswer":
        if (message.value.sequence === this.#sequence && this.#sentAt !== undefined) {
          worker.confirm(this.#sentAt);
          this.#sentAt = undefined;
        }
        return worker.lose(message.value.lostLeaseIds);
      case "cancel":
        return worker.cancel(message.value.leaseIds, message.value.reason);
      case "goodbye":
        return this.leave(new Error(`goodbye: ${message.value.reason}`));
    }
  }

  #welcome(welcome: Welcome): void {
    console.error(`connected to ${this.#client.getChannel().getTarget()}`);
    clearTimeout(this.#timer);
    this.greeted = true;
    this.#timer = setInterval(() => this.#beat(), welcome.heartbeatIntervalMs);
    this.#worker.welcome(welcome, this.#sentAt ?? 0);
    this.#sentAt = undefined;
  }

  #beat(): void {
    if (this.#sentAt !== undefined) return this.leave(new Error("the last heartbeat was not answered"));
    this.#sentAt = performance.now();
    this.#sequence += 1n;
    const leaseIds = [...this.#worker.held.keys()];
    const value = Heartbeat.fromPartial({ sequence: this.#sequence, leaseIds });
    this.#call.write({ message: { $case: "heartbeat", value } });
  }

  /** Takes what is to be sent, in messages that are not too large. */
  *#outgoing(): Generator<Message> {
    const worker = this.#worker;
    if (worker.draining && !this.#drainingTold) {
      this.#drainingTold = true;
      yield { $case: "draining", value: {} };
    }
    if (worker.newLabels) {
      worker.newLabels = false;
      yield { $case: "labels", value: { labels: worker.labels } };
    }
    const { logs, chunks, words, accepts, asking, reports } = worker.takeUnsent();
    // Lines first: once its outcome is told, an attempt's lease is over and its lines are dropped.
    for (const some of portions(logs, (log) => TaskLog.encode(log).finish().length, LINES_AT_ONCE))
      yield { $case: "logs", value: { logs: some } };
    for (const some of portions(chunks, (each) => TaskChunks.encode(each).finish().length, CHUNKS_AT_ONCE))
      yield { $case: "chunks", value: { chunks: some } };
    for (const some of portions(words, (word) => TaskProgress.encode(word).finish().length))
      yield { $case: "progresses", value: { progresses: some } };
    // One that has ended needs no accept.
    const acceptedLeaseIds = accepts.filter((attempt) => !attempt.report).map((attempt) => attempt.leaseId);
    const refreshed = asking.filter(({ limits }) => limits.refreshed).map(({ limits }) => limits.left());
    const releasedSlots = asking.filter(({ gaveSlot }) => gaveSlot).map(({ assignment }) => assignment);
    if (acceptedLeaseIds.length + refreshed.length + releasedSlots.length)
      yield { $case: "report", value: Report.fromPartial({ acceptedLeaseIds, refreshed, releasedSlots }) };
    for (const some of portions(reports, sizeOf)) {
      const completed = some.flatMap((attempt) => attempt.report?.completed ?? []);
      const failed = some.flatMap((attempt) => attempt.report?.failed ?? []);
      yield { $case: "report", value: Report.fromPartial({ completed, failed }) };
    }
  }
}

function sizeOf({ report }: Attempt): number {
  const completed = report?.completed.map((each) => Completed.encode(each).finish().length) ?? [];
  const failed = report?.failed.map((each) => Failed.encode(each).finish().length) ?? [];
  return [...completed, ...failed].reduce((sum, size) => sum + size, 0);
}

/** Splits items so that no portion is much larger than a message may be. */
function* portions<T>(items: T[], size: (item: T) => number, most = Infinity): Generator<T[]> {
  let [portion, room] = [[] as T[], MESSAGE_ROOM];
  for (const item of items) {
    portion.push(item);
    room -= size(item);
    if (room > 0 && portion.length < most) continue;
    yield portion;
    [portion, room] = [[], MESSAGE_ROOM];
  }
  if (portion.length) yield portion;
}
