package windlass

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const (
	chunkBytes    = 64 << 10
	windowBytes   = 256 << 10 // that an attempt may have put and that are not settled
	chunkOverhead = 256       // what a chunk counts besides itself: so a message has less than 10,000
)

// outStream is what an attempt has put into its run's stream and the engine has not settled.
type outStream struct {
	first   uint64 // number of the first one kept
	kept    []*windlassv1.StreamChunk
	sent    int // of those kept, on this connection
	bytes   int
	refused bool
}

// StreamText puts text into the run's stream: kept as it is, in order. It waits while much is not stored yet; its
// error says that the attempt is to end, or that the engine takes no more.
func (j *Job) StreamText(text string) error {
	return j.put(len(text), &windlassv1.StreamChunk{Data: &windlassv1.StreamChunk_Text{Text: text}, Attempt: j.GetAttempt()})
}

// StreamBytes does the same with bytes.
func (j *Job) StreamBytes(data []byte) error {
	return j.put(len(data), &windlassv1.StreamChunk{Data: &windlassv1.StreamChunk_Binary{Binary: data}, Attempt: j.GetAttempt()})
}

func (j *Job) put(size int, chunk *windlassv1.StreamChunk) error {
	if size > chunkBytes {
		return Final(&TaskError{"PayloadTooLarge", fmt.Sprintf("the chunk has %d bytes, at most %d are taken", size, chunkBytes)})
	}
	w, a := j.worker, j.attempt
	for {
		taken, changed, err := w.takeChunk(a, chunk)
		if taken || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-a.ctx.Done():
		}
	}
}

// takeChunk keeps a chunk where there is room for it; else it gives what announces that there may be.
func (w *Worker) takeChunk(a *attempt, chunk *windlassv1.StreamChunk) (taken bool, changed <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size, s := sizeOf(chunk), &a.stream
	switch {
	case s.refused:
		return false, nil, &TaskError{"StoreFull", "the store is full: the stream of this attempt was cut off"}
	case a.ctx.Err() != nil:
		return false, nil, context.Cause(a.ctx)
	case s.bytes > 0 && s.bytes+size > windowBytes:
		return false, w.changed, nil
	}
	s.kept, s.bytes = append(s.kept, chunk), s.bytes+size
	w.streaming = append(w.streaming, a)
	w.change()
	return true, nil, nil
}

// takeChunks takes what is to be sent of streams, in messages that are not too large. The lock is held.
func (w *Worker) takeChunks() []*windlassv1.ConnectRequest {
	var messages []*windlassv1.ConnectRequest
	chunks, size := &windlassv1.Chunks{}, 0
	flush := func() {
		if len(chunks.Chunks) > 0 {
			messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Chunks{Chunks: chunks}})
		}
		chunks, size = &windlassv1.Chunks{}, 0
	}
	for _, a := range w.streaming {
		s, lease := &a.stream, a.assignment.GetLeaseId()
		if s.sent == len(s.kept) || w.held[lease] != a {
			continue
		}
		chunks.Chunks = append(chunks.Chunks, &windlassv1.TaskChunks{
			RunId: a.assignment.GetRunId(), LeaseId: lease, First: s.first + uint64(s.sent), Chunks: s.kept[s.sent:],
		})
		s.sent = len(s.kept)
		if size += s.bytes; size > messageRoom {
			flush()
		}
	}
	flush()
	w.streaming = nil
	return messages
}

// settle forgets what the engine has of a stream. The lock is held.
func (s *outStream) settle(ack *windlassv1.ChunksAck) {
	s.refused = s.refused || ack.GetRefused()
	for len(s.kept) > 0 && s.first < ack.GetNext() {
		s.bytes -= sizeOf(s.kept[0])
		s.kept, s.first, s.sent = s.kept[1:], s.first+1, max(s.sent-1, 0)
	}
}

func sizeOf(chunk *windlassv1.StreamChunk) int { return proto.Size(chunk) + chunkOverhead }
