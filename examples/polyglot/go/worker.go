package windlass

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const (
	firstDelay   = 100 * time.Millisecond // between two connections: random, doubled up to longestDelay
	longestDelay = 2 * time.Second
	goodAfter    = 5 * time.Second // a connection that held this long was a good one
	drainGrace   = 30 * time.Second
	ackPatience  = 5 * time.Second // how long a drain waits for the last acknowledgements
	seenLeases   = 10_000
	keptLogs     = 10_000
)

// Worker executes tasks. What it holds here outlives its connections: leases, and reports until they are
// acknowledged.
type Worker struct {
	config Config
	hello  *windlassv1.Hello
	tasks  map[taskName]Task
	known  []string // dispatchers, by the api's last answer

	leaving chan struct{} // closed when the drain is over

	mu         sync.Mutex
	changed    chan struct{}       // closed, and made anew, whenever what is held changes
	held       map[string]*attempt // by lease
	seen       [2]map[string]bool  // leases that have arrived, in two generations
	waiting    []*attempt          // for a slot
	free       int                 // slots
	accepts    []*attempt          // to be sent
	reports    []*attempt          // to be sent
	asking     []*attempt          // for more time, or to go on without a slot: to be sent
	words      []*attempt          // to be sent
	streaming  []*attempt          // to be sent
	logs       []*windlassv1.TaskLog
	newLabels  bool // to be sent
	draining   bool
	session    *session
	ttl        time.Duration
	deadline   time.Time // all that executes is stopped then: the session may be over
	expired    bool
	expiry     *time.Timer
	maxPayload uint64
	grace      time.Duration
}

// taskName names a task: two workflows may have tasks of one name.
type taskName struct{ workflow, task string }

// NewWorker makes a worker of so many slots. Its name is for people and need not be unique.
func NewWorker(config Config, name string, slots int) *Worker {
	host, _ := os.Hostname()
	w := &Worker{
		config: config,
		tasks:  map[taskName]Task{},
		hello: &windlassv1.Hello{
			WorkerId: uuid.NewString(), Name: name, Slots: uint32(slots),
			Sdk: "go " + strings.TrimPrefix(runtime.Version(), "go"), Host: fmt.Sprintf("%s:%d", host, os.Getpid()),
			Labels: map[string]string{}, SlotPools: map[string]uint32{},
		},
		leaving: make(chan struct{}), changed: make(chan struct{}),
		free: slots, held: map[string]*attempt{}, seen: [2]map[string]bool{{}, {}},
	}
	w.expiry = time.AfterFunc(time.Hour, w.expire)
	w.expiry.Stop()
	return w
}

// Handle serves a task: a workflow of that one task, with the given policy of retries (nil: none).
func (w *Worker) Handle(name string, task Task, retry *windlassv1.RetryPolicy) {
	w.HandleWorkflow(&windlassv1.WorkflowDefinition{
		Name: name, Tasks: []*windlassv1.TaskDefinition{{Name: name, Retry: retry}},
	}, map[string]Task{name: task})
}

// HandleWorkflow serves a workflow: the tasks, by name, are its own and its hooks, whose job says in Spec.Hook
// what they follow.
func (w *Worker) HandleWorkflow(definition *windlassv1.WorkflowDefinition, tasks map[string]Task) {
	for name, task := range tasks {
		w.tasks[taskName{definition.GetName(), name}] = task
	}
	w.hello.Workflows = append(w.hello.Workflows, definition)
}

// Label says something of the worker that placement can ask for; also while it runs.
func (w *Worker) Label(name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hello.Labels[name] = value
	w.newLabels = true
	w.change()
}

// AddPool adds slots of another kind; of which kind an attempt takes one is the engine's to count.
func (w *Worker) AddPool(name string, slots int) {
	w.hello.SlotPools[name] = uint32(slots)
	w.free += slots
}

// Run serves until ctx ends, and then drains: no new work, what runs may finish, the rest goes back to its
// queue. Its error says that the engine refuses this worker, and would again.
func (w *Worker) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.drain)
	defer stop()
	delay, avoid, welcomed := firstDelay, "", false
	for {
		began := time.Now()
		greeted := false
		addresses, err := w.dispatchers(avoid)
		for _, address := range addresses {
			avoid = address
			if greeted, err = w.serve(address); greeted || w.hasLeft() {
				break
			}
		}
		if w.hasLeft() {
			return nil
		}
		welcomed = welcomed || greeted
		if !greeted && isFinal(err, welcomed) {
			return typed(err)
		}
		slog.Warn("not connected; trying on", "last", avoid, "reason", err)
		if time.Since(began) > goodAfter {
			delay = firstDelay
		}
		select {
		case <-time.After(rand.N(delay)):
		case <-w.leaving:
		}
		delay = min(2*delay, longestDelay)
	}
}

// StopContext ends at the first SIGTERM or SIGINT; the second one ends the process at once.
func StopContext() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-signals
		stop()
		<-signals
		os.Exit(1)
	}()
	return ctx
}

func (w *Worker) hasLeft() bool {
	select {
	case <-w.leaving:
		return true
	default:
		return false
	}
}

// isFinal tells whether what was said in place of a welcome would be said again: the token is not taken, or
// our very first Hello is wrong.
func isFinal(err error, welcomed bool) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		return true
	case codes.InvalidArgument:
		return !welcomed
	default:
		return false
	}
}

// dispatchers asks the api where to connect; the address to avoid comes last.
func (w *Worker) dispatchers(avoid string) ([]string, error) {
	if w.config.DispatcherAddress != "" {
		return []string{w.config.DispatcherAddress}, nil
	}
	addresses, err := w.askForDispatchers()
	if err == nil {
		w.known = addresses
	} else if len(w.known) > 0 { // what was true a moment ago is better than nothing while the api is away
		addresses, err = w.known, nil
	}
	if at := slices.Index(addresses, avoid); at >= 0 {
		addresses = append(slices.Delete(slices.Clone(addresses), at, at+1), avoid)
	}
	return addresses, err
}

func (w *Worker) askForDispatchers() ([]string, error) {
	conn, err := w.config.dial(w.config.APIAddress)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	response, err := windlassv1.NewWorkerServiceClient(conn).ListDispatchers(ctx, &windlassv1.ListDispatchersRequest{})
	return response.GetAddresses(), err
}

// start takes new assignments; one whose lease has been seen is dropped. The lock is held, as in all that
// follows but finish and what waits.
func (w *Worker) start(assignments []*windlassv1.Assignment) {
	for _, assignment := range assignments {
		lease := assignment.GetLeaseId()
		if w.expired || w.seen[0][lease] || w.seen[1][lease] || w.held[lease] != nil {
			continue // what belongs to an expired session comes again after the next welcome
		}
		if w.seen[0][lease] = true; len(w.seen[0]) > seenLeases {
			w.seen = [2]map[string]bool{{}, w.seen[0]}
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		a := &attempt{assignment: assignment, ctx: ctx, cancel: cancel}
		w.held[lease] = a
		switch {
		case w.draining:
			w.keep(a, failed(assignment, &windlassv1.Failure{Type: "Released", Message: "the worker is draining"}, true))
		case assignment.GetCancelRequested():
			w.keep(a, reportOf(assignment, nil, errCancelled(""), w.maxPayload))
		default:
			w.accepts = append(w.accepts, a)
			w.waiting = append(w.waiting, a)
		}
	}
	w.fillSlots()
	w.change()
}

// fillSlots executes what waits, in order. The engine counts slots too, but a worker that lost a lease, or
// left a task behind, may hear of new work before it is done with the old.
func (w *Worker) fillSlots() {
	for w.free > 0 && len(w.waiting) > 0 {
		a := w.waiting[0]
		w.waiting = w.waiting[1:]
		if a.report == nil && w.held[a.assignment.GetLeaseId()] == a { // not released or lost meanwhile
			a.hasSlot = true
			w.free--
			go w.execute(a)
		}
	}
}

// releaseSlot gives the slot of an attempt to the next, and goes on with it.
func (w *Worker) releaseSlot(a *attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.hasSlot {
		a.hasSlot, a.gaveSlot = false, true
		w.asking = append(w.asking, a)
		w.free++
		w.fillSlots()
		w.change()
	}
}

// end stops an attempt, for this reason, and gives its slot to the next.
func (w *Worker) end(a *attempt, cause error) {
	a.cancel(cause)
	if a.hasSlot {
		a.hasSlot = false
		w.free++
		w.fillSlots()
	}
	w.change()
}

func errCancelled(reason string) error {
	return &TaskError{"RunCancelled", "the run was cancelled: " + reason}
}

// finish takes the outcome of an attempt, unless another was told before or the lease is no longer ours.
func (w *Worker) finish(a *attempt, output []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.report == nil && w.held[a.assignment.GetLeaseId()] == a {
		w.keep(a, reportOf(a.assignment, output, err, w.maxPayload))
		w.end(a, nil)
	}
}

// keep holds a report until it is acknowledged, and has it sent. The lock is held, as in what follows.
func (w *Worker) keep(a *attempt, report *windlassv1.Report) {
	a.report = report
	w.words = append(w.words, a) // its last word goes before the report
	w.reports = append(w.reports, a)
}

// lose drops leases that are no longer ours.
func (w *Worker) lose(leases []string) {
	for _, lease := range leases {
		if a := w.held[lease]; a != nil {
			delete(w.held, lease)
			w.end(a, errors.New("the lease was lost"))
		}
	}
}

// release hands back all that executes: it runs again elsewhere, and no retry is charged.
func (w *Worker) release(reason error) {
	w.waiting = nil
	for _, a := range w.held {
		if a.report == nil {
			w.keep(a, failed(a.assignment, &windlassv1.Failure{Type: "Released", Message: reason.Error()}, true))
			w.end(a, reason)
		}
	}
}

// confirm renews the session from when the message that the engine answered was sent. Go's clock stands
// still while the machine sleeps; an SDK would read CLOCK_BOOTTIME.
func (w *Worker) confirm(sentAt time.Time) {
	w.deadline = sentAt.Add(w.ttl * 9 / 10)
	w.expired = false
	w.expiry.Reset(time.Until(w.deadline))
}

// expire stops everything shortly before the engine may give it to others.
func (w *Worker) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.deadline) {
		return
	}
	w.expired = true
	reason := errors.New("the session was about to expire")
	w.release(reason) // told, and not forgotten: should the session live after all, nothing hangs
	if w.session != nil {
		w.session.leave(reason)
	}
}

// drain lets what runs finish, hands back the rest, and waits until all of it is acknowledged.
func (w *Worker) drain() {
	slog.Info("draining")
	w.mu.Lock()
	w.draining = true
	w.change()
	w.mu.Unlock()
	w.until(drainGrace, func() bool {
		for _, a := range w.held {
			if a.report == nil {
				return false
			}
		}
		return true
	})
	w.mu.Lock()
	w.release(errors.New("the worker has left"))
	w.mu.Unlock()
	w.until(ackPatience, func() bool { return len(w.held) == 0 })
	close(w.leaving)
}

// change tells everybody who waits that something is different now. The lock is held.
func (w *Worker) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits for a condition that change announces, or for the limit.
func (w *Worker) until(limit time.Duration, condition func() bool) {
	timeout := time.After(limit)
	for {
		w.mu.Lock()
		met, changed := condition(), w.changed
		w.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			return
		}
	}
}
