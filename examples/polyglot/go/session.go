package windlass

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const (
	patience      = 5 * time.Second // for a welcome, and for the api
	messageRoom   = 2 << 20         // a message may have 4 MiB; the largest single item still fits on top
	linesAtOnce   = 1_000
	wordsAtOnce   = 500
	closePatience = time.Second
)

// session is one stream to one dispatcher, from Hello until it breaks or is left.
type session struct {
	worker   *Worker
	stream   grpc.BidiStreamingClient[windlassv1.ConnectRequest, windlassv1.ConnectResponse]
	leave    context.CancelCauseFunc
	welcome  chan *windlassv1.Welcome
	ended    chan struct{} // the reader is done
	sentAt   time.Time     // the Hello, then the heartbeat that is not answered yet; zero: it is answered
	sequence uint64
	draining bool // told
}

// serve holds one connection; greeted tells whether the dispatcher took us in.
func (w *Worker) serve(address string) (greeted bool, err error) {
	conn, err := w.config.dial(address)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	stream, err := windlassv1.NewDispatchServiceClient(conn).Connect(ctx)
	if err != nil {
		return false, err
	}
	s := &session{worker: w, stream: stream, leave: leave, welcome: make(chan *windlassv1.Welcome, 1), ended: make(chan struct{})}
	if err := s.send(w.greet(s)); err != nil {
		return false, err
	}
	go s.read()
	select {
	case welcome := <-s.welcome:
		slog.Info("connected", "dispatcher", address, "session", welcome.GetSessionId())
		return true, s.write(ctx, time.Duration(welcome.GetHeartbeatIntervalMs())*time.Millisecond)
	case <-time.After(patience):
		return false, errors.New("no welcome in time")
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// greet says who we are and what we hold; the welcome says what of that is still ours.
func (w *Worker) greet(s *session) *windlassv1.ConnectRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session, w.accepts, w.asking, w.reports, w.streaming, w.newLabels = s, nil, nil, nil, nil, false
	s.sentAt, s.draining = time.Now(), w.draining
	hello := proto.CloneOf(w.hello)
	hello.HeldLeaseIds, hello.Draining = w.leases(), w.draining
	return &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Hello{Hello: hello}}
}

// write sends what there is to say, and heartbeats, until the stream is left.
func (s *session) write(ctx context.Context, interval time.Duration) error {
	heartbeat := time.NewTicker(interval)
	defer heartbeat.Stop()
	for {
		messages, changed := s.outgoing()
		for _, message := range messages {
			if err := s.send(message); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-heartbeat.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-s.worker.leaving:
			s.stream.CloseSend()
			select {
			case <-s.ended:
			case <-time.After(closePatience):
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *session) beat() error {
	w := s.worker
	w.mu.Lock()
	if !s.sentAt.IsZero() {
		w.mu.Unlock()
		return errors.New("the last heartbeat was not answered")
	}
	s.sequence++
	s.sentAt = time.Now()
	heartbeat := &windlassv1.Heartbeat{Sequence: s.sequence, LeaseIds: w.leases()}
	w.mu.Unlock()
	return s.send(&windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Heartbeat{Heartbeat: heartbeat}})
}

// send leaves it to the reader to learn why a stream has ended.
func (s *session) send(message *windlassv1.ConnectRequest) error {
	if err := s.stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// outgoing takes what is to be sent, in messages that are not too large, and what announces more of it.
func (s *session) outgoing() (messages []*windlassv1.ConnectRequest, changed <-chan struct{}) {
	w := s.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining && !s.draining {
		s.draining = true
		messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Draining{Draining: &windlassv1.Draining{}}})
	}
	if w.newLabels {
		w.newLabels = false
		labels := &windlassv1.Labels{Labels: maps.Clone(w.hello.Labels)}
		messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Labels{Labels: labels}})
	}
	// Lines first: once its outcome is told, an attempt's lease is over and its lines are dropped.
	for len(w.logs) > 0 {
		logs, size := &windlassv1.Logs{}, 0
		for len(w.logs) > 0 && len(logs.Logs) < linesAtOnce && size < messageRoom {
			logs.Logs, w.logs = append(logs.Logs, w.logs[0]), w.logs[1:]
			size += proto.Size(logs.Logs[len(logs.Logs)-1])
		}
		messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Logs{Logs: logs}})
	}
	messages = append(messages, w.takeChunks()...)
	for words := range slices.Chunk(w.takeWords(), wordsAtOnce) {
		progresses := &windlassv1.Progresses{Progresses: words}
		messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Progresses{Progresses: progresses}})
	}
	report, size := &windlassv1.Report{}, 0
	flush := func() {
		if proto.Size(report) > 0 {
			messages = append(messages, &windlassv1.ConnectRequest{Message: &windlassv1.ConnectRequest_Report{Report: report}})
		}
		report, size = &windlassv1.Report{}, 0
	}
	for _, a := range w.accepts {
		if a.report == nil { // one that has ended needs no accept
			report.AcceptedLeaseIds = append(report.AcceptedLeaseIds, a.assignment.GetLeaseId())
		}
	}
	for _, a := range w.asking {
		if a.report == nil && a.limits.refreshed {
			report.Refreshed = append(report.Refreshed, a.limits.left(a.assignment))
		}
		if a.report == nil && a.gaveSlot {
			release := &windlassv1.SlotRelease{LeaseId: a.assignment.GetLeaseId(), RunId: a.assignment.GetRunId()}
			report.ReleasedSlots = append(report.ReleasedSlots, release)
		}
	}
	for _, a := range w.reports {
		proto.Merge(report, a.report)
		if size += proto.Size(a.report); size > messageRoom {
			flush()
		}
	}
	flush()
	w.accepts, w.asking, w.reports = nil, nil, nil
	return messages, w.changed
}

func (s *session) read() {
	defer close(s.ended)
	for {
		message, err := s.stream.Recv()
		if err != nil {
			s.leave(err)
			return
		}
		s.worker.receive(s, message)
	}
}

func (w *Worker) receive(s *session, message *windlassv1.ConnectResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch message := message.GetMessage().(type) {
	case *windlassv1.ConnectResponse_Welcome:
		w.onWelcome(s, message.Welcome)
	case *windlassv1.ConnectResponse_Assignments:
		w.start(message.Assignments.GetAssignments())
	case *windlassv1.ConnectResponse_Acks:
		for _, ack := range message.Acks.GetAcks() {
			if ack.GetOutcome() > windlassv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE {
				slog.Warn("an outcome was not taken", "lease", ack.GetLeaseId(), "why", ack.GetOutcome())
			}
			delete(w.held, ack.GetLeaseId())
		}
		for _, ack := range message.Acks.GetChunks() {
			if a := w.held[ack.GetLeaseId()]; a != nil {
				a.stream.settle(ack)
			}
		}
		w.change()
	case *windlassv1.ConnectResponse_HeartbeatAnswer:
		if answer := message.HeartbeatAnswer; answer.GetSequence() == s.sequence {
			w.confirm(s.sentAt)
			s.sentAt = time.Time{}
		}
		w.lose(message.HeartbeatAnswer.GetLostLeaseIds())
	case *windlassv1.ConnectResponse_Cancel:
		for _, lease := range message.Cancel.GetLeaseIds() {
			if a := w.held[lease]; a != nil {
				w.stop(a, errCancelled(message.Cancel.GetReason()), w.grace)
			}
		}
	case *windlassv1.ConnectResponse_Goodbye:
		s.leave(fmt.Errorf("goodbye: %s", message.Goodbye.GetReason()))
	}
}

// onWelcome begins a session: what is still ours goes on, and all of it is told again.
func (w *Worker) onWelcome(s *session, welcome *windlassv1.Welcome) {
	w.ttl = time.Duration(welcome.GetSessionTtlMs()) * time.Millisecond
	w.grace = time.Duration(welcome.GetCancelGraceMs()) * time.Millisecond
	w.maxPayload = welcome.GetMaxPayloadBytes()
	w.confirm(s.sentAt)
	s.sentAt = time.Time{}
	w.lose(welcome.GetLostLeaseIds())
	w.accepts, w.asking, w.reports, w.streaming = nil, nil, nil, nil
	for _, a := range w.held {
		a.stream.sent = 0
		w.streaming = append(w.streaming, a)
		if a.report == nil {
			w.accepts = append(w.accepts, a)
			w.asking = append(w.asking, a)
		} else {
			w.reports = append(w.reports, a)
		}
	}
	s.welcome <- welcome
}

func (w *Worker) leases() []string {
	leases := make([]string, 0, len(w.held))
	for lease := range w.held {
		leases = append(leases, lease)
	}
	return leases
}

// log keeps a line until it is sent; while no dispatcher takes them, the oldest go.
func (w *Worker) log(a *attempt, level, message string) {
	line := &windlassv1.LogLine{
		LoggedAtMs: time.Now().UnixMilli(), Level: level, Message: cut(message, messageBytes), Attempt: a.assignment.GetAttempt(),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs = append(w.logs, &windlassv1.TaskLog{
		RunId: a.assignment.GetRunId(), LeaseId: a.assignment.GetLeaseId(), Lines: []*windlassv1.LogLine{line},
	})
	if len(w.logs) > keptLogs {
		w.logs = w.logs[1:]
	}
	w.change()
}
