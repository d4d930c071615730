package windlass

import (
	"context"
	"fmt"
	"time"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

var errSoftTimeout = &TaskError{"SoftTimeoutExceeded", "the soft timeout of this attempt is over"}

// limits are the timers of an attempt that executes: when its task is told that time is short, when it is
// stopped. The worker's lock is held round all of it.
type limits struct {
	soft      context.Context // ends when the task is told, or with the attempt
	tell      context.CancelCauseFunc
	execution time.Duration // 0: none
	deadline  time.Time
	ahead     time.Duration // the task is told so long before the deadline
	softTimer *time.Timer
	stopTimer *time.Timer
	refreshed bool // the task has asked for more time, and the engine has to know
}

func milliseconds(count uint64) time.Duration { return time.Duration(count) * time.Millisecond }

// beginLimits starts the timers of an attempt.
func (w *Worker) beginLimits(a *attempt) {
	execution, soft := milliseconds(a.assignment.GetExecutionTimeoutMs()), milliseconds(a.assignment.GetSoftTimeoutMs())
	w.mu.Lock()
	defer w.mu.Unlock()
	a.limits.execution, a.limits.ahead = execution, max(execution-soft, 0)
	a.limits.soft, a.limits.tell = context.WithCancelCause(a.ctx)
	if execution > 0 {
		a.limits.deadline = time.Now().Add(execution)
		a.limits.stopTimer = time.AfterFunc(execution, func() { w.stopOverdue(a) })
	}
	if soft > 0 {
		a.limits.softTimer = time.AfterFunc(soft, func() { a.limits.tell(errSoftTimeout) })
	}
}

// endLimits stops the timers.
func (w *Worker) endLimits(a *attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, timer := range []*time.Timer{a.limits.softTimer, a.limits.stopTimer} {
		if timer != nil {
			timer.Stop()
		}
	}
	a.limits.tell(nil)
}

// stopOverdue stops an attempt, unless its limit has been moved meanwhile.
func (w *Worker) stopOverdue(a *attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !time.Now().Before(a.limits.deadline) {
		w.stop(a, &TaskError{"ExecutionTimeout", fmt.Sprintf("the attempt ran longer than %s", a.limits.execution)}, stopGrace)
	}
}

// refresh counts anew: from now on the attempt may execute so long. One without a limit gets none by that.
func (w *Worker) refresh(a *attempt, execution time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.limits.execution == 0 || a.report != nil || a.ctx.Err() != nil {
		return
	}
	a.limits.execution, a.limits.deadline, a.limits.refreshed = execution, time.Now().Add(execution), true
	a.limits.stopTimer.Reset(execution)
	if a.limits.softTimer != nil && a.limits.soft.Err() == nil {
		a.limits.softTimer.Reset(max(execution-a.limits.ahead, 0))
	}
	w.asking = append(w.asking, a)
	w.change()
}

// left tells the engine what is left of an attempt's time.
func (l *limits) left(a *windlassv1.Assignment) *windlassv1.TimeoutRefresh {
	return &windlassv1.TimeoutRefresh{
		LeaseId: a.GetLeaseId(), RunId: a.GetRunId(),
		ExecutionTimeoutMs: uint64(max(time.Until(l.deadline).Milliseconds(), 1)),
	}
}
