// Owns what an attempt has put into its run's stream and the engine has not settled.

import { TaskError } from "./attempt.js";
import { type ChunksAck, TaskChunks } from "./gen/windlass/v1/dispatch.js";
import { StreamChunk } from "./gen/windlass/v1/run.js";

const CHUNK_BYTES = 64 * 1024;
const WINDOW_BYTES = 256 * 1024; // that may have been put and are not settled
const CHUNK_OVERHEAD = 256; // what a chunk counts besides itself: so a message has less than 10,000

export class OutgoingStream {
  #first = 0n; // number of the first one kept
  #kept: StreamChunk[] = [];
  #sent = 0; // of those kept, on this connection
  #bytes = 0;
  #refused = false;

  /** Keeps a chunk; false: there is no room now. Throws where the engine takes none. */
  put(data: string | Uint8Array, attempt: number): boolean {
    const size = Buffer.byteLength(data);
    if (size > CHUNK_BYTES)
      throw new TaskError("PayloadTooLarge", `the chunk has ${size} bytes, at most ${CHUNK_BYTES} are taken`, true);
    if (this.#refused) throw new TaskError("StoreFull", "the store is full: the stream of this attempt was cut off");
    const chunk = StreamChunk.fromPartial({
      attempt,
      data: typeof data === "string" ? { $case: "text", value: data } : { $case: "binary", value: Buffer.from(data) },
    });
    if (this.#bytes && this.#bytes + sizeOf(chunk) > WINDOW_BYTES) return false;
    this.#kept.push(chunk);
    this.#bytes += sizeOf(chunk);
    return true;
  }

  /** Takes what is not sent yet; nothing where there is none. */
  take(leaseId: string, runId: string): TaskChunks[] {
    const [first, chunks] = [this.#first + BigInt(this.#sent), this.#kept.slice(this.#sent)];
    this.#sent = this.#kept.length;
    return chunks.length ? [TaskChunks.fromPartial({ leaseId, runId, first, chunks })] : [];
  }

  /** All that is kept is to be sent on the new connection. */
  sendAgain(): void {
    this.#sent = 0;
  }

  settle({ next, refused }: ChunksAck): void {
    this.#refused ||= refused;
    const settled = this.#kept.splice(0, Math.max(Number(next - this.#first), 0));
    this.#first += BigInt(settled.length);
    this.#sent = Math.max(this.#sent - settled.length, 0);
    this.#bytes -= settled.reduce((sum, chunk) => sum + sizeOf(chunk), 0);
  }
}

const sizeOf = (chunk: StreamChunk) => StreamChunk.encode(chunk).finish().length + CHUNK_OVERHEAD;
