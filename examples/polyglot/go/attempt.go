package windlass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const (
	messageBytes   = 16 << 10 // of a failure's message and of a log line
	tracebackBytes = 32 << 10
	stopGrace      = time.Second // how long an attempt may go on after its execution timeout
)

// Task executes one attempt of a run; what it returns becomes the output, as JSON. Its context ends when the
// run is cancelled, the attempt's time is over or its lease is lost: context.Cause tells which.
type Task func(ctx context.Context, job *Job) (any, error)

// Job is what a task gets: the input, and the attempt that it is for.
type Job struct {
	*windlassv1.Assignment
	worker  *Worker
	attempt *attempt
}

// Bind decodes the input. Its error is final: the same input would fail again.
func (j *Job) Bind(into any) error {
	input := j.Spec.GetInputJson()
	if len(input) == 0 {
		input = []byte("{}")
	}
	if err := json.Unmarshal(input, into); err != nil {
		return Final(&TaskError{Type: "InvalidInput", Message: err.Error()})
	}
	return nil
}

// Log keeps a line with the run. The level is DEBUG, INFO, WARNING, ERROR or CRITICAL.
func (j *Job) Log(level, message string) { j.worker.log(j.attempt, level, message) }

// Progress tells how far the attempt is, for whoever watches the run; as often as you like. A total of 0:
// nobody knows.
func (j *Job) Progress(done, total float64, message string) {
	j.worker.progress(j.attempt, done, total, message)
}

// Soft ends at the soft timeout, or with the task's own context: what is given this one stops in time, and the
// task can still clean up with its own.
func (j *Job) Soft() context.Context { return j.attempt.limits.soft }

// Refresh gives the attempt more time: from now on it may execute so long, in place of what is left.
func (j *Job) Refresh(execution time.Duration) { j.worker.refresh(j.attempt, execution) }

// ReleaseSlot has the attempt go on without its slot: others get it.
func (j *Job) ReleaseSlot() { j.worker.releaseSlot(j.attempt) }

// Label sets a label of the worker.
func (j *Job) Label(name, value string) { j.worker.Label(name, value) }

// TaskError is an error with a type of its own, which policies and people of any language read.
type TaskError struct{ Type, Message string }

func (e *TaskError) Error() string { return e.Message }

type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// Final marks an error that must not be retried, whatever the policy says.
func Final(err error) error { return finalError{err} }

// attempt is a lease that we hold. It waits for a slot, executes, and has a report, kept until acknowledged.
type attempt struct {
	assignment *windlassv1.Assignment
	ctx        context.Context
	cancel     context.CancelCauseFunc
	limits     limits
	hasSlot    bool
	stream     outStream
	gaveSlot   bool                 // the task goes on without, and the engine has to know
	word       *windlassv1.Progress // the newest that is not sent
	nextWordAt time.Time
	report     *windlassv1.Report
}

// execute runs the task and reports what became of it, unless that has been said already.
func (w *Worker) execute(a *attempt) {
	name := taskName{a.assignment.GetSpec().GetWorkflowName(), a.assignment.GetTaskName()}
	task, known := w.tasks[name]
	if !known {
		w.finish(a, nil, &TaskError{"UnknownTask", fmt.Sprintf("this worker has no task %q of workflow %q", name.task, name.workflow)})
		return
	}
	w.beginLimits(a)
	defer w.endLimits(a)
	output, err := call(a.ctx, task, &Job{a.assignment, w, a})
	if cause := context.Cause(a.ctx); cause != nil && (err != nil || errorType(cause) == "ExecutionTimeout") {
		err = cause
	} else if errors.Is(err, context.Canceled) && context.Cause(a.limits.soft) != nil {
		err = context.Cause(a.limits.soft)
	}
	w.finish(a, output, err)
}

// call turns a panic into an error, with its stack.
func call(ctx context.Context, task Task, job *Job) (output []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &panicError{TaskError{"Panic", fmt.Sprint(reason)}, string(debug.Stack())}
		}
	}()
	value, err := task(ctx, job)
	if err != nil {
		return nil, err
	}
	if output, err = json.Marshal(value); err != nil {
		return nil, Final(&TaskError{"SerializationError", err.Error()})
	}
	return output, nil
}

type panicError struct {
	TaskError
	stack string
}

// stop tells the task to end; a task that goes on all the same is left behind after the grace: nothing can
// end a goroutine from outside, but its slot is free again, and what it still returns is dropped.
func (w *Worker) stop(a *attempt, cause error, grace time.Duration) {
	a.cancel(cause)
	time.AfterFunc(grace, func() { w.finish(a, nil, cause) })
}

// reportOf says what became of an attempt, within the limits of the contracts.
func reportOf(a *windlassv1.Assignment, output []byte, err error, maxPayload uint64) *windlassv1.Report {
	if err == nil && uint64(len(output)) > maxPayload {
		err = Final(&TaskError{"PayloadTooLarge", fmt.Sprintf("the output has %d bytes, at most %d are taken", len(output), maxPayload)})
	}
	if err == nil {
		completed := &windlassv1.Completed{LeaseId: a.GetLeaseId(), RunId: a.GetRunId(), OutputJson: output}
		return &windlassv1.Report{Completed: []*windlassv1.Completed{completed}}
	}
	failure := &windlassv1.Failure{Type: errorType(err), Message: cut(err.Error(), messageBytes)}
	if panicked := new(panicError); errors.As(err, &panicked) {
		failure.Traceback = cut(panicked.stack, tracebackBytes)
	}
	failure.NonRetryable = errors.As(err, &finalError{})
	return failed(a, failure, false)
}

func failed(a *windlassv1.Assignment, failure *windlassv1.Failure, released bool) *windlassv1.Report {
	return &windlassv1.Report{Failed: []*windlassv1.Failed{{
		LeaseId: a.GetLeaseId(), RunId: a.GetRunId(), Failure: failure, Released: released,
	}}}
}

// errorType is the name that policies know an error by: its own, or that of its Go type where it is exported.
func errorType(err error) string {
	if named := new(TaskError); errors.As(err, &named) {
		return named.Type
	}
	for ; err != nil; err = errors.Unwrap(err) {
		kind := reflect.TypeOf(err)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if name := kind.Name(); name != "" && unicode.IsUpper([]rune(name)[0]) {
			return name
		}
	}
	return "Error"
}

// cut keeps the first bytes of a text, as valid UTF-8: protobuf refuses anything else.
func cut(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}
